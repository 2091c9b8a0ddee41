//! Prepares segments before they are needed, and retires old ones.
//!
//! Filling up to 16 MiB with zeros and syncing them takes longer than many writes, so a thread does it
//! concurrently: while one segment is written, the next one waits, complete, under its final name.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use super::LogError;
use super::directory::{Directory, Spare};
use super::segment::Segment;
use crate::thread::spawn;

/// The most retired files that wait for reuse. One is in use at a time; the second is for a burst of
/// compaction.
const SPARES: usize = 2;

#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    pub number: u64,
    /// Length of the segments before it, in bytes, which decides how long it is.
    pub held: u64,
}

impl Next {
    fn behind(segment: &Segment, held: u64) -> Next {
        Next { number: segment.number + 1, held: held + segment.bytes }
    }
}

/// The writer's end.
#[derive(Debug)]
pub(super) enum Preparer {
    /// A thread, which ends with the writer.
    Beside(Beside),
    /// No thread: work is done when it is requested.
    InPlace(InPlace),
}

impl Preparer {
    /// Prepares the next segment at once, on a thread if `beside`. Replaces a file that a former process
    /// prepared under this number and did not use.
    pub fn start(directory: Arc<Directory>, next: Next, beside: bool) -> Result<Self, LogError> {
        let worker = Worker { directory, spares: Vec::new() };
        if beside {
            Beside::start(worker, next).map(Preparer::Beside)
        } else {
            InPlace::start(worker, next).map(Preparer::InPlace)
        }
    }

    /// The prepared segment; waits for it if it is not ready. Then prepares the next one, to follow this one
    /// and the `held` bytes of segments before it.
    pub fn take(&mut self, held: u64) -> Result<Segment, LogError> {
        match self {
            Preparer::Beside(beside) => beside.take(held),
            Preparer::InPlace(in_place) => in_place.take(held),
        }
    }

    /// Takes segments out of the log in the given order, which must start with the oldest. If the thread
    /// fails, the next [`take`](Self::take) returns its error.
    pub fn retire(&mut self, segments: Vec<Arc<Segment>>) -> Result<(), LogError> {
        match self {
            Preparer::Beside(beside) => {
                beside.send(Job::Retire(segments));
                Ok(())
            }
            Preparer::InPlace(in_place) => in_place.worker.retire(&segments),
        }
    }
}

#[derive(Debug)]
pub(super) struct InPlace {
    worker: Worker,
    next: Next,
    prepared: Option<Segment>,
}

impl InPlace {
    fn start(worker: Worker, next: Next) -> Result<Self, LogError> {
        let mut in_place = InPlace { worker, next, prepared: None };
        in_place.prepare_ahead()?;
        Ok(in_place)
    }

    fn take(&mut self, held: u64) -> Result<Segment, LogError> {
        let segment = match self.prepared.take() {
            Some(segment) => segment,
            None => self.worker.prepare(self.next)?,
        };
        self.next = Next::behind(&segment, held);
        self.prepare_ahead()?;
        Ok(segment)
    }

    /// If there is no room, the segment is left until it is needed.
    fn prepare_ahead(&mut self) -> Result<(), LogError> {
        match self.worker.prepare(self.next) {
            Ok(segment) => self.prepared = Some(segment),
            Err(LogError::NoRoom { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Beside {
    /// `None` only at the end, to stop the thread.
    jobs: Option<Sender<Job>>,
    next: Next,
    prepared: Receiver<Result<Segment, LogError>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Job {
    Prepare(Next),
    Retire(Vec<Arc<Segment>>),
}

impl Beside {
    fn start(worker: Worker, next: Next) -> Result<Self, LogError> {
        let (jobs, todo) = mpsc::channel();
        let (done, prepared) = mpsc::channel();
        let path = worker.directory.path().to_owned();
        let thread = spawn("log-prepare".into(), move || worker.run(&todo, &done))
            .map_err(LogError::io("start a thread for the log in", &path))?;
        let beside = Beside { jobs: Some(jobs), next, prepared, thread: Some(thread) };
        beside.send(Job::Prepare(next));
        Ok(beside)
    }

    fn take(&mut self, held: u64) -> Result<Segment, LogError> {
        // After an error the thread has ended, unless there was only no room. An earlier call has reported
        // that error.
        let segment = self.prepared.recv().unwrap_or(Err(LogError::Failed));
        match &segment {
            Ok(segment) => self.next = Next::behind(segment, held),
            Err(LogError::NoRoom { .. }) => {}
            Err(_) => return segment,
        }
        self.send(Job::Prepare(self.next));
        segment
    }

    fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // After an error nobody listens, and `take` is going to report it.
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // The thread finishes what is queued, and ends when nobody can send it more.
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a panic in the thread that prepares log segments ends the process");
        }
    }
}

#[derive(Debug)]
pub(super) struct Worker {
    directory: Arc<Directory>,
    spares: Vec<Spare>,
}

impl Worker {
    /// Works until the writer is dropped or something fails. An error takes the place of a segment, so the
    /// writer meets it no later than when it needs the next segment. Lack of room ends nothing: the writer
    /// retries then.
    fn run(mut self, jobs: &Receiver<Job>, done: &Sender<Result<Segment, LogError>>) {
        for job in jobs {
            let result = match job {
                Job::Prepare(next) => self.prepare(next).map(Some),
                Job::Retire(segments) => self.retire(&segments).map(|()| None),
            };
            let failed = result.as_ref().is_err_and(|error| !matches!(error, LogError::NoRoom { .. }));
            if let Some(message) = result.transpose()
                && (done.send(message).is_err() || failed)
            {
                return;
            }
        }
    }

    fn prepare(&mut self, Next { number, held }: Next) -> Result<Segment, LogError> {
        self.directory.create(number, held, self.spares.pop())
    }

    fn retire(&mut self, segments: &[Arc<Segment>]) -> Result<(), LogError> {
        for segment in segments {
            let keep = self.spares.len() < SPARES;
            self.spares.extend(self.directory.retire(segment, keep)?);
        }
        Ok(())
    }
}
