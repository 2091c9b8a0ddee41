//! A request for other members that this server has been given: whether it is under way, and why it had no effect.

use parking_lot::Mutex;

/// The latest request.
#[derive(Default)]
pub(crate) struct Change(Mutex<Request>);

#[derive(Default)]
struct Request {
    is_under_way: bool,
    refused: Option<String>,
}

impl Change {
    /// Begins a request, unless another one is under way.
    pub fn begins(&self) -> bool {
        let mut request = self.0.lock();
        let may_begin = !request.is_under_way;
        if may_begin {
            *request = Request { is_under_way: true, refused: None };
        }
        may_begin
    }

    /// The request has been made, or refused.
    pub fn ends(&self, refused: Option<String>) {
        if let Some(why) = &refused {
            tracing::warn!("other members were asked for, without effect: {why}");
        }
        *self.0.lock() = Request { is_under_way: false, refused };
    }

    /// Why it had no effect.
    pub fn refused(&self) -> Option<String> {
        self.0.lock().refused.clone()
    }
}
