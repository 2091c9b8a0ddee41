//! Where clients find the members: as the chain of epochs says, or else as this server's file does.

use niagara_engine::{EpochView, ServerId};

use crate::config::Note;

/// The members of an epoch with the addresses that `pick` finds in their notes, or that the file says.
pub(crate) fn members<T: Clone>(
    epoch: &EpochView,
    configured: &[(ServerId, T)],
    pick: impl Fn(Note) -> Option<T>,
) -> Vec<(ServerId, T)> {
    // A server that knows no epoch yet.
    if epoch.members.is_empty() {
        return configured.to_vec();
    }
    let address = |server: &ServerId| {
        let contact = epoch.contacts.iter().find(|contact| contact.server == *server);
        let told = contact.and_then(|contact| pick(Note::parse(&contact.note)));
        let known =
            || configured.iter().find(|(member, _)| member == server).map(|(_, address)| address.clone());
        Some((*server, told.or_else(known)?))
    };
    epoch.members.iter().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use niagara_engine::MemberView;

    use super::*;

    #[test]
    fn the_chain_comes_before_the_file() {
        let configured = [(1, "a".to_owned()), (2, "b".to_owned())];
        let http = |note: Note| note.http;
        let mut epoch = EpochView::default();
        assert_eq!(members(&epoch, &configured, http), configured);
        epoch.members = vec![1, 3, 4];
        let note = Note { http: Some("c".into()), ..Note::default() }.to_text();
        epoch.contacts = vec![MemberView { server: 3, note, ..MemberView::default() }];
        assert_eq!(members(&epoch, &configured, http), [(1, "a".into()), (3, "c".into())]);
    }
}
