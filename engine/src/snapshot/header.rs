//! The header of a snapshot, before the application's bytes: all that the engine needs to continue from it.

use bytes::{Buf, BufMut};
use niagara_group::contacts::{get_contacts, put_contacts};
use niagara_group::{GroupFloor, SnapshotFloor};
use niagara_log::EntryId;
use niagara_sequencer::epoch::{Chain, Cut, Epoch, Link, Record, Terms};
use niagara_sequencer::{GlobalPosition, GroupId, Layout, MAX_GROUPS, MAX_PLACE};

use crate::apply::{Digests, LaneSessions};
use crate::config::FIRST_LEVEL;

/// The newest version: that of a snapshot of a later epoch than the first, in whose chain members have contacts, and whose
/// content is in files of the state machine's own.
pub const VERSION: u32 = 7;
/// Of such an epoch, with the state in chunks.
const CONTACTS_VERSION: u32 = 6;
/// Of a later epoch without contacts, or a first one above the first level, with the content in files of the state machine's own.
const LATER_EPOCH_OWN_FILES_VERSION: u32 = 5;
/// Of such an epoch, with the state in chunks.
const LATER_EPOCH_VERSION: u32 = 4;
/// Of the first epoch, with the content in files of the state machine's own.
const OWN_FILES_VERSION: u32 = 3;
/// Of the first epoch, with the state in chunks.
const CHUNKS_VERSION: u32 = 2;
/// It has digests of the log alone. It can be read.
const FIRST_VERSION: u32 = 1;
/// Bytes at the start of a file that identify it and give the length of its header.
pub(crate) const PRELUDE_BYTES: usize = 24;
/// The longest header, in bytes. A thousand groups and a hundred servers need a tenth of it.
pub(crate) const HEADER_BYTES_MAX: usize = 16 << 20;

const MAGIC: [u8; 8] = *b"NIAGSNP\0";
const CHECKSUM_AT: usize = 16;

/// The engine's part of a snapshot: the state of a whole server at the end of a round of the global log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Drawn at random for each file: two servers' files of the same round hold the same state in different
    /// bytes.
    pub id: u128,
    /// Id of the cluster.
    pub cluster: u128,
    /// Id of the server that wrote it.
    pub server: u64,
    /// When it was started, in milliseconds since 1970 by that server's clock; for people only.
    pub created_ms: u64,
    /// Round k of the newest epoch in `chain`: the state includes everything up to its end, and nothing after it.
    pub round: u64,
    /// Group of the latest command executed.
    pub anchor: GroupId,
    /// Commands executed since the first position.
    pub commands: u64,
    /// Commands skipped as duplicates since the first position.
    pub duplicates: u64,
    /// Positions filled by no-ops.
    pub noops: u64,
    /// The epochs up to the one that it belongs to.
    pub chain: Chain,
    /// The part of each group's log that the snapshot replaces, in order of the R groups.
    pub floors: Vec<GroupFloor>,
    /// Which commands of each lane have been executed.
    pub sessions: LaneSessions,
    /// Digests of the global log up to here, and of the state in the chunks.
    pub digests: Digests,
    /// Whether the state is in files of the state machine's own, in a directory beside this file, rather than in
    /// chunks.
    pub own_files: bool,
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// Not a snapshot, or damaged.
    Damaged(&'static str),
    /// Written in another version of the format.
    Version(u32),
}

impl Header {
    /// The epoch that it belongs to.
    pub fn record(&self) -> &Record {
        &self.chain.newest().record
    }

    /// Where it cuts the global log.
    pub fn cut(&self) -> Cut {
        Cut { epoch: self.record().epoch, round: self.round }
    }

    /// The layout of that epoch's groups.
    pub fn layout(&self) -> Layout {
        self.record().layout()
    }

    /// The last position executed in this state.
    pub fn position(&self) -> GlobalPosition {
        self.layout().round_end(self.round)
    }

    /// What the group with this zero-based index has to know about the snapshot.
    pub fn floor_of(&self, group: usize) -> SnapshotFloor {
        SnapshotFloor { round: self.round, floor: self.floors[group].clone() }
    }

