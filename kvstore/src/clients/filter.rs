//! Which clients somebody means.

use super::kind::Kind;
use super::seat::Seat;

/// All that must be true of a client. The default means everybody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    ids: Option<Vec<u64>>,
    from: Option<Vec<u8>>,
    at: Option<Vec<u8>>,
    kind: Option<Kind>,
    user: Option<Vec<u8>>,
}

impl Filter {
    /// Only these, in this order.
    pub(crate) fn with_ids(self, ids: impl IntoIterator<Item = u64>) -> Filter {
        Filter { ids: Some(ids.into_iter().collect()), ..self }
    }

    /// Only one that comes from this address.
    pub(crate) fn of_address(self, address: &[u8]) -> Filter {
        Filter { from: Some(address.to_vec()), ..self }
    }

    /// Only those that have connected to this address.
    pub(crate) fn at_address(self, address: &[u8]) -> Filter {
        Filter { at: Some(address.to_vec()), ..self }
    }

    pub(crate) fn of_kind(self, kind: Kind) -> Filter {
        Filter { kind: Some(kind), ..self }
    }

    pub(crate) fn of_user(self, user: &[u8]) -> Filter {
        Filter { user: Some(user.to_vec()), ..self }
    }

    pub(super) fn ids(&self) -> Option<&[u64]> {
        self.ids.as_deref()
    }

    /// Whether a client is meant, apart from its id.
    pub(super) fn means(&self, seat: &Seat) -> bool {
        let is = |wanted: &Option<Vec<u8>>, text: fn(&Seat) -> String| {
            wanted.as_ref().is_none_or(|wanted| *wanted == text(seat).into_bytes())
        };
        is(&self.from, Seat::peer)
            && is(&self.at, Seat::local)
            && self.kind.is_none_or(|kind| kind == seat.kind())
            && self.user.as_ref().is_none_or(|user| seat.is_of_user(user))
    }
}
