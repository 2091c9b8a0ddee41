//! Limits repeated lines: a few are written, then how many more there were.
//!
//! Lines are alike if they come from one place in the code and concern the same group and the same peer.
//! Lines for debugging (debug, trace) are not limited, nor is what the audit tells of acts: each of them counts.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::sink::{Sink, line};

/// This many alike are written before the rest is counted.
const FIRST: u32 = 5;
/// Afterwards one is written in each such span, with the number of the others.
const SPAN: Duration = Duration::from_secs(10);
/// Fields that distinguish one subject from another.
const SUBJECT: [&str; 5] = ["group", "peer", "server", "from", "address"];
/// The target of administrative acts, which are INFO, and of failed attempts, which anybody can repeat, and are WARN.
const AUDIT: &str = "audit";
/// Most subjects that are told apart; the others of a place count as one. The fields may hold what a stranger
/// sent.
const MOST_SUBJECTS: usize = 1_024;
/// The longest quoted text of a line, in bytes.
const MOST_QUOTED: usize = 300;

/// What makes lines alike.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    place: Identifier,
    subject: String,
}

/// What is known about one kind.
struct Seen {
    since: Instant,
    /// How many may still be written in this span.
    left: u32,
    held_back: u64,
    /// The first line that was held back.
    quoted: (Level, String),
}

/// Holds repeated lines back.
#[derive(Clone)]
pub struct Repeats {
    seen: Arc<Mutex<HashMap<Kind, Seen>>>,
    sink: Arc<Sink>,
}

impl Repeats {
    /// Writes summaries to this sink, whose alarm calls [`report`](Self::report).
    pub fn new(sink: Arc<Sink>) -> Repeats {
        Repeats { seen: Arc::default(), sink }
    }

    /// Writes a line into the sink for each kind that was held back for a whole span.
    pub fn report(&self) {
        let now = Instant::now();
        let mut seen = self.seen.lock();
        let summaries: Vec<_> = seen.values_mut().filter_map(|seen| seen.summary(now)).collect();
        let next = seen.values().filter(|seen| seen.held_back > 0).map(|seen| seen.since + SPAN).min();
        seen.retain(|_, seen| !seen.is_over(now));
        drop(seen);
        for (level, text) in summaries {
            self.sink.push(line(level.as_str(), &text).as_bytes());
        }
        if let Some(at) = next {
            self.sink.alarm_at(at);
        }
    }

    fn may_be_told(&self, event: &Event<'_>, now: Instant) -> bool {
        let mut words = Words::default();
        event.record(&mut words);
        let metadata = event.metadata();
        let mut seen = self.seen.lock();
        let mut kind = Kind { place: metadata.callsite(), subject: words.subject };
        if seen.len() >= MOST_SUBJECTS && !seen.contains_key(&kind) {
            kind.subject.clear();
        }
        let one = seen.entry(kind).or_insert_with(|| Seen::begin(now));
        if one.take(now) {
            return true;
        }
        if one.held_back == 1 {
            one.quoted = (*metadata.level(), format!("{}: {}", metadata.target(), words.all));
            let at = one.since + SPAN;
            drop(seen);
            self.sink.alarm_at(at);
        }
        false
    }
}

impl<S: Subscriber> Layer<S> for Repeats {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let is_an_act = metadata.target() == AUDIT && *metadata.level() == Level::INFO;
        is_an_act || *metadata.level() > Level::INFO || self.may_be_told(event, Instant::now())
    }
}

impl Seen {
    fn begin(now: Instant) -> Seen {
        Seen { since: now, left: FIRST, held_back: 0, quoted: (Level::INFO, String::new()) }
    }

    /// Whether one more may be written; otherwise counts it.
    fn take(&mut self, now: Instant) -> bool {
        if self.held_back == 0 && now >= self.since + SPAN {
            *self = Seen::begin(now);
        }
        if self.left > 0 {
            self.left -= 1;
            return true;
        }
        self.held_back += 1;
        false
    }

    /// The summary of the lines held back, once their span is over. The next line may be written again.
    fn summary(&mut self, now: Instant) -> Option<(Level, String)> {
        if self.held_back == 0 || now < self.since + SPAN {
            return None;
        }
        let seconds = (now - self.since).as_secs();
        let text = format!("{} more like this in the last {seconds} s: {}", self.held_back, self.quoted.1);
        (self.since, self.left, self.held_back) = (now, 1, 0);
        Some((self.quoted.0, text))
    }

