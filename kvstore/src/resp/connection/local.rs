//! What a server answers by itself.

use std::time::{Duration, Instant};

use niagara_engine::Refused;

use super::RespConnection;
use super::requests::Next;
use crate::protocol::{Engine, Input, Output, Protocol, Served};
use crate::pubsub::Topic;
use crate::resp::acl;
use crate::resp::acts;
use crate::resp::client::{self, Own};
use crate::resp::described;
use crate::resp::encode::{Replies, Version};
use crate::resp::entering;
use crate::resp::errors::ProtocolError;
use crate::resp::handing_over;
use crate::resp::latency;
use crate::resp::local;
use crate::resp::parse::Arguments;
use crate::resp::plan::{Local, Plan};
use crate::resp::refusals::refusal;
use crate::resp::replying::Replying;
use crate::resp::settings;
use crate::resp::slow_log;
use crate::resp::subscribing;

impl RespConnection {
    /// Answers the next request, which is neither a write nor a read, or says what is wrong with it.
    pub(super) fn answer_next<E: Engine>(
        &mut self,
        input: &mut Input,
        engine: &E,
        output: &mut Output,
    ) -> Served {
        let mut nowhere = Output::default();
        let silent = self.replying.is_silent_once();
        let arguments = self.parser.arguments(input.bytes());
        let is_heard = client::asks_for_replies(arguments) || self.is_heard_anyway();
        let heard = if silent && !is_heard { &mut nowhere } else { output };
        let mut replies = Replies { output: heard, version: self.version };
        let Next::Planned(Plan::Local(what)) = &self.next else {
            return self.refuse_next(input, &mut replies);
        };
        let what = *what;
        let began = (!what.is_quick()).then(Instant::now);
        let understood = self.answer_by_itself(what, input, engine, &mut replies);
        self.version = replies.version;
        self.consume(input);
        let took = began.map_or(Duration::ZERO, |began| began.elapsed());
        self.about.member.note(self.requests.last(), took);
        if understood { Served::Answered } else { Served::Malformed }
    }

    /// Whether the next request is answered even if the client wants no replies: it is about messages, or the client wants all
    /// replies from then on.
    fn is_heard_anyway(&self) -> bool {
        matches!(
            self.next,
            Next::Planned(Plan::Local(Local::Subscribe(_) | Local::Unsubscribe(_) | Local::Reset))
        )
    }

    /// Says what is wrong with the next request.
    fn refuse_next(&mut self, input: &mut Input, replies: &mut Replies<'_>) -> Served {
        match &self.next {
            Next::Broken(error) => {
                if let ProtocolError::Foreign(foreign) = error {
                    self.foreign = Some(*foreign);
                }
                replies.error(&format!("ERR {error}"));
                self.over = true;
                Served::Malformed
            }
            Next::Skipped(why) => {
                replies.error(&format!("ERR {why}"));
                self.next = Next::Unknown;
                Served::Malformed
            }
            Next::Short(text) => {
                replies.error(text);
                self.consume(input);
                Served::Short
            }
            Next::Planned(Plan::Refuse(text) | Plan::Invalid(text)) => {
                replies.error(text);
                self.consume(input);
                Served::Malformed
            }
            other => panic!("not for this server alone: {other:?}"),
        }
    }

