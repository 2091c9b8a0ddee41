//! Servers that join a simulated cluster, and are removed from it.

use std::sync::Arc;

use niagara_engine::internals::sim::SimServer;
use niagara_engine::internals::snapshot::Header;
use niagara_engine::{EpochView, IdentityError, Member, MemberView, StartError, StateMachine};

/// What a server needs to join: the epoch that it is a member of, and the file of another server's snapshot.
#[derive(Clone, Debug)]
pub struct Joining {
    /// Goes into [`Config::join`](niagara_engine::Config::join).
    pub epoch: EpochView,
    /// What the server receives: for [`SimServer::open_newcomer`].
    pub first_state: (Arc<Header>, Vec<u8>),
}

/// What a server that has become a member needs to join, if one of these servers, which run, has it.
pub fn joining<'m, S: StateMachine>(
    machines: impl IntoIterator<Item = &'m SimServer<S>>,
    server: u64,
) -> Option<Joining> {
    machines.into_iter().find_map(|machine| {
        let epoch = machine.client().epoch();
        let first_state = machine.newest_snapshot()?;
        let header = &first_state.0;
        let fits = epoch.members.contains(&server) && header.cut().epoch.get() >= epoch.members_since;
        (fits && header.record().is_member(server)).then_some(Joining { epoch, first_state })
    })
}

/// How a server is named in a change of members, with the addresses that its configuration says.
pub fn view_of(member: &Member) -> MemberView {
    let Member { server, addresses, transfer } = member.clone();
    MemberView { server, addresses, transfer, weight: 100, ..MemberView::default() }
}

/// Whether a server does not start since it was removed.
pub fn was_removed(error: &StartError) -> bool {
    matches!(error, StartError::Removed { .. } | StartError::Identity(IdentityError::Removed { .. }))
}
