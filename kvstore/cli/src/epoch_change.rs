//! Asks a cluster for another epoch, and waits until its servers are there.

use std::thread;
use std::time::{Duration, Instant};

use niagara_client::survey::Survey;
use niagara_client::{Endpoint, Request, Response, Trouble};
use niagara_engine::EpochView;
use serde::de::DeserializeOwned;

use super::ask::{endpoints, refusal};
use super::cluster_args::ClusterArgs;
use super::failure::Failure;
use super::one_cluster;
use super::output::note;

/// How often to look whether the servers are there.
const LOOK: Duration = Duration::from_millis(50);
/// The longest time between two requests that are refused, which grows from the one above.
const MOST_PAUSE: Duration = Duration::from_secs(1);
/// How soon a change follows one that came first, if it follows.
const FOLLOWS: Duration = Duration::from_secs(3);
/// How often to say what is still waited for.
const SAY: Duration = Duration::from_secs(1);

/// The servers that answer.
pub struct Servers {
    servers: Vec<(u64, Endpoint)>,
    /// Where they show the epoch, and take requests for another one.
    page: &'static str,
    timeout: Duration,
}

/// A server, and the epoch that it is in.
#[derive(Debug, serde::Serialize)]
pub struct Standing {
    pub server: u64,
    #[serde(flatten)]
    pub epoch: EpochView,
}

/// What is waited for.
pub struct Wanted<'w> {
    /// The number of the epoch.
    pub epoch: u32,
    /// The server that took the request: if it cannot meet it, it says so.
    pub asked: u64,
    /// Servers that do not come there.
    pub leave: &'w [u64],
    /// Whether it is the epoch that was asked for; if not, what it is.
    pub is_it: &'w dyn Fn(&EpochView) -> Result<(), String>,
}

impl Servers {
    /// Finds all servers by those that the command line names.
    pub fn find(arguments: &ClusterArgs, page: &'static str) -> Result<Servers, Failure> {
        let timeout = Duration::from_secs(arguments.timeout.into());
        Servers::of(&Survey::take(endpoints(arguments)?, timeout), page, timeout)
    }

    /// The servers that a survey has found.
    pub fn of(survey: &Survey, page: &'static str, timeout: Duration) -> Result<Servers, Failure> {
        one_cluster::check(survey)?;
        let known = survey.rows.iter();
        let servers: Vec<(u64, Endpoint)> =
            known.filter_map(|row| Some((row.status.as_ref()?.server, row.endpoint.clone()))).collect();
        if servers.is_empty() {
            let hint = "name running servers with --at URL,URL, or --config FILE";
            return Err(Failure::refused("no server answers", hint));
        }
        Ok(Servers { servers, page, timeout })
    }

    /// The same servers, with another page.
    pub fn at(&self, page: &'static str) -> Servers {
        Servers { servers: self.servers.clone(), page, timeout: self.timeout }
    }

    /// The epoch of each server that answers.
    pub fn ask_all(&self) -> Vec<Standing> {
        let standing = |(server, epoch)| Standing { server, epoch };
        self.pages().into_iter().map(standing).collect()
    }

    /// What the page says at each server that answers.
    pub fn pages<P: DeserializeOwned>(&self) -> Vec<(u64, P)> {
        let ask = |(server, endpoint): &(u64, Endpoint)| {
            let response = endpoint.send(&Request::get(self.page), self.timeout).ok()?;
            let page = serde_json::from_slice(&response.body).ok().filter(|_| response.status == 200)?;
            Some((*server, page))
        };
        self.servers.iter().filter_map(ask).collect()
    }

    /// The newest epoch that a server is in.
    pub fn newest(&self) -> Result<EpochView, Failure> {
        let newest = self.ask_all().into_iter().max_by_key(|standing| standing.epoch.number);
        newest.map(|standing| standing.epoch).ok_or_else(|| {
            let hint = "do they run a release that can change it?";
            Failure::refused("no server says which epoch it is in", hint)
        })
    }

