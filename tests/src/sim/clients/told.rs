//! What clients conclude from answers, however these arrived.

use bytes::Bytes;
use niagara_kvstore::{CommandError, KvReader, Reply};

use super::reads::{AT_LEAST, STRONG, WEAK};
use super::{Call, CallResult, Checks, Clients};
use crate::Value;
use crate::invariants::{Broken, FIFO, check_read_is_in_its_place};
use crate::linearizability::{Input, Output};
use crate::sim::request::{Request, Seen, fifo_key, name, number_of, version_of};
use crate::sim::sizes::number_in;

impl Checks<'_> {
    /// A read has shown a key, or that it does not exist, in a state with everything up to position `least`.
    /// Amid a pipeline, it was executed before its reply left.
    pub(super) fn shows_since(
        &self,
        server: u64,
        least: u64,
        key: &str,
        found: Option<(&[u8], Option<u64>)>,
    ) -> Result<(), Broken> {
        let found = found.map(|(value, version)| (value, version.map(version_of)));
        self.states.shows_since(server, least, self.executed, &[(key.as_bytes(), found)])
    }

    /// A read has shown a key, or that it does not exist.
    pub(super) fn shows(&self, server: u64, key: &str, found: Option<&[u8]>) -> Result<(), Broken> {
        self.states.shows(server, self.executed, key.as_bytes(), found.map(|value| (value, None)))
    }

    /// A read has shown a key, and its version if that is known.
    pub(super) fn shows_version(
        &self,
        server: u64,
        key: &str,
        value: &[u8],
        version: Option<u64>,
    ) -> Result<(), Broken> {
        let found = Some((value, version.map(version_of)));
        self.states.shows(server, self.executed, key.as_bytes(), found)
    }

    /// A server claims that a read was of this position, or a later one.
    pub(super) fn says_position(&self, server: u64, position: u64) -> Result<(), Broken> {
        self.states.says_position(server, self.executed, position)
    }
}

impl Call {
    /// The least position that a read must see.
    pub(super) fn must_see(&self) -> u64 {
        match self.request {
            Request::AtLeast { position, .. } => position,
            Request::Weak { .. } | Request::OwnWrite { weak: true, .. } => 0,
            _ => self.least,
        }
    }
}

impl Clients {
    /// Takes the result of a call of the engine. Returns whether the client still waited for it.
    pub fn told(
        &mut self,
        server: u64,
        token: u64,
        told: &CallResult,
        checks: &mut Checks<'_>,
    ) -> Result<bool, Broken> {
        let Some(client) = self.tokens.remove(&token) else { return Ok(false) };
        let Some(call) = self.clients[client].waiting.pop_front() else { return Ok(false) };
        assert_eq!(call.token, token, "one call at a time");
        let output = match told {
            CallResult::Unknown => {
                checks.coverage.count("outcome unknown");
                return Ok(true);
            }
            CallResult::Refused | CallResult::ReadFailed => {
                self.refuse(&call, checks);
                return Ok(true);
            }
            CallResult::Applied(position, reply) | CallResult::AppliedThenRead(position, reply, _)
                if *reply == Reply::Failed(CommandError::OutOfMemory) =>
            {
                checks.fresh.acknowledged(*position);
                self.refuse(&call, checks);
                return Ok(true);
            }
            CallResult::Applied(position, reply) => {
                checks.fresh.acknowledged(*position);
                self.position = self.position.max(*position);
                output_of(reply)?
            }
            CallResult::AppliedThenRead(position, reply, found) => {
                checks.fresh.acknowledged(*position);
                self.position = self.position.max(*position);
                let output = output_of(reply)?;
                read_behind_call(server, &call, (*position, output, found.as_ref()), checks)?;
                output
            }
            CallResult::Read { applied, found, .. } => {
                read_by_call(server, &call, (*applied, found.as_ref()), checks)?
            }
        };
        self.end(client, &call, output, checks)?;
        Ok(true)
    }

