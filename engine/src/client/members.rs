//! Servers that come, leave, and move, while the cluster runs.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use niagara_net::MAX_MEMBERS;
use niagara_sequencer::GlobalPosition;
use niagara_sequencer::epoch::{Chain, Contact, Epoch, Record, Refused, Terms};
use serde::{Deserialize, Serialize};

use super::epochs::{EpochView, NotChanged, asks};
use super::handle::Client;
use crate::progress::EpochProgress;
use crate::state_machine::StateMachine;

/// How long a server that is to come may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A member, and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// Its id.
    pub server: u64,
    /// `host:port` for its groups, which take turns if there are more of them.
    pub addresses: Vec<String>,
    /// `host:port` for snapshots.
    pub transfer: String,
    /// Its share of the leaderships, compared with those of the others: 100 if nothing else is said, 0 for none.
    #[serde(default = "default_weight")]
    pub weight: u16,
    /// What the application says of it, such as the addresses for its clients.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

fn default_weight() -> u16 {
    Contact::DEFAULT_WEIGHT
}

/// Servers that leave and come together, at one position of the global log.
///
/// ```
/// use niagara_engine::{MemberView, MembersChange};
///
/// // Server 4 replaces server 2, whose disk is gone.
/// let four = MemberView {
///     server: 4,
///     addresses: vec!["10.0.0.4:7301".into()],
///     transfer: "10.0.0.4:7300".into(),
///     weight: 100,
///     ..MemberView::default()
/// };
/// let change = MembersChange { leave: vec![2], come: vec![four] };
/// # assert_eq!(change.leave.len(), change.come.len());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembersChange {
    /// Ids of those that leave. They must never come back: what they know is out of date.
    #[serde(default)]
    pub leave: Vec<u64>,
    /// Those that come, under ids that were never used; and members whose addresses, weight or note change.
    #[serde(default)]
    pub come: Vec<MemberView>,
}

impl From<&Contact> for MemberView {
    fn from(contact: &Contact) -> MemberView {
        let Contact { server, addresses, transfer, weight, note } = contact.clone();
        MemberView { server, addresses, transfer, weight, note }
    }
}

impl From<MemberView> for Contact {
    fn from(member: MemberView) -> Contact {
        let MemberView { server, addresses, transfer, weight, note } = member;
        Contact { server, addresses, transfer, weight, note }
    }
}

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

    /// The same for servers that listen on TCP. First connects, on a thread of its own, to those that come, so that none is
    /// waited for that cannot be reached; [`epoch`](Self::epoch) shows if that fails.
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
            let refused = match client.unreachable(&change) {
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

    /// A server that is to come and does not listen where it should.
    fn unreachable(&self, change: &MembersChange) -> Option<String> {
        let is_new = |member: &&MemberView| !self.shared.progress.epoch().members().contains(&member.server);
        let addresses = change.come.iter().filter(is_new).flat_map(|member| {
            let all = member.addresses.iter().chain([&member.transfer]);
            all.map(|address| (member.server, address))
        });
        let mut failed = addresses.filter_map(|(server, address)| {
            let error = connect(address).err()?;
            Some(format!(
                "this server cannot connect to server {server} at {address} ({error}): start that one, with `niagara \
                 serve --join`, before it is added"
            ))
        });
        failed.next()
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
        let is_new = |member: &&MemberView| !record.is_member(member.server);
        let members: Vec<u64> =
            stay.iter().copied().chain(come.iter().filter(is_new).map(|member| member.server)).collect();
        if members.is_empty() || members.len() > MAX_MEMBERS {
            return Err(NotChanged::Members { members: members.len(), most: MAX_MEMBERS });
        }
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

fn connect(address: &str) -> io::Result<()> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl EpochView {
    /// The record of the epoch since which there are these members, as far as a server that joins has to know it.
    pub(crate) fn joined(&self) -> Record {
        let terms = Terms {
            groups: self.groups,
            members: self.members.clone(),
            contacts: self.contacts.iter().cloned().map(Contact::from).collect(),
            ..Terms::default()
        };
        let epoch = Epoch::new(self.members_since.max(1));
        Record { epoch, base: GlobalPosition::ZERO, lanes: self.groups, terms }
    }
}
