//! `niagara status`: what the servers report, and whether their global logs agree.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use niagara_client::survey::{Row, Survey};
use niagara_engine::agreement::Agreement;
use niagara_engine::{GroupStatus, LeaseStatus, Reads, ServerRole, SnapshotStatus, Status};
use serde::Serialize;

use super::ask::endpoints;
use super::cluster_args::ClusterArgs;
use super::failure::Failure;
use super::figures::{age, size};
use super::manual;
use super::output::{pretty, print};
use super::style::{self, Paint};
use super::table::{Table, grouped};

/// Show what the servers report, and whether their global logs agree.
#[derive(Debug, Args)]
#[command(after_long_help = manual::STATUS)]
pub struct StatusArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

pub fn run(arguments: &StatusArgs) -> Result<ExitCode, Failure> {
    let endpoints = endpoints(&arguments.cluster)?;
    let timeout = Duration::from_secs(arguments.cluster.timeout.into());
    let survey = Survey::take(endpoints, timeout);
    let agreement = survey.agreement();
    let text = if arguments.json {
        json(&survey, &agreement)
    } else {
        report(&survey, &agreement, style::for_stdout())
    };
    print(text)?;
    let answered = survey.statuses().next().is_some();
    Ok(match agreement {
        Agreement::Agree { .. } => ExitCode::SUCCESS,
        Agreement::Unknown(_) if answered => ExitCode::from(UNKNOWN),
        _ => ExitCode::FAILURE,
    })
}

/// The exit status if nothing is known to be wrong, but not every two servers could be compared.
const UNKNOWN: u8 = 4;

fn report(survey: &Survey, agreement: &Agreement, paint: Paint) -> String {
    let has_leases = survey.statuses().any(|status| status.reads == Reads::Lease);
    let titles = ["server", "group", "role", "leader", "term", "last", "commit", "handed"];
    let mut groups = Table::new(titles.into_iter().chain(has_leases.then_some("lease")));
    for row in &survey.rows {
        match &row.status {
            // A follower has no replicas.
            Some(status) if status.role == ServerRole::Follower => {}
            Some(status) => {
                for group in &status.local {
                    let lease = has_leases.then(|| lease_of(group).to_owned());
                    groups.row(cells(status.server, group).into_iter().chain(lease));
                }
            }
            None => {
                groups.row(["?".into(), format!("{}  {}", row.at, row.error.as_deref().unwrap_or_default())]);
            }
        }
    }
    let mut lines: Vec<String> = groups.lines().collect();
    lines[0] = paint.strong(&lines[0]);
    lines.push(String::new());
    for row in &survey.rows {
        lines.push(server_line(row, agreement, paint));
        lines.extend(row.status.iter().map(|status| snapshot_line(&status.snapshot, paint)));
        let alarms = row.status.iter().flat_map(|status| &status.alarms);
        lines.extend(alarms.map(|alarm| paint.bad(format!("  ALARM: {alarm}"))));
    }
    lines.extend(explanation(agreement).map(|text| if agreement.is_bad() { paint.bad(text) } else { text }));
    lines.push(String::new());
    lines.join("\n")
}

fn cells(server: u64, group: &GroupStatus) -> [String; 8] {
    let leader = if group.leader == 0 { "none".to_owned() } else { group.leader.to_string() };
    let GroupStatus { group, role, term, last, commit, handed, .. } = group;
    let [term, last, commit, handed] = [term, last, commit, handed].map(|number| grouped(*number));
    [server.to_string(), group.to_string(), role.to_string(), leader, term, last, commit, handed]
}

/// Whether a leader holds its lease. Others have none.
fn lease_of(group: &GroupStatus) -> &'static str {
    match group.lease {
        None => "",
        Some(LeaseStatus::Held) => "held",
        Some(LeaseStatus::GivenUp) => "given up",
        Some(_) => "none",
    }
}

/// How many threads drive the groups, if the server says so.
fn layout(status: &Status) -> String {
    match (status.groups, status.group_threads) {
        (_, 0) => String::new(),
        (1, _) => "1 group, ".to_owned(),
        (groups, 1) => format!("{groups} groups on 1 thread, "),
        (groups, threads) => format!("{groups} groups on {threads} threads, "),
    }
}

