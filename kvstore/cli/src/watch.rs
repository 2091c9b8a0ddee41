//! `niagara watch`: the changes of keys, as they are executed.

use std::ffi::OsString;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use niagara_client::{Cluster, Endpoint, Request, Streaming};
use serde::Deserialize;

use super::ask::{cluster, refusal};
use super::cluster_args::ClusterArgs;
use super::failure::Failure;
use super::manual;
use super::output::{note, print};

/// Print each change of the keys that begin with a prefix.
#[derive(Debug, Args)]
#[command(after_long_help = manual::WATCH)]
pub struct WatchArgs {
    /// What the keys begin with; without it, all keys.
    #[arg(default_value = "")]
    pub prefix: OsString,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Begin with the changes at this position of the global log, if they are kept, instead of now.
    #[arg(long, value_name = "POSITION", conflicts_with = "after")]
    pub from: Option<u64>,
    /// Begin behind the change, or the heartbeat, with this `id`.
    #[arg(long, value_name = "ID")]
    pub after: Option<String>,
    /// Print the values, too.
    #[arg(long)]
    pub values: bool,
    /// Print heartbeats, too, which tell the position reached.
    #[arg(long)]
    pub heartbeats: bool,
    /// End after so many changes.
    #[arg(long, value_name = "CHANGES", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

/// How long to wait before the next server is tried, so that servers that restart are not asked without a break.
const PAUSE: Duration = Duration::from_millis(250);

/// How old what is known of the members may become.
const FRESH: Duration = Duration::from_secs(10);

/// A line, as far as it matters here.
#[derive(Deserialize)]
struct Line {
    kind: String,
    id: String,
    error: Option<String>,
    message: Option<String>,
    hint: Option<String>,
}

/// How a server's reply has ended.
enum Ended {
    /// Enough was printed.
    Done,
    /// Another server may go on.
    Lost(String),
}

/// A watch that goes on at the next server when one is gone.
struct Watch<'w> {
    arguments: &'w WatchArgs,
    cluster: &'w Cluster,
    /// The last `id`.
    seen: Option<String>,
    left: u64,
}

pub fn run(arguments: &WatchArgs) -> Result<ExitCode, Failure> {
    let cluster = cluster(&arguments.cluster)?;
    let left = arguments.count.unwrap_or(u64::MAX);
    let mut watch = Watch { arguments, cluster: &cluster, seen: arguments.after.clone(), left };
    let patience = Duration::from_secs(arguments.cluster.timeout.into());
    let mut heard = Instant::now();
    loop {
        for endpoint in cluster.endpoints() {
            let before = watch.seen.clone();
            let ended = watch.through(&endpoint, patience)?;
            if before != watch.seen {
                heard = Instant::now();
            }
            let Ended::Lost(why) = ended else { return Ok(ExitCode::SUCCESS) };
            if heard.elapsed() >= patience {
                return Err(nobody(cluster.endpoints().len(), &why, watch.seen.as_deref()));
            }
            note(&format!("note: {endpoint}: {why}; going on at the next server\n"));
            thread::sleep(PAUSE);
        }
        cluster.keep_up(Duration::ZERO);
    }
}

fn nobody(servers: usize, why: &str, seen: Option<&str>) -> Failure {
    let what = format!("none of {servers} servers tells changes; the last one: {why}");
    let resume =
        seen.map_or(String::new(), |seen| format!("; --after {seen} resumes behind what was printed"));
    Failure::refused(what, format!("check with `niagara status`{resume}"))
}

impl Watch<'_> {
    /// Prints what one server tells.
    fn through(&mut self, endpoint: &Endpoint, patience: Duration) -> Result<Ended, Failure> {
        if let Err(why) = self.cluster.recognise(endpoint) {
            return Ok(Ended::Lost(why));
        }
        let mut reply = match endpoint.open(&self.request(patience), patience) {
            Ok(reply) => reply,
            Err(trouble) => return Ok(Ended::Lost(trouble.to_string())),
        };
        match reply.response.status {
            200 => self.print(&mut reply),
            410 => Err(gone(&reply, self.seen.as_deref())),
            429 | 503 | 507 => Ok(Ended::Lost(
                reply.response.explanation().map_or_else(String::new, |explained| explained.message),
            )),
            _ => Err(refusal(&reply.response)),
        }
    }

    fn request(&self, patience: Duration) -> Request {
        // Several come before the server counts as silent.
        let heartbeat = (patience.as_secs() / 3).clamp(1, 10);
        let mut query = format!("&values={}&heartbeat={heartbeat}", self.arguments.values);
        match (&self.seen, self.arguments.from) {
            (Some(seen), _) => query.push_str(&format!("&after={seen}")),
            (None, Some(from)) => query.push_str(&format!("&from={from}")),
            (None, None) => {}
        }
        let prefix = self.arguments.prefix.as_encoded_bytes();
        Request::watch(prefix, &query).header("Accept", "application/x-ndjson")
    }

    fn print(&mut self, reply: &mut Streaming) -> Result<Ended, Failure> {
        while self.left > 0 {
            let mut text = match reply.next_line() {
                Ok(Some(text)) => text,
                Ok(None) => return Ok(Ended::Lost("it closed the connection".into())),
                Err(error) => return Ok(Ended::Lost(error.to_string())),
            };
            let line: Line = serde_json::from_slice(&text).map_err(|error| {
                let hint = "check that server and command are of the same release: `niagara --version`";
                Failure::new(format!("the server's line is malformed: {error}"), hint)
            })?;
            let message = line.message.unwrap_or_default();
            match (line.kind.as_str(), line.error.as_deref()) {
                ("end", Some("gone")) => return Err(Failure::new(message, line.hint.unwrap_or_default())),
                ("end", _) => return Ok(Ended::Lost(message)),
                ("heartbeat", _) if !self.arguments.heartbeats => {}
                (kind, _) => {
                    self.left -= u64::from(kind != "heartbeat");
                    text.push(b'\n');
                    print(text)?;
                }
            }
            self.seen = Some(line.id);
            // While it can be asked: later this server may be gone, and with it all that were named.
            if self.left > 0 {
                self.cluster.keep_up(FRESH);
            }
        }
        Ok(Ended::Done)
    }
}

fn gone(reply: &Streaming, seen: Option<&str>) -> Failure {
    let from = seen.map_or(String::new(), |seen| format!(" (behind {seen})"));
    match reply.response.explanation() {
        Some(explained) => Failure::new(format!("{}{from}", explained.message), explained.hint),
        None => refusal(&reply.response),
    }
}
