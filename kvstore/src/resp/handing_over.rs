//! FAILOVER and SENTINEL FAILOVER: this server hands over all that it leads.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use niagara_engine::{Refused, ServerId};

use super::encode::Replies;
use super::parse::Arguments;
use super::plan::NOT_AN_INTEGER;
use super::refusals::refusal;
use super::site::RedisSite;
use super::words::is;
use crate::access::Entrance;
use crate::audit::words;
use crate::decimal::decimal;
use crate::handover::Wanted;
use crate::protocol::Engine;

type Error = Cow<'static, str>;

/// What FAILOVER asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked<'a> {
    Abort,
    Begin(Options<'a>),
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Options<'a> {
    /// Host and port.
    to: Option<(&'a [u8], i64)>,
    timeout: Option<Duration>,
    forces: bool,
}

/// A server that is to hand over what it leads.
pub(super) struct Own<'s, E> {
    pub(super) site: &'s RedisSite,
    pub(super) engine: &'s E,
    pub(super) now: Instant,
}

/// `FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]`. `false`: the request was wrong, or is refused.
pub(super) fn failover<E: Engine>(
    arguments: Arguments<'_>,
    own: &Own<'_, E>,
    by: &Entrance,
    replies: &mut Replies<'_>,
) -> bool {
    let asked = match read(arguments.from(1)) {
        Ok(asked) => asked,
        Err(wrong) => {
            replies.error(wrong);
            return false;
        }
    };
    let done = match asked {
        Asked::Abort => own.abort(),
        Asked::Begin(options) => own.begin(&options),
    };
    told(words("FAILOVER", arguments.from(1).iter()), done, by, replies)
}

/// `SENTINEL FAILOVER master`: the master that a server tells of as a sentinel is itself.
pub(super) fn sentinel_failover<E: Engine>(
    own: &Own<'_, E>,
    by: &Entrance,
    replies: &mut Replies<'_>,
) -> bool {
    let begun = own.check(IN_PROGRESS_TO_SENTINELS.into(), NO_GOOD_REPLICA.into());
    let begun = begun.map(|()| own.site.handover.drain(own.engine));
    told("SENTINEL FAILOVER".into(), begun, by, replies)
}

const IN_PROGRESS_TO_SENTINELS: &str = "INPROG Failover already in progress";
const NO_GOOD_REPLICA: &str = "NOGOODSLAVE No suitable replica to promote";

/// Tells client and audit what became of it.
fn told(what: String, done: Result<(), Error>, by: &Entrance, replies: &mut Replies<'_>) -> bool {
    let act = by.begin(what);
    match done {
        Ok(()) => {
            act.done();
            replies.simple("OK");
        }
        Err(why) => {
            act.refused(&why);
            replies.error(&why);
            return false;
        }
    }
    true
}

/// The options of FAILOVER, each once, in any order.
fn read(options: Arguments<'_>) -> Result<Asked<'_>, &'static str> {
    if options.len() == 1 && is(options.get(0), "ABORT") {
        return Ok(Asked::Abort);
    }
    let mut read = Options::default();
    let mut words = options.iter();
    while let Some(word) = words.next() {
        if is(word, "TIMEOUT") && words.len() > 0 && read.timeout.is_none() {
            let milliseconds = words.next().and_then(decimal).ok_or(NOT_AN_INTEGER)?;
            let milliseconds = u64::try_from(milliseconds).ok().filter(|milliseconds| *milliseconds > 0);
            let milliseconds = milliseconds.ok_or("ERR FAILOVER timeout must be greater than 0")?;
            read.timeout = Some(Duration::from_millis(milliseconds));
        } else if is(word, "TO") && words.len() > 1 && read.to.is_none() {
            let host = words.next().unwrap_or_default();
            read.to = Some((host, words.next().and_then(decimal).ok_or(NOT_AN_INTEGER)?));
        } else if is(word, "FORCE") && !read.forces {
            read.forces = true;
        } else {
            return Err("ERR syntax error");
        }
    }
    Ok(Asked::Begin(read))
}

impl<E: Engine> Own<'_, E> {
    fn begin(&self, options: &Options<'_>) -> Result<(), Error> {
        let leads_nothing = self.engine.leaders().led_here().next().is_none();
        let begun = if leads_nothing { HAS_ENDED } else { "ERR FAILOVER already in progress." };
        self.check(begun.into(), "ERR FAILOVER requires connected replicas.".into())?;
        if options.forces && (options.timeout.is_none() || options.to.is_none()) {
            let why = "ERR FAILOVER with force option requires both a timeout and target HOST and IP.";
            return Err(why.into());
        }
        let wanted = Wanted {
            to: options.to.map(|(host, port)| self.find(host, port)).transpose()?,
            until: options.timeout.and_then(|timeout| self.now.checked_add(timeout)),
            forces: options.forces,
        };
        self.site.handover.begin(wanted, self.now, self.engine);
        Ok(())
    }

    /// Whether a handover can begin. The errors say that one has begun, and that no other server is up.
    fn check(&self, begun: Error, alone: Error) -> Result<(), Error> {
        self.check_that_it_stays()?;
        if self.site.handover.leaders(self.engine).draining {
            Err(begun)
        } else if self.engine.follows() {
            Err("ERR FAILOVER is not valid when server is a replica.".into())
        } else if self.engine.connected().is_empty() {
            Err(alone)
        } else {
            Ok(())
        }
    }

    fn abort(&self) -> Result<(), Error> {
        self.check_that_it_stays()?;
        if !self.site.handover.leaders(self.engine).draining {
            return Err("ERR No failover in progress.".into());
        }
        self.site.handover.end(self.engine);
        Ok(())
    }

    /// A server that is about to stop hands everything over, and nothing ends that.
    fn check_that_it_stays(&self) -> Result<(), Error> {
        if self.engine.is_retiring() { Err(refusal(Refused::Stopping).into()) } else { Ok(()) }
    }

    /// Another server by its Redis address.
    fn find(&self, host: &[u8], port: i64) -> Result<ServerId, Error> {
        let members = self.site.members(self.engine);
        let is_meant = |member: &ServerId| *member != self.engine.server();
        let found = members.iter().find(|(member, address)| {
            is_meant(member) && i64::from(address.port) == port && is(host, &address.host)
        });
        let (server, _) = found.ok_or("ERR FAILOVER target HOST and PORT is not a replica.")?;
        match self.engine.connected().contains(server) {
            true => Ok(*server),
            false => Err("ERR FAILOVER target replica is not online.".into()),
        }
    }
}

/// In Redis, such a server is a replica.
const HAS_ENDED: &str =
    "ERR FAILOVER is complete: this server leads nothing, and claims nothing before FAILOVER ABORT.";
