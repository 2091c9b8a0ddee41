//! Executes commands: decodes each, locks the shards of its keys, and does what it says. Those that consist of others
//! are in [`together`](super::together).

use bytes::Bytes;
use niagara_planted::{self as planted, Bug};

use super::Kv;
use super::calls::{self, Walking};
use super::locked::{Change, One};
use super::map::Map;
use super::news::ClockNews;
use super::place::Place;
use super::writer::{Core, Share, Writer};
use crate::Database;
use crate::command::{self, Call, Command, Condition, Keys, Once, Pairs, Used};
use crate::receipts::{self, Admitted, Receipt};
use crate::reply::{CommandError, NotOnce, Reply};
use crate::table::Op;
use crate::users::{Denied, Wanted};

/// An advance removes so many keys at most, since everybody waits for it: about a millisecond. The rest is due again at
/// once.
pub(super) const REMOVED_AT_ONCE: usize = 1024;

/// Whose command is executed.
#[derive(Default)]
pub(super) struct Caller<'c> {
    /// The default user, if nobody is named.
    pub(super) user: Option<&'c [u8]>,
    /// What the user has called, if that is known: one command, or those of a block.
    pub(super) called: Vec<Op>,
    pub(super) database: Database,
}

impl Kv {
    /// Executes one command at the current position.
    pub(super) fn execute_one(&mut self, bytes: &[u8], share: Share<'_>) -> Reply {
        match command::decode(bytes) {
            Ok(command) => self.execute_command(Caller::default(), command, share),
            Err(malformed) => {
                self.unexecutable.get_or_insert(malformed);
                Reply::Failed(CommandError::Malformed(malformed))
            }
        }
    }

