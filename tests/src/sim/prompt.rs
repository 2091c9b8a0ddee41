//! Strong reads through servers to which nothing happens, and how long they wait.

use niagara_engine::Consistency;

use super::clients::Ask;
use super::clients::request::name;
use super::network::Micros;
use super::script::BEGINS;
use super::world::{Event, MS, World};
use crate::invariants::{Broken, check_read_is_prompt};

/// One is asked through each server so often.
const EACH: Micros = 20 * MS;
/// A lost question is put again within two heartbeats, and a read may need two of them; then there are slow clocks, and moments in
/// which the operating system gives the core to somebody else.
const BOUND: Micros = 250 * MS;
/// Their tokens, far from those of clients and of the script.
const FIRST: u64 = 1 << 41;

impl World {
    /// Asks through each server that must answer promptly, and looks at those who have waited.
    pub(super) fn ask_prompt_reads(&mut self) -> Result<(), Broken> {
        let Some((_, victim)) = self.plan.prompt_reads else { return Ok(()) };
        self.check_prompt_reads()?;
        if self.now >= BEGINS {
            return Ok(());
        }
        for server in (1..=self.plan.servers).filter(|server| *server != victim) {
            let token = FIRST + self.next_probe;
            self.next_probe += 1;
            self.prompt_reads.insert(token, (server, self.now));
            let (now, executed) = (self.now, self.executed_by(server));
            self.server(server).set_clock(now);
            if let Some(running) = &mut self.server(server).running {
                running.call(token, Ask::Read(name(0), Consistency::Strong), executed);
            }
            self.follow(server);
        }
        self.coverage.count("prompt reads asked");
        self.after(EACH, Event::AskPromptReads);
        Ok(())
    }

    /// A call has ended; whether it was one of these.
    pub(super) fn prompt_read_ended(&mut self, token: u64) -> Result<bool, Broken> {
        self.check_prompt_reads()?;
        Ok(self.prompt_reads.remove(&token).is_some())
    }

    fn check_prompt_reads(&self) -> Result<(), Broken> {
        for (server, asked) in self.prompt_reads.values() {
            check_read_is_prompt(*server, (self.now - asked) / MS, BOUND / MS)?;
        }
        Ok(())
    }
}
