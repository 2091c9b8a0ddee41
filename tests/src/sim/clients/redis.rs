//! Requests as Redis commands, and what Redis replies mean.

use super::reads::STRONG;
use super::{Call, Checks, Clients};
use crate::Value;
use crate::invariants::{
    Broken, check_delete_is_whole, check_mset_is_whole, check_refused_mset_sets_nothing,
};
use crate::linearizability::{Condition, Input, Output};
use crate::resp::encode;
use crate::sim::request::{
    APPENDED, GROUP, KEYS, PAIR, Request, appended, deleted_with_group, expiring_key, fifo_key, name,
    stray_key,
};
use crate::sim::sizes::{number_in, text};

/// The words of errors that say that nothing was executed.
const REFUSALS: [&str; 6] = ["OVERLOADED", "NOQUORUM", "READONLY", "NOCLOCK", "OOM", "LOADING"];

/// Part of the error that refuses too long a command.
const TOO_LARGE: &str = "bytes, but the limit is";

/// The bytes of a request; Redis cannot express a condition on a version.
pub(super) fn bytes_of(request: &Request) -> Vec<u8> {
    let group = |head: &str| [head].iter().chain(&GROUP).map(|word| Vec::from(*word)).collect();
    let words: Vec<Vec<u8>> = match request {
        Request::Key { key, input } => words_of(&name(*key), input),
        // There are two ways to express it.
        Request::Swap { key, value } if key % 2 == 0 => {
            vec!["GETSET".into(), name(*key).into(), text(*value)]
        }
        Request::Swap { key, value } => {
            vec!["SET".into(), name(*key).into(), text(*value), "GET".into()]
        }
        Request::SetPair(value) => mset("MSET", &PAIR, *value),
        Request::GetPair => ["MGET", PAIR[0], PAIR[1]].map(Vec::from).into(),
        Request::Group(Input::Set { value, condition: Condition::IfAbsent }) => {
            let [a, b, c] = GROUP;
            mset("MSETNX", &[&stray_key(*value), a, b, c], *value)
        }
        Request::Group(Input::Set { value, .. }) => mset("MSET", &GROUP, *value),
        Request::Group(Input::Delete { .. }) => {
            ["DEL"].into_iter().chain(deleted_with_group()).map(Vec::from).collect()
        }
        Request::Group(_) => group("MGET"),
        Request::Stray(value) => vec!["GET".into(), stray_key(*value).into()],
        Request::FlushAll => vec!["FLUSHALL".into()],
        Request::Append(number) => vec!["APPEND".into(), APPENDED.into(), appended(*number)],
        Request::Appended => ["GET", APPENDED].map(Vec::from).into(),
        Request::AppendedLength => ["STRLEN", APPENDED].map(Vec::from).into(),
        Request::Scan { cursor, count } => {
            vec!["SCAN".into(), cursor.to_string().into(), "COUNT".into(), count.to_string().into()]
        }
        // There are several ways to express it.
        Request::Expiring { key, lasts } if key % 3 == 0 => {
            vec!["PSETEX".into(), expiring_key(*key).into(), lasts.to_string().into(), "v".into()]
        }
        Request::Expiring { key, lasts } => {
            let (key, lasts) = (expiring_key(*key).into(), lasts.to_string().into());
            vec!["SET".into(), key, "v".into(), "PX".into(), lasts]
        }
        Request::LookAtExpiring(key) if key % 2 == 0 => {
            vec!["EXISTS".into(), expiring_key(*key).into()]
        }
        Request::LookAtExpiring(key) => vec!["GET".into(), expiring_key(*key).into()],
        Request::Fifo { connection, number } => {
            vec!["SET".into(), fifo_key(*connection).into(), number.to_string().into()]
        }
        Request::OwnWrite { connection, .. } => vec!["GET".into(), fifo_key(*connection).into()],
        Request::Grant { user, may } => {
            let rules: &[&str] = if *may { &["on", "nopass", "allkeys", "+set"] } else { &["-set"] };
            let user = format!("user-{user}");
            let words = ["ACL", "SETUSER", &user].into_iter().chain(rules.iter().copied());
            words.map(Vec::from).collect()
        }
        Request::Become(user) => vec!["AUTH".into(), format!("user-{user}").into(), "x".into()],
        Request::SetAsUser { user, value } => {
            vec!["SET".into(), format!("of-user-{user}").into(), value.to_string().into()]
        }
        Request::BecomeNobody => vec!["RESET".into()],
        Request::Elsewhere(number) => elsewhere(*number),
        Request::Cache(number) => cache(*number),
        Request::Refresh { .. }
        | Request::AtLeast { .. }
        | Request::Weak { .. }
        | Request::Once(_)
        | Request::Health => {
            unreachable!("Redis has no words for it")
        }
    };
    encode(&words)
}