    fn execute_command<'c>(&mut self, caller: Caller<'c>, command: Command<'c>, share: Share<'_>) -> Reply {
        let (caller, command) = match command {
            Command::Timed { time, command } => {
                self.map.move_clock(time);
                (caller, command)
            }
            Command::By { user, called, command } => {
                (Caller { user: Some(user), called: called.collect(), ..caller }, command)
            }
            Command::In { database, command } => (Caller { database, ..caller }, command),
            Command::Once(once) => return self.execute_once(caller, &once, share),
            command => return self.execute_for(&caller, command, share),
        };
        self.execute_command(caller, command::decode(command).expect("decode has checked it"), share)
    }

    /// Executes a command unless one with its key was executed lately, and keeps a receipt of it.
    fn execute_once(&mut self, caller: Caller<'_>, once: &Once<'_>, share: Share<'_>) -> Reply {
        let Once { until, key, request, command } = once;
        let (caller, command) = innermost(caller, command);
        // An answer shows what the user may have lost the right to see.
        if let Some(denied) = self.denied_once(&caller, &command) {
            return Reply::Denied(Box::new(denied));
        }
        let executed = self.map.clock();
        let admitted = self.core.receipts.admit(key, request, *until, executed);
        let reply = match admitted {
            Admitted::New => {
                let reply = self.execute_for(&caller, command, share);
                if let Some(answer) = receipts::kept(&reply) {
                    let position = self.core.versions.position();
                    let receipt = Receipt { key: *key, request: *request, position, executed, answer };
                    self.core.receipts.add(receipt);
                }
                reply
            }
            Admitted::Again(receipt) => Reply::Again {
                position: receipt.position,
                reply: receipts::shown(&receipt.answer).map(Box::new),
            },
            Admitted::Other => Reply::NotOnce(NotOnce::OtherRequest),
            Admitted::Late => Reply::NotOnce(NotOnce::Late),
            Admitted::Full => Reply::NotOnce(NotOnce::Full),
        };
        self.map.publish_receipts(self.core.receipts.size());
        reply
    }

    /// Why the user may not do a command, or a part of it.
    fn denied_once(&self, caller: &Caller<'_>, command: &Command<'_>) -> Option<Denied> {
        let limited = self.map.directory.limited(caller.user)?;
        let whole = limited.denied(&Wanted::command(command, caller.called.first().copied()));
        whole.or_else(|| match command {
            Command::Choice(choice) => Wanted::parts(choice).find_map(|part| limited.denied(&part)),
            _ => None,
        })
    }

    /// Executes a command of a user, or of the default one, who may have lost rights since a server took it.
    fn execute_for(&mut self, caller: &Caller<'_>, command: Command<'_>, share: Share<'_>) -> Reply {
        let wanted = || Wanted::command(&command, caller.called.first().copied());
        let denied = self.map.directory.denied(caller.user, wanted);
        if let Some(denied) = denied.filter(|_| !planted::is(Bug::RightsAtIntakeOnly)) {
            return Reply::Denied(Box::new(denied));
        }
        if self.is_out_of_memory(&command) {
            return Reply::Failed(CommandError::OutOfMemory);
        }
        let database = caller.database;
        let reply = match command {
            Command::Set { key, value, description, condition, want_old, lasts } => {
                self.at_key(database, key, share, |one| {
                    let attributes = one.attributes(description, lasts);
                    one.set(key, value, attributes, &condition, want_old)
                })
            }
            Command::Append { key, value } => self.at_key(database, key, share, |one| one.append(key, value)),
            Command::IncrBy { key, delta } => {
                self.at_key(database, key, share, |one| one.incr_by(key, delta))
            }
            Command::Delete { keys, condition } => self.delete(database, keys, &condition, share),
            Command::MSet { pairs, if_absent } => self.mset(database, pairs, if_absent, share),
            Command::FlushAll => self.flush_all(),
            Command::NameLife { life } => Reply::Named { life: self.map.name_life(life) },
            Command::Call(call) => self.call(caller, &call, share),
            Command::Block(block) => self.block(caller, &block, share),
            Command::Choice(choice) => self.choice(caller, &choice, share),
            Command::Look { key } => self.at_key(database, key, share, |one| one.look(key)),
            Command::SetUser { name, rules } => self.set_user(name, rules),
            Command::RemoveUsers { names } => self.remove_users(names),
            Command::Timed { .. } | Command::By { .. } | Command::In { .. } | Command::Once(_) => {
                unreachable!("decode refuses one within another")
            }
            Command::Advance { time } => self.advance(time),
            Command::KeepChanges => {
                self.core.ledger.changes.keep(&self.map.changes);
                Reply::Timed
            }
            Command::Used(used) => self.report(used, share),
            Command::MakeRoom => {
                self.make_room();
                self.map.news.made_room();
                Reply::Timed
            }
            Command::AskClocks { server, round } => {
                self.map.news.tell(ClockNews::Asked { server, round });
                Reply::Timed
            }
            Command::TellClock { server, asker, round, time } => {
                self.map.news.tell(ClockNews::Told { server, asker, round, time });
                Reply::Timed
            }
        };
        self.core.rubbish.clear();
        reply
    }

    /// Locks the shard of a command's only key.
    fn at_key(
        &mut self,
        database: Database,
        key: &[u8],
        share: Share<'_>,
        act: impl FnOnce(&mut Writer<'_, One<'_>>) -> Reply,
    ) -> Reply {
        let Kv { map, core, .. } = self;
        let mut one = One(map.write(map.place(key).shard()));
        write((map, core), &mut one, (database, share), act)
    }

    pub(super) fn places<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> Vec<Place> {
        keys.map(|key| self.map.place(key)).collect()
    }

    fn delete(
        &mut self,
        database: Database,
        keys: Keys<'_>,
        condition: &Condition,
        share: Share<'_>,
    ) -> Reply {
        let places = self.places(keys.clone());
        let Kv { map, core, .. } = self;
        let mut shards = map.write_all(&places);
        write((map, core), &mut shards, (database, share), |writer| writer.delete(keys, condition))
    }

    fn mset(&mut self, database: Database, pairs: Pairs<'_>, if_absent: bool, share: Share<'_>) -> Reply {
        if planted::is(Bug::HalfAnMset) {
            for (key, value) in pairs {
                self.at_key(database, key, share, |one| {
                    let value = one.content(value);
                    one.put(key, value, crate::attributes::Attributes::default());
                    Reply::Flushed
                });
                planted::pause();
            }
            return Reply::Flushed;
        }
        let places = self.places(pairs.clone().map(|(key, _)| key));
        let Kv { map, core, .. } = self;
        let mut shards = map.write_all(&places);
        write((map, core), &mut shards, (database, share), |writer| writer.mset(pairs, if_absent))
    }

    fn flush_all(&mut self) -> Reply {
        let Kv { map, core, .. } = self;
        let mut shards = map.write_everything();
        let everywhere: (_, Share<'_>) = (Database::FIRST, &Bytes::copy_from_slice);
        let before = write((map, core), &mut shards, everywhere, |writer| writer.flush(true));
        drop(shards);
        self.core.garbage.free(Box::new(before));
        Reply::Flushed
    }

    /// Moves the clock forward, and removes what has expired: the earliest first.
    fn advance(&mut self, time: u64) -> Reply {
        self.map.move_clock(time);
        let Kv { map, core, .. } = self;
        for _ in 0..REMOVED_AT_ONCE {
            let Some((deadline, place)) = core.ledger.first_due() else { break };
            if deadline > map.clock() {
                break;
            }
            let mut one = One(map.write(place.shard()));
            let key = one.0.due(place, deadline).expect("an entry has each deadline in the ledger").to_vec();
            let anywhere: (_, Share<'_>) = (Database::FIRST, &Bytes::copy_from_slice);
            let removed = write((map, core), &mut one, anywhere, |writer| writer.expire(place, &key));
            // A value may take long to free: not while readers wait.
            drop(one);
            drop(removed);
        }
        self.publish_deadline();
        self.map.news.advanced();
        Reply::Timed
    }

    /// Notes what some server has read. What is not there any more was evicted or removed meanwhile.
    fn report(&mut self, used: Used<'_>, share: Share<'_>) -> Reply {
        for (database, key) in used {
            let Kv { map, core, .. } = self;
            let mut one = One(map.write(map.place(key).shard()));
            Writer { map, core, shards: &mut one, database, share }.report(key);
        }
        Reply::Timed
    }

    fn call(&mut self, caller: &Caller<'_>, call: &Call<'_>, share: Share<'_>) -> Reply {
        if call.is_whole() {
            // Nothing changes, so nobody else need wait.
            let clock = self.map.clock();
            let seed = self.core.versions.position();
            let space = self.core.ledger.spaces.of(caller.database);
            return Reply::Data(calls::walk(&Walking { whole: &*self.map, space, clock, seed }, call));
        }
        if call.is_script() {
            let limited = self.map.directory.limited(caller.user);
            let Kv { map, core, .. } = self;
            let (mut shards, seed) = (map.write_everything(), core.versions.position());
            return write((map, core), &mut shards, (caller.database, share), |writer| {
                calls::eval(writer, call, seed, limited.as_deref())
            });
        }
        let places = self.places(call.keys());
        let Kv { map, core, .. } = self;
        let mut shards = if call.changes_all() { map.write_everything() } else { map.write_all(&places) };
        let shards = &mut shards as &mut dyn Change;
        Reply::Data(write((map, core), shards, (caller.database, share), |writer| {
            calls::execute(writer, call)
        }))
    }
}

/// Whose command it is, for which database, and what it does.
fn innermost<'c>(caller: Caller<'c>, command: &'c [u8]) -> (Caller<'c>, Command<'c>) {
    match command::decode(command).expect("decode has checked it") {
        Command::By { user, called, command } => {
            innermost(Caller { user: Some(user), called: called.collect(), ..caller }, command)
        }
        Command::In { database, command } => innermost(Caller { database, ..caller }, command),
        command => (caller, command),
    }
}

/// Executes a command for a database on the shards of its keys, and publishes how many keys there are then.
pub(super) fn write<'w, S: Change + ?Sized, T>(
    (map, core): (&'w Map, &'w mut Core),
    shards: &'w mut S,
    (database, share): (Database, Share<'w>),
    act: impl FnOnce(&mut Writer<'w, S>) -> T,
) -> T {
    let mut writer = Writer { map, core, shards, database, share };
    let done = act(&mut writer);
    map.publish_counts(&writer.core.ledger);
    done
}