fn server_line(row: &Row, agreement: &Agreement, paint: Paint) -> String {
    let Some(status) = &row.status else {
        return format!("{}: {}", row.at, paint.bad(row.error.as_deref().unwrap_or_default()));
    };
    let (applied, commands, noops) =
        (grouped(status.applied), grouped(status.commands), grouped(status.noops));
    let digests = digests_of(status, agreement, paint);
    format!(
        "server {} at {}{}: applied {applied}, commands {commands}, no-ops {noops}, {}{digests}",
        status.server,
        row.at,
        part(status),
        epochs(status) + &level(status) + &layout(status)
    )
}

/// Whom a follower follows; or a member's followers, if it has any.
fn part(status: &Status) -> String {
    let followers: Vec<String> = status.followers.iter().map(u64::to_string).collect();
    match &status.follows {
        Some(followed) if followed.member == 0 => ", a follower that is connected to no member".to_owned(),
        Some(followed) => format!(", a follower of server {}", followed.member),
        None if followers.is_empty() => String::new(),
        None => format!(", followed by {}", followers.join(", ")),
    }
}

/// The epoch that the server is in, and others that are open; nothing while there has been one only.
fn epochs(status: &Status) -> String {
    let others: Vec<String> = status.other_epochs.iter().map(u32::to_string).collect();
    match (status.epoch, &others[..]) {
        (0 | 1, []) => String::new(),
        (epoch, []) => format!("epoch {epoch}, "),
        (epoch, [one]) => format!("epoch {epoch} (epoch {one} is open, too), "),
        (epoch, _) => format!("epoch {epoch} (epochs {} are open, too), ", others.join(", ")),
    }
}

/// The level of the cluster, if the server knows a higher one.
fn level(Status { level, known_level, .. }: &Status) -> String {
    match level < known_level {
        true => format!("level {level} (it knows level {known_level}), "),
        false => String::new(),
    }
}

/// A server's newest snapshot, and any in progress.
fn snapshot_line(snapshot: &SnapshotStatus, paint: Paint) -> String {
    let mut line = match snapshot.position {
        0 => "  no snapshot yet".to_owned(),
        position => format!(
            "  snapshot at position {}, {}, {} old",
            grouped(position),
            size(snapshot.bytes),
            age(snapshot.created_ms)
        ),
    };
    if snapshot.wanted {
        line.push_str(", one requested");
    }
    if snapshot.writing {
        line.push_str(&format!(", writing one: {} so far", size(snapshot.written_bytes)));
    }
    if snapshot.receiving_from > 0 {
        let expected = match snapshot.expected_bytes {
            0 => String::new(),
            bytes => format!(" of {}", size(bytes)),
        };
        let received = size(snapshot.received_bytes);
        line.push_str(&format!(
            ", receiving one from server {}: {received}{expected}",
            snapshot.receiving_from
        ));
    }
    if let Some(error) = &snapshot.last_error {
        line.push_str(&format!("\n  {}", paint.bad(format!("the last snapshot failed: {error}"))));
    }
    line
}

fn digests_of(status: &Status, agreement: &Agreement, paint: Paint) -> String {
    match agreement {
        // A server that lags need not have passed the last common position of the others.
        _ if status.diverged.is_some() => paint.bad("not ready: diverged from the others"),
        Agreement::Agree { position: 0 } => "nothing executed yet".into(),
        Agreement::Agree { position } => {
            paint.good(format!("digests agree up to position {}", grouped(*position)))
        }
        Agreement::Unknown(_) => "unknown whether digests agree".into(),
        Agreement::Differ { .. } => paint.bad("digests differ"),
        Agreement::Diverged(_) => "see below".into(),
        Agreement::DifferentClusters => format!("cluster {}", status.cluster),
    }
}

fn explanation(agreement: &Agreement) -> Option<String> {
    match agreement {
        Agreement::Differ { position, of, digests } => {
            let said = digests.iter().map(|(server, value)| format!("server {server} has {value}"));
            let said = said.collect::<Vec<_>>().join(", ");
            let position = grouped(*position);
            Some(format!("The {of} differ at position {position}: {said}.\n{WHAT_TO_DO}"))
        }
        Agreement::Diverged(servers) => {
            let said = servers.iter().map(|(server, why)| format!("Server {server} is not ready: {why}."));
            Some(format!("{}\n{WHAT_TO_DO}", said.collect::<Vec<_>>().join("\n")))
        }
        Agreement::Unknown(why) => Some(format!("Whether all servers agree is unknown: {why}.")),
        Agreement::DifferentClusters => Some(
            "The servers named belong to different clusters; ask the servers of one cluster at a time."
                .into(),
        ),
        Agreement::Agree { .. } => None,
    }
}

