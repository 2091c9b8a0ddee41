//! How a server that joins a running cluster learns which epoch it is a member of: it asks a member until it is one.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use niagara_client::{Endpoint, Request};
use niagara_engine::{Config, EpochView, Listeners, Past, ProbeResponder};
use niagara_kvstore::server::ServerConfig;
use serde::Deserialize;

use super::failure::Failure;

/// How often to ask.
const ASK: Duration = Duration::from_millis(200);
/// How often to say what is waited for.
const SAY: Duration = Duration::from_secs(10);
/// How long a member may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a member says of its cluster.
#[derive(Deserialize)]
struct Page {
    cluster: String,
    #[serde(flatten)]
    epoch: EpochView,
}

/// Waits until this server is one of the members, which find it at its addresses meanwhile. `false`: it has been told to stop.
pub fn await_membership(
    config: &mut ServerConfig,
    members: &[Endpoint],
    file: &str,
    stops: &AtomicBool,
) -> Result<bool, Failure> {
    let engine = &mut config.engine;
    let past = niagara_engine::past(engine)
        .map_err(|error| Failure::new(error, "look at `data_dir` in the configuration file"))?;
    match past {
        Past::None => {}
        Past::Alone => return check_alone(engine, members).map(|()| true),
        Past::Member => {
            tracing::info!("this server has joined its cluster before: it starts as it is");
            return Ok(true);
        }
    }
    engine.listeners = listen(engine)?;
    let (server, engine) = (engine.server, config.engine_config());
    let hint = format!("correct {file}");
    let engine =
        engine.map_err(|error| Failure::new(format!("server {server} cannot join: {error}"), hint))?;
    let _responder = ProbeResponder::start(&engine).map_err(|error| {
        Failure::new(error, "is the limit of open files (ulimit -n) too low for the server's addresses?")
    })?;
    let mut said: Option<Instant> = None;
    while !stops.load(SeqCst) {
        let asked = ask_all(members, &engine)?;
        if let Asked::Member(epoch) = asked {
            config.engine.join = Some(epoch);
            return Ok(true);
        }
        if said.is_none_or(|said| said.elapsed() >= SAY) {
            let at = members.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(",");
            match asked {
                Asked::Nobody(why) => tracing::info!("no member answers, so it asks again: {why}"),
                _ => tracing::info!(
                    "server {server} is no member yet; add it with: niagara member add --file {file} --at {at}"
                ),
            }
            said = Some(Instant::now());
        }
        thread::sleep(ASK);
    }
    Ok(false)
}

/// What members say of this server.
enum Asked {
    /// It is a member of this epoch.
    Member(EpochView),
    /// It is none.
    NotYet,
    /// None of them has answered, and why the last one has not.
    Nobody(String),
}

fn ask_all(members: &[Endpoint], config: &Config) -> Result<Asked, Failure> {
    let mut asked = Asked::Nobody("none is named".into());
    for member in members {
        match ask_for_epoch(member, config, "--join")? {
            Ok(epoch) if epoch.members.contains(&config.server) => return Ok(Asked::Member(epoch)),
            Ok(epoch) if epoch.former.contains(&config.server) => {
                let what = format!("server {} was a member of the cluster before", config.server);
                return Err(Failure::new(what, "give this server an id that was never used"));
            }
            Ok(_) => asked = Asked::NotYet,
            Err(why) if matches!(asked, Asked::Nobody(_)) => asked = Asked::Nobody(why),
            Err(_) => {}
        }
    }
    Ok(asked)
}

/// Checks that a server which founded a cluster alone is not to join another one with the same id.
fn check_alone(config: &Config, members: &[Endpoint]) -> Result<(), Failure> {
    for member in members {
        if let Ok(epoch) = ask_for_epoch(member, config, "--join")?
            && epoch.members != [config.server]
        {
            let what = format!(
                "the data directory {} holds a cluster of server {} alone, which it founded when it was started without --join, \
                 and nothing of the cluster of {member}",
                config.data_dir.display(),
                config.server
            );
            let hint = "move the directory away, then start the server again with --join";
            return Err(Failure::new(what, hint));
        }
    }
    Ok(())
}

/// The epoch that a server of the cluster is in, or why it does not say. `option` has named the server.
pub fn ask_for_epoch(
    member: &Endpoint,
    config: &Config,
    option: &str,
) -> Result<Result<EpochView, String>, Failure> {
    let response = match member.send(&Request::get("/members"), PATIENCE) {
        Ok(response) if response.status == 200 => response,
        Ok(response) => return Ok(Err(format!("{member} answers with HTTP status {}", response.status))),
        Err(trouble) => return Ok(Err(format!("{member}: {trouble}"))),
    };
    let Ok(Page { cluster, epoch }) = serde_json::from_slice(&response.body) else {
        return Ok(Err(format!("{member} does not say who is a member: does it run an earlier release?")));
    };
    let own = format!("{:032x}", config.cluster);
    if cluster != own {
        let what = format!("{member} is of cluster {cluster}, but `cluster` in the file is {own}");
        let hint = format!("correct the file, or name a member of that cluster with {option}");
        return Err(Failure::new(what, hint));
    }
    if epoch.level > config.known_level {
        let what = format!(
            "the cluster is at level {}, and this program knows levels up to {}",
            epoch.level, config.known_level
        );
        return Err(Failure::new(what, "install a newer release on this server"));
    }
    Ok(Ok(epoch))
}

fn listen(config: &Config) -> Result<Listeners, Failure> {
    let own = config.members.iter().find(|member| member.server == config.server);
    let Some(own) = own else {
        let what = format!("`members` in the file does not list this server, {}", config.server);
        return Err(Failure::new(what, "add its own addresses; those of the others come from the cluster"));
    };
    let groups = own.addresses.iter().enumerate().map(|(at, address)| {
        let listen = config.links.get(at).and_then(|link| link.listen);
        listen.map_or_else(|| address.clone(), |listen| listen.to_string())
    });
    let bind = |address: String| {
        TcpListener::bind(&address).map_err(|error| {
            let hint = "another program may have that port (`ss -ltnp` shows which); the address must belong to this machine";
            Failure::new(format!("cannot listen at {address}: {error}"), hint)
        })
    };
    let listeners = [own.transfer.clone()].into_iter().chain(groups).map(bind);
    Ok(Listeners::new(listeners.collect::<Result<Vec<_>, _>>()?))
}

/// Ends the process at a signal while the first state is fetched: nothing can be lost then. What is returned keeps it from
/// doing so, as soon as it is dropped.
pub fn end_at_signal(stops: Arc<AtomicBool>) -> EndsAtSignal {
    let is_over = Arc::<AtomicBool>::default();
    let over = Arc::clone(&is_over);
    thread::spawn(move || {
        while !over.load(SeqCst) {
            if stops.load(SeqCst) {
                tracing::info!("stopped before this server had received the state of its cluster");
                niagara_logging::flush();
                std::process::exit(0);
            }
            thread::sleep(ASK);
        }
    });
    EndsAtSignal(is_over)
}

/// See [`end_at_signal`].
pub struct EndsAtSignal(Arc<AtomicBool>);

impl Drop for EndsAtSignal {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
