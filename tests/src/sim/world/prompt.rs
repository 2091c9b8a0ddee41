//! Strong reads and writes through servers without faults of their own, and how long they wait.

use niagara_engine::Consistency;

use super::script::{BEGINS, probe_command};
use super::{Event, MS, World};
use crate::invariants::{Broken, check_majority_serves, check_read_is_prompt};
use crate::sim::clients::{Ask, CallResult};
use crate::sim::network::Micros;
use crate::sim::request::name;

/// Interval of the reads through each server; one call in so many is a write.
const EACH: Micros = 20 * MS;
const READS_FOR_A_WRITE: u64 = 5;
/// A lost question is repeated within two heartbeats, and a read may need two of them. Add slow clocks, and
/// moments in which the operating system gives the core to somebody else.
const BOUND: Micros = 250 * MS;
/// Their tokens, far from those of clients and of the script.
const FIRST: u64 = 1 << 41;

/// A call that must be served promptly.
#[derive(Clone, Copy, Debug)]
pub struct Prompt {
    server: u64,
    asked: Micros,
    is_write: bool,
}

impl World {
    /// Makes calls through each server that must serve promptly, and checks those that wait.
    pub(crate) fn ask_promptly(&mut self) -> Result<(), Broken> {
        let Some((from, victim)) = self.plan.prompt else { return Ok(()) };
        self.check_prompt()?;
        if self.now >= BEGINS {
            return Ok(());
        }
        let writes = ((self.now - from) / EACH).is_multiple_of(READS_FOR_A_WRITE);
        for server in (1..=self.plan.servers).filter(|server| *server != victim) {
            self.ask_one_promptly(server, false);
            if writes {
                self.ask_one_promptly(server, true);
            }
        }
        self.coverage.count("prompt reads asked");
        self.coverage.add("prompt writes asked", u64::from(writes));
        self.after(EACH, Event::AskPromptly);
        Ok(())
    }

    fn ask_one_promptly(&mut self, server: u64, is_write: bool) {
        let token = FIRST + self.next_probe;
        self.next_probe += 1;
        self.prompt.insert(token, Prompt { server, asked: self.now, is_write });
        let ask = if is_write {
            Ask::Execute(probe_command(token))
        } else {
            Ask::Read(name(0), Consistency::Strong)
        };
        self.call(server, token, ask);
    }

    /// Takes the end of a call. Returns whether it was one of these.
    pub(crate) fn prompt_ended(&mut self, token: u64, told: &CallResult) -> Result<bool, Broken> {
        self.check_prompt()?;
        let Some(prompt) = self.prompt.remove(&token) else { return Ok(false) };
        // A lane may be full at that moment, which the server reports at once.
        let is_served =
            matches!(told, CallResult::Read { .. } | CallResult::Applied(..) | CallResult::Refused);
        check_majority_serves(prompt.server, is_served, || format!("{told:?}"))?;
        Ok(true)
    }

    fn check_prompt(&self) -> Result<(), Broken> {
        for Prompt { server, asked, is_write } in self.prompt.values() {
            let waited = (self.now - asked) / MS;
            if *is_write {
                let is_served = self.now - asked <= BOUND;
                check_majority_serves(*server, is_served, || format!("it has waited {waited} ms"))?;
            } else {
                check_read_is_prompt(*server, waited, BOUND / MS)?;
            }
        }
        Ok(())
    }
}