const WHAT_TO_DO: &str = "Stop writing to the cluster, keep all data directories as they are, and report this: it must never happen.";

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    servers: &'a Survey,
    /// Whether all servers were compared and are equal.
    agree: bool,
    /// `agree`, `unknown`, `differ`, `diverged` or `different clusters`.
    verdict: &'static str,
    /// The last position up to which all agree, or the first at which two differ.
    position: Option<u64>,
    /// What is wrong or unknown, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<String>,
}

fn json(survey: &Survey, agreement: &Agreement) -> String {
    let (verdict, position) = match agreement {
        Agreement::Agree { position } => ("agree", Some(*position)),
        Agreement::Differ { position, .. } => ("differ", Some(*position)),
        Agreement::Unknown(_) => ("unknown", None),
        Agreement::Diverged(_) => ("diverged", None),
        Agreement::DifferentClusters => ("different clusters", None),
    };
    let agree = matches!(agreement, Agreement::Agree { .. });
    let document =
        Document { servers: survey, agree, verdict, position, explanation: explanation(agreement) };
    pretty(&document)
}

#[cfg(test)]
mod tests {
    use niagara_engine::{Digest, FollowedStatus, Role};

    use super::*;

    /// A server of two.
    fn row(server: u64, digest: &str) -> Row {
        let mut status = Status::default();
        (status.server, status.applied, status.noops) = (server, 1_500, 3);
        status.voters = vec![1, 2];
        let digest = Digest { position: 1024, value: digest.into(), state: Some("5".into()) };
        status.digests = vec![digest];
        for (group, role) in [(1, Role::Leader), (2, Role::Follower)] {
            let mut local = GroupStatus::default();
            (local.group, local.role, local.leader, local.last) = (group, role, 1, 9);
            status.local.push(local);
        }
        let at = format!("http://s{server}:7000");
        Row {
            endpoint: at.parse().unwrap(),
            at,
            status: Some(status),
            error: None,
            named: true,
            stranger: false,
        }
    }

    fn of(rows: impl Into<Vec<Row>>) -> Survey {
        Survey { rows: rows.into() }
    }

    fn unreachable() -> Row {
        Row {
            at: "http://s3:7000".into(),
            endpoint: "http://s3:7000".parse().unwrap(),
            status: None,
            error: Some("unreachable: nothing listens there".into()),
            named: true,
            stranger: false,
        }
    }

    #[test]
    fn a_level_that_may_be_raised_is_shown() {
        let mut row = row(1, "aa");
        let shown = |row: &Row| {
            let survey = of([row.clone()]);
            report(&survey, &survey.agreement(), Paint::PLAIN).contains("level 1 (it knows level 2), ")
        };
        assert!(!shown(&row));
        if let Some(status) = &mut row.status {
            (status.level, status.known_level) = (1, 2);
        }
        assert!(shown(&row));
    }

    #[test]
    fn the_report_has_a_row_for_each_group_and_a_line_for_each_server() {
        let survey = of([row(1, "aa"), row(2, "aa")]);
        let text = report(&survey, &survey.agreement(), Paint::PLAIN);
        assert_eq!(
            text,
            "\
server  group  role      leader  term  last  commit  handed
     1      1  leader         1     0     9       0       0
     1      2  follower       1     0     9       0       0
     2      1  leader         1     0     9       0       0
     2      2  follower       1     0     9       0       0

server 1 at http://s1:7000: applied 1,500, commands 0, no-ops 3, digests agree up to position 1,024
  no snapshot yet
server 2 at http://s2:7000: applied 1,500, commands 0, no-ops 3, digests agree up to position 1,024
  no snapshot yet
"
        );
    }

    #[test]
    fn a_follower_says_whom_it_follows_and_has_no_groups() {
        let mut survey = of([row(1, "aa"), row(2, "aa"), row(9, "aa")]);
        let follower = survey.rows[2].status.as_mut().unwrap();
        follower.role = ServerRole::Follower;
        let mut followed = FollowedStatus::default();
        followed.member = 2;
        follower.follows = Some(followed);
        survey.rows[1].status.as_mut().unwrap().followers = vec![9, 12];
        let text = report(&survey, &survey.agreement(), Paint::PLAIN);
        assert!(text.contains("server 9 at http://s9:7000, a follower of server 2: applied 1,500"), "{text}");
        assert!(text.contains("server 2 at http://s2:7000, followed by 9, 12: applied"), "{text}");
        assert!(text.contains("server 1 at http://s1:7000: applied"), "{text}");
        assert!(!text.contains("     9      1"), "{text}");
        assert!(text.contains("digests agree up to position 1,024"), "{text}");
    }

