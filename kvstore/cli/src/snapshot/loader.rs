//! Loads keys into a running cluster: pipelines of SET commands over one connection.

use std::time::{Duration, Instant};
use std::{io, thread};

use niagara_client::redis::{Connection, Reply};
use niagara_kvstore::{Database, Description};

use super::rows::Described;
use crate::failure::Failure;
use crate::table::grouped;

/// Commands sent before their replies are read. They share log entries, so each costs little.
const BATCH_COMMANDS: usize = 1_000;
/// Bytes sent before replies are read: what one server holds in memory for us.
const BATCH_BYTES: usize = 4 << 20;
/// How long to wait before sending again what a server had no room for.
const PAUSE: Duration = Duration::from_millis(100);
/// How long to wait for the next acknowledgement from a server that asks to retry later.
const PATIENCE: Duration = Duration::from_secs(30);

/// What has been acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    pub keys: u64,
    /// Of keys and values.
    pub bytes: u64,
}

/// Where keys go. Each command has its reply before the next pipeline is sent.
pub struct Loader {
    connection: Connection,
    batch: Vec<Described>,
    /// What the server has been told to select last.
    selected: Database,
    batch_bytes: usize,
    loaded: Loaded,
}

/// A refused command.
struct Refusal {
    /// How many commands before it were acknowledged.
    acknowledged: usize,
    text: String,
}

impl Loader {
    pub fn new(connection: Connection) -> Loader {
        Loader {
            connection,
            batch: Vec::new(),
            selected: Database::FIRST,
            batch_bytes: 0,
            loaded: Loaded::default(),
        }
    }

    pub fn loaded(&self) -> Loaded {
        self.loaded
    }

    /// Adds a key, and sends the batch if it is full.
    pub fn add(&mut self, row: Described) -> Result<(), Failure> {
        self.batch_bytes += bytes_of(&row);
        self.batch.push(row);
        if self.batch.len() >= BATCH_COMMANDS || self.batch_bytes >= BATCH_BYTES {
            self.send()
        } else {
            Ok(())
        }
    }

    /// Sends the rest. Once this has returned, everything is acknowledged.
    pub fn finish(&mut self) -> Result<Loaded, Failure> {
        self.send()?;
        Ok(self.loaded)
    }

    /// Sends the batch until all of it is acknowledged. After a command that the server had no room for,
    /// everything is sent again from there on, so a key that comes twice keeps its last value.
    fn send(&mut self) -> Result<(), Failure> {
        let mut progressed = Instant::now();
        while !self.batch.is_empty() {
            let refusal = self.exchange().map_err(|error| self.failure(&connection_text(&error)))?;
            let acknowledged = refusal.as_ref().map_or(self.batch.len(), |refusal| refusal.acknowledged);
            if acknowledged > 0 {
                progressed = Instant::now();
                self.acknowledge(acknowledged);
            }
            let Some(Refusal { text, .. }) = refusal else { continue };
            if !may_be_retried(&text) || progressed.elapsed() > PATIENCE {
                return Err(self.failure(&format!("the server answered \"{text}\"")));
            }
            thread::sleep(PAUSE);
        }
        self.batch_bytes = 0;
        Ok(())
    }

    /// Sends the batch once. Returns the first refused command, if any.
    fn exchange(&mut self) -> io::Result<Option<Refusal>> {
        // Which replies are for rows.
        let mut rows = Vec::with_capacity(self.batch.len());
        for row in &self.batch {
            if row.database != self.selected {
                self.selected = row.database;
                self.connection.stage(&[b"SELECT", self.selected.number().to_string().as_bytes()]);
                rows.push(false);
            }
            rows.push(true);
            let ((key, value), description) = (&row.pair, row.description());
            let Description { content_type, content_encoding } = description;
            let mut words: Vec<&[u8]> = if description.is_empty() {
                vec![b"SET", key, value]
            } else {
                vec![b"NIAGARA.PUT", key, value, content_type, content_encoding]
            };
            let deadline = row.deadline.map(|deadline| deadline.to_string());
            if let Some(deadline) = &deadline {
                words.extend([&b"PXAT"[..], deadline.as_bytes()]);
            }
            self.connection.stage(&words);
        }
        let (mut refusal, mut acknowledged) = (None, 0);
        let mut rows = rows.into_iter();
        self.connection.exchange(|reply| {
            if reply != Reply::Simple(b"OK") && refusal.is_none() {
                refusal = Some(Refusal { acknowledged, text: text_of(reply) });
            }
            acknowledged += usize::from(rows.next().unwrap_or(false));
        })?;
        Ok(refusal)
    }

    fn acknowledge(&mut self, count: usize) {
        self.loaded.keys += count as u64;
        self.loaded.bytes += self.batch.drain(..count).map(|row| bytes_of(&row) as u64).sum::<u64>();
    }

