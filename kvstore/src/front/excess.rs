//! Whom to close when the memory for requests and replies is used up.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::IpAddr;

/// A connection, and what it and its address hold, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    pub(super) index: u32,
    pub(super) held: usize,
    pub(super) address: IpAddr,
    pub(super) together: usize,
}

/// The connections without which so much is free again. The address that holds the most gives first, with its
/// connections that hold the most, until another one holds more: a client whose neighbours take nothing keeps what a
/// thousand small ones of one address cannot take from it.
pub(super) fn heaviest(holders: impl Iterator<Item = Holder>, mut excess: usize) -> Vec<u32> {
    let mut addresses: HashMap<IpAddr, Vec<Holder>> = HashMap::new();
    for holder in holders.filter(|holder| holder.held > 0) {
        addresses.entry(holder.address).or_default().push(holder);
    }
    let mut heaviest: BinaryHeap<(usize, IpAddr)> = BinaryHeap::new();
    for (address, holders) in &mut addresses {
        holders.sort_unstable_by_key(|holder| (holder.held, Reverse(holder.index)));
        heaviest.push((holders[0].together, *address));
    }
    let mut closed = Vec::new();
    while excess > 0
        && let Some((together, address)) = heaviest.pop()
    {
        let holders = addresses.get_mut(&address).expect("each address has its connections");
        if let Some(Holder { index, held, .. }) = holders.pop() {
            closed.push(index);
            excess = excess.saturating_sub(held);
            heaviest.push((together.saturating_sub(held), address));
        }
    }
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections by what they hold, of addresses that hold no others.
    fn close(addresses: &[&[usize]], excess: usize) -> Vec<u32> {
        let holders = addresses.iter().zip(1_u8..).flat_map(|(held, host)| {
            let together = held.iter().sum();
            let address = IpAddr::from([192, 0, 2, host]);
            held.iter().map(move |held| (*held, address, together))
        });
        let holders = holders.zip(0..);
        heaviest(
            holders.map(|((held, address, together), index)| Holder { index, held, address, together }),
            excess,
        )
    }

    #[test]
    fn the_largest_of_an_address_goes_first_and_no_more_than_needed() {
        assert!(close(&[&[1, 5, 3]], 0).is_empty());
        assert_eq!(close(&[&[1, 5, 3]], 5), [1]);
        assert_eq!(close(&[&[1, 5, 3]], 6), [1, 2]);
        assert_eq!(close(&[&[0, 2, 0]], 100), [1], "who holds nothing stays");
    }

    #[test]
    fn many_small_ones_of_one_address_go_before_a_large_one_of_another() {
        assert_eq!(close(&[&[4, 4, 4, 4], &[7]], 8), [0, 1]);
        // From there on, the other address holds more.
        assert_eq!(close(&[&[4, 4, 4, 4], &[9]], 12), [0, 1, 4]);
    }
}