/// Copies a shared key to another database, exchanges two of these, or says which notices are sent.
fn elsewhere(number: u64) -> Vec<Vec<u8>> {
    let database = |number: u64| (1 + number % 3).to_string().into_bytes();
    let key = || Vec::from(name((number % u64::from(KEYS)) as u8));
    match number / 16 % 4 {
        0 | 1 => vec!["COPY".into(), key(), key(), "DB".into(), database(number), "REPLACE".into()],
        2 => vec!["SWAPDB".into(), database(number), database(number / 3)],
        _ => {
            let letters = if number.is_multiple_of(2) { "KEA" } else { "Ex" };
            ["CONFIG", "SET", "notify-keyspace-events", letters].map(Vec::from).into()
        }
    }
}

/// Limits memory, or sets, copies or reads a key that may be evicted, and is nobody else's.
fn cache(number: u64) -> Vec<Vec<u8>> {
    let (what, number) = (number % 16, number / 16);
    let key = || format!("cache-{}", number % 100).into_bytes();
    match what {
        0 => {
            let policy =
                ["volatile-lru", "volatile-lru", "volatile-random", "volatile-ttl"][number as usize % 4];
            let most = ["15k", "25k", "25k", "0"][number as usize / 4 % 4];
            ["CONFIG", "SET", "maxmemory", most, "maxmemory-policy", policy].map(Vec::from).into()
        }
        1..=8 => {
            let value = vec![b'c'; 100 + number as usize % 300];
            vec!["SET".into(), key(), value, "PX".into(), (1000 + number % 1500).to_string().into()]
        }
        9 => vec!["COPY".into(), key(), key(), "DB".into(), (1 + number % 3).to_string().into()],
        10 => ["SWAPDB", "1", "3"].map(Vec::from).into(),
        _ => vec!["GET".into(), key()],
    }
}

fn mset(command: &str, keys: &[&str], value: u64) -> Vec<Vec<u8>> {
    let pairs = keys.iter().flat_map(|key| [Vec::from(*key), value.to_string().into()]);
    [command.into()].into_iter().chain(pairs).collect()
}

fn words_of(key: &str, input: &Input) -> Vec<Vec<u8>> {
    let key = key.into();
    match input {
        Input::Get => vec!["GET".into(), key],
        Input::Set { value, condition } => {
            let mut words = vec!["SET".into(), key, text(*value)];
            match condition {
                Condition::Always => {}
                Condition::IfAbsent => words.push("NX".into()),
                Condition::IfPresent => words.push("XX".into()),
                Condition::IfVersion(_) => unreachable!("Redis clients do not know versions"),
            }
            words
        }
        Input::Delete { .. } => vec!["DEL".into(), key],
        Input::Increment { by } => vec!["INCRBY".into(), key, by.to_string().into()],
    }
}

