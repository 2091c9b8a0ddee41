use std::collections::BTreeSet;

use super::{Broken, hold};

/// A scan visits every key that exists from its begin to its end exactly once.
#[derive(Debug, Default)]
pub struct ScanIsComplete {
    lasting: BTreeSet<Vec<u8>>,
}

/// A scan in progress.
#[derive(Clone, Debug)]
pub struct Scan {
    /// What it has yet to visit.
    missing: BTreeSet<Vec<u8>>,
    visited: BTreeSet<Vec<u8>>,
}

const NAME: &str = "scan_is_complete";

impl ScanIsComplete {
    /// A client was told that a key exists, which nobody deletes.
    pub fn lasts(&mut self, key: &[u8]) {
        self.lasting.insert(key.to_vec());
    }

    /// A scan begins.
    pub fn begin(&self) -> Scan {
        Scan { missing: self.lasting.clone(), visited: BTreeSet::new() }
    }
}

impl Scan {
    /// A page has shown these keys; `lasts` tells those that nobody deletes.
    pub fn page(&mut self, keys: &[Vec<u8>], lasts: impl Fn(&[u8]) -> bool) -> Result<(), Broken> {
        for key in keys.iter().filter(|key| lasts(key)) {
            self.missing.remove(key);
            hold(self.visited.insert(key.clone()), NAME, || {
                format!("a scan visits {} twice", String::from_utf8_lossy(key))
            })?;
        }
        Ok(())
    }

    /// The last page has been read.
    pub fn end(&self) -> Result<(), Broken> {
        let missing = self.missing.first();
        hold(missing.is_none(), NAME, || {
            let key = String::from_utf8_lossy(missing.map_or(b"", Vec::as_slice));
            format!(
                "a scan has missed {} keys that were there before it began, {key} among them",
                self.missing.len()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_visited_once() {
        let mut scans = ScanIsComplete::default();
        scans.lasts(b"a");
        let mut scan = scans.begin();
        scans.lasts(b"b");
        let lasts = |key: &[u8]| key != b"c";
        scan.page(&[b"c".to_vec(), b"c".to_vec()], lasts).unwrap();
        assert!(scan.end().is_err(), "a is missing");
        scan.page(&[b"a".to_vec()], lasts).unwrap();
        scan.end().unwrap();
        assert!(scan.page(&[b"a".to_vec()], lasts).is_err(), "it was there before");
    }
}
