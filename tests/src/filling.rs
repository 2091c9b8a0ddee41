//! Filling a store: many keys, many of them in flight at a time.

use std::io;
use std::ops::Range;

use crate::resp::encode;
use crate::{Resp, Value};

/// The name of the n-th key. All have the same length, so that what they take can be foreseen.
///
/// ```
/// assert_eq!(niagara_tests::filling::key(42), "key-0000000042");
/// ```
pub fn key(n: u64) -> String {
    format!("key-{n:010}")
}

/// Sets keys to values, `batch` of them in flight at a time, and calls `progress` with how many were acknowledged.
///
/// # Errors
/// When the server does not answer. Which of the last batch were written is unknown then.
///
/// # Panics
/// When it refuses a write.
pub fn fill(
    redis: &mut Resp,
    keys: Range<u64>,
    batch: u64,
    value: impl Fn(u64) -> Vec<u8>,
    mut progress: impl FnMut(u64),
) -> io::Result<()> {
    let mut from = keys.start;
    while from < keys.end {
        let to = keys.end.min(from + batch);
        let mut bytes = Vec::new();
        for n in from..to {
            bytes.extend(encode(&[b"SET", key(n).as_bytes(), &value(n)]));
        }
        redis.send(&bytes)?;
        for n in from..to {
            let reply = redis.receive()?;
            assert_eq!(reply, Value::Simple("OK".into()), "the write of {}", key(n));
        }
        progress(to - from);
        from = to;
    }
    Ok(())
}
