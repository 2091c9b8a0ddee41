//! The greeting: what both ends of a connection exchange before the first message.
//!
//! ```text
//! dialler                         listener
//!    | -- Hello -------------------> |   is this one of us, for this channel, and its turn to dial?
//!    | <------------- Hello -------- |   (or Refusal, and the listener closes)
//!    | -- Welcome -----------------> |   (or Refusal, and the dialler closes)
//!    | == messages, both ways ====== |
//! ```
//!
//! Three steps, so that neither end considers a connection usable that the other is about to refuse. The
//! dialler's first messages follow its Welcome without waiting for anything.
//!
//! Each greeting is the body of one [frame](crate::Frame), so it has a length and a checksum. All numbers are
//! little endian:
//!
//! | field | bytes | |
//! |---|---|---|
//! | magic | 8 | `NIAGARA\0` |
//! | version | 2 | [`VERSION`], or [`LEVELS_VERSION`] for a Hello with levels |
//! | kind | 1 | 1 Hello, 2 Refusal, 3 Welcome, 4 Hello with a promise |
//! | Hello | 138 and members | cluster u128, server u64, channel u32, channels u32, store u128, incarnation u64, 8 lives u64, application u128, number of members u16, their ids u64 |
//! | Hello with a promise | 8 and a Hello | promise u64, then as a Hello |
//! | levels | 8 | in force u32, known u32: in a Hello of version 5, before the cluster |
//! | Refusal | 18 and text | code u16, two numbers u64, at most 256 bytes of UTF-8 |
//!
//! Magic, version, kind and the form of a Refusal are the same in every version: a server can always read why
//! it was refused. A Hello must be of this version. A server whose cluster has leases says how long its promises last.
//! Releases that know no leases take that for malformed and refuse it, as they must.
//!
//! A server that knows more levels than the first says so in a Hello of version 5. An earlier release refuses that for its
//! version; then the dialler says hello again without levels, and the other end counts as one that knows the first only. A
//! listener answers as it was greeted.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::frame::Frame;
use crate::refusal::{Coded, MAX_REFUSAL_TEXT_BYTES, Refusal};

/// Version of the wire format, frames and greetings. Servers of different versions refuse each other.
pub const VERSION: u16 = 4;

/// Version of a [`Hello`] that says which [levels](Levels) the server knows.
pub const LEVELS_VERSION: u16 = 5;

/// The longest greeting, in bytes of body. No more than this is read from a connection that has not greeted
/// yet.
pub const MAX_GREETING_BYTES: usize = PRELUDE_BYTES + WITH_PROMISE_BYTES + LEVELS_BYTES + 8 * MAX_MEMBERS;

/// The most servers in a cluster.
pub const MAX_MEMBERS: usize = 64;

/// How many of its last starts a server names.
pub const LIVES: usize = 8;

const MAGIC: [u8; 8] = *b"NIAGARA\0";
const PRELUDE_BYTES: usize = 8 + 2 + 1;
/// Without the ids of the members.
const HELLO_BYTES: usize = 16 + 8 + 4 + 4 + 16 + 8 + 8 * LIVES + 16 + 2;
const WITH_PROMISE_BYTES: usize = 8 + HELLO_BYTES;
const LEVELS_BYTES: usize = 4 + 4;
const REFUSAL_BYTES: usize = 2 + 8 + 8;
const _: () = assert!(PRELUDE_BYTES + REFUSAL_BYTES + MAX_REFUSAL_TEXT_BYTES <= MAX_GREETING_BYTES);

const HELLO: u8 = 1;
const REFUSAL: u8 = 2;
const WELCOME: u8 = 3;
const HELLO_WITH_PROMISE: u8 = 4;

/// Which commands, entries and formats a server may use and knows: each level adds some to those below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// The level that is in force where the channel belongs: the other end has to know it.
    pub in_force: u32,
    /// The highest level that the server knows.
    pub known: u32,
}

impl Levels {
    /// Those of a release that says nothing of levels.
    pub const FIRST: Levels = Levels { in_force: 1, known: 1 };
}

