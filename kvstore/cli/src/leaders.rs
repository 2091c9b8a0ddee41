//! `niagara leaders`: who leads which group, and how to change that.

use std::process::ExitCode;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use niagara_client::survey::Survey;
use niagara_client::{Endpoint, Request};
use niagara_engine::{GroupLeader, Leaders};

use super::ask::{endpoints, refusal};
use super::cluster_args::ClusterArgs;
use super::failure::Failure;
use super::output::{note, print};
use super::style::{self, Paint};
use super::table::{Table, grouped};
use super::{manual, one_cluster};

/// How often to look whether something has happened.
const LOOK: Duration = Duration::from_millis(100);
/// Time after which a leader has given up on a server that does not take over.
const GIVEN_UP: Duration = Duration::from_secs(2);
/// How often to say what is still waited for.
const SAY: Duration = Duration::from_secs(1);

/// Show who leads which group, or change it.
#[derive(Debug, Args)]
#[command(after_long_help = manual::LEADERS)]
pub struct LeadersArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Hand group G over to server S, and wait until it leads.
    #[arg(long = "move", value_name = "G=S", conflicts_with_all = ["drain", "balance"])]
    pub moved: Option<GroupAndServer>,
    /// Have server S hand over all that it leads, and claim nothing until --balance or its next start.
    #[arg(long, value_name = "S", conflicts_with = "balance")]
    pub drain: Option<u64>,
    /// End all drains, and wait until each group is led by the server that should lead it.
    #[arg(long)]
    pub balance: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// A group and the server that is to lead it, as `G=S`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupAndServer {
    group: u16,
    server: u64,
}

impl FromStr for GroupAndServer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('=').and_then(|(group, server)| {
            Some(GroupAndServer { group: group.parse().ok()?, server: server.parse().ok()? })
        });
        parsed.ok_or("write a group and a server, such as 1=2")
    }
}

