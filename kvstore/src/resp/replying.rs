//! Which replies a client wants: CLIENT REPLY.

/// See the [module](self).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Replying {
    #[default]
    On,
    Off,
    /// All but the reply to the next request.
    Skip,
}

impl Replying {
    /// Whether the next request gets no reply.
    pub(super) fn is_silent_once(&mut self) -> bool {
        let silent = *self != Replying::On;
        if *self == Replying::Skip {
            *self = Replying::On;
        }
        silent
    }
}