    /// Asks the servers in turn until one takes the request: only one that leads a group does. Returns its id.
    pub fn ask_for(&self, body: &[u8], begun: Instant) -> Result<u64, Failure> {
        let mut pause = LOOK;
        loop {
            let (mut refused, mut away) = (None, None);
            for (server, endpoint) in &self.servers {
                let response = match self.ask_one(endpoint, body)? {
                    Ok(response) => response,
                    Err(failure) => {
                        away = Some(failure);
                        continue;
                    }
                };
                match response.status {
                    202 => return Ok(*server),
                    409 | 503 => refused = Some(refusal(&response)),
                    _ => return Err(refusal(&response)),
                }
            }
            // What a server has said tells more.
            if begun.elapsed() >= self.timeout
                && let Some(failure) = refused.or(away)
            {
                return Err(failure);
            }
            // Each refusal is a line of the servers' audit.
            thread::sleep(pause);
            pause = (2 * pause).min(MOST_PAUSE);
        }
    }

    /// What a server answers to the request, or why it cannot have had it. It fails if the server may have taken it.
    fn ask_one(&self, endpoint: &Endpoint, body: &[u8]) -> Result<Result<Response, Failure>, Failure> {
        let request = Request::post(self.page).body(body.to_vec());
        match endpoint.send(&request, self.timeout) {
            Ok(response) => Ok(Ok(response)),
            Err(trouble @ Trouble::NotSent(_)) => {
                let hint = "`niagara status` shows which servers answer";
                Ok(Err(Failure::refused(format!("{endpoint}: {trouble}"), hint)))
            }
            Err(trouble @ Trouble::Lost(_)) => {
                let hint = format!("look with `niagara{}` before you try again", self.page.replace('/', " "));
                Err(Failure::unknown(format!("{endpoint}: {trouble}"), hint))
            }
        }
    }

    /// Waits until all servers that answer are in the epoch.
    pub fn await_epoch(&self, wanted: &Wanted<'_>, begun: Instant) -> Result<(), Failure> {
        let mut patience = Patience::since(begun, self.timeout);
        let mut overtaken = None;
        loop {
            let all = self.ask_all();
            let (there, behind): (Vec<&Standing>, Vec<&Standing>) =
                all.iter().partition(|standing| standing.epoch.number >= wanted.epoch);
            let newest = there.iter().max_by_key(|standing| standing.epoch.number);
            let other = newest.and_then(|newest| (wanted.is_it)(&newest.epoch).err());
            let asked = all.iter().find(|standing| standing.server == wanted.asked);
            let asked = asked.filter(|asked| other.is_some() || asked.epoch.number < wanted.epoch);
            if let Some(why) = asked.and_then(|standing| standing.epoch.refused.clone()) {
                return Err(Failure::refused(why, "nothing has changed"));
            }
            if let Some(what) = other {
                // What was asked for may follow: it is asked for once more in the epoch of then.
                if overtaken.get_or_insert_with(Instant::now).elapsed() >= FOLLOWS {
                    let hint = "look what there is now before you ask again";
                    return Err(Failure::unknown(format!("another change came first: {what}"), hint));
                }
                thread::sleep(LOOK);
                continue;
            }
            let waits = behind.iter().filter(|standing| !wanted.leave.contains(&standing.server));
            let waits: Vec<String> = waits.map(|standing| standing.server.to_string()).collect();
            if waits.is_empty() && !there.is_empty() {
                return Ok(());
            }
            patience.wait(&format!("waiting for the next epoch on server {}", waits.join(", ")))?;
        }
    }

    /// Time that is left for what follows.
    pub fn patience(&self, begun: Instant) -> Patience {
        Patience::since(begun, self.timeout)
    }
}

/// Waits in small steps, says now and then for what, and gives up in the end.
pub struct Patience {
    begun: Instant,
    timeout: Duration,
    said: Instant,
}

impl Patience {
    fn since(begun: Instant, timeout: Duration) -> Patience {
        Patience { begun, timeout, said: begun }
    }

    pub fn wait(&mut self, what: &str) -> Result<(), Failure> {
        if self.begun.elapsed() >= self.timeout {
            let hint = "it may still come: look again, or wait longer with --timeout";
            let what = format!("not done after {} s: {what}", self.timeout.as_secs());
            return Err(Failure::new(what, hint));
        }
        if self.said.elapsed() >= SAY {
            note(&format!("{what}\n"));
            self.said = Instant::now();
        }
        thread::sleep(LOOK);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
