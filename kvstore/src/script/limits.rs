//! How many instructions and bytes a script may take. All servers must agree on that: whoever changes it raises `RESULTS`
//! in `command.rs`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use mlua::{Error, HookTriggers, Lua, VmState};

/// The most instructions of Lua: about a quarter of a second, during which all commands wait. While a script holds much
/// memory, each counts for more, since one instruction may copy all of it.
pub(super) const MOST_INSTRUCTIONS: u64 = 20_000_000;
/// The most memory of a Lua state, in bytes.
pub(super) const MOST_BYTES: usize = 64 << 20;
/// An instruction counts once more for so many bytes that the script holds.
const HEAVY_BYTES: usize = 64 << 10;
/// Instructions are counted so many at a time.
const STEP: u32 = 1000;

/// What ends a script that takes too much.
#[derive(Clone, Default)]
pub(super) struct Limits(Rc<Spent>);

#[derive(Default)]
struct Spent {
    instructions: Cell<u64>,
    /// Why the script has to end.
    stopped: RefCell<Option<String>>,
}

impl Limits {
    /// Sets the limits of a Lua state.
    pub(super) fn set(&self, lua: &Lua) -> mlua::Result<()> {
        lua.set_memory_limit(MOST_BYTES)?;
        let limits = self.clone();
        lua.set_hook(HookTriggers::new().every_nth_instruction(STEP), move |lua, _| {
            let weight = 1 + lua.used_memory() / HEAVY_BYTES;
            limits.spend(u64::from(STEP) * weight as u64)?;
            Ok(VmState::Continue)
        })
    }

    /// Counts instructions, or what takes about as long.
    pub(super) fn spend(&self, instructions: u64) -> mlua::Result<()> {
        let spent = &self.0.instructions;
        spent.set(spent.get().saturating_add(instructions));
        if spent.get() > MOST_INSTRUCTIONS {
            self.stop(&format!("it has taken {MOST_INSTRUCTIONS} instructions"));
        }
        self.stopped().map_or(Ok(()), |why| Err(Error::RuntimeError(why)))
    }

    /// Ends the script. Its `pcall` cannot catch that.
    pub(super) fn stop(&self, why: &str) {
        let text = || format!("ERR the script was stopped, and what it wrote stays: {why}");
        self.0.stopped.borrow_mut().get_or_insert_with(text);
    }

    /// Why the script has to end, if it has to.
    pub(super) fn stopped(&self) -> Option<String> {
        self.0.stopped.borrow().clone()
    }
}