/// Identity of one end of a connection, and the purpose of the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hello {
    /// Cluster id of the server.
    pub cluster: u128,
    /// Server id.
    pub server: u64,
    /// Channel of the connection. Those from 0xffff_8000 to 0xffff_fffe are for [probes](crate::probe).
    pub channel: u32,
    /// Number of channels that the server has.
    pub channels: u32,
    /// Identifies the server's data. A server that came back under its old id without its old data has
    /// another one.
    pub store: u128,
    /// Counts the starts of the server on that data. If an old copy of the data is restored, the count
    /// resumes from there.
    pub incarnation: u64,
    /// A random number for each of the last starts, the latest first; 0 for unknown ones. They distinguish
    /// the starts of an old copy from those that the server had before.
    pub lives: [u64; LIVES],
    /// Identifies what the application executes and with which limits. All servers of a cluster have the
    /// same.
    pub application: u128,
    /// Ids of all servers of the cluster, in rising order: the same on each of them, at most [`MAX_MEMBERS`].
    pub members: Vec<u64>,
    /// How long a follower promises its leader not to vote, in microseconds, so that the leader may answer
    /// reads by a lease; 0 if the cluster has no leases. The same on all servers.
    pub promise_us: u64,
    /// The levels in force and known; `None` for a server that knows the first only.
    pub levels: Option<Levels>,
}

impl Hello {
    /// The levels in force and known.
    pub fn levels(&self) -> Levels {
        self.levels.unwrap_or(Levels::FIRST)
    }

    /// What the same server says to one that knows of no levels.
    pub(crate) fn without_levels(&self) -> Hello {
        Hello { levels: None, ..self.clone() }
    }
}

/// One step of the greeting.
///
/// ```
/// use niagara_net::{Greeting, Hello};
///
/// let hello = Hello { cluster: 0xc1, server: 2, channel: 1, channels: 4, store: 0x57, ..Hello::default() };
/// let body = Greeting::Hello(hello.clone()).encode();
/// assert_eq!(Greeting::decode(&body), Ok(Greeting::Hello(hello)));
/// assert!(Greeting::decode(b"GET / HTTP/1.1").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// "This is who I am."
    Hello(Hello),
    /// "No, because", and the connection is closed.
    Refusal(Refusal),
    /// "You are who I dialled; messages follow."
    Welcome,
}

/// Why a body is not a greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GreetingError {
    /// It does not start like a greeting: another program has this port, or called it.
    #[error(
        "this is not the Niagara protocol: check that the address is that of a channel, not of a client port"
    )]
    NotNiagara,
    /// A Hello or Welcome of another version.
    #[error(
        "the other end speaks version {0} of the protocol, this one {VERSION}: run the same release on both"
    )]
    Version(u16),
    /// It starts like a greeting, but does not have the form of this version.
    #[error("a greeting is malformed: run the same release on both ends")]
    Malformed,
}

impl Greeting {
    /// The greeting as the body of a frame, at most [`MAX_GREETING_BYTES`] long.
    pub fn encode(&self) -> Bytes {
        let mut body = BytesMut::with_capacity(MAX_GREETING_BYTES);
        body.put_slice(&MAGIC);
        let with_levels = matches!(self, Greeting::Hello(Hello { levels: Some(_), .. }));
        body.put_u16_le(if with_levels { LEVELS_VERSION } else { VERSION });
        match self {
            Greeting::Hello(hello) => {
                if hello.promise_us == 0 {
                    body.put_u8(HELLO);
                } else {
                    body.put_u8(HELLO_WITH_PROMISE);
                    body.put_u64_le(hello.promise_us);
                }
                if let Some(Levels { in_force, known }) = hello.levels {
                    body.put_u32_le(in_force);
                    body.put_u32_le(known);
                }
                body.put_u128_le(hello.cluster);
                body.put_u64_le(hello.server);
                body.put_u32_le(hello.channel);
                body.put_u32_le(hello.channels);
                body.put_u128_le(hello.store);
                body.put_u64_le(hello.incarnation);
                hello.lives.iter().for_each(|life| body.put_u64_le(*life));
                body.put_u128_le(hello.application);
                body.put_u16_le(hello.members.len() as u16);
                hello.members.iter().for_each(|member| body.put_u64_le(*member));
            }
            Greeting::Refusal(refusal) => {
                let Coded { code, refuser, refused, text } = refusal.coded();
                body.put_u8(REFUSAL);
                body.put_u16_le(code);
                body.put_u64_le(refuser);
                body.put_u64_le(refused);
                body.put_slice(text.as_bytes());
            }
            Greeting::Welcome => body.put_u8(WELCOME),
        }
        assert!(body.len() <= MAX_GREETING_BYTES, "a greeting fits what a stranger may send");
        body.freeze()
    }