pub fn run(arguments: &LeadersArgs) -> Result<ExitCode, Failure> {
    let timeout = Duration::from_secs(arguments.cluster.timeout.into());
    let cluster = Cluster::find(&arguments.cluster, timeout)?;
    if let Some(GroupAndServer { group, server }) = arguments.moved {
        cluster.move_group(group, server)?;
    } else if let Some(server) = arguments.drain {
        cluster.drain(server)?;
    } else if arguments.balance {
        cluster.balance()?;
    }
    let all = cluster.ask_all();
    print(if arguments.json { json(&all)? } else { report(&all, style::for_stdout()) })?;
    let is_led = newest(&all).values().all(|(leader, ..)| *leader != 0);
    Ok(if is_led { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The servers that answer.
struct Cluster {
    servers: Vec<(u64, Endpoint)>,
    timeout: Duration,
}

impl Cluster {
    fn find(arguments: &ClusterArgs, timeout: Duration) -> Result<Cluster, Failure> {
        let survey = Survey::take(endpoints(arguments)?, timeout);
        one_cluster::check(&survey)?;
        let servers: Vec<(u64, Endpoint)> = survey
            .rows
            .iter()
            .filter_map(|row| Some((row.status.as_ref()?.server, row.endpoint.clone())))
            .collect();
        if servers.is_empty() {
            let why =
                survey.rows.iter().map(|row| format!("{}: {}", row.at, row.error.as_deref().unwrap_or("")));
            let what = format!("no server answers\n{}", why.collect::<Vec<_>>().join("\n"));
            return Err(Failure::refused(what, "name running servers with --at URL,URL, or --config FILE"));
        }
        Ok(Cluster { servers, timeout })
    }

    fn endpoint(&self, server: u64) -> Result<&Endpoint, Failure> {
        let found = self.servers.iter().find(|(id, _)| *id == server);
        found.map(|(_, endpoint)| endpoint).ok_or_else(|| {
            let what = format!("server {server} does not answer, or is no member of the cluster");
            Failure::refused(what, "`niagara status` shows the servers; name this one with --at, too")
        })
    }

    /// Who leads, as each server knows it. Servers that do not answer are left out.
    fn ask_all(&self) -> Vec<Leaders> {
        self.servers.iter().filter_map(|(_, endpoint)| self.ask(endpoint).ok()).collect()
    }

    fn ask(&self, endpoint: &Endpoint) -> Result<Leaders, Failure> {
        let response = endpoint.send(&Request::get("/leaders"), self.timeout).map_err(|trouble| {
            Failure::refused(format!("{endpoint}: {trouble}"), "is the server running?")
        })?;
        if response.status != 200 {
            return Err(refusal(&response));
        }
        serde_json::from_slice(&response.body).map_err(|error| {
            Failure::new(
                format!("{endpoint}: the answer cannot be read: {error}"),
                "it may run another release",
            )
        })
    }

    /// Requests a change of a server.
    fn change(&self, endpoint: &Endpoint, body: String) -> Result<(), Failure> {
        let request = Request::post("/leaders").body(body.into_bytes());
        let response = endpoint.send(&request, self.timeout).map_err(|trouble| {
            let hint = "look with `niagara leaders` before you try again";
            Failure::unknown(format!("{endpoint}: {trouble}"), hint)
        })?;
        if response.status == 202 { Ok(()) } else { Err(refusal(&response)) }
    }

    fn move_group(&self, group: u16, to: u64) -> Result<(), Failure> {
        let all = self.ask_all();
        let known = newest(&all);
        let Some((leader, wanted, _)) = known.get(&group).copied() else {
            let what = format!("there is no group {group}: the cluster has {}", known.len());
            return Err(Failure::usage(what, "groups are numbered from 1"));
        };
        if leader == to {
            note(&format!("server {to} leads group {group} already\n"));
            return Ok(());
        }
        if leader == 0 {
            let what = format!("group {group} has no leader at the moment");
            return Err(Failure::refused(
                what,
                "try again in a moment; `niagara status` shows what is wrong",
            ));
        }
        if all.iter().any(|leaders| leaders.server == to && leaders.draining) {
            let what = format!("server {to} is draining, so it takes no group over");
            let hint = "end that with `niagara leaders --balance`, or choose another server";
            return Err(Failure::refused(what, hint));
        }
        let body = format!(r#"{{"move":{{"group":{group},"to":{to}}}}}"#);
        self.change(self.endpoint(leader)?, body)?;
        if wanted != leader && wanted != to {
            // It would claim the group back.
            self.change(self.endpoint(wanted)?, format!(r#"{{"leave":{{"group":{group}}}}}"#))?;
        }
        self.await_move(group, leader, to)
    }

    fn await_move(&self, group: u16, from: u64, to: u64) -> Result<(), Failure> {
        let begun = Instant::now();
        let has_given_up = |all: &[Leaders]| {
            let old = all.iter().find(|leaders| leaders.server == from);
            let led = old.and_then(|old| old.led_here().find(|led| led.group == group));
            led.is_some_and(|led| led.moving_to == 0) && begun.elapsed() >= GIVEN_UP
        };
        self.wait(|all| {
            let (now, ..) = newest(all).get(&group).copied().unwrap_or_default();
            if now == from && has_given_up(all) {
                let what =
                    format!("server {to} did not take group {group} over in time; server {from} leads it");
                let hint = "`niagara status` shows whether it lags; then try again";
                return Err(Failure::refused(what, hint));
            }
            Ok((now != to)
                .then(|| format!("group {group}: waiting for server {to} to take over; server {now} leads")))
        })
    }

    fn drain(&self, server: u64) -> Result<(), Failure> {
        let endpoint = self.endpoint(server)?;
        if self.is_alone(endpoint)? {
            let what = format!("server {server} is the only member, so nobody can take its groups over");
            return Err(Failure::refused(what, "add a server first (`niagara member add`)"));
        }
        self.change(endpoint, r#"{"drain":{}}"#.to_owned())?;
        self.wait(|all| {
            let Some(drained) = all.iter().find(|leaders| leaders.server == server) else {
                let what = format!("server {server} does not answer any more");
                return Err(Failure::unknown(
                    what,
                    "look with `niagara leaders`: the others show what it leads",
                ));
            };
            let led: Vec<String> = drained.led_here().map(why_it_leads).collect();
            Ok((!led.is_empty()).then(|| format!("server {server} still leads {}", led.join("; "))))
        })
    }

    /// Whether the groups that a server leads have no other replica. A new leader knows the others after a moment.
    fn is_alone(&self, endpoint: &Endpoint) -> Result<bool, Failure> {
        let begun = Instant::now();
        loop {
            if !self.ask(endpoint)?.led_here().any(|group| group.followers.is_empty()) {
                return Ok(false);
            }
            if begun.elapsed() >= GIVEN_UP {
                return Ok(true);
            }
            thread::sleep(LOOK);
        }
    }

    fn balance(&self) -> Result<(), Failure> {
        for (_, endpoint) in &self.servers {
            self.change(endpoint, r#"{"balance":{}}"#.to_owned())?;
        }
        self.wait(|all| {
            let waits: Vec<String> = newest(all)
                .into_iter()
                .filter(|(_, (leader, wanted, _))| leader != wanted)
                .map(|(group, (leader, wanted, _))| {
                    let answers = self.servers.iter().any(|(server, _)| *server == wanted);
                    let why = if answers { "its links have to be steady, and its log up to date" } else { "it does not answer" };
                    format!("group {group}: server {leader} leads, waiting for server {wanted} to claim it ({why})")
                })
                .collect();
            Ok((!waits.is_empty()).then(|| waits.join("; ")))
        })
    }

    /// Looks until nothing is waited for, and says now and then what is.
    fn wait(&self, waits_for: impl Fn(&[Leaders]) -> Result<Option<String>, Failure>) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut said = begun;
        loop {
            let Some(what) = waits_for(&self.ask_all())? else { return Ok(()) };
            if begun.elapsed() >= self.timeout {
                let hint = "it may still happen: look with `niagara leaders`, or wait longer with --timeout";
                return Err(Failure::new(
                    format!("not done after {} s: {what}", self.timeout.as_secs()),
                    hint,
                ));
            }
            if said.elapsed() >= SAY {
                note(&format!("{what}\n"));
                said = Instant::now();
            }
            thread::sleep(LOOK);
        }
    }
}

/// A group that is still led where it should not be, and what its leader says of the others.
fn why_it_leads(group: &GroupLeader) -> String {
    let unfit = group.followers.iter().filter_map(|follower| {
        follower.unfit.as_ref().map(|why| format!("server {}: {why}", follower.server))
    });
    let unfit: Vec<String> = unfit.collect();
    match unfit.is_empty() {
        true => format!("group {}", group.group),
        false => format!("group {} ({})", group.group, unfit.join(", ")),
    }
}

type ByGroup = std::collections::BTreeMap<u16, (u64, u64, u64)>;

/// Leader, wanted leader and term of each group, as those know it who know the latest term.
fn newest(all: &[Leaders]) -> ByGroup {
    let mut known = ByGroup::new();
    for group in all.iter().flat_map(|leaders| &leaders.groups) {
        let entry = known.entry(group.group).or_insert((group.leader, group.wanted, group.term));
        if (group.term, group.leader) > (entry.2, entry.0) {
            *entry = (group.leader, group.wanted, group.term);
        }
    }
    known
}

fn json(all: &[Leaders]) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(all);
    let text = text.map_err(|error| Failure::new(error, "this is a bug: please report it"))?;
    Ok(text + "\n")
}

fn report(all: &[Leaders], paint: Paint) -> String {
    let mut table = Table::new(["group", "leader", "wanted", "term", "others"]);
    for (group, (leader, wanted, term)) in newest(all) {
        let leader_says = all.iter().find(|leaders| leaders.server == leader);
        let followers = leader_says.and_then(|leaders| leaders.groups.iter().find(|led| led.group == group));
        let others: Vec<String> = followers
            .iter()
            .flat_map(|group| &group.followers)
            .map(|follower| match &follower.unfit {
                None => format!("server {} can take over", follower.server),
                Some(why) => format!("server {}: {why}", follower.server),
            })
            .collect();
        let name = |server: u64| if server == 0 { "none".to_owned() } else { server.to_string() };
        table.row([group.to_string(), name(leader), name(wanted), grouped(term), others.join(", ")]);
    }
    let mut lines: Vec<String> = table.lines().collect();
    lines[0] = paint.strong(&lines[0]);
    for leaders in all {
        let says = |what: &str| format!("server {} {what}", leaders.server);
        if leaders.retiring {
            lines.push(says("is about to stop"));
        } else if leaders.draining {
            lines.push(says("is draining: it leads nothing until `niagara leaders --balance`"));
        }
        for group in leaders.groups.iter().filter(|group| group.left) {
            lines.push(says(&format!(
                "leaves group {} to others until `niagara leaders --balance`",
                group.group
            )));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_and_a_server_are_two_numbers() {
        assert_eq!("3=1".parse(), Ok(GroupAndServer { group: 3, server: 1 }));
        for wrong in ["", "3", "=1", "3=", "a=1", "70000=1", "1=2=3"] {
            assert!(wrong.parse::<GroupAndServer>().is_err(), "{wrong}");
        }
    }

    fn leaders(server: u64, leader: u64, term: u64) -> Leaders {
        let text = format!(
            r#"{{"server":{server},"draining":false,"retiring":false,"groups":[{{"group":1,"leader":{leader},"wanted":1,"term":{term},"moving_to":0,"left":false}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_latest_term_counts() {
        let all = [leaders(1, 1, 3), leaders(2, 0, 4), leaders(3, 2, 4)];
        assert_eq!(newest(&all)[&1], (2, 1, 4));
        let text = report(&all, Paint::PLAIN);
        assert!(text.contains("    1       2       1"), "{text}");
    }
}
