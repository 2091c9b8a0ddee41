//! The thread that makes segments ready before they are needed, and takes old ones away.
//!
//! Filling 16 MiB with zeros and syncing them takes longer than many writes, so it happens beside them: while one
//! segment is written, the next one waits, complete, under its final name.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use super::LogError;
use super::directory::{Directory, Spare};
use super::segment::Segment;

/// How many retired files wait to be used again. One is in use at a time; the second is for a burst of compaction.
const SPARES: usize = 2;

/// The writer's end. The thread ends with it.
#[derive(Debug)]
pub(super) struct Preparer {
    /// Taken at the end only, to tell the thread.
    jobs: Option<Sender<Job>>,
    prepared: Receiver<Result<Segment, LogError>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Job {
    Prepare(u64),
    Retire(Vec<Arc<Segment>>),
}

impl Preparer {
    /// Starts the thread, which at once prepares the segment of the given number. A file that a former life had
    /// prepared under that number, and not used, is replaced.
    pub fn start(directory: Arc<Directory>, next: u64) -> Result<Self, LogError> {
        let (jobs, todo) = mpsc::channel();
        let (done, prepared) = mpsc::channel();
        let path = directory.path().to_owned();
        let thread = thread::Builder::new()
            .name("log-prepare".into())
            .spawn(move || Worker { directory, spares: Vec::new() }.run(&todo, &done))
            .map_err(LogError::io("start a thread for the log in", &path))?;
        let preparer = Preparer { jobs: Some(jobs), prepared, thread: Some(thread) };
        preparer.prepare(next);
        Ok(preparer)
    }

    /// The segment that was to be prepared; waits for it if it is not ready. Then the next one is prepared.
    pub fn take(&self) -> Result<Segment, LogError> {
        // The thread is gone after an error, which an earlier call has reported.
        let segment = self.prepared.recv().unwrap_or(Err(LogError::Failed))?;
        self.prepare(segment.number + 1);
        Ok(segment)
    }

    /// Takes segments out of the log, in the given order, which must be from the oldest on.
    pub fn retire(&self, segments: Vec<Arc<Segment>>) {
        self.send(Job::Retire(segments));
    }

    fn prepare(&self, number: u64) {
        self.send(Job::Prepare(number));
    }

    fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // Nobody listens after an error, and `take` is going to report that.
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        // The thread finishes what is queued, and ends when there is nobody left to send it more.
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that prepares log segments has panicked");
        }
    }
}

struct Worker {
    directory: Arc<Directory>,
    spares: Vec<Spare>,
}

impl Worker {
    /// Works until the writer is gone or something fails. An error goes where a segment would have gone, so the writer
    /// meets it no later than when it needs the next segment.
    fn run(mut self, jobs: &Receiver<Job>, done: &Sender<Result<Segment, LogError>>) {
        for job in jobs {
            let result = match job {
                Job::Prepare(number) => self.directory.create(number, self.spares.pop()).map(Some),
                Job::Retire(segments) => self.retire(&segments).map(|()| None),
            };
            let failed = result.is_err();
            if let Some(message) = result.transpose()
                && (done.send(message).is_err() || failed)
            {
                return;
            }
        }
    }

    fn retire(&mut self, segments: &[Arc<Segment>]) -> Result<(), LogError> {
        for segment in segments {
            let keep = self.spares.len() < SPARES;
            self.spares.extend(self.directory.retire(segment, keep)?);
        }
        Ok(())
    }
}
