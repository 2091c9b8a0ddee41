//! What a client is told that it has not asked for.

use super::RespConnection;
use crate::access::Entrance;
use crate::protocol::{Output, Unasked};
use crate::pubsub::Message;
use crate::resp::encode::Replies;
use crate::resp::subscribing;
use crate::resp::tracking;
use crate::table::Op;
use crate::tracking::Mode;
use crate::users::{Access, Wanted};

impl RespConnection {
    pub(super) fn tell_unasked(&mut self, unasked: Unasked<'_>, output: &mut Output) {
        let listens = self.subscriber.listens();
        let mut replies = Replies { output, version: self.version };
        match unasked {
            Unasked::Message { message, pattern } => self.pass_on(message, pattern, &mut replies),
            Unasked::Stale(stale) => {
                self.tracker.outdate(stale);
                self.tell_due(replies.output);
            }
            Unasked::StaleElsewhere(stale) => tracking::invalidate(stale, listens, &mut replies),
            Unasked::LostRedirect => {
                self.tracker.break_off();
                if let Some(Mode { redirect, .. }) = self.tracker.mode() {
                    tracking::lost_redirect(*redirect, &mut replies);
                }
            }
        }
    }

    /// Passes a message on, unless its user may not hear it any more.
    fn pass_on(&mut self, message: &Message, pattern: Option<&[u8]>, replies: &mut Replies<'_>) {
        let may_hear =
            |entrance: &Entrance| entrance.denied(|| Wanted::message(&message.channel, pattern)).is_none();
        if self.entrance.refresh().is_ok() && may_hear(&self.entrance) {
            subscribing::message(message, pattern, replies);
        } else {
            // It would take silence for no messages.
            self.over = true;
        }
    }

    /// Tells the client, or another one in its place, what it must not use any more and is to hear of now.
    pub(super) fn tell_due(&mut self, output: &mut Output) {
        while let Some(mut stale) = self.tracker.due() {
            if self.entrance.refresh().is_err() {
                // It would take silence for no changes.
                self.over = true;
                return;
            }
            let Some(Mode { redirect, prefixes, .. }) = self.tracker.mode() else { return };
            if prefixes.is_some() {
                let entrance = &self.entrance;
                stale.retain(|key| entrance.denied(|| Wanted::on_key(Op::Get, key, Access::READ)).is_none());
            }
            if stale.is_nothing() {
                continue;
            }
            if *redirect == 0 {
                tracking::invalidate(&stale, false, &mut Replies { output, version: self.version });
            } else {
                self.tracker.redirect(*redirect, stale);
            }
        }
    }
}