impl Clients {
    /// A reply to a client's oldest request has arrived.
    pub(super) fn end_redis(
        &mut self,
        client: usize,
        call: &Call,
        value: &Value,
        checks: &mut Checks<'_>,
    ) -> Result<(), Broken> {
        match (&call.request, value) {
            (Request::Become(_), Value::Error(text)) if text.starts_with("WRONGPASS") => {
                // This server does not know the user yet: what follows is not its.
                self.clients[client].is_user = false;
                Ok(())
            }
            (Request::SetAsUser { .. }, Value::Error(text)) if text.starts_with("NOPERM") => {
                checks.coverage.count("right missed");
                Ok(())
            }
            (Request::Grant { user, .. }, Value::Error(text)) => {
                self.rights.lost(*user);
                self.end_redis_error(client, call, text, checks)
            }
            (_, Value::Error(text)) => self.end_redis_error(client, call, text, checks),
            (Request::Key { key, input }, value) => {
                let output = output_of(input, value).ok_or_else(|| strange(call, value))?;
                if *input == Input::Get {
                    self.show_all(client, call, &[&name(*key)], std::slice::from_ref(value), checks)?;
                }
                self.end(client, call, output, checks)
            }
            (Request::Swap { .. }, value) => {
                let before = optional_number(value).ok_or_else(|| strange(call, value))?;
                checks.coverage.count("value swapped");
                self.end(client, call, Output::Swapped { before }, checks)
            }
            (Request::Group(input), value) => self.end_group(client, call, input, value, checks),
            (Request::GetPair, Value::Array(values)) if values.len() == PAIR.len() => {
                checks.count_read(STRONG);
                self.show_all(client, call, &PAIR, values, checks)?;
                check_mset_is_whole(values)
            }
            (Request::Stray(value), found @ (Value::Null | Value::Bulk(_))) => {
                checks.coverage.count("stray key looked for");
                let key = stray_key(*value);
                self.show_all(client, call, &[&key], std::slice::from_ref(found), checks)?;
                check_refused_mset_sets_nothing(&key, bytes_in(found))
            }
            (Request::Append(number), Value::Integer(length)) => {
                checks.coverage.count("append acknowledged");
                self.acknowledge(client, call, checks)?;
                self.appends.acknowledged(&appended(*number), *length as usize)
            }
            (Request::Appended, found @ (Value::Null | Value::Bulk(_))) => {
                checks.coverage.count("appended value read");
                self.show_all(client, call, &[APPENDED], std::slice::from_ref(found), checks)?;
                self.appends.read(call.appended, bytes_in(found).unwrap_or_default())
            }
            (Request::AppendedLength, Value::Integer(length)) => {
                self.appends.length(call.appended, *length as usize)
            }
            (Request::Scan { .. }, Value::Array(page)) => match page.as_slice() {
                [Value::Bulk(cursor), Value::Array(keys)] => self.scanned(client, cursor, keys, checks),
                _ => Err(strange(call, value)),
            },
            (Request::FlushAll, Value::Simple(_)) => {
                checks.coverage.count("everything flushed");
                Ok(())
            }
            (Request::OwnWrite { connection, number, .. }, found @ (Value::Null | Value::Bulk(_))) => {
                checks.coverage.count("own write read in a pipeline");
                let key = fifo_key(*connection);
                self.show_all(client, call, &[&key], std::slice::from_ref(found), checks)?;
                let shown = optional_number(found).ok_or_else(|| strange(call, value))?.unwrap_or(0);
                self.own_write_shown(client, &key, shown.cast_unsigned(), *number)
            }
            (Request::Fifo { .. } | Request::SetPair(_), Value::Simple(_)) => {
                self.acknowledge(client, call, checks)
            }
            (Request::Expiring { key, .. }, Value::Simple(_)) => {
                checks.coverage.count("key set to expire");
                self.clients[client].expiring.insert(*key);
                self.expiry.acknowledged(*key, self.now);
                Ok(())
            }
            (Request::Grant { user, may }, Value::Simple(_)) => {
                checks.coverage.count(if *may { "right given" } else { "right taken" });
                self.rights.changed(*user);
                Ok(())
            }
            (Request::Become(_), Value::Simple(_)) => {
                self.clients[client].is_user = true;
                Ok(())
            }
            (Request::SetAsUser { user, .. }, Value::Simple(_)) => {
                if self.clients[client].is_user {
                    checks.coverage.count("right used");
                    self.rights.used(*user, call.right)?;
                }
                Ok(())
            }
            (Request::BecomeNobody, Value::Simple(_)) => Ok(()),
            (Request::Elsewhere(_), Value::Integer(0 | 1)) => {
                checks.coverage.count("key copied to another database");
                Ok(())
            }
            (Request::Elsewhere(_), Value::Simple(_)) => {
                checks.coverage.count("databases exchanged or notices set");
                Ok(())
            }
            (Request::Cache(_), Value::Simple(_) | Value::Integer(0 | 1)) => {
                checks.coverage.count("memory limited, or key set that may be evicted");
                Ok(())
            }
            (Request::Cache(_), Value::Null | Value::Bulk(_)) => {
                checks.coverage.count("key read that may be evicted");
                Ok(())
            }
            (Request::LookAtExpiring(key), value) => {
                let found = match value {
                    Value::Null | Value::Integer(0) => false,
                    Value::Bulk(_) | Value::Integer(1) => true,
                    _ => return Err(strange(call, value)),
                };
                checks.coverage.count(if found { "expiring key found" } else { "expired key not found" });
                if !found {
                    self.clients[client].expiring.remove(key);
                }
                self.expiry.looked(*key, found, call.begun, self.now)
            }
            _ => Err(strange(call, value)),
        }
    }

