//! Sockets that listen before the engine starts.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use parking_lot::Mutex;

/// Sockets that listen already, for the addresses of one server: 0 is the snapshot channel's, those of the groups start
/// at 1.
/// A program that binds first can tell others its ports, and nobody takes them away meanwhile. A start takes
/// them; a restart with the same configuration binds the members' addresses.
///
/// ```
/// use niagara_engine::{Config, Durability, Listeners, Member};
/// use std::net::TcpListener;
///
/// let (transfer, group) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
/// let mut config = Config::new(0xc1, 1, vec![Member {
///     server: 1,
///     addresses: vec![group.local_addr()?.to_string()],
///     transfer: transfer.local_addr()?.to_string(),
/// }]);
/// config.listeners = Listeners::new([transfer, group]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Listeners(Arc<Mutex<BTreeMap<u16, TcpListener>>>);

impl Listeners {
    /// Takes the snapshot channel's socket, then one for each of the server's addresses.
    pub fn new(listeners: impl IntoIterator<Item = TcpListener>) -> Listeners {
        Listeners(Arc::new(Mutex::new((0..).zip(listeners).collect())))
    }

    /// Further handles of the sockets.
    pub(crate) fn duplicates(&self) -> io::Result<Vec<TcpListener>> {
        self.0.lock().values().map(TcpListener::try_clone).collect()
    }

    pub(crate) fn take(&self, address: u16) -> Option<TcpListener> {
        self.0.lock().remove(&address)
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.lock().iter()).finish()
    }
}
