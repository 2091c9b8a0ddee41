//! The members of an epoch: who they are, where, and which of them should lead which group.

use niagara_sequencer::epoch::{Contact, Record};

use super::{Config, Member, ServerId};

impl Config {
    /// The other members of an epoch: none, if this server is alone. Where the chain of epochs does not say where one is,
    /// the configuration does; one that neither knows has no address, and has to connect to this server.
    pub(crate) fn others(&self, record: &Record) -> Vec<Member> {
        let others = self.peers(record);
        others.into_iter().map(|server| self.member_of(record, server)).collect()
    }

    /// Their ids.
    pub(crate) fn peers(&self, record: &Record) -> Vec<ServerId> {
        let others = record.terms.members.iter().copied();
        others.filter(|server| *server != self.server && !self.alone).collect()
    }

    /// Where this follower finds members: those of an epoch, as the chain says, or the configuration where that says nothing.
    /// If `by_configuration`, the other way round, which helps if all have moved while this server was down.
    pub(crate) fn followed(&self, record: &Record, by_configuration: bool) -> Vec<Member> {
        let configured = self.members.iter().filter(|_| by_configuration || record.terms.contacts.is_empty());
        let mut members: Vec<Member> = configured.cloned().collect();
        for member in self.others(record) {
            if !member.transfer.is_empty() && members.iter().all(|known| known.server != member.server) {
                members.push(member);
            }
        }
        members
    }

    fn member_of(&self, record: &Record, server: ServerId) -> Member {
        let told = record.contact(server).map(Member::from);
        let configured = || self.members.iter().find(|member| member.server == server).cloned();
        let unknown = || Member { server, addresses: vec![String::new()], transfer: String::new() };
        told.or_else(configured).unwrap_or_else(unknown)
    }

    /// What the configuration says of members, for a chain of epochs that does not.
    pub(crate) fn contacts(&self) -> Vec<Contact> {
        let contact = |Member { server, addresses, transfer }: &Member| Contact {
            server: *server,
            addresses: addresses.clone(),
            transfer: transfer.clone(),
            weight: Contact::DEFAULT_WEIGHT,
            note: self.notes.get(server).cloned().unwrap_or_default(),
        };
        self.members.iter().map(contact).collect()
    }

    /// The server that should lead a group of an epoch, given by its zero-based index.
    pub(crate) fn wanted_leader(&self, record: &Record, group: u16) -> ServerId {
        if self.alone {
            return self.server;
        }
        let configured = self.leaders.get(usize::from(group)).copied();
        let fits = self.leaders.len() == usize::from(record.terms.groups);
        let configured = configured.filter(|server| fits && record.is_member(*server));
        configured.unwrap_or_else(|| leader_in_turn(record, record.terms.members.clone(), group))
    }

    /// The server that should lead a group at first: one that comes with this epoch has yet to receive the state.
    pub(crate) fn first_leader(&self, record: &Record, before: Option<&Record>, group: u16) -> ServerId {
        let wanted = self.wanted_leader(record, group);
        let Some(before) = before.filter(|before| !before.is_member(wanted)) else { return wanted };
        let mut stay = record.terms.members.clone();
        stay.retain(|member| before.is_member(*member));
        if stay.is_empty() { wanted } else { leader_in_turn(record, stay, group) }
    }
}

/// Members lead in turn, each as often as its weight says, and without runs where that can be. One whose weight is 0 leads
/// nothing, unless all are.
fn leader_in_turn(record: &Record, mut servers: Vec<ServerId>, group: u16) -> ServerId {
    servers.sort_unstable();
    let weight =
        |server: &ServerId| record.contact(*server).map_or(Contact::DEFAULT_WEIGHT, |contact| contact.weight);
    let mut weights: Vec<i64> = servers.iter().map(|server| weight(server).into()).collect();
    if weights.iter().all(|weight| *weight == 0) {
        weights.fill(1);
    }
    let all: i64 = weights.iter().sum();
    let mut due = vec![0; servers.len()];
    let mut leads = 0;
    for _ in 0..=group {
        due.iter_mut().zip(&weights).for_each(|(due, weight)| *due += weight);
        let most = *due.iter().max().expect("a cluster has members");
        leads = due.iter().position(|due| *due == most).expect("the greatest is one of them");
        due[leads] -= all;
    }
    servers[leads]
}

impl From<&Contact> for Member {
    fn from(contact: &Contact) -> Member {
        let Contact { server, addresses, transfer, .. } = contact;
        Member { server: *server, addresses: addresses.clone(), transfer: transfer.clone() }
    }
}

#[cfg(test)]
mod tests {
    use niagara_sequencer::epoch::{Chain, Terms};

    use super::*;

    fn leaders(weights: &[u16], groups: u16) -> Vec<u64> {
        let contact = |(server, weight): (u64, &u16)| Contact {
            server,
            addresses: vec!["h:1".into()],
            transfer: "h:2".into(),
            weight: *weight,
            note: String::new(),
        };
        let contacts: Vec<Contact> = (1..).zip(weights).map(contact).collect();
        let members: Vec<u64> = contacts.iter().map(|contact| contact.server).collect();
        let chain = Chain::genesis(Terms { groups, members: members.clone(), level: 1, contacts }).unwrap();
        (0..groups).map(|group| leader_in_turn(&chain.newest().record, members.clone(), group)).collect()
    }

    #[test]
    fn those_who_come_leave_the_first_leaderships_to_those_who_stay() {
        let terms = |members| Terms { groups: 4, members, level: 1, contacts: Vec::new() };
        let mut chain = Chain::genesis(terms(vec![1, 2])).unwrap();
        chain.extend(7, terms(vec![2, 3, 4])).unwrap();
        let (before, now) = (&chain.links()[0].record, &chain.links()[1].record);
        let config = Config::new(0, 2, Vec::new());
        let wanted: Vec<ServerId> = (0..4).map(|group| config.wanted_leader(now, group)).collect();
        assert_eq!(wanted, [2, 3, 4, 2]);
        let first = |before| (0..4).map(|group| config.first_leader(now, before, group)).collect::<Vec<_>>();
        assert_eq!(first(Some(before)), [2, 2, 2, 2]);
        assert_eq!(first(None), wanted);
    }

    #[test]
    fn members_lead_in_turn_by_weight() {
        assert_eq!(leaders(&[100, 100, 100], 7), [1, 2, 3, 1, 2, 3, 1]);
        assert_eq!(leaders(&[0, 0], 3), [1, 2, 1]);
        assert_eq!(leaders(&[100, 0, 100], 4), [1, 3, 1, 3]);
        let of_four = leaders(&[300, 100], 8);
        assert_eq!(of_four.iter().filter(|leader| **leader == 1).count(), 6);
        assert!(of_four[..4].contains(&2), "{of_four:?}");
    }
}
