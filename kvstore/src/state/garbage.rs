//! Frees what takes long to free, where nobody waits for it.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::thread;

use super::tables::Tables;

/// See the [module](self). Without a thread, as in tests, it frees at once.
#[derive(Debug, Default)]
pub(super) struct Garbage(Option<Sender<Vec<Tables>>>);

impl Garbage {
    /// Starts the thread, which ends with this. It is there from the beginning: later the system might have none to give.
    pub(super) fn start() -> io::Result<Garbage> {
        let (sender, contents) = mpsc::channel();
        thread::Builder::new().name("garbage".into()).spawn(move || contents.into_iter().for_each(drop))?;
        Ok(Garbage(Some(sender)))
    }

    pub(super) fn free(&self, contents: Vec<Tables>) {
        match &self.0 {
            Some(sender) => sender.send(contents).expect("the thread ends when there is no sender any more"),
            None => drop(contents),
        }
    }
}
