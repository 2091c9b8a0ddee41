//! Segment files that nobody has written.

use std::fs;

use super::log_on_disk::{LOG_ID, directory, segment_name, start, write_on};
use super::script::Script;
use super::segment_image::Sealing;

/// **Whatever stands in the files of a log's directory, a start gives an error and changes nothing, or gives a log that
/// contradicts itself nowhere, can be read from start to end, and can be written on.** Where every checksum is right and
/// only the contents make no sense, too: a start must not rely on whoever wrote the file.
///
/// ```text
/// form u8 | (count - 1) x length of a segment u16 | the segments, the last one all the rest
/// form: 1 sealed, 2 frames numbered one after the other, 2 bits the first segment's number,
///       2 bits count - 1, 1 lengths stay as they are
/// ```
///
/// Sealed segments get their headers and checksums here, see `segment_image`.
///
/// # Panics
/// When the property does not hold.
pub fn log_forgery(data: &[u8]) {
    let mut script = Script(data);
    let form = script.byte();
    let first = match form >> 2 & 3 {
        0 => 1,
        1 => 5,
        2 => u64::MAX - 5,
        _ => u64::MAX,
    };
    let lengths: Vec<usize> = (0..form >> 4 & 3).map(|_| script.short()).collect();
    let mut segments: Vec<Vec<u8>> = lengths.into_iter().map(|length| script.take(length).to_vec()).collect();
    segments.push(script.0.to_vec());

    let dir = directory();
    let mut sealing = Sealing { fit: form & 0x40 == 0, sequence: (form & 2 != 0).then_some(1) };
    for (number, bytes) in (first..=u64::MAX).zip(&mut segments) {
        if form & 1 != 0 {
            sealing.seal(bytes, LOG_ID, number);
        }
        fs::write(dir.path().join(segment_name(number)), bytes).expect("a file can be written");
    }
    if let Ok((store, writer, contents)) = start(dir.path()) {
        write_on(dir.path(), &store, writer, &contents);
    }
}
