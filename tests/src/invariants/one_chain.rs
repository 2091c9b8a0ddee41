use niagara_sequencer::epoch::{Chain, Cut, Epoch};

use super::{Broken, hold};

/// All servers go through the same epochs: the same groups, above the same positions.
#[derive(Debug, Default)]
pub struct OneChain {
    longest: Option<Chain>,
}

impl OneChain {
    /// Number of the newest epoch.
    pub fn newest(&self) -> u32 {
        self.longest.as_ref().map_or(1, |chain| chain.newest().record.epoch.get())
    }

    /// The members of the newest epoch; `None` if nobody has been in any.
    pub fn members(&self) -> Option<&[u64]> {
        self.longest.as_ref().map(|chain| chain.newest().record.terms.members.as_slice())
    }

    /// The first and the newest list of members that have this one; none if it was never a member.
    pub fn lists_with(&self, member: u64) -> Vec<Vec<u64>> {
        let chain = self.longest.iter().flat_map(Chain::memberships);
        let mut lists: Vec<Vec<u64>> = chain.map(|record| record.terms.members.clone()).collect();
        lists.retain(|members| members.contains(&member));
        if lists.len() > 2 {
            lists.drain(1..lists.len() - 1);
        }
        lists
    }

    /// The last round of an epoch; `None` unless a later one is known.
    pub fn last_round(&self, epoch: u32) -> Option<u64> {
        self.longest.as_ref()?.last_round(Epoch::new(epoch))
    }

    /// The place of an epoch's first group among those of all epochs; `None` if nobody has been there.
    pub fn first_place(&self, epoch: u32) -> Option<usize> {
        let Some(longest) = &self.longest else { return (epoch == 1).then_some(0) };
        let known = longest.get(Epoch::new(epoch)).is_some();
        let earlier = longest.links().iter().take_while(|link| link.record.epoch.get() < epoch);
        known.then(|| earlier.map(|link| usize::from(link.record.terms.groups)).sum())
    }

    /// A server has a snapshot at this cut, of the state at this position. At the end of an epoch there is only the beginning of
    /// the next one: whoever starts at the former would never find the end again.
    pub fn cut(&self, server: u64, cut: Cut, position: u64) -> Result<(), Broken> {
        let Some(longest) = &self.longest else { return Ok(()) };
        let next = longest.links().iter().map(|link| &link.record).find(|record| record.epoch > cut.epoch);
        let is_end = next.is_some_and(|next| next.base.get() == position);
        hold(!is_end, "one_chain", || {
            format!("server {server} keeps a snapshot at the cut {cut}, where the next epoch has begun")
        })
    }

    /// A server executes in the newest epoch of this chain. Returns whether no server has been there before.
    pub fn observe(&mut self, server: u64, chain: &Chain) -> Result<bool, Broken> {
        let Some(longest) = &mut self.longest else {
            self.longest = Some(chain.clone());
            return Ok(false);
        };
        for (known, link) in longest.links().iter().zip(chain.links()) {
            hold(known == link, "one_chain", || {
                format!("server {server} is in {:?}, where another one is in {:?}", link.record, known.record)
            })?;
        }
        let is_longer = chain.links().len() > longest.links().len();
        if is_longer {
            longest.clone_from(chain);
        }
        Ok(is_longer)
    }
}