    /// Takes the answer to an operation.
    pub(super) fn end(
        &mut self,
        client: usize,
        call: &Call,
        output: Output,
        checks: &mut Checks<'_>,
    ) -> Result<(), Broken> {
        self.history.end(call.operation, output);
        if let Request::Key { key, input } = &call.request {
            self.see(client, *key, Some(input), output);
            if *input == Input::Get {
                checks.count_read(STRONG);
                if matches!(output, Output::Found { .. }) && call.request.is_long() {
                    checks.coverage.count("long value read");
                }
            }
        }
        if let Request::Refresh { key, .. } = call.request {
            self.see(client, key, None, output);
        }
        match output {
            Output::Written { .. } | Output::Swapped { .. } => self.acknowledge(client, call, checks),
            Output::ConditionFailed => {
                checks.coverage.count("conditional write lost");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Records what the client has seen of a key, in which version.
    fn see(&mut self, client: usize, key: u8, input: Option<&Input>, output: Output) {
        let (version, value) = match (input, output) {
            (_, Output::Found { value, version }) => (version, value),
            (Some(Input::Set { value, .. }), Output::Written { version, .. }) => {
                (version, value.cast_signed())
            }
            (_, Output::Written { value: Some(sum), version }) => (version, sum),
            _ => return,
        };
        if let Some(version) = version {
            self.clients[client].seen.insert(key, Seen { version, value });
        }
    }

    /// A write has been done.
    pub(super) fn acknowledge(
        &mut self,
        client: usize,
        call: &Call,
        checks: &mut Checks<'_>,
    ) -> Result<(), Broken> {
        checks.coverage.count("write acknowledged");
        if call.request.is_long() {
            checks.coverage.count("long value acknowledged");
        }
        if let Request::Fifo { connection, number } = call.request {
            self.clients[client].fifo_acknowledged = number;
            self.scans.lasts(fifo_key(connection).as_bytes());
        }
        match call.request.command(call.life).filter(|_| call.request.is_unlike_others()) {
            Some(command) => checks.acked.acknowledged(&command),
            None => Ok(()),
        }
    }

    /// A read of a connection's own key, behind the write of this number, has shown that one.
    pub(super) fn own_write_shown(
        &self,
        client: usize,
        key: &str,
        shown: u64,
        number: u64,
    ) -> Result<(), Broken> {
        if self.flushes {
            return Ok(());
        }
        check_read_is_in_its_place(key, shown, self.clients[client].fifo_acknowledged, number)
    }

    /// A request was not served: it has not happened, and never will.
    pub(super) fn refuse(&mut self, call: &Call, checks: &mut Checks<'_>) {
        checks.coverage.count("command refused");
        self.history.refuse(call.operation);
    }

    /// The same for one that is too long.
    pub(super) fn too_large(&mut self, call: &Call, checks: &mut Checks<'_>) {
        checks.coverage.count("command too large");
        self.history.refuse(call.operation);
    }

    /// Takes a page of a client's scan.
    pub(super) fn scanned(
        &mut self,
        client: usize,
        cursor: &[u8],
        keys: &[Value],
        checks: &mut Checks<'_>,
    ) -> Result<(), Broken> {
        let strange = |what: &str| Broken::new("reply_fits_request", format!("a scan is answered by {what}"));
        let key = |value: &Value| match value {
            Value::Bulk(key) => Ok(key.clone()),
            other => Err(strange(&format!("{other:?}"))),
        };
        let keys: Vec<Vec<u8>> = keys.iter().map(key).collect::<Result<_, _>>()?;
        let next: u64 = std::str::from_utf8(cursor)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| strange("no cursor"))?;
        let me = &mut self.clients[client];
        let walk = me.walk.as_mut().expect("a page is asked by who scans");
        if walk.cursor > 0 {
            checks.coverage.count("scan went on");
            checks.coverage.add("scan went on at another server", u64::from(walk.server != me.server));
        }
        (walk.cursor, walk.server) = (next, me.server);
        walk.scan.page(&keys, |key| key.starts_with(FIFO))?;
        if next == 0 {
            checks.coverage.count("scan complete");
            walk.scan.end()?;
            me.walk = None;
        }
        Ok(())
    }
}

/// Checks what a client has read right after its command.
fn read_behind_call(
    server: u64,
    call: &Call,
    (position, output, found): (u64, Output, Option<&(Bytes, u64)>),
    checks: &mut Checks<'_>,
) -> Result<(), Broken> {
    checks.coverage.count("read behind a call");
    let Request::Key { key, .. } = call.request else {
        unreachable!("only a write of a key is followed by a read")
    };
    let found = found.map(|(value, version)| (&value[..], Some(*version)));
    checks.shows_since(server, position - 1, &name(key), found)?;
    let shown = found.and_then(|(_, version)| version);
    let is_its = match output {
        Output::Written { version, .. } => shown == version,
        Output::Deleted { .. } => shown.is_none(),
        _ => true,
    };
    if is_its {
        return Ok(());
    }
    let what =
        format!("{:?} is answered by {output:?}, and a read right after it shows {found:?}", call.request);
    Err(Broken::new("fifo_per_connection", what))
}

fn read_by_call(
    server: u64,
    call: &Call,
    (applied, found): (u64, Option<&(Bytes, u64)>),
    checks: &mut Checks<'_>,
) -> Result<Output, Broken> {
    checks.fresh.answered(server, call.must_see(), applied)?;
    checks.says_position(server, applied)?;
    let key = match call.request {
        Request::AtLeast { key, .. } => {
            checks.count_read(AT_LEAST);
            key
        }
        Request::Weak { key } => {
            checks.count_read(WEAK);
            key
        }
        Request::Key { key, .. } => key,
        ref other => unreachable!("{other:?} is no read of a key"),
    };
    match found {
        Some((value, version)) => checks.shows_version(server, &name(key), value, Some(*version))?,
        None => checks.shows(server, &name(key), None)?,
    }
    output_of_read(found)
}

/// Reads a key as an embedding client does.
pub fn look(reader: &KvReader, key: &str) -> Option<(Bytes, u64)> {
    reader.get(key.as_bytes()).map(|(value, version)| (value, number_of(version)))
}

fn output_of(reply: &Reply) -> Result<Output, Broken> {
    Ok(match reply {
        Reply::Stored { version, .. } => Output::Written { value: None, version: Some(number_of(*version)) },
        Reply::Counted { value, version } => {
            Output::Written { value: Some(*value), version: Some(number_of(*version)) }
        }
        Reply::Deleted { removed } => Output::Deleted { existed: *removed == 1 },
        Reply::ConditionFailed { .. } => Output::ConditionFailed,
        other => return Err(Broken::new("reply_fits_request", format!("{other:?}"))),
    })
}

fn output_of_read(found: Option<&(Bytes, u64)>) -> Result<Output, Broken> {
    let Some((bytes, version)) = found else { return Ok(Output::Absent) };
    let strange = || Broken::new("reply_fits_request", format!("a key holds {bytes:?}"));
    Ok(Output::Found { value: number_in(bytes).ok_or_else(strange)?, version: Some(*version) })
}
