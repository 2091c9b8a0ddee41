//! How long a measurement takes.

/// Times, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Under load, before the window.
    pub warm_up: f64,
    /// The measured window.
    pub seconds: f64,
}

impl Timing {
    /// For a load that is there for what it does beforehand, and not to be measured.
    pub const SHORTEST: Timing = Timing { warm_up: 0.0, seconds: 0.1 };
}
