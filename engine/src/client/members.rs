//! Servers that come, leave, and move, while the cluster runs.

use std::thread;

use niagara_sequencer::epoch::{Chain, Contact, MAX_MEMBERS, Refused, Terms};

use super::epochs::{NotChanged, asks};
use super::handle::Client;
use crate::members::{MemberView, MembersChange};
use crate::progress::EpochProgress;
use crate::state_machine::StateMachine;

impl<S: StateMachine> Client<S> {
    /// Asks for other members. The epoch ends, at the same position on every server, and the next one goes on with the
    /// members of then. A server that comes has to be [started](crate::Config::join) when it is a member: until it has received
    /// a snapshot, it counts as one that is down. One that leaves stops when a majority of the others has gone on.
    /// [`epoch`](Self::epoch) shows when this server is there. The request may be lost with a leader, or come after another
    /// one: then the epoch that follows is another.
    ///
    /// # Errors
    /// If the request cannot be made here and now. Nothing has changed then.
    pub fn ask_for_members(&self, change: &MembersChange) -> Result<(), NotChanged> {
        let epoch = self.running_epoch()?;
        let next = self.terms_after(epoch, change)?;
        self.ask_for(epoch, next)
    }

    /// The same for servers that listen on TCP. First looks, on a thread of its own, whether those that come or move are where they
    /// are said to be, so that none is waited for that cannot be reached; [`epoch`](Self::epoch) shows if one is not. A server
    /// that comes answers with a [`ProbeResponder`](crate::ProbeResponder).
    ///
    /// # Errors
    /// As far as is known at once why it cannot happen.
    pub fn start_to_change_members(&self, change: MembersChange) -> Result<(), NotChanged> {
        let epoch = self.running_epoch()?;
        self.terms_after(epoch, &change)?;
        asks(epoch)?;
        if !self.shared.progress.change.begins() {
            return Err(NotChanged::UnderWay);
        }
        let client = self.clone();
        let asks = move || {
            let missing = client.running_epoch().ok().and_then(|epoch| client.missing(epoch, &change.come));
            let refused = match missing {
                Some(why) => Some(why),
                None => client.ask_for_members(&change).err().map(|why| why.to_string()),
            };
            client.shared.progress.change.ends(refused);
        };
        if let Err(error) = thread::Builder::new().name("members".into()).spawn(asks) {
            self.shared.progress.change.ends(Some(format!("cannot start a thread: {error}")));
        }
        Ok(())
    }

    /// Why a server that comes, or moves, is not where the others are to find it.
    fn missing(&self, epoch: &EpochProgress, come: &[MemberView]) -> Option<String> {
        let record = &epoch.record;
        let stays = |member: &MemberView| {
            let is_there = |known: &Contact| {
                (&known.addresses, &known.transfer) == (&member.addresses, &member.transfer)
            };
            self.shared.contact(record, member.server).is_some_and(is_there)
        };
        if let Some(twice) = come.iter().find(|member| has_one_twice(member)) {
            return Some(format!("server {} has one address for several purposes: correct it", twice.server));
        }
        let mut missing = come.iter().filter(|member| !stays(member)).filter_map(|member| {
            let why = self.shared.prober.find(member, record.terms.level).err()?;
            let hint = match record.is_member(member.server) {
                true => "start it there first, or correct the address",
                false => "start it with `niagara serve --join` before it is added, or correct the address",
            };
            Some(format!("{why}: {hint}"))
        });
        missing.next()
    }

    /// What follows from a change.
    fn terms_after(&self, epoch: &EpochProgress, change: &MembersChange) -> Result<Terms, NotChanged> {
        let MembersChange { leave, come } = change;
        let record = &epoch.record;
        if let Some(server) = leave.iter().find(|server| !record.is_member(**server)) {
            return Err(NotChanged::NotAMember { server: *server });
        }
        if let Some(member) = come.iter().find(|member| member.server == 0 || leave.contains(&member.server))
        {
            return Err(NotChanged::Address { server: member.server });
        }
        if let Some(member) = come.iter().find(|member| epoch.former.contains(&member.server)) {
            return Err(NotChanged::WasMember { server: member.server });
        }
        let stay = record.terms.members.iter().copied().filter(|server| !leave.contains(server));
        let stay: Vec<u64> = stay.collect();
        if stay.is_empty() && !come.is_empty() {
            return Err(NotChanged::NobodyStays);
        }
        let is_new = |member: &&MemberView| !record.is_member(member.server);
        let members: Vec<u64> =
            stay.iter().copied().chain(come.iter().filter(is_new).map(|member| member.server)).collect();
        let contact = |server: &u64| {
            let told = come.iter().find(|member| member.server == *server);
            told.cloned().map(Contact::from).or_else(|| self.shared.contact(record, *server).cloned())
        };
        let contacts = members.iter().filter_map(contact).collect();
        let next = Terms { members, contacts, ..record.terms.clone() };
        is_possible(&next)?;
        if next == record.terms {
            return Err(NotChanged::Same);
        }
        self.is_supported(&stay, next.members.len())?;
        Ok(next)
    }

    /// Whether the next epoch can go on with the members that stay: by a majority of all, or by all that stay if they are
    /// fewer.
    fn is_supported(&self, stay: &[u64], members: usize) -> Result<(), NotChanged> {
        let connected = self.shared.progress.connected.peers();
        let is_up = |server: &&u64| **server == self.shared.server || connected.contains(server);
        let (up, needed) = (stay.iter().filter(is_up).count(), (members / 2 + 1).min(stay.len()));
        if up < needed { Err(NotChanged::TooFewUp { up, needed }) } else { Ok(()) }
    }
}

/// Whether a member listens at one address for two of its addresses.
fn has_one_twice(member: &MemberView) -> bool {
    let all: Vec<&String> = member.addresses.iter().chain([&member.transfer]).collect();
    (1..all.len()).any(|at| all[..at].contains(&all[at]))
}

/// Whether an epoch can have these terms, whatever came before.
fn is_possible(terms: &Terms) -> Result<(), NotChanged> {
    let missing = |contact: &&Contact| contact.transfer.is_empty();
    if let Some(contact) = terms.contacts.iter().find(missing) {
        return Err(NotChanged::Address { server: contact.server });
    }
    match Chain::genesis(terms.clone()) {
        Ok(_) => Ok(()),
        Err(Refused::Contact(server) | Refused::MemberTwice(server) | Refused::MemberAgain(server)) => {
            Err(NotChanged::Address { server })
        }
        Err(_) => Err(NotChanged::Members { members: terms.members.len(), most: MAX_MEMBERS }),
    }
}
