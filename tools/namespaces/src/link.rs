//! What a host sends to another one, and how a namespace learns where that is.

use crate::layout::{Host, NOWHERE, Subnet};

/// What a host sends to another one in a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    pub subnet: Subnet,
    pub from: Host,
    pub to: Host,
}

impl Link {
    /// The sender is told where the receiver is, or that it is nowhere.
    pub fn line(self, is_cut: bool) -> String {
        let real = self.subnet.ethernet(self.to);
        neighbour(self.subnet, self.to, if is_cut { NOWHERE } else { &real })
    }
}

/// Tells a namespace the Ethernet address of one of its neighbours.
pub(super) fn neighbour(subnet: Subnet, other: Host, ethernet: &str) -> String {
    format!("neigh replace {} lladdr {ethernet} dev {} nud permanent", subnet.address(other), subnet.device())
}
