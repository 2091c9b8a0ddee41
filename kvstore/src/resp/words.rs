//! Words among the arguments of a request.

pub(super) use crate::table::is;

/// The start of what a client has sent, made fit for an error.
pub(super) fn shown(bytes: &[u8], most: usize) -> String {
    let cut = &bytes[..bytes.len().min(most)];
    String::from_utf8_lossy(cut).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
