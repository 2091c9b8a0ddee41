//! How a server that follows a cluster learns where the members are: it asks one of those that it is told.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use niagara_client::Endpoint;
use niagara_engine::{Config, EpochView, Member, MemberView, ServerRole};

use super::failure::Failure;
use super::join::ask_for_epoch;

/// How often to ask.
const ASK: Duration = Duration::from_millis(500);
/// How often to say what is waited for.
const SAY: Duration = Duration::from_secs(10);

/// Makes the server a follower of the cluster to which one of `servers` belongs, whatever the file says of members. A server
/// that has followed before goes on with what the file says if nobody answers. `false`: it has been told to stop.
pub fn look_up(config: &mut Config, servers: &[Endpoint], stops: &AtomicBool) -> Result<bool, Failure> {
    config.role = ServerRole::Follower;
    config.leaders.clear();
    config.links.clear();
    config.members.retain(|member| member.server != config.server);
    let mut said: Option<Instant> = None;
    while !stops.load(SeqCst) {
        let mut why = "no server answers".to_owned();
        for server in servers {
            match ask_for_epoch(server, config, "--follow")? {
                Ok(epoch) => {
                    follow(config, epoch);
                    return Ok(true);
                }
                Err(not_now) => why = not_now,
            }
        }
        if !config.members.is_empty() {
            tracing::warn!("{why}: the members are looked for where the file says");
            return Ok(true);
        }
        if said.is_none_or(|said| said.elapsed() >= SAY) {
            tracing::info!("{why}; still asking where the members are");
            said = Some(Instant::now());
        }
        thread::sleep(ASK);
    }
    Ok(false)
}

fn follow(config: &mut Config, epoch: EpochView) {
    config.groups = Some(epoch.groups);
    config.notes = epoch.contacts.iter().map(|contact| (contact.server, contact.note.clone())).collect();
    let member =
        |MemberView { server, addresses, transfer, .. }: MemberView| Member { server, addresses, transfer };
    config.members = epoch.contacts.into_iter().map(member).collect();
}
