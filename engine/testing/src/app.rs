//! The same for an [`App`], with its own commands and replies instead of bytes.

use std::fmt::Debug;

use niagara_engine::{Answer, App, AppMachine, Applied, Malformed, NodeHandle, Refused};

use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::simulation::{Call, Simulation};

impl<A: App> Simulation<AppMachine<A>>
where
    A::Reply: Clone + PartialEq + Debug,
{
    /// A cluster that replicates an [`App`], with [default settings](crate::Settings). With settings of your
    /// own, `make` returns an [`AppMachine`].
    ///
    /// ```
    /// use niagara_engine::{App, GlobalPosition};
    /// use niagara_testing::{Failure, Simulation};
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
    /// # fn main() -> Result<(), Failure> {
    /// let mut simulation = Simulation::of_app(42, 3, 2, |_server| Counter::default());
    /// assert_eq!(simulation.call(1, &5)?.reply, 5);
    /// assert_eq!(simulation.query_app(2, |counter| counter.0)?, 5);
    /// simulation.settle()?;
    /// simulation.check_equal()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// As [`Simulation::new`].
    pub fn of_app(seed: u64, servers: u64, groups: u16, make: impl Fn(u64) -> A + 'static) -> Self {
        Simulation::new(seed, servers, groups, move |server| AppMachine::new(make(server)))
    }

    /// Proposes a command, as [`propose`](Simulation::propose) does.
    pub fn send(&mut self, server: u64, command: &A::Command) -> Call {
        match AppMachine::<A>::command(command) {
            Ok(bytes) => self.propose(server, bytes),
            Err(Malformed(why)) => self.refuse(server, Refused::NotACommand(why)),
        }
    }

    /// Executes a command, as [`execute`](Simulation::execute) does.
    ///
    /// # Errors
    /// As there; and [`Found::Stuck`](crate::Found::Stuck) if the command has no bytes.
    pub fn call(&mut self, server: u64, command: &A::Command) -> Result<Applied<A::Reply>, Failure> {
        let bytes = match AppMachine::<A>::command(command) {
            Ok(bytes) => bytes,
            Err(malformed) => return Err(self.stuck(&format!("a command has no bytes: {malformed}"))),
        };
        let Applied { position, reply } = self.execute(server, bytes)?;
        match reply {
            Answer::Applied(reply) => Ok(Applied { position, reply }),
            other => unreachable!("a command without a number was answered with {other:?}"),
        }
    }

    /// Reads a server's state, as [`query`](Simulation::query) does.
    ///
    /// # Errors
    /// As there.
    pub fn query_app<V: 'static>(
        &mut self,
        server: u64,
        look: impl Fn(&A) -> V + 'static,
    ) -> Result<V, Failure> {
        self.query(server, move |reader| reader.read(&look))
    }
}

impl<A: App> Cluster<AppMachine<A>> {
    /// A handle of a server that replicates an [`App`]: `make` returned an [`AppMachine`].
    ///
    /// # Panics
    /// As [`client`](Cluster::client).
    pub fn handle(&self, server: u64) -> NodeHandle<A> {
        self.client(server).into()
    }
}
