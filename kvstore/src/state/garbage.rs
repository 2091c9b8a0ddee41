//! Frees what takes long to free, on a thread that nobody waits for.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::thread;

/// See the [module](self). Without a thread, as in tests, it frees immediately.
#[derive(Debug, Default)]
pub(super) struct Garbage(Option<Sender<Box<dyn Send>>>);

impl Garbage {
    /// Starts the thread, which ends when this is dropped. It exists from the start, since the system might
    /// refuse a thread later.
    pub(super) fn start() -> io::Result<Garbage> {
        let (sender, contents) = mpsc::channel::<Box<dyn Send>>();
        thread::Builder::new().name("garbage".into()).spawn(move || contents.into_iter().for_each(drop))?;
        Ok(Garbage(Some(sender)))
    }

    pub(super) fn free(&self, contents: Box<dyn Send>) {
        match &self.0 {
            Some(sender) => sender.send(contents).expect("the thread ends once there is no sender"),
            None => drop(contents),
        }
    }
}