    /// Whether nothing is left to remember.
    fn is_over(&self, now: Instant) -> bool {
        self.held_back == 0 && now >= self.since + 2 * SPAN
    }
}

/// An event's fields: those that name its subject, and all of them as text, up to a length.
#[derive(Default)]
struct Words {
    subject: String,
    all: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a string never fails.
        if SUBJECT.contains(&field.name()) {
            let _ = write!(self.subject, "{}={value:?} ", field.name());
            self.subject.truncate(self.subject.floor_char_boundary(MOST_QUOTED));
        }
        let _ = match field.name() {
            "message" => write!(self.all, "{value:?}"),
            name => write!(self.all, " {name}={value:?}"),
        };
        self.all.truncate(self.all.floor_char_boundary(MOST_QUOTED));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::sink::Lines;
    use super::*;

    fn told(seen: &mut Seen, count: usize, now: Instant) -> usize {
        (0..count).filter(|_| seen.take(now)).count()
    }

    #[test]
    fn a_few_are_told_and_then_one_in_each_span() {
        let start = Instant::now();
        let mut seen = Seen::begin(start);
        assert_eq!(told(&mut seen, 100, start), FIRST as usize);
        assert_eq!(seen.summary(start + SPAN / 2), None, "its span is not over");
        let (_, text) = seen.summary(start + SPAN).unwrap();
        assert!(text.starts_with("95 more like this in the last 10 s"), "{text}");
        assert_eq!(told(&mut seen, 100, start + SPAN), 1);
        assert!(seen.summary(start + 2 * SPAN).unwrap().1.starts_with("99 more"));
        assert_eq!(seen.summary(start + 3 * SPAN), None);
        assert!(seen.is_over(start + 4 * SPAN));
    }

    #[test]
    fn rare_ones_are_all_told() {
        let start = Instant::now();
        let mut seen = Seen::begin(start);
        for span in 0..20 {
            assert!(seen.take(start + span * SPAN));
        }
    }

    /// The lines that a limited subscriber lets through.
    fn lines_of(events: impl FnOnce()) -> Vec<String> {
        let sink = Arc::new(Sink::default());
        let repeats = Repeats::new(Arc::clone(&sink));
        let format = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Lines(Arc::clone(&sink)));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(repeats).with(format), events);
        let text = String::from_utf8(sink.waiting()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn places_and_subjects_are_counted_apart() {
        let lines = lines_of(|| {
            for i in 0..100 {
                tracing::warn!(group = i % 2, error = i, "dropped a message");
                tracing::info!(peer = 3, "connection lost");
                tracing::debug!("for whoever looks for it");
            }
        });
        let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
        assert_eq!(count("dropped a message"), 2 * FIRST as usize);
        assert_eq!(count("connection lost"), FIRST as usize);
        assert_eq!(count("whoever looks"), 100);
    }

    #[test]
    fn each_act_of_the_audit_is_told_and_attempts_are_limited() {
        let lines = lines_of(|| {
            for _ in 0..100 {
                tracing::info!(target: "audit", act = "FLUSHALL", "administrative act");
                tracing::warn!(target: "audit", act = "log in", "failed login");
            }
        });
        let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
        assert_eq!((count("FLUSHALL"), count("failed login")), (100, FIRST as usize));
    }

    #[test]
    fn a_stranger_cannot_fill_the_memory_with_subjects() {
        let sink = Arc::new(Sink::default());
        let repeats = Repeats::new(Arc::clone(&sink));
        let subscriber = tracing_subscriber::registry().with(repeats.clone());
        tracing::subscriber::with_default(subscriber, || {
            for from in 0..10_000 {
                tracing::warn!(from, "dropped a message");
            }
        });
        assert_eq!(repeats.seen.lock().len(), MOST_SUBJECTS + 1);
        let held_back: u64 = repeats.seen.lock().values().map(|seen| seen.held_back).sum();
        assert_eq!(held_back, (10_000 - MOST_SUBJECTS as u64) - u64::from(FIRST));
    }
}
