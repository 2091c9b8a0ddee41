//! Asks servers in turn until one can serve, and never hides that a write may have been executed.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Access, Endpoint, Outcome, Request, Response, Trouble};
use learning::Learning;

pub use results::{Attempt, Failed, Found, Written};

mod learning;
mod results;

/// Longer than the servers' own deadline, so that the server answers first.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request that is executed once is sent again, at most, while its outcome is unknown. Servers remember it for a
/// minute at least.
const PATIENCE: Duration = Duration::from_secs(30);

/// How old what is known of the members may become while requests are served.
const FRESH: Duration = Duration::from_secs(10);

/// How long to wait when no server has known the outcome.
const PAUSE: Duration = Duration::from_millis(200);

/// The servers of a cluster. Any of them takes any request.
///
/// Those that were named are asked first, always. They tell where the other members are: a cluster that serves requests asks for
/// the members every ten seconds, before a request, and one that can serve a request nowhere asks before it gives up. So one
/// address suffices, and a program goes on when the servers that it named have been replaced. Clones share what they learn.
/// Nothing is asked of a server at a learned address before it has shown that it is of this cluster.
///
/// ```no_run
/// use niagara_client::{Again, Cluster, Request};
///
/// let cluster: Cluster = "http://127.0.0.1:7000,http://127.0.0.1:7010".parse()?;
/// // A write with a condition would fail if it was executed twice.
/// let create = Request::on_key("PUT", b"lock", "").header("If-None-Match", "*").body(b"mine".to_vec());
/// match cluster.send(&create, Again::Once) {
///     Ok(response) if response.status == 412 => println!("somebody else has it"),
///     Ok(response) => println!("ours, with version {:?}", response.version()),
///     Err(failed) => println!("{failed}"),
/// }
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cluster {
    named: Vec<Endpoint>,
    learning: Arc<Learning>,
    timeout: Duration,
}

/// What may happen if a request is sent again although it may have been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Nothing: it is a read.
    Harmless,
    /// The same final state: an unconditional write. The caller is told before it is sent again.
    SameEffect,
    /// Nothing: it changes keys, and servers execute it once. It gets an Idempotency-Key, unless it has one, and is sent again
    /// while its outcome is unknown: for as long as the timeout, half a minute at most.
    Once,
    /// A different result: a conditional write that succeeded would now fail. So it is not sent again.
    Never,
}

/// What follows from one server's answer or silence.
enum Verdict {
    Answer(Response),
    /// It has not executed the request, but another server might.
    Elsewhere(String),
    /// The same, but it soon can: it has just started.
    Early(String),
    /// It may have executed the request.
    Unknown(String),
}

/// What has become of a request that no server has served.
#[derive(Default)]
struct Round {
    tried: Vec<Attempt>,
    /// One of them may have executed it.
    unknown: bool,
    /// One of them will soon be able to.
    early: bool,
}

impl Cluster {
    /// A cluster with servers at these addresses, which are asked in this order, and then the other members.
    pub fn new(endpoints: impl IntoIterator<Item = Endpoint>) -> Cluster {
        Cluster { named: endpoints.into_iter().collect(), learning: Arc::default(), timeout: TIMEOUT }
    }

    /// Shows this to all servers.
    pub fn with(self, access: &Access) -> Cluster {
        let named = self.named.into_iter().map(|endpoint| endpoint.with(access)).collect();
        // What was learned is for the access of before, and may be shared with clones that still have that.
        Cluster { named, learning: Arc::default(), ..self }
    }

    /// Limits each step of a server to `timeout`, and how long a write is sent again while its outcome is unknown.
    pub fn timeout(self, timeout: Duration) -> Cluster {
        Cluster { timeout, ..self }
    }