    /// The group is one key in the history: these commands are meant to test exactly that.
    fn end_group(
        &mut self,
        client: usize,
        call: &Call,
        input: &Input,
        value: &Value,
        checks: &mut Checks<'_>,
    ) -> Result<(), Broken> {
        let output = match (input, value) {
            (Input::Get, Value::Array(values)) if values.len() == GROUP.len() => {
                checks.coverage.count("group read");
                self.show_all(client, call, &GROUP, values, checks)?;
                check_mset_is_whole(values)?;
                output_of(input, &values[0]).ok_or_else(|| strange(call, value))?
            }
            (Input::Set { condition: Condition::IfAbsent, .. }, Value::Integer(1)) => {
                checks.coverage.count("group set if absent");
                Output::Written { value: None, version: None }
            }
            (Input::Set { value, condition: Condition::IfAbsent }, Value::Integer(0)) => {
                checks.coverage.count("group was not absent");
                self.clients[client].strays.push(*value);
                Output::ConditionFailed
            }
            (Input::Set { .. }, Value::Simple(_)) => Output::Written { value: None, version: None },
            (Input::Delete { .. }, Value::Integer(removed)) => {
                check_delete_is_whole(*removed, GROUP.len())?;
                checks.coverage.add("group deleted", u64::from(*removed > 0));
                Output::Deleted { existed: *removed > 0 }
            }
            _ => return Err(strange(call, value)),
        };
        self.end(client, call, output, checks)
    }

    /// A strong read of some keys has been answered. Amid a pipeline, it was executed before its reply left.
    fn show_all(
        &self,
        client: usize,
        call: &Call,
        keys: &[&str],
        values: &[Value],
        checks: &Checks<'_>,
    ) -> Result<(), Broken> {
        let shown = |value| bytes_in(value).map(|bytes| (bytes, None));
        let found: Vec<_> =
            keys.iter().zip(values).map(|(key, value)| (key.as_bytes(), shown(value))).collect();
        checks.states.shows_since(self.server_of(client), call.least, checks.executed, &found)
    }

    /// An error reply: refused, failed, or unknown.
    fn end_redis_error(
        &mut self,
        client: usize,
        call: &Call,
        text: &str,
        checks: &mut Checks<'_>,
    ) -> Result<(), Broken> {
        if text.contains(TOO_LARGE) {
            self.too_large(call, checks);
        } else if text.starts_with("UNKNOWN") {
            checks.coverage.count("outcome unknown");
        } else if REFUSALS.iter().any(|word| text.starts_with(word)) {
            self.refuse(call, checks);
        } else {
            let request = &call.request;
            let what = format!("client {client}: {request:?} is answered by {text}");
            return Err(Broken::new("reply_fits_request", what));
        }
        Ok(())
    }
}

fn strange(call: &Call, value: &Value) -> Broken {
    Broken::new("reply_fits_request", format!("{:?} is answered by {value:?}", call.request))
}

fn bytes_in(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Bulk(bytes) => Some(bytes),
        _ => None,
    }
}

/// A number, or null; `None` if it is neither.
fn optional_number(value: &Value) -> Option<Option<i64>> {
    match value {
        Value::Null => Some(None),
        Value::Bulk(bytes) => Some(Some(number_in(bytes)?)),
        _ => None,
    }
}

/// What a reply says about an operation on a key; `None` if it does not fit.
fn output_of(input: &Input, value: &Value) -> Option<Output> {
    Some(match (input, value) {
        (Input::Get, value) => match optional_number(value)? {
            None => Output::Absent,
            Some(value) => Output::Found { value, version: None },
        },
        (Input::Set { .. }, Value::Simple(_)) => Output::Written { value: None, version: None },
        (Input::Set { .. }, Value::Null) => Output::ConditionFailed,
        (Input::Increment { .. }, Value::Integer(sum)) => {
            Output::Written { value: Some(*sum), version: None }
        }
        (Input::Delete { .. }, Value::Integer(removed)) => Output::Deleted { existed: *removed == 1 },
        _ => return None,
    })
}
