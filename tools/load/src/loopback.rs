//! Addresses for servers on this machine.

use crate::failure::Failure;

/// Per server, one address for each group, and one for snapshots, all free at the moment.
pub(crate) fn free_addresses(servers: u64, groups: u16) -> Result<Vec<(Vec<String>, String)>, Failure> {
    let of_one = usize::from(groups) + 1;
    let all = niagara_measure::free_addresses(servers as usize * of_one)
        .map_err(Failure::io("cannot find free ports on 127.0.0.1"))?;
    let members = all.chunks(of_one).map(|own| {
        let mut addresses: Vec<String> = own.iter().map(ToString::to_string).collect();
        let transfer = addresses.pop().expect("a chunk is never empty");
        (addresses, transfer)
    });
    Ok(members.collect())
}