    fn failure(&self, what: &str) -> Failure {
        let what = format!(
            "{what}: {} keys were acknowledged, and up to {} more may have been loaded",
            grouped(self.loaded.keys),
            grouped(self.batch.len() as u64)
        );
        let hint = "check with `niagara status`, and run it again with --merge: it overwrites what is there with the same values, \
                    which is harmless";
        Failure::unknown(what, hint)
    }
}

fn bytes_of(row: &Described) -> usize {
    row.pair.0.len() + row.pair.1.len()
}

/// Whether a server's error means that the command had no effect and may be retried.
fn may_be_retried(error: &str) -> bool {
    matches!(error.split_whitespace().next(), Some("OVERLOADED" | "NOQUORUM" | "READONLY" | "NOCLOCK"))
}

/// The number of keys in a cluster.
pub fn key_count(connection: &mut Connection) -> Result<u64, Failure> {
    let start = Instant::now();
    loop {
        let mut answer = Err("nothing".to_owned());
        connection.stage(&[b"DBSIZE"]);
        let exchanged = connection.exchange(|reply| {
            answer = match reply {
                Reply::Integer(count) => Ok(count.unsigned_abs()),
                other => Err(text_of(other)),
            };
        });
        let fail = |what: &str| {
            Err(Failure::refused(
                format!("cannot get the number of keys: {what}"),
                "check that this is a Niagara server's Redis address",
            ))
        };
        match (exchanged, answer) {
            (Err(error), _) => return fail(&connection_text(&error)),
            (Ok(()), Ok(count)) => return Ok(count),
            (Ok(()), Err(text)) if may_be_retried(&text) && start.elapsed() < PATIENCE => {
                thread::sleep(PAUSE);
            }
            (Ok(()), Err(text)) => return fail(&format!("the server answered \"{text}\"")),
        }
    }
}

fn connection_text(error: &io::Error) -> String {
    match error.kind() {
        // The system's text for a socket timeout is "Resource temporarily unavailable".
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "the server does not answer in time".into(),
        _ => format!("the connection broke: {error}"),
    }
}

fn text_of(reply: Reply<'_>) -> String {
    match reply {
        Reply::Simple(text) | Reply::Error(text) => String::from_utf8_lossy(text).into_owned(),
        Reply::Integer(number) => number.to_string(),
        Reply::Bulk(_) => "a value".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;
    use crate::snapshot::file::Kept;

    /// A server that reads some bytes and then answers, step by step, and finally closes.
    fn server(steps: Vec<(usize, &'static str)>) -> (Connection, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for (bytes, answer) in steps {
                stream.read_exact(&mut vec![0; bytes]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        (Connection::open(address).unwrap(), server)
    }

    /// Length of `SET k v`.
    const SET: usize = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n".len();

    fn three_keys(steps: Vec<(usize, &'static str)>) -> (Result<Loaded, Failure>, Loaded) {
        let (connection, server) = server(steps);
        let mut loader = Loader::new(connection);
        for key in [b"a", b"b", b"c"] {
            loader
                .add(Described::new(Kept {
                    database: Database::FIRST,
                    key,
                    value: b"v",
                    description: Description::NONE,
                    deadline: None,
                }))
                .unwrap();
        }
        let finished = loader.finish();
        server.join().unwrap();
        (finished, loader.loaded())
    }

    #[test]
    fn what_a_server_has_no_room_for_is_sent_again_from_there_on() {
        let answers = vec![(3 * SET, "+OK\r\n-OVERLOADED retry\r\n+OK\r\n"), (2 * SET, "+OK\r\n+OK\r\n")];
        assert_eq!(three_keys(answers).0.unwrap(), Loaded { keys: 3, bytes: 6 });
    }

    #[test]
    fn an_error_ends_it_with_what_was_acknowledged() {
        let (finished, loaded) = three_keys(vec![(3 * SET, "+OK\r\n+OK\r\n-ERR no\r\n")]);
        assert_eq!(loaded, Loaded { keys: 2, bytes: 4 });
        let failure = finished.unwrap_err();
        assert!(
            failure.what.contains("\"ERR no\": 2 keys were acknowledged, and up to 1 more"),
            "{failure:?}"
        );
        assert!(failure.hint.contains("harmless"), "{failure:?}");
    }

    #[test]
    fn so_does_a_broken_connection() {
        let (finished, _) = three_keys(vec![(3 * SET, "+OK\r\n")]);
        let failure = finished.unwrap_err();
        assert!(
            failure.what.contains("the connection broke") && failure.what.contains("0 keys"),
            "{failure:?}"
        );
    }

    #[test]
    fn keys_are_counted_when_a_quorum_answers() {
        let dbsize = "*1\r\n$6\r\nDBSIZE\r\n".len();
        let (mut connection, server) = server(vec![(dbsize, "-NOQUORUM no\r\n"), (dbsize, ":7\r\n")]);
        assert_eq!(key_count(&mut connection).unwrap(), 7);
        server.join().unwrap();
        assert!(key_count(&mut connection).unwrap_err().what.contains("the connection broke"));
    }
}