    /// The encoded header, checksum included.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_slice(&MAGIC);
        out.put_u32_le(match (self.is_first_epoch(), self.has_contacts(), self.own_files) {
            (true, _, false) => CHUNKS_VERSION,
            (true, _, true) => OWN_FILES_VERSION,
            (false, false, false) => LATER_EPOCH_VERSION,
            (false, false, true) => LATER_EPOCH_OWN_FILES_VERSION,
            (false, true, false) => CONTACTS_VERSION,
            (false, true, true) => VERSION,
        });
        out.put_bytes(0, PRELUDE_BYTES - out.len());
        out.put_u128_le(self.id);
        out.put_u128_le(self.cluster);
        for number in [self.server, self.created_ms, self.round, self.commands, self.duplicates, self.noops] {
            out.put_u64_le(number);
        }
        out.put_u16_le(self.floors.len() as u16);
        out.put_u16_le(self.anchor.get());
        for floor in &self.floors {
            out.put_u64_le(floor.entry.index);
            out.put_u64_le(floor.entry.term);
            put_ids(&mut out, &floor.voters);
            put_ids(&mut out, &floor.learners);
        }
        if !self.is_first_epoch() {
            put_chain(&mut out, &self.chain, self.has_contacts());
        }
        self.sessions.encode(&mut out);
        self.digests.encode(&mut out);
        let length = out.len() as u32;
        out[12..16].copy_from_slice(&length.to_le_bytes());
        let checksum = checksum(&out);
        out[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Whether it belongs to the epoch that a header without a chain stands for.
    fn is_first_epoch(&self) -> bool {
        first_epoch(&self.floors).is_some_and(|first| first == self.chain)
    }

    /// Whether its chain says where members are.
    fn has_contacts(&self) -> bool {
        self.chain.links().iter().any(|link| !link.record.terms.contacts.is_empty())
    }

    /// Length of the header with this prelude, in bytes.
    pub(crate) fn length(prelude: &[u8; PRELUDE_BYTES]) -> Result<usize, HeaderError> {
        let mut prelude = &prelude[..];
        if prelude.copy_to_bytes(8) != MAGIC[..] {
            return Err(HeaderError::Damaged("the file does not begin as a snapshot does"));
        }
        prelude.advance(4);
        match prelude.get_u32_le() as usize {
            length @ PRELUDE_BYTES..=HEADER_BYTES_MAX => Ok(length),
            _ => Err(HeaderError::Damaged("the header's length is impossible")),
        }
    }

    /// Parses a complete header.
    ///
    /// # Errors
    /// If the bytes are not what [`encode`](Self::encode) writes.
    pub fn decode(bytes: &[u8]) -> Result<Header, HeaderError> {
        let prelude = bytes.first_chunk().ok_or(HeaderError::Damaged("the file is too short"))?;
        if Header::length(prelude)? != bytes.len() {
            return Err(HeaderError::Damaged("the header's length is wrong"));
        }
        if bytes[CHECKSUM_AT..CHECKSUM_AT + 4] != checksum(bytes).to_le_bytes() {
            return Err(HeaderError::Damaged("the header does not match its checksum"));
        }
        // All versions keep magic, version, length and checksum in the same place, so that damage is not
        // mistaken for a version.
        let version = (&bytes[8..]).get_u32_le();
        let digests = match version {
            FIRST_VERSION => Digests::decode_first_version,
            CHUNKS_VERSION..=VERSION => Digests::decode,
            other => return Err(HeaderError::Version(other)),
        };
        if bytes[CHECKSUM_AT + 4..PRELUDE_BYTES].iter().any(|byte| *byte != 0) {
            return Err(HeaderError::Damaged("reserved bytes are not zero"));
        }
        let mut input = &bytes[PRELUDE_BYTES..];
        let mut header = read_fields(&mut input, digests, ChainForm::of(version))
            .ok_or(HeaderError::Damaged("the header's fields exceed it"))?;
        header.own_files = [OWN_FILES_VERSION, LATER_EPOCH_OWN_FILES_VERSION, VERSION].contains(&version);
        if input.is_empty() {
            Ok(header)
        } else {
            Err(HeaderError::Damaged("bytes after the header's fields"))
        }
    }
}

/// Checksum of a header, without its own bytes. It also ties the file's chunks to the header.
pub(crate) fn checksum(header: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..CHECKSUM_AT]);
    hasher.update(&header[CHECKSUM_AT + 4..]);
    hasher.finalize()
}

/// How a header says which epochs there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChainForm {
    /// The first one only, which follows from the floors.
    Implied,
    Terms,
    TermsWithContacts,
}

impl ChainForm {
    fn of(version: u32) -> ChainForm {
        match version {
            ..LATER_EPOCH_VERSION => ChainForm::Implied,
            LATER_EPOCH_VERSION | LATER_EPOCH_OWN_FILES_VERSION => ChainForm::Terms,
            _ => ChainForm::TermsWithContacts,
        }
    }
}

fn put_ids(out: &mut Vec<u8>, ids: &[u64]) {
    out.put_u32_le(ids.len() as u32);
    ids.iter().for_each(|id| out.put_u64_le(*id));
}