    /// Reads a frame's body as a greeting.
    ///
    /// # Errors
    ///
    /// If it is not a greeting, or one of another version.
    pub fn decode(mut body: &[u8]) -> Result<Greeting, GreetingError> {
        if body.len() < PRELUDE_BYTES || body.copy_to_bytes(MAGIC.len()) != MAGIC[..] {
            return Err(GreetingError::NotNiagara);
        }
        let version = body.get_u16_le();
        match (body.get_u8(), body.len()) {
            (REFUSAL, REFUSAL_BYTES..) => decode_refusal(body),
            _ if ![VERSION, LEVELS_VERSION].contains(&version) => Err(GreetingError::Version(version)),
            (HELLO, HELLO_BYTES..) => decode_hello(body, 0, version),
            (HELLO_WITH_PROMISE, WITH_PROMISE_BYTES..) => {
                let promise = Some(body.get_u64_le()).filter(|promise| *promise != 0);
                promise.map_or(Err(GreetingError::Malformed), |promise| decode_hello(body, promise, version))
            }
            (WELCOME, 0) if version == VERSION => Ok(Greeting::Welcome),
            _ => Err(GreetingError::Malformed),
        }
    }

    pub(crate) fn frame(&self) -> Frame {
        Frame::from(self.encode())
    }
}

/// An error if the number of members does not match the ids that follow.
fn decode_hello(mut body: &[u8], promise_us: u64, version: u16) -> Result<Greeting, GreetingError> {
    let with_levels = version == LEVELS_VERSION;
    if with_levels && body.len() < LEVELS_BYTES + HELLO_BYTES {
        return Err(GreetingError::Malformed);
    }
    let levels = with_levels.then(|| Levels { in_force: body.get_u32_le(), known: body.get_u32_le() });
    let mut hello = Hello {
        cluster: body.get_u128_le(),
        server: body.get_u64_le(),
        channel: body.get_u32_le(),
        channels: body.get_u32_le(),
        store: body.get_u128_le(),
        incarnation: body.get_u64_le(),
        lives: std::array::from_fn(|_| body.get_u64_le()),
        application: body.get_u128_le(),
        members: Vec::new(),
        promise_us,
        levels,
    };
    let members = usize::from(body.get_u16_le());
    if members > MAX_MEMBERS || body.len() != 8 * members {
        return Err(GreetingError::Malformed);
    }
    hello.members = (0..members).map(|_| body.get_u64_le()).collect();
    Ok(Greeting::Hello(hello))
}

