//! What the included files need of the configuration.

pub(crate) const FIRST_LEVEL: u32 = 1;
