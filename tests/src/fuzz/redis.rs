//! Clients of the Redis protocol.

use niagara_kvstore::fuzzing::Beginning;
use niagara_kvstore::resp;

use super::script::{Cuts, Script};

/// Prefixes up to this length are parsed one by one.
const PREFIXES: usize = 200;

/// **Whatever a client sends, the session neither panics nor leaves anything in flight, and what the client is told does
/// not depend on the pieces in which its bytes arrive**, nor on when the engine answers. A request that is parsed from a
/// prefix of a stream is parsed the same from the whole stream, and there is one way to write an array.
///
/// ```text
/// count of cuts u8 | cuts | the client's bytes
/// ```
///
/// # Panics
/// When the property does not hold.
pub fn redis(data: &[u8]) {
    let mut script = Script(data);
    let cuts = Cuts(script.sized(false));
    let stream = script.0;

    let whole = resp::parse(stream);
    for end in 0..stream.len().min(PREFIXES) {
        let part = resp::parse(&stream[..end]);
        assert!(part == Ok(None) || part == whole, "{part:?} from {end} bytes, {whole:?} from all");
    }
    if let Ok(Some(request)) = &whole {
        assert!((1..=stream.len()).contains(&request.length), "{request:?}");
        if stream[0] == b'*' && !request.arguments.is_empty() {
            assert_eq!(array(&request.arguments), stream[..request.length], "{request:?}");
        }
    }

    let beginning = Beginning::default();
    let expected = beginning.redis(Cuts::NONE.pieces(stream));
    for cuts in [Cuts::finest(stream), cuts] {
        let told = beginning.redis(cuts.pieces(stream));
        assert!(
            told == expected,
            "cut as {cuts:?}: {}, not {}",
            shown(&told.replies),
            shown(&expected.replies)
        );
    }
}

/// The only bytes that are an array of these arguments.
fn array(arguments: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        out.extend(format!("${}\r\n", argument.len()).bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn shown(replies: &[u8]) -> impl std::fmt::Display + '_ {
    replies.escape_ascii()
}