    #[test]
    fn leaders_of_a_cluster_with_leases_say_whether_they_hold_them() {
        let mut survey = of([row(1, "aa"), row(2, "aa")]);
        for (row, lease) in survey.rows.iter_mut().zip([LeaseStatus::Held, LeaseStatus::GivenUp]) {
            let status = row.status.as_mut().unwrap();
            status.reads = Reads::Lease;
            status.local[0].lease = Some(lease);
        }
        let text = report(&survey, &survey.agreement(), Paint::PLAIN);
        assert!(
            text.starts_with(
                "\
server  group  role      leader  term  last  commit  handed  lease
     1      1  leader         1     0     9       0       0  held
     1      2  follower       1     0     9       0       0
     2      1  leader         1     0     9       0       0  given up
     2      2  follower       1     0     9       0       0
"
            ),
            "{text}"
        );
    }

    /// Without a difference, servers do not agree yet.
    #[test]
    fn with_a_server_that_does_not_answer_it_is_unknown() {
        let survey = of([row(1, "aa"), row(2, "aa"), unreachable()]);
        let text = report(&survey, &survey.agreement(), Paint::PLAIN);
        assert!(text.contains("     ?  http://s3:7000  unreachable: nothing listens there"), "{text}");
        assert!(text.contains("no-ops 3, unknown whether digests agree"), "{text}");
        assert!(
            text.ends_with("Whether all servers agree is unknown: 1 of the addresses gave no status.\n"),
            "{text}"
        );
        let document: serde_json::Value = serde_json::from_str(&json(&survey, &survey.agreement())).unwrap();
        assert_eq!((&document["agree"], &document["verdict"]), (&false.into(), &"unknown".into()));
    }

    #[test]
    fn a_server_that_has_diverged_says_why() {
        let mut survey = of([row(1, "aa"), row(2, "aa")]);
        survey.rows[0].status.as_mut().unwrap().diverged = Some("group 1: its leader lacks entry 9".into());
        let text = report(&survey, &survey.agreement(), Paint::PLAIN);
        assert!(text.contains("no-ops 3, not ready: diverged from the others"), "{text}");
        assert!(text.contains("Server 1 is not ready: group 1: its leader lacks entry 9."), "{text}");
    }

    #[test]
    fn an_alarm_is_told_with_its_server() {
        let mut survey = of([row(1, "aa"), row(2, "aa")]);
        survey.rows[0].status.as_mut().unwrap().alarms.push("the disk is nearly full".into());
        let text = report(&survey, &survey.agreement(), Paint::PLAIN);
        assert!(text.contains("  no snapshot yet\n  ALARM: the disk is nearly full\nserver 2 at"), "{text}");
    }

    #[test]
    fn a_snapshot_is_told_with_what_is_under_way() {
        let mut snapshot = SnapshotStatus::default();
        (snapshot.position, snapshot.created_ms, snapshot.bytes) = (1_024, u64::MAX, 3 << 20);
        (snapshot.wanted, snapshot.writing, snapshot.written_bytes) = (true, true, 1 << 20);
        (snapshot.receiving_from, snapshot.received_bytes) = (2, 512);
        snapshot.last_error = Some("the disk is full".into());
        assert_eq!(
            snapshot_line(&snapshot, Paint::PLAIN),
            "  snapshot at position 1,024, 3.0 MiB, 0 s old, one requested, writing one: 1.0 MiB so far, receiving one \
             from server 2: 512 bytes\n  the last snapshot failed: the disk is full"
        );
        snapshot.expected_bytes = 1_024;
        assert!(snapshot_line(&snapshot, Paint::PLAIN).contains("512 bytes of 1.0 KiB"));
    }

    #[test]
    fn a_difference_is_explained() {
        let survey = of([row(1, "aa"), row(2, "bb")]);
        let text = report(&survey, &survey.agreement(), Paint::PLAIN);
        assert!(text.contains("differ at position 1,024: server 1 has aa, server 2 has bb."), "{text}");
    }

    #[test]
    fn the_json_has_the_same() {
        let survey = of([row(1, "aa"), row(2, "bb"), unreachable()]);
        let document: serde_json::Value = serde_json::from_str(&json(&survey, &survey.agreement())).unwrap();
        assert_eq!(document["agree"], false);
        assert_eq!(document["position"], 1024);
        assert_eq!(document["servers"][0]["status"]["applied"], 1500);
        assert_eq!(document["servers"][2]["error"], "unreachable: nothing listens there");
    }
}
