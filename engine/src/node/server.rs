//! A running server with an application's state.

use std::fmt;
use std::ops::Deref;

use super::app::App;
use super::encode::Malformed;
use super::handle::NodeHandle;
use super::machine::AppMachine;
use crate::config::Config;
use crate::server::{Engine, StartError};

/// A running server that replicates an [`App`]. Dropping it stops the server.
///
/// ```
/// use niagara_engine::{App, Config, Consistency, GlobalPosition, Node};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Counter(u64);
///
/// impl App for Counter {
///     type Command = u64;
///     type Reply = u64;
///     fn apply(&mut self, _: GlobalPosition, add: u64) -> u64 {
///         self.0 += add;
///         self.0
///     }
/// }
///
/// // Three servers in this process, with two groups.
/// let start = |config| Node::start(config, Counter::default());
/// let nodes = Config::local(3, 2)?.into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(nodes[0].call(&5).wait()?.reply, 5);
/// assert_eq!(nodes[1].query(Consistency::Strong, |counter| counter.0).wait()?, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Node<A: App> {
    engine: Engine<AppMachine<A>>,
    handle: NodeHandle<A>,
}

impl<A: App> Node<A> {
    /// Starts a server. `app` is the state before the first command, the same on all servers; a server that
    /// has data continues from there.
    ///
    /// # Errors
    /// If the configuration cannot work, if the data directory cannot be used, or if a state like this one
    /// could not be read back from a snapshot.
    pub fn start(config: Config, app: A) -> Result<Node<A>, StartError> {
        let machine = AppMachine::new(app);
        machine.check_state().map_err(|Malformed(why)| StartError::StateNotEncodable(why))?;
        let engine = Engine::start(config, machine)?;
        Ok(Node { handle: NodeHandle::new(engine.client()), engine })
    }

    /// A handle for other threads and tasks. Its calls are refused once the node has stopped.
    pub fn handle(&self) -> NodeHandle<A> {
        self.handle.clone()
    }

    /// The engine below.
    pub fn engine(&self) -> &Engine<AppMachine<A>> {
        &self.engine
    }

    /// Stops the server: refuses commands, ends what callers wait for, and releases the data directory.
    pub fn stop(self) {
        self.engine.stop();
    }
}

impl<A: App> Deref for Node<A> {
    type Target = NodeHandle<A>;

    fn deref(&self) -> &NodeHandle<A> {
        &self.handle
    }
}

impl<A: App> fmt::Debug for Node<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("addresses", &self.engine.addresses()).finish_non_exhaustive()
    }
}
