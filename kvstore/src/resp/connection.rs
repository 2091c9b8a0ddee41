//! One Redis client's conversation: requests found in its input, replies printed to its output.
//!
//! | file | holds |
//! |---|---|
//! | `requests.rs` | what the next request is |
//! | `writes.rs`, `reads.rs` | those about the state |
//! | `local.rs`, `servers.rs` | those that a server answers by itself |
//! | `unasked.rs` | what a client is told that it has not asked for |

mod local;
mod reads;
mod requests;
mod servers;
mod unasked;
mod writes;

use std::rc::Rc;
use std::time::{Duration, Instant};

use niagara_engine::Refused;

use self::reads::Look;
use self::requests::Next;
use self::writes::Written;
use super::about::About;
use super::encode::{Replies, Version};
use super::parse::Parser;
use super::refusals::refusal;
use super::replying::Replying;
use super::site::RedisSite;
use super::tracking;
use super::transaction::Conversation;
use crate::access::Entrance;
use crate::clients::{Member, Requests};
use crate::protocol::{
    Ask, Circumstances, Engine, Foreign, Input, Outcome, Output, Protocol, Served, Shown, Unasked, View, Wire,
};
use crate::pubsub::{Subscriber, Topic};
use crate::tracking::Tracker;

/// The Redis protocol's part of a session.
#[derive(Debug)]
pub(crate) struct RespConnection {
    about: Box<About>,
    site: Rc<RedisSite>,
    subscriber: Subscriber,
    tracker: Tracker,
    entrance: Entrance,
    parser: Parser,
    next: Next,
    conversation: Conversation,
    requests: Box<Requests>,
    /// When the last request was understood.
    active: Instant,
    /// When the turn has begun.
    now: Instant,
    /// The next request waits until a pause ends.
    is_held_up: bool,
    /// The time of the cluster when the next request was understood, in milliseconds since 1970, if it is known.
    time: Option<u64>,
    version: Version,
    replying: Replying,
    /// Reads need not be strong.
    weak: bool,
    /// The outcome of the last write is known.
    is_certain: bool,
    over: bool,
    /// The client has just been told that it speaks another protocol.
    foreign: Option<Foreign>,
}

impl RespConnection {
    /// A conversation with a client.
    pub(crate) fn new(
        member: Member,
        site: Rc<RedisSite>,
        (subscriber, tracker): (Subscriber, Tracker),
        entrance: Entrance,
    ) -> RespConnection {
        RespConnection {
            now: member.seat().since(),
            active: member.seat().since(),
            requests: Box::default(),
            is_held_up: false,
            about: Box::new(About::new(member)),
            site,
            subscriber,
            tracker,
            entrance,
            parser: Parser::default(),
            next: Next::Unknown,
            conversation: Conversation::default(),
            time: None,
            version: Version::Two,
            replying: Replying::On,
            weak: false,
            is_certain: true,
            over: false,
            foreign: None,
        }
    }

    /// A line as in CLIENT LIST.
    fn line(&self) -> String {
        self.publish();
        self.about.seat().line(self.now)
    }

    /// Whether few commands are allowed, since the client could not tell replies from messages.
    fn is_restricted(&self) -> bool {
        self.version == Version::Two && self.subscriber.listens()
    }
}

impl Protocol for RespConnection {
    type Shape = Written;

    const WIRE: Wire = Wire::Redis;

    type Look = Look;

    fn next<E: Engine>(&mut self, input: &mut Input, engine: &E, now: Circumstances) -> Option<Ask> {
        self.understand_next(input, engine, now)
    }

    fn length(&self) -> usize {
        self.parser.length()
    }

    fn introduce(&mut self, name: &str) {
        self.entrance.introduce(name);
    }

    fn held(&self) -> usize {
        self.conversation.held()
    }

    fn write(&mut self, input: &mut Input, command: &mut Vec<u8>) -> Written {
        self.send(input, command)
    }

    fn read(&mut self, input: &mut Input, view: &View<'_>, output: &mut Output) {
        self.look(input, view, output);
    }

    fn may_attach(&self, input: &Input) -> bool {
        self.may_look_between(input)
    }

    fn attach(&mut self, input: &mut Input, query: &mut Vec<u8>) -> Look {
        self.look_behind(input, query)
    }

    fn show(&mut self, look: Look, shown: Shown, took: Duration, output: &mut Output) {
        self.show_look(look, shown, took, output);
    }

    fn local<E: Engine>(&mut self, input: &mut Input, engine: &E, output: &mut Output) -> Served {
        self.answer_next(input, engine, output)
    }

    fn is_held_up(&mut self) -> bool {
        self.waits_for_a_pause()
    }

    fn publish(&self) {
        let About { name, library, touches_nothing, .. } = &*self.about;
        self.about.seat().show(|shown| {
            for (kept, text) in [
                (&mut shown.name, name),
                (&mut shown.user, self.entrance.user().shared_name()),
                (&mut shown.library, &library.name),
                (&mut shown.library_version, &library.version),
            ] {
                // It is published all the time, and changes hardly ever.
                if !std::ptr::eq(&**kept, &**text) {
                    *kept = text.clone();
                }
            }
            shown.database = self.conversation.database().number();
            shown.subscriptions = Topic::ALL.map(|topic| self.subscriber.names(topic));
            shown.queued = self.conversation.queued();
            shown.queued_bytes = self.conversation.held();
            shown.is_weak = self.weak;
            shown.is_held_up = self.is_held_up;
            shown.is_over = self.over;
            shown.touches_nothing = *touches_nothing;
            shown.tracking = tracking::published(&self.tracker);
            shown.version = if self.version == Version::Two { 2 } else { 3 };
            shown.asked = *self.requests.last();
            shown.active = self.active;
        });
    }

    fn publish_bytes(&self, requests: usize, replies: usize) {
        self.about.seat().holds(requests, replies);
    }

    fn is_spared(&self) -> bool {
        self.about.seat().is_spared()
    }

    fn refuse(&mut self, input: &mut Input, output: &mut Output) {
        self.take_plan();
        if !self.replying.is_silent_once() {
            Replies { output, version: self.version }.error(&refusal(Refused::Stopping));
        }
        self.consume(input);
    }

    fn answer(&mut self, written: Written, outcome: Outcome, took: Duration, output: &mut Output) {
        self.finish(written, outcome, took, output);
    }

    fn tell(&mut self, unasked: Unasked<'_>, output: &mut Output) {
        self.tell_unasked(unasked, output);
    }

    fn listens(&self) -> bool {
        self.subscriber.listens() || self.tracker.mode().is_some()
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn is_amid_request(&self, input: &Input) -> bool {
        !input.is_empty() || matches!(self.next, Next::Skipping(_))
    }

    fn take_foreign(&mut self) -> Option<Foreign> {
        self.foreign.take()
    }
}