fn read_fields(
    input: &mut &[u8],
    digests: fn(&mut &[u8]) -> Option<Digests>,
    form: ChainForm,
) -> Option<Header> {
    let (id, cluster) = (input.try_get_u128_le().ok()?, input.try_get_u128_le().ok()?);
    let mut numbers = [0; 6];
    for number in &mut numbers {
        *number = input.try_get_u64_le().ok()?;
    }
    let [server, created_ms, round, commands, duplicates, noops] = numbers;
    let (groups, anchor) = (input.try_get_u16_le().ok()?, input.try_get_u16_le().ok()?);
    if !(1..=MAX_GROUPS).contains(&groups) || !(1..=groups).contains(&anchor) || round > MAX_PLACE {
        return None;
    }
    let floors = (0..groups).map(|_| read_floor(input)).collect::<Option<Vec<_>>>()?;
    let chain = match form {
        ChainForm::Implied => first_epoch(&floors)?,
        ChainForm::Terms => read_chain(input, false)?,
        ChainForm::TermsWithContacts => read_chain(input, true)?,
    };
    let record = &chain.newest().record;
    if record.terms.groups != groups {
        return None;
    }
    let sessions = LaneSessions::decode(input, record.lanes)?;
    let digests = digests(input)?;
    let anchor = GroupId::new(anchor);
    Some(Header {
        id,
        cluster,
        server,
        created_ms,
        round,
        anchor,
        commands,
        duplicates,
        noops,
        chain,
        floors,
        sessions,
        digests,
        own_files: false,
    })
}

/// The chain of a snapshot that says nothing of it: an epoch with these groups and voters.
fn first_epoch(floors: &[GroupFloor]) -> Option<Chain> {
    let mut members = floors.first()?.voters.clone();
    members.sort_unstable();
    Chain::genesis(Terms { groups: floors.len() as u16, members, level: FIRST_LEVEL, ..Terms::default() })
        .ok()
}

/// Writes the number of epochs (4 bytes), and for each its terms, and the last round of the one before: base, lanes and
/// hashes follow from these.
fn put_chain(out: &mut Vec<u8>, chain: &Chain, with_contacts: bool) {
    out.put_u32_le(chain.links().len() as u32);
    for Link { record: Record { epoch, terms, .. }, .. } in chain.links() {
        let before = epoch.get().checked_sub(1).filter(|before| *before > 0).map(Epoch::new);
        out.put_u64_le(before.and_then(|before| chain.last_round(before)).unwrap_or(0));
        out.put_u16_le(terms.groups);
        out.put_u32_le(terms.level);
        put_ids(out, &terms.members);
        if with_contacts {
            put_contacts(out, &terms.contacts);
        }
    }
}

fn read_chain(input: &mut &[u8], with_contacts: bool) -> Option<Chain> {
    let mut chain: Option<Chain> = None;
    for _ in 0..input.try_get_u32_le().ok()? {
        let last_round = input.try_get_u64_le().ok()?;
        let (groups, level) = (input.try_get_u16_le().ok()?, input.try_get_u32_le().ok()?);
        let members = read_ids(input)?;
        let contacts = if with_contacts { get_contacts(input)? } else { Vec::new() };
        let terms = Terms { groups, members, level, contacts };
        match &mut chain {
            None => chain = Some(Chain::genesis(terms).ok()?),
            Some(chain) => chain.extend(last_round, terms).ok()?,
        }
    }
    chain
}

fn read_floor(input: &mut &[u8]) -> Option<GroupFloor> {
    let entry = EntryId { index: input.try_get_u64_le().ok()?, term: input.try_get_u64_le().ok()? };
    Some(GroupFloor { entry, voters: read_ids(input)?, learners: read_ids(input)? })
}

