//! Clients of the Redis protocol.

use niagara_kvstore::fuzzing::Beginning;
use niagara_kvstore::resp;

use super::script::{Cuts, Script};

/// Prefixes up to this length are parsed one by one.
const PREFIXES: usize = 200;

/// **Whatever a client sends, the session neither panics nor leaves anything in flight, and what the client is told does
/// not depend on the pieces in which its bytes arrive**, nor on when the engine answers. A request that is parsed from a
/// prefix of a stream is parsed the same from the whole stream.
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

fn shown(replies: &[u8]) -> impl std::fmt::Display + '_ {
    replies.escape_ascii()
}
