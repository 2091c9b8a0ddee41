//! How a cluster makes sure that a strong read is fresh.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a cluster makes sure that a strong read sees everything that was acknowledged before it began. All
/// servers have the same setting, and refuse those with another.
///
/// ```
/// use niagara_engine::Reads;
///
/// assert_eq!("lease".parse(), Ok(Reads::Lease));
/// assert_eq!(Reads::default().to_string(), "quorum");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// Each batch of reads asks a quorum. This relies on no clock (`quorum`).
    #[default]
    Quorum,
    /// A leader that has heard from a quorum within 64 % of an election timeout answers at once; otherwise a
    /// quorum is asked (`lease`).
    ///
    /// This relies on clocks. On every machine, `CLOCK_BOOTTIME` runs at 80 to 125 % of real time, also while
    /// the machine sleeps. Do not use it where a virtual machine's clock stands still while the machine does,
    /// as after it was paused or restored from an image by a hypervisor that does not correct its clock: a
    /// server that is woken there may answer one read from before its pause.
    Lease,
}

/// A word that is not one of [`Reads`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is unknown; write \"quorum\" or \"lease\"")]
pub struct UnknownReads(String);

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Reads::Quorum => "quorum",
            Reads::Lease => "lease",
        })
    }
}

impl FromStr for Reads {
    type Err = UnknownReads;

    fn from_str(word: &str) -> Result<Self, UnknownReads> {
        let all = [Reads::Quorum, Reads::Lease];
        all.into_iter().find(|reads| reads.to_string() == word).ok_or_else(|| UnknownReads(word.to_owned()))
    }
}