    /// Its servers in the order in which they are asked: those that were named, then those that were learned. For requests that
    /// a program sends to one of them itself; [`recognise`](Self::recognise) says whether it may.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let mut all = self.named.clone();
        all.extend(self.learning.members());
        all
    }

    /// Whether the server at one of the [`endpoints`](Self::endpoints) may be sent requests and a password: at a learned address,
    /// if it shows that it is of this cluster; at one that was named, if it is a Niagara server.
    ///
    /// # Errors
    /// If something else answers there, or nothing does; the text says what.
    pub fn recognise(&self, endpoint: &Endpoint) -> Result<(), String> {
        match self.named.contains(endpoint) {
            true => endpoint.recognise(self.timeout).map_err(|trouble| trouble.to_string()),
            false => self.learning.check(endpoint, self.timeout),
        }
    }

    /// Asks the servers where the members are, if that was done longer ago than this. Requests see to that by themselves; this is
    /// for programs that send to the [`endpoints`](Self::endpoints). Servers that do not answer within a second tell nothing.
    pub fn keep_up(&self, age: Duration) {
        self.learning.keep_up(age, &self.named, self.timeout);
    }

    /// Reads a key, strongly consistent.
    ///
    /// # Errors
    /// If no server could serve it.
    pub fn get(&self, key: &[u8]) -> Result<Option<Found>, Failed> {
        let response = self.applied(&Request::on_key("GET", key, ""), Again::Harmless)?;
        let (position, version) = (response.position().unwrap_or(0), response.version().map(str::to_owned));
        Ok((response.status == 200).then_some(Found { value: response.body, version, position }))
    }

    /// Sets a key, whether or not it exists. However often that is tried, it is executed once.
    ///
    /// # Errors
    /// If no server could serve it, or the outcome is unknown.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<Written, Failed> {
        self.write(&Request::on_key("PUT", key, "").body(value.to_vec()))
    }

    /// Deletes a key, if it exists. However often that is tried, it is executed once.
    ///
    /// # Errors
    /// If no server could serve it, or the outcome is unknown.
    pub fn delete(&self, key: &[u8]) -> Result<Written, Failed> {
        self.write(&Request::on_key("DELETE", key, ""))
    }

    /// Sends a request to the first server that can serve it, and returns the reply, which may be an error.
    ///
    /// # Errors
    /// If no server could serve it, or the outcome is unknown.
    pub fn send(&self, request: &Request, again: Again) -> Result<Response, Failed> {
        self.send_and_tell(request, again, |_, _| {})
    }

    /// Like [`send`](Self::send). Before a request that may have been executed is sent again, `tell` receives
    /// the reason and the next server.
    ///
    /// # Errors
    /// If no server could serve it, or the outcome is unknown.
    pub fn send_and_tell(
        &self,
        request: &Request,
        again: Again,
        tell: impl FnMut(&Attempt, &Endpoint),
    ) -> Result<Response, Failed> {
        self.first_answer(request, again, tell).map(|(response, _)| response)
    }

    /// The first answer, and the server that gave it.
    fn first_answer(
        &self,
        request: &Request,
        again: Again,
        mut tell: impl FnMut(&Attempt, &Endpoint),
    ) -> Result<(Response, Endpoint), Failed> {
        if self.learning.has_served() {
            self.keep_up(FRESH);
        }
        let request = match again {
            Again::Once if !request.has_key() => Cow::Owned(request.clone().with_key()),
            _ => Cow::Borrowed(request),
        };
        let until = Instant::now() + PATIENCE.min(self.timeout);
        let mut was_unknown = false;
        loop {
            let Round { tried, unknown, early } = match self.one_round(&request, again, &mut tell) {
                Err(round) => round,
                Ok(answer) => {
                    self.learning.serves();
                    return Ok(answer);
                }
            };
            was_unknown |= unknown;
            let goes_on = again == Again::Once && (was_unknown || early);
            if !goes_on || Instant::now() + PAUSE >= until {
                return Err(if was_unknown { Failed::Unknown(tried) } else { Failed::Refused(tried) });
            }
            thread::sleep(PAUSE);
        }
    }

    /// Asks each server once, until one answers. If none does, those that are learned then are asked, too.
    fn one_round(
        &self,
        request: &Request,
        again: Again,
        tell: &mut impl FnMut(&Attempt, &Endpoint),
    ) -> Result<(Response, Endpoint), Round> {
        let mut round = Round::default();
        let mut next = self.endpoints();
        while !next.is_empty() {
            let begun = Instant::now();
            for endpoint in next {
                if let Some(last) = round.tried.last().filter(|_| round.unknown && again != Again::Once) {
                    tell(last, &endpoint);
                }
                let why = match self.ask(&endpoint, request, again) {
                    Verdict::Answer(response) => return Ok((response, endpoint)),
                    Verdict::Elsewhere(why) => why,
                    Verdict::Early(why) => {
                        round.early = true;
                        why
                    }
                    Verdict::Unknown(why) => {
                        round.unknown |= again != Again::Harmless;
                        why
                    }
                };
                round.tried.push(Attempt { endpoint, why });
                if round.unknown && again == Again::Never {
                    return Err(round);
                }
            }
            self.learning.learn_since(begun, &self.named, self.timeout);
            next = self.endpoints();
            next.retain(|endpoint| round.tried.iter().all(|attempt| attempt.endpoint != *endpoint));
        }
        Err(round)
    }

    /// Sends a request to one server, if it is one that may have it.
    fn ask(&self, endpoint: &Endpoint, request: &Request, again: Again) -> Verdict {
        // A write, or a password, may only reach servers of ours, so this checks what answers before it sends one. At a learned
        // address even a read might be answered by another cluster's.
        let is_harmless = again == Again::Harmless && endpoint.access().credentials().is_none();
        if !(is_harmless && self.named.contains(endpoint))
            && let Err(why) = self.recognise(endpoint)
        {
            return Verdict::Elsewhere(why);
        }
        judge(endpoint.send(request, self.timeout))
    }

    fn write(&self, request: &Request) -> Result<Written, Failed> {
        let response = self.applied(request, Again::Once)?;
        let version = response.version().map(str::to_owned);
        Ok(Written { position: response.position().unwrap_or(0), version })
    }

    /// Sends a request, and turns an error reply into a failure.
    fn applied(&self, request: &Request, again: Again) -> Result<Response, Failed> {
        let (response, endpoint) = self.first_answer(request, again, |_, _| {})?;
        let said = || vec![Attempt { endpoint, why: response.what_happened() }];
        match response.outcome() {
            Outcome::Applied => Ok(response),
            Outcome::Refused => Err(Failed::Refused(said())),
            Outcome::Unknown => Err(Failed::Unknown(said())),
        }
    }
}

fn judge(outcome: Result<Response, Trouble>) -> Verdict {
    match outcome {
        Ok(response) => match response.status {
            503 if response.is_early() => Verdict::Early(response.what_happened()),
            // 307 is the answer of a follower to a write.
            307 | 429 | 503 | 507 => Verdict::Elsewhere(response.what_happened()),
            504 => Verdict::Unknown(response.what_happened()),
            _ if response.is_ours() => Verdict::Answer(response),
            status => Verdict::Elsewhere(format!(
                "this is not a Niagara server's HTTP port: something else answers with HTTP status {status}"
            )),
        },
        Err(trouble) if trouble.is_foreign() => Verdict::Elsewhere(trouble.to_string()),
        Err(trouble @ Trouble::NotSent(_)) => Verdict::Elsewhere(trouble.to_string()),
        Err(trouble @ Trouble::Lost(_)) => Verdict::Unknown(trouble.to_string()),
    }
}

/// Parses addresses separated by commas.
impl FromStr for Cluster {
    type Err = String;

    fn from_str(text: &str) -> Result<Cluster, String> {
        Ok(Cluster::new(text.split(',').map(|url| url.trim().parse()).collect::<Result<Vec<_>, _>>()?))
    }
}

#[cfg(test)]
mod tests;
