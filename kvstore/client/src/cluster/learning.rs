//! What is known of a cluster beyond the servers that were named: its id, and where its other members are.

use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Endpoint;
use crate::address::GREETING_TIMEOUT;
use crate::members::{Told, Untold, of_another_cluster};

/// How long to wait for a first server to tell the members.
const FIRST: Duration = Duration::from_secs(1);
/// How long to wait for others when one has: one that hangs should hold up no request.
const OTHERS: Duration = Duration::from_millis(100);

/// Shared by the clones of a cluster.
#[derive(Debug, Default)]
pub(super) struct Learning {
    /// Held by whoever asks the servers.
    asking: Mutex<()>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The id that the first answer has told.
    cluster: Option<String>,
    /// Where members are, besides the servers that were named, as last told.
    members: Vec<Endpoint>,
    /// When the servers were last asked.
    asked: Option<Instant>,
    /// Whether a request has been served. A program that sends only one learns nothing.
    has_served: bool,
    /// Whether all that was told the last time is that this client must not know.
    denied: bool,
}

impl Learning {
    /// Where other members are. Any of them may be somebody else by now: see [`check`](Self::check).
    pub fn members(&self) -> Vec<Endpoint> {
        self.known().members.clone()
    }

    /// A request has been served.
    pub fn serves(&self) {
        self.known().has_served = true;
    }

    /// Whether a request has been served.
    pub fn has_served(&self) -> bool {
        self.known().has_served
    }

    /// Asks for the members if that is longer ago than this, and nobody else does it at this moment.
    pub fn keep_up(&self, age: Duration, named: &[Endpoint], timeout: Duration) {
        let is_due = || {
            let known = self.known();
            !known.denied && known.asked.is_none_or(|asked| asked.elapsed() >= age)
        };
        if is_due()
            && let Ok(_asking) = self.asking.try_lock()
            && is_due()
        {
            self.learn(named, timeout);
        }
    }

    /// Asks for the members, unless somebody has since this moment.
    pub fn learn_since(&self, moment: Instant, named: &[Endpoint], timeout: Duration) {
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if self.known().asked.is_none_or(|asked| asked < moment) {
            self.learn(named, timeout);
        }
    }

    /// Whether a server of this cluster is at an address that was learned.
    pub fn check(&self, member: &Endpoint, timeout: Duration) -> Result<(), String> {
        let told = Told::by(member, timeout.min(GREETING_TIMEOUT)).map_err(|untold| untold.why)?;
        match self.known().cluster.as_deref() {
            Some(ours) if ours == told.cluster => Ok(()),
            Some(ours) => Err(format!("it {}", of_another_cluster(&told.cluster, ours))),
            None => Err("nobody has told yet which cluster is asked".to_owned()),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each change of it is whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, named: &[Endpoint], timeout: Duration) {
        let (known, ours) = {
            let mut known = self.known();
            known.asked = Some(Instant::now());
            (known.members.clone(), known.cluster.clone())
        };
        let all: Vec<Endpoint> = named.iter().cloned().chain(known).collect();
        let heard = ask(&all, ours.as_deref(), timeout.min(FIRST));
        let is_denied = heard.iter().any(|(_, answer)| answer.as_ref().is_err_and(|untold| untold.denied));
        let told = heard.into_iter().filter_map(|(place, answer)| Some((place, answer.ok()?)));
        let mut told: Vec<(&Endpoint, Told)> = told.map(|(place, told)| (&all[place], told)).collect();
        let mut known = self.known();
        if let Some((_, first)) = told.first() {
            let ours = known.cluster.get_or_insert_with(|| first.cluster.clone());
            told.retain(|(_, told)| told.cluster == *ours);
        }
        known.denied = is_denied && told.is_empty();
        // What nobody tells may still be true.
        if !told.is_empty() {
            known.members = others(named, &told);
        }
    }
}

/// The members that the servers of the newest epoch list, without those that were named.
fn others(named: &[Endpoint], told: &[(&Endpoint, Told)]) -> Vec<Endpoint> {
    // A server may have several names.
    let is_named = |server: u64| told.iter().any(|(at, told)| told.server == server && named.contains(at));
    let newest = told.iter().map(|(_, told)| told.epoch).max();
    let mut others = Vec::new();
    for (teller, told) in told.iter().filter(|(_, told)| Some(told.epoch) == newest) {
        for member in told.members.iter().filter(|member| !is_named(member.server)) {
            if let Some(at) = member.endpoint(teller)
                && !named.contains(&at)
                && !others.contains(&at)
            {
                others.push(at);
            }
        }
    }
    others
}

/// What servers have told in time, in their order. Each is asked on a thread of its own, so that one that hangs delays none.
fn ask(all: &[Endpoint], ours: Option<&str>, timeout: Duration) -> Vec<(usize, Result<Told, Untold>)> {
    let (sender, answers) = mpsc::channel();
    for (place, endpoint) in all.iter().enumerate() {
        let (sender, endpoint) = (sender.clone(), endpoint.clone());
        let ask = move || {
            // Nobody listens any more if it took too long.
            let _ = sender.send((place, Told::by(&endpoint, timeout)));
        };
        // Without a thread, the server tells nothing this time.
        let _ = thread::Builder::new().name("niagara-members".into()).spawn(ask);
    }
    drop(sender);
    let mut heard = Vec::new();
    let mut until = Instant::now() + timeout;
    while let Ok((place, answer)) = answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
        if answer.as_ref().is_ok_and(|told| ours.is_none_or(|ours| told.cluster == ours)) {
            until = until.min(Instant::now() + OTHERS);
        }
        heard.push((place, answer));
    }
    heard.sort_unstable_by_key(|(place, _)| *place);
    heard
}

#[cfg(test)]
mod tests;
