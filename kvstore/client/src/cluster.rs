//! Asks servers in turn until one can serve, and never hides that a write may have been executed.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Access, Endpoint, Outcome, Request, Response, Trouble};

/// Longer than the servers' own deadline, so that the server answers first.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request that is executed once is sent again, at most, while its outcome is unknown. Servers remember it for a
/// minute at least.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait when no server has known the outcome.
const PAUSE: Duration = Duration::from_millis(200);

/// The servers of a cluster. Any of them takes any request.
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
    endpoints: Vec<Endpoint>,
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

/// Why one server did not serve a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The server.
    pub endpoint: Endpoint,
    /// What it answered, or what went wrong.
    pub why: String,
}

/// No server has served the request. Each attempt says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The request had no effect.
    Refused(Vec<Attempt>),
    /// The request may or may not have been executed.
    Unknown(Vec<Attempt>),
}

/// A write that has been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its position in the global log.
    pub position: u64,
    /// The key's version now, or `None` if the key does not exist.
    pub version: Option<String>,
}

/// A key's value, as a strong read found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The value.
    pub value: Vec<u8>,
    /// Its version, for conditional writes.
    pub version: Option<String>,
    /// The position whose state was read.
    pub position: u64,
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
struct Round {
    tried: Vec<Attempt>,
    /// One of them may have executed it.
    unknown: bool,
    /// One of them will soon be able to.
    early: bool,
}

impl Cluster {
    /// A cluster with servers at these addresses, which are asked in this order.
    pub fn new(endpoints: impl IntoIterator<Item = Endpoint>) -> Cluster {
        Cluster { endpoints: endpoints.into_iter().collect(), timeout: TIMEOUT }
    }

    /// Shows this to all servers.
    pub fn with(self, access: &Access) -> Cluster {
        let endpoints = self.endpoints.into_iter().map(|endpoint| endpoint.with(access)).collect();
        Cluster { endpoints, ..self }
    }

    /// Limits each step of a server to `timeout`, and how long a write is sent again while its outcome is unknown.
    pub fn timeout(self, timeout: Duration) -> Cluster {
        Cluster { timeout, ..self }
    }

    /// Its servers, in the order in which they are asked.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
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
    ) -> Result<(Response, &Endpoint), Failed> {
        let request = match again {
            Again::Once if !request.has_key() => Cow::Owned(request.clone().with_key()),
            _ => Cow::Borrowed(request),
        };
        let until = Instant::now() + PATIENCE.min(self.timeout);
        let mut was_unknown = false;
        loop {
            let Round { tried, unknown, early } = match self.one_round(&request, again, &mut tell) {
                Err(round) => round,
                Ok(answer) => return Ok(answer),
            };
            was_unknown |= unknown;
            let goes_on = again == Again::Once && (was_unknown || early);
            if !goes_on || Instant::now() + PAUSE >= until {
                return Err(if was_unknown { Failed::Unknown(tried) } else { Failed::Refused(tried) });
            }
            thread::sleep(PAUSE);
        }
    }

    /// Asks each server once, until one answers.
    fn one_round(
        &self,
        request: &Request,
        again: Again,
        tell: &mut impl FnMut(&Attempt, &Endpoint),
    ) -> Result<(Response, &Endpoint), Round> {
        let mut tried = Vec::<Attempt>::new();
        let (mut unknown, mut early) = (false, false);
        for endpoint in &self.endpoints {
            if let Some(last) = tried.last().filter(|_| unknown && again != Again::Once) {
                tell(last, endpoint);
            }
            let mut failed = |why| tried.push(Attempt { endpoint: endpoint.clone(), why });
            // A write, or a password, may only reach servers of ours, so this checks what answers before it sends one.
            if (again != Again::Harmless || endpoint.access().credentials().is_some())
                && let Err(trouble) = endpoint.recognise(self.timeout)
            {
                failed(trouble.to_string());
                continue;
            }
            match judge(endpoint.send(request, self.timeout)) {
                Verdict::Answer(response) => return Ok((response, endpoint)),
                Verdict::Elsewhere(why) => failed(why),
                Verdict::Early(why) => {
                    failed(why);
                    early = true;
                }
                Verdict::Unknown(why) => {
                    failed(why);
                    unknown |= again != Again::Harmless;
                    if again == Again::Never {
                        break;
                    }
                }
            }
        }
        Err(Round { tried, unknown, early })
    }

    fn write(&self, request: &Request) -> Result<Written, Failed> {
        let response = self.applied(request, Again::Once)?;
        let version = response.version().map(str::to_owned);
        Ok(Written { position: response.position().unwrap_or(0), version })
    }

    /// Sends a request, and turns an error reply into a failure.
    fn applied(&self, request: &Request, again: Again) -> Result<Response, Failed> {
        let (response, endpoint) = self.first_answer(request, again, |_, _| {})?;
        let said = || vec![Attempt { endpoint: endpoint.clone(), why: response.what_happened() }];
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

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.endpoint, self.why)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, tried) = match self {
            Failed::Refused(tried) => ("no server could serve the request", tried),
            Failed::Unknown(tried) => ("the outcome is unknown: it may or may not have been executed", tried),
        };
        f.write_str(what)?;
        tried.iter().try_for_each(|attempt| write!(f, "\n  {attempt}"))
    }
}

impl std::error::Error for Failed {}

#[cfg(test)]
mod tests;
