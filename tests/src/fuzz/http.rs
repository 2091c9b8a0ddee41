//! Clients of HTTP.

use niagara_kvstore::fuzzing::{Beginning, Received};
use niagara_kvstore::http::{self, MAX_HEAD_BYTES};

use super::script::{Cuts, Script};

/// Prefixes up to this length are parsed one by one.
const PREFIXES: usize = 200;

/// What a client that asks is told before it sends a body. Whether it has to ask depends on what has come already.
const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// **Whatever a client sends, the session neither panics nor leaves anything in flight, and what the client is told does
/// not depend on the pieces in which its bytes arrive**, nor on when the engine answers; but for the word to go on with a
/// body, which is left out where the body has come. A head that is parsed from a prefix of a stream is parsed the same
/// from the whole stream.
///
/// ```text
/// count of cuts u8 | cuts | the client's bytes
/// ```
///
/// # Panics
/// When the property does not hold.
pub fn http(data: &[u8]) {
    let mut script = Script(data);
    let cuts = Cuts(script.sized(false));
    let stream = script.0;

    let whole = http::parse(stream);
    for end in 0..stream.len().min(PREFIXES) {
        let part = http::parse(&stream[..end]);
        assert!(part == Ok(None) || part == whole, "{part:?} from {end} bytes, {whole:?} from all");
    }
    if let Ok(Some(head)) = &whole {
        assert!(head.length <= stream.len().min(MAX_HEAD_BYTES), "{head:?}");
    }

    let beginning = Beginning::default();
    let converse = |cuts: Cuts<'_>| without_interim(beginning.http(cuts.pieces(stream)));
    let expected = converse(Cuts::NONE);
    for cuts in [Cuts::finest(stream), cuts] {
        let told = converse(cuts);
        assert!(
            told == expected,
            "cut as {cuts:?}: {}, not {}",
            told.replies.escape_ascii(),
            expected.replies.escape_ascii()
        );
    }
}

fn without_interim(mut told: Received) -> Received {
    let mut kept = Vec::with_capacity(told.replies.len());
    let mut rest = told.replies.as_slice();
    while let Some((first, tail)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(INTERIM) {
            rest = behind;
        } else {
            kept.push(*first);
            rest = tail;
        }
    }
    told.replies = kept;
    told
}