    /// `false`: the request was wrong.
    fn answer_by_itself<E: Engine>(
        &mut self,
        what: Local,
        input: &Input,
        engine: &E,
        replies: &mut Replies<'_>,
    ) -> bool {
        let arguments = self.parser.arguments(input.bytes());
        let slow_log = self.about.member.clients().slow_log();
        match what {
            Local::Ping if self.is_restricted() => subscribing::ping(arguments, replies),
            Local::Ping => local::ping(arguments, replies),
            Local::Echo => replies.bulk(arguments.get(1)),
            Local::Subscribe(topic) => return self.subscribe(topic, input, engine.is_retiring(), replies),
            Local::Unsubscribe(topic) => {
                subscribing::unsubscribe(arguments, topic, &mut self.subscriber, replies);
            }
            Local::PubSub => return subscribing::tell(arguments, &self.subscriber, replies),
            Local::Hello => return self.greet(input, engine, replies),
            Local::Auth => {
                let client = self.line();
                return entering::auth(arguments, &mut self.entrance, &client, replies);
            }
            Local::Acl => return self.answer_about_users(arguments, replies),
            Local::Deny => {
                entering::deny(&self.entrance, replies);
                self.over = true;
            }
            Local::Command => described::command(arguments, replies),
            Local::Client => return self.answer_about_clients(input, replies),
            Local::Unpause => client::unpause(&self.about, replies),
            Local::Help(container) => local::help(container, replies),
            Local::ConfigGet => settings::tell(arguments.from(2), engine, slow_log, replies),
            Local::ConfigSet => return self.configure(arguments, engine, replies),
            Local::Latency => latency::answer(arguments, slow_log, replies),
            Local::SlowLog => return slow_log::answer(arguments, slow_log, replies),
            Local::Info => self.tell_of_this(arguments, engine, replies),
            Local::Role | Local::Sentinel | Local::Wait | Local::Cluster | Local::Asking => {
                return self.tell_of_servers(what, arguments, engine, replies);
            }
            Local::Failover => {
                return handing_over::failover(arguments, &self.own(engine), &self.entrance, replies);
            }
            Local::SentinelFailover => {
                return handing_over::sentinel_failover(&self.own(engine), &self.entrance, replies);
            }
            Local::ResetStatistics | Local::Select(_) | Local::Multi | Local::Discard | Local::Unwatch => {
                replies.simple("OK");
            }
            Local::Queued => replies.simple("QUEUED"),
            Local::KnownScripts => local::known_scripts(arguments, engine.reader().scripts(), replies),
            Local::Quit => {
                self.over = true;
                // Its connection may take a while to close.
                self.tracker.end();
                replies.simple("OK");
            }
            Local::ReadOnly(weak) => {
                self.weak = weak && self.site.failover.weak_readonly;
                replies.simple("OK");
            }
            Local::Reset => self.reset(replies),
        }
        true
    }

    fn subscribe(
        &mut self,
        topic: Topic,
        input: &Input,
        is_retiring: bool,
        replies: &mut Replies<'_>,
    ) -> bool {
        if is_retiring {
            replies.error(&refusal(Refused::Stopping));
            return false;
        }
        subscribing::subscribe(self.parser.arguments(input.bytes()), topic, &mut self.subscriber, replies)
    }

    /// `HELLO`
    fn greet(&mut self, input: &Input, engine: &impl Engine, replies: &mut Replies<'_>) -> bool {
        let topology = self.site.told(engine, &engine.status(), &self.about);
        let role = if topology.is_master() { "master" } else { "replica" };
        let client = self.line();
        let mode = (&*client, self.site.mode(), role);
        let arguments = self.parser.arguments(input.bytes());
        local::hello(arguments, &mut self.about, &mut self.entrance, mode, replies)
    }

    fn answer_about_users(&self, arguments: Arguments<'_>, replies: &mut Replies<'_>) -> bool {
        let understood = acl::answer(arguments, &self.entrance, replies);
        if understood && acts::clears_the_log(arguments) {
            self.entrance.begin("ACL LOG RESET").done();
        }
        understood
    }

    fn answer_about_clients(&mut self, input: &Input, replies: &mut Replies<'_>) -> bool {
        self.publish();
        self.about.seat().requests(self.parser.length());
        let (about, replying, over) = (&mut *self.about, &mut self.replying, &mut self.over);
        let (tracker, directory) = (&mut self.tracker, self.entrance.directory());
        let own = Own { about, replying, tracker, over, directory, now: self.now };
        client::client(self.parser.arguments(input.bytes()), own, replies)
    }

    /// `CONFIG SET` of what is a setting of this server.
    fn configure(&self, arguments: Arguments<'_>, engine: &impl Engine, replies: &mut Replies<'_>) -> bool {
        let slow_log = self.about.member.clients().slow_log();
        let act = self.entrance.begin(acts::config_set(arguments));
        let understood = settings::set(arguments.from(2), engine, slow_log, replies);
        match understood {
            true => act.done(),
            false => act.refused("servers' files decide it"),
        }
        understood
    }

    fn reset(&mut self, replies: &mut Replies<'_>) {
        self.subscriber.unsubscribe_from_all();
        self.tracker.end();
        replies.version = Version::default();
        self.about.reset();
        self.replying = Replying::On;
        self.weak = false;
        self.entrance.leave();
        replies.simple("RESET");
    }
}