fn read_ids(input: &mut &[u8]) -> Option<Vec<u64>> {
    let count = input.try_get_u32_le().ok()? as usize;
    if count > input.len() / 8 {
        return None;
    }
    (0..count).map(|_| input.try_get_u64_le().ok()).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use niagara_group::batch::Span;
    use niagara_sequencer::epoch::Contact;
    use proptest::prelude::*;

    use super::*;

    /// Header of two groups and two servers, at round 7.
    pub fn header() -> Header {
        let mut sessions = LaneSessions::new(&[1, 2], 2);
        sessions.admit(&Span { server: 2, incarnation: 3, lane: 1, attempt: 0, first: 1, count: 8 });
        let mut digests = Digests::default();
        digests.commands(GlobalPosition::new(14), 99, Some(7));
        let floor = |index| GroupFloor {
            entry: EntryId { index, term: 4 },
            voters: vec![1, 2],
            learners: Vec::new(),
        };
        Header {
            id: 0x1d,
            cluster: 0xc1,
            server: 2,
            created_ms: 1_700_000_000_000,
            round: 7,
            anchor: GroupId::new(2),
            commands: 8,
            duplicates: 1,
            noops: 13,
            chain: Chain::genesis(Terms { groups: 2, members: vec![1, 2], level: 1, ..Terms::default() })
                .unwrap(),
            floors: vec![floor(5), floor(9)],
            sessions,
            digests,
            own_files: false,
        }
    }

    #[test]
    fn a_header_comes_back_as_it_was() {
        let header = header();
        assert_eq!(header.position(), GlobalPosition::new(14));
        assert_eq!(Header::decode(&header.encode()), Ok(header.clone()));
        let header = Header { own_files: true, ..header };
        assert_eq!(Header::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn a_header_of_a_later_epoch_brings_the_chain() {
        let mut header = header();
        header
            .chain
            .extend(9, Terms { groups: 2, members: vec![1, 2, 4], level: 1, ..Terms::default() })
            .unwrap();
        assert_eq!(
            (header.position(), header.cut().to_string()),
            (GlobalPosition::new(18 + 14), "2-7".into())
        );
        let contact = |server| Contact {
            server,
            addresses: vec!["h:1".into()],
            transfer: "h:2".into(),
            weight: 100,
            note: "n".into(),
        };
        let told = Terms { contacts: vec![contact(1), contact(4)], ..header.record().terms.clone() };
        let mut with_contacts = header.clone();
        with_contacts.chain = Chain::genesis(header.chain.links()[0].record.terms.clone()).unwrap();
        with_contacts.chain.extend(9, told).unwrap();
        for (version, own_files, header) in
            [(4, false, &header), (5, true, &header), (6, false, &with_contacts), (7, true, &with_contacts)]
        {
            let header = Header { own_files, ..header.clone() };
            let bytes = header.encode();
            assert_eq!(bytes[8], version);
            assert_eq!(Header::decode(&bytes), Ok(header));
        }
        header.chain.extend(7, Terms { groups: 5, members: vec![1], level: 2, ..Terms::default() }).unwrap();
        assert!(
            matches!(Header::decode(&header.encode()), Err(HeaderError::Damaged(_))),
            "five groups, two floors"
        );
    }

    #[test]
    fn another_version_is_told_from_damage() {
        let mut bytes = header().encode();
        bytes[8] = 8;
        let checksum = checksum(&bytes);
        bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(Header::decode(&bytes), Err(HeaderError::Version(8)));
    }

    /// Files of format version 1, with digests of the log alone, can be read.
    #[test]
    fn the_first_version_is_read() {
        let header = header();
        let mut bytes = header.encode();
        let mut digests = Vec::new();
        header.digests.encode(&mut digests);
        bytes.truncate(bytes.len() - digests.len());
        bytes.put_u64_le(header.digests.value());
        let mark = header.digests.kept().into_iter().find(|mark| mark.position == 14).unwrap();
        for power in 0..64 {
            // Position 14 is a multiple of 1 and 2.
            let (position, value) = if power < 2 { (14, mark.log) } else { (0, 0) };
            [position, value, 0, 0].into_iter().for_each(|number| bytes.put_u64_le(number));
        }
        bytes[8] = 1;
        let length = bytes.len() as u32;
        bytes[12..16].copy_from_slice(&length.to_le_bytes());
        let checksum = checksum(&bytes);
        bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
        let read = Header::decode(&bytes).unwrap();
        assert_eq!((read.digests.value(), read.digests.state()), (header.digests.value(), None));
        assert_eq!(Header { digests: header.digests.clone(), ..read }, header);
    }

    #[test]
    fn bytes_without_a_meaning_have_to_be_zero() {
        let mut bytes = header().encode();
        bytes[PRELUDE_BYTES - 1] = 1;
        let checksum = checksum(&bytes);
        bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
        assert!(matches!(Header::decode(&bytes), Err(HeaderError::Damaged(_))));
    }

    proptest! {
        #[test]
        fn a_changed_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = header().encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Header::decode(&bytes).is_err());
        }

        /// Bytes with a valid checksum that nobody wrote.
        #[test]
        fn hostile_fields_never_panic(at in any::<prop::sample::Index>(), change in any::<[u8; 8]>(), cut in 0usize..40) {
            let mut bytes = header().encode();
            let at = PRELUDE_BYTES + at.index(bytes.len() - PRELUDE_BYTES - 8);
            bytes[at..at + 8].copy_from_slice(&change);
            bytes.truncate(bytes.len() - cut);
            let length = bytes.len() as u32;
            bytes[12..16].copy_from_slice(&length.to_le_bytes());
            let checksum = checksum(&bytes);
            bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
            let _ = Header::decode(&bytes);
        }
    }
}
