//! What a POST to a page about the cluster changes.

use super::fault::Fault;
use super::page::Page;
use super::{groups, leaders, level, members};

/// What a request, whose body says how, wants to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Who leads.
    Leaders,
    /// The number of groups.
    Groups,
    /// The level, to a higher one.
    Level,
    Members,
}

impl Change {
    /// What a POST to a page changes.
    pub(super) fn of(page: Page) -> Option<Change> {
        [Change::Leaders, Change::Groups, Change::Level, Change::Members]
            .into_iter()
            .find(|change| change.page() == page)
    }

    /// The page that shows it.
    pub(super) fn page(self) -> Page {
        match self {
            Change::Leaders => Page::Leaders,
            Change::Groups => Page::Groups,
            Change::Level => Page::Level,
            Change::Members => Page::Members,
        }
    }

    /// The longest body, in bytes.
    pub(super) fn longest_body(self) -> usize {
        match self {
            Change::Leaders | Change::Groups | Change::Level => 1 << 10,
            // A thousand servers with a few addresses each.
            Change::Members => 256 << 10,
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Change::Leaders => leaders::HINT,
            Change::Groups => groups::HINT,
            Change::Level => level::HINT,
            Change::Members => members::HINT,
        }
    }

    pub(super) fn too_large(self) -> Fault {
        let message = format!("the body is longer than {} bytes", self.longest_body());
        Fault::new(413, "too_large", message, self.hint())
    }

    pub(super) fn without_body(self) -> Fault {
        let what = match self {
            Change::Leaders => "leaders",
            Change::Groups => "groups",
            Change::Level => "the level",
            Change::Members => "members",
        };
        Fault::length_required(format!("a change of {what} has a body"))
    }
}
