//! There is one global log across epochs, too, whatever the order in which entries arrive.

use niagara_sequencer::epoch::{Chain, Ending, EpochEnd, Terms};
use niagara_sequencer::{Emitted, Fill, GlobalPosition, GroupId, Layout, Merge};
use proptest::prelude::*;

const MOST_GROUPS: u16 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Skip,
    Command,
    /// Asks for the end of the epoch, and for so many groups.
    End(u16),
}

/// An entry: the place that it fills, and with what.
type Entry = (u64, Kind);

/// The logs of the groups that an epoch may have; those that it does not have are unused.
type Logs = Vec<Vec<Entry>>;

/// What is in the global log: at which position, from which epoch, group and place.
type Cell = (GlobalPosition, usize, GroupId, u64);

fn logs() -> impl Strategy<Value = Logs> {
    // 0 groups are not possible, so such an end ends nothing.
    let kind = prop_oneof![
        6 => Just(Kind::Command),
        2 => Just(Kind::Skip),
        1 => (0..=MOST_GROUPS).prop_map(Kind::End),
    ];
    let log = prop::collection::vec((prop_oneof![4 => 1..=1u64, 1 => 2..9u64], kind), 0..12);
    let log = log.prop_map(|entries| {
        let rise = |place: &mut u64, (gap, kind)| {
            *place += gap;
            Some((*place, kind))
        };
        entries.into_iter().scan(0, rise).collect()
    });
    prop::collection::vec(log, usize::from(MOST_GROUPS))
}

fn terms(groups: u16) -> Terms {
    Terms { groups, members: vec![1, 2, 3], level: 1, ..Terms::default() }
}

/// The definition: slot by slot, to the end of the round of the first valid end, then on in the next epoch, until a slot is not
/// known.
fn naive_merge(epochs: &[Logs], first_groups: u16) -> Vec<Cell> {
    let (mut global, mut position, mut groups) = (Vec::new(), 0, first_groups);
    for (epoch, logs) in epochs.iter().enumerate() {
        let mut next = None;
        for place in 1.. {
            for (group, log) in (1..=groups).map(GroupId::new).zip(logs) {
                if log.last().is_none_or(|last| last.0 < place) {
                    return global;
                }
                position += 1;
                match log.iter().find(|entry| entry.0 == place) {
                    Some((_, Kind::End(wanted))) => {
                        next = next.or((*wanted > 0).then_some(*wanted));
                        global.push((GlobalPosition::new(position), epoch, group, place));
                    }
                    Some((_, Kind::Command)) => {
                        global.push((GlobalPosition::new(position), epoch, group, place));
                    }
                    Some((_, Kind::Skip)) | None => {}
                }
            }
            if next.is_some() {
                break;
            }
        }
        groups = next.expect("the epoch has ended");
    }
    global
}

/// A server: where its merge is, and its global log.
struct Server {
    chain: Chain,
    ending: Ending,
    merge: Merge<(u64, Kind)>,
    /// How many entries of each log of the running epoch have arrived.
    arrived: Vec<usize>,
    global: Vec<Cell>,
}

impl Server {
    fn new(groups: u16) -> Server {
        Server {
            chain: Chain::genesis(terms(groups)).expect("there are groups"),
            ending: Ending::default(),
            merge: Merge::new(Layout::new(groups)),
            arrived: vec![0; usize::from(MOST_GROUPS)],
            global: Vec::new(),
        }
    }

    fn epoch(&self) -> usize {
        self.chain.links().len() - 1
    }

    /// One more entry of a group of the running epoch arrives. Returns whether there was one.
    fn arrives(&mut self, epochs: &[Logs], group: usize) -> bool {
        let groups = usize::from(self.chain.newest().record.terms.groups);
        let logs = epochs.get(self.epoch());
        let log = logs.filter(|_| group < groups).map(|logs| &logs[group]);
        let Some((place, kind)) = log.and_then(|log| log.get(self.arrived[group])).copied() else {
            return false;
        };
        self.arrived[group] += 1;
        let fill = if kind == Kind::Skip { Fill::Skip } else { Fill::Commands((place, kind)) };
        self.merge.push(GroupId::new(group as u16 + 1), place, fill);
        self.go_on();
        true
    }

    fn go_on(&mut self) {
        while let Some(emitted) = self.merge.next() {
            let Emitted::Commands { position, item: (place, kind) } = emitted else { continue };
            let record = &self.chain.newest().record;
            self.global.push((position, self.epoch(), record.layout().slot_at(position).group, place));
            if let Kind::End(groups) = kind {
                let end = EpochEnd { epoch: record.epoch, next: terms(groups), request: 0 };
                if self.ending.offer(&self.chain, place, &end).is_ok() {
                    self.merge.end_after(place);
                }
            }
        }
        if self.merge.has_ended() {
            let end = self.merge.emitted();
            self.ending.transition(&mut self.chain);
            let layout = self.chain.newest().record.layout();
            assert_eq!(layout.base(), end, "positions go on without a gap");
            self.merge = Merge::new(layout);
            self.arrived.fill(0);
        }
    }
}

proptest! {
    /// Invariant `global_prefix`: the global log, and the chain of epochs, are functions of the local logs.
    #[test]
    fn the_order_of_arrival_does_not_matter_across_epochs(
        epochs in prop::collection::vec(logs(), 1..4),
        groups in 1..=MOST_GROUPS,
        orders in prop::array::uniform2(prop::collection::vec(0..usize::from(MOST_GROUPS), 0..200)),
    ) {
        let expected = naive_merge(&epochs, groups);
        let mut chains = Vec::new();
        for order in orders {
            let mut server = Server::new(groups);
            for group in order {
                server.arrives(&epochs, group);
                prop_assert!(expected.starts_with(&server.global));
            }
            while (0..usize::from(MOST_GROUPS)).any(|group| server.arrives(&epochs, group)) {}
            prop_assert_eq!(&server.global, &expected);
            chains.push(server.chain);
        }
        prop_assert_eq!(&chains[0], &chains[1]);
    }
}
