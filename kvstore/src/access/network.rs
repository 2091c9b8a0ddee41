//! What counts as one address.

use std::net::IpAddr;

/// A machine has as many addresses of version 6 as it likes, but shares the first half of them with its neighbours only.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into())
        }
        address => address,
    }
}