fn decode_refusal(mut body: &[u8]) -> Result<Greeting, GreetingError> {
    let (code, refuser, refused) = (body.get_u16_le(), body.get_u64_le(), body.get_u64_le());
    let Ok(text) = str::from_utf8(body) else { return Err(GreetingError::Malformed) };
    let refusal = Refusal::from_coded(&Coded { code, refuser, refused, text });
    refusal.map(Greeting::Refusal).ok_or(GreetingError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello() -> impl Strategy<Value = Hello> {
        let numbers = any::<(u128, u64, u32, u32, u128, u64, [u64; LIVES], u128)>();
        let promise = prop_oneof![Just(0), any::<u64>()];
        let members = prop::collection::vec(any::<u64>(), 0..=MAX_MEMBERS);
        let levels = any::<Option<(u32, u32)>>()
            .prop_map(|levels| levels.map(|(in_force, known)| Levels { in_force, known }));
        (numbers, members, promise, levels).prop_map(|(numbers, members, promise_us, levels)| {
            let (cluster, server, channel, channels, store, incarnation, lives, application) = numbers;
            Hello {
                cluster,
                server,
                channel,
                channels,
                store,
                incarnation,
                lives,
                application,
                members,
                promise_us,
                levels,
            }
        })
    }

    fn refusal() -> impl Strategy<Value = Refusal> {
        prop_oneof![
            Just(Refusal::WrongCluster),
            any::<(u16, u16)>().prop_map(|(refuser, refused)| Refusal::WrongVersion { refuser, refused }),
            any::<(u32, u32)>().prop_map(|(refuser, refused)| Refusal::WrongChannel { refuser, refused }),
            any::<(u32, u32)>().prop_map(|(refuser, refused)| Refusal::WrongChannels { refuser, refused }),
            any::<(u64, u64)>().prop_map(|(expected, found)| Refusal::WrongServer { expected, found }),
            any::<u64>().prop_map(|server| Refusal::UnknownServer { server }),
            any::<(u64, u64)>().prop_map(|(refuser, refused)| Refusal::NotYourTurn { refuser, refused }),
            any::<u32>().prop_map(|channel| Refusal::NotOpen { channel }),
            any::<u64>().prop_map(|most| Refusal::Full { most }),
            ".{0,60}".prop_map(Refusal::Store),
            ".{0,60}".prop_map(Refusal::Members),
            ".{0,60}".prop_map(Refusal::Application),
            ".{0,60}".prop_map(Refusal::Reads),
            ".{0,60}".prop_map(Refusal::OldCopy),
            ".{0,60}".prop_map(Refusal::Level),
            (100u16.., ".{0,60}").prop_map(|(code, text)| Refusal::Other { code, text }),
        ]
    }

    fn greeting() -> impl Strategy<Value = Greeting> {
        prop_oneof![
            hello().prop_map(Greeting::Hello),
            refusal().prop_map(Greeting::Refusal),
            Just(Greeting::Welcome)
        ]
    }

    proptest! {
        #[test]
        fn a_greeting_survives_the_wire(greeting in greeting()) {
            prop_assert_eq!(Greeting::decode(&greeting.encode()), Ok(greeting));
        }

        #[test]
        fn a_cut_hello_is_no_greeting(hello in hello(), cut in any::<prop::sample::Index>()) {
            let body = Greeting::Hello(hello).encode();
            prop_assert!(Greeting::decode(&body[..cut.index(body.len())]).is_err());
        }

        #[test]
        fn bytes_behind_a_hello_or_welcome_are_not_accepted(hello in hello(), more in prop::collection::vec(any::<u8>(), 1..9)) {
            for greeting in [Greeting::Hello(hello), Greeting::Welcome] {
                let body = [&greeting.encode()[..], &more].concat();
                prop_assert_eq!(Greeting::decode(&body), Err(GreetingError::Malformed));
            }
        }

        #[test]
        fn random_bytes_are_not_niagara(noise in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(Greeting::decode(&noise), Err(GreetingError::NotNiagara));
        }

        #[test]
        fn random_bytes_behind_the_right_beginning_never_panic(kind in 0u8..6, noise in prop::collection::vec(any::<u8>(), 0..400)) {
            let body = [&MAGIC[..], &VERSION.to_le_bytes(), &[kind], &noise].concat();
            if let Ok(greeting) = Greeting::decode(&body) {
                // What was decoded encodes to the same bytes again.
                prop_assert_eq!(Greeting::decode(&greeting.encode()).unwrap().encode(), greeting.encode());
            }
        }

        #[test]
        fn a_flipped_bit_in_a_framed_greeting_is_noticed(greeting in greeting(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut wire = greeting.frame().slices().collect::<Vec<_>>().concat();
            let at = at.index(wire.len());
            wire[at] ^= 1 << bit;
            let mut reader = crate::FrameReader::new(MAX_GREETING_BYTES + 8, MAX_GREETING_BYTES);
            reader.room()[..wire.len()].copy_from_slice(&wire);
            reader.advance(wire.len());
            prop_assert!(!matches!(reader.next_body(), Ok(Some(_))));
        }
    }

    #[test]
    fn the_layout_of_a_hello() {
        let hello = Hello {
            cluster: 1,
            server: 2,
            channel: 3,
            channels: 4,
            store: 5,
            incarnation: 6,
            lives: [7, 0, 0, 0, 0, 0, 0, 8],
            application: 9,
            members: vec![10, 11],
            promise_us: 0,
            levels: None,
        };
        let body = Greeting::Hello(hello).encode();
        assert_eq!(body[..11], *b"NIAGARA\0\x04\0\x01");
        assert_eq!((body[11], body[27], body[35], body[39], body[43]), (1, 2, 3, 4, 5));
        assert_eq!((body[59], body[67], body[123], body[131], body[147]), (6, 7, 8, 9, 2));
        assert_eq!((body[149], body[157], body.len()), (10, 11, 165));
    }

    #[test]
    fn a_promise_precedes_the_rest_of_a_hello_if_there_is_one() {
        let hello = Hello { members: vec![10], promise_us: 500_000, ..Hello::default() };
        let mut body = Greeting::Hello(hello.clone()).encode().to_vec();
        assert_eq!((body[10], &body[11..19]), (4, &500_000u64.to_le_bytes()[..]));
        let without = Greeting::Hello(Hello { promise_us: 0, ..hello.clone() }).encode();
        assert_eq!((without[10], &without[11..]), (1, &body[19..]), "as the release before wrote it");
        assert_eq!(Greeting::decode(&body), Ok(Greeting::Hello(hello)));
        body[11..19].fill(0);
        assert_eq!(Greeting::decode(&body), Err(GreetingError::Malformed), "no promise is not written");
    }

    #[test]
    fn levels_precede_the_cluster_and_are_of_a_version_of_their_own() {
        let levels = Some(Levels { in_force: 2, known: 3 });
        let hello = Hello { members: vec![10], promise_us: 500_000, levels, ..Hello::default() };
        let body = Greeting::Hello(hello.clone()).encode();
        assert_eq!((body[8], body[10], body[19], body[23]), (5, 4, 2, 3));
        let without = Greeting::Hello(hello.without_levels()).encode();
        assert_eq!((without[8], &without[19..]), (4, &body[27..]), "as the release before wrote it");
        assert_eq!(Greeting::decode(&body), Ok(Greeting::Hello(hello)));
    }

    #[test]
    fn a_hello_with_more_members_than_a_cluster_can_have_is_malformed() {
        let levels = Some(Levels::FIRST);
        let hello = Hello { members: vec![1; MAX_MEMBERS], promise_us: 1, levels, ..Hello::default() };
        let mut body = Greeting::Hello(hello.clone()).encode().to_vec();
        assert_eq!(body.len(), MAX_GREETING_BYTES);
        assert_eq!(Greeting::decode(&body), Ok(Greeting::Hello(hello)));
        body[PRELUDE_BYTES + LEVELS_BYTES + WITH_PROMISE_BYTES - 2] += 1;
        body.extend(1u64.to_le_bytes());
        assert_eq!(Greeting::decode(&body), Err(GreetingError::Malformed));
    }

    #[test]
    fn a_hello_of_another_version_is_told_apart_from_noise() {
        let mut body = Greeting::Welcome.encode().to_vec();
        body[8] = 7;
        body.extend(b"fields of the future");
        assert_eq!(Greeting::decode(&body), Err(GreetingError::Version(7)));
    }

    #[test]
    fn a_refusal_of_another_version_is_understood() {
        let greeting = Greeting::Refusal(Refusal::WrongVersion { refuser: 7, refused: VERSION });
        let mut body = greeting.encode().to_vec();
        body[8] = 7;
        assert_eq!(Greeting::decode(&body), Ok(greeting));
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let text = format!("a{}", "ö".repeat(MAX_REFUSAL_TEXT_BYTES));
        let greeting = Greeting::decode(&Greeting::Refusal(Refusal::Store(text.clone())).encode());
        let Ok(Greeting::Refusal(Refusal::Store(cut))) = greeting else { panic!("{greeting:?}") };
        assert_eq!(cut, text[..MAX_REFUSAL_TEXT_BYTES - 1]);
    }
}
