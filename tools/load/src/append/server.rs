//! A server process: reads its assignment and then requests from standard input, and answers on standard output, a line each.

use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use niagara_engine::{Client, Engine, GroupStatus};
use tracing_subscriber::EnvFilter;

use super::appender::Appender;
use super::assignment::{Assignment, Request};
use super::demand::{Demand, leader_of};
use super::origin::{Control, Origin, OriginSeen};
use super::pace::OriginPace;
use super::reading::Reading;
use crate::failure::Failure;

/// Leaders are elected within a second or so.
const LEADERS_WITHIN: Duration = Duration::from_secs(30);

/// Serves as one server of a measured cluster, until standard input ends.
///
/// # Errors
/// When its assignment cannot be read or the engine does not start.
pub fn serve() -> Result<(), Failure> {
    niagara_logging::end_on_any_panic();
    niagara_logging::start(EnvFilter::new("warn")).map_err(Failure::io("cannot start the log"))?;
    let mut lines = io::stdin().lock().lines();
    let assignment = lines
        .next()
        .ok_or_else(|| Failure::new("this subcommand is for niagara-load itself: it reads an assignment"))?;
    let assignment: Assignment = read(&assignment.map_err(Failure::io("cannot read the assignment"))?)?;
    let mut server = MeasuredServer::start(&assignment)?;
    for line in lines {
        let line = line.map_err(Failure::io("cannot read a request"))?;
        let reading = server.answer(read(&line)?)?;
        let answer = serde_json::to_string(&reading).expect("a reading is plain data");
        let mut out = io::stdout().lock();
        writeln!(out, "{answer}").and_then(|()| out.flush()).map_err(Failure::io("cannot answer"))?;
    }
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(line: &str) -> Result<T, Failure> {
    serde_json::from_str(line).map_err(|error| Failure::new(format!("cannot understand {line:?}: {error}")))
}

/// The origin's thread, and how it is told to begin.
struct OriginHandle {
    thread: Thread,
    paces: Sender<OriginPace>,
    /// Commands in flight that keep all groups busy that this server leads.
    unbounded: u64,
    step_nanos: u64,
}

impl OriginHandle {
    fn start(
        engine: &Arc<Engine<Appender>>,
        control: &Arc<Control>,
        assignment: &Assignment,
    ) -> OriginHandle {
        let (engine, control, own_assignment) = (Arc::clone(engine), Arc::clone(control), assignment.clone());
        let (made, is_made) = mpsc::channel();
        let (paces, receive_paces) = mpsc::channel();
        let run = move || {
            let origin = Origin::new(&engine, control, &own_assignment);
            drop(engine);
            made.send(()).expect("the process waits for it");
            origin.run(&receive_paces);
        };
        let thread =
            thread::Builder::new().name("origin".into()).spawn(run).expect("one more thread is there");
        is_made.recv().expect("an origin comes to life");
        let led = (1..=assignment.groups()).filter(|group| leader_of(*group) == assignment.server).count();
        OriginHandle {
            thread: thread.thread().clone(),
            paces,
            unbounded: assignment.full_group() * led.max(1) as u64,
            step_nanos: 1000 * u64::from(assignment.step_micros),
        }
    }

    fn begin(&self, demand: Demand) {
        // The origin ends before its process only where the engine stops, whose end the parent sees.
        let _ = self.paces.send(OriginPace::new(demand, self.unbounded, self.step_nanos));
    }
}

struct MeasuredServer {
    client: Client<Appender>,
    control: Arc<Control>,
    origin: Option<OriginHandle>,
    groups: u64,
    begun: Instant,
    /// Ends with the process.
    _engine: Arc<Engine<Appender>>,
}

impl MeasuredServer {
    fn start(assignment: &Assignment) -> Result<MeasuredServer, Failure> {
        let engine = Engine::start(assignment.config()?, Appender::default())
            .map_err(|error| Failure::new(format!("server {}: {error}", assignment.server)))?;
        let engine = Arc::new(engine);
        let control = Control::new();
        let origin = assignment.originates.then(|| OriginHandle::start(&engine, &control, assignment));
        Ok(MeasuredServer {
            client: engine.client(),
            control,
            origin,
            groups: assignment.groups(),
            begun: Instant::now(),
            _engine: engine,
        })
    }

    fn answer(&mut self, request: Request) -> Result<Reading, Failure> {
        match request {
            Request::Ready => self.await_leaders()?,
            Request::Begin(demand) => {
                if let (Some(origin), Some(demand)) = (&self.origin, demand) {
                    self.control.drain.store(false, SeqCst);
                    self.control.drained.store(false, SeqCst);
                    origin.begin(demand);
                }
            }
            Request::Read => {}
            Request::Drain => {
                self.control.drain.store(true, SeqCst);
                if let Some(origin) = &self.origin {
                    origin.thread.unpark();
                }
                while !self.control.drained.load(SeqCst) {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
        let seen = std::mem::replace(
            &mut *self.control.seen.lock().expect("nobody panics with it"),
            OriginSeen::nothing(),
        );
        let refused = self.control.refused.load(SeqCst);
        let unknown = self.control.unknown.load(SeqCst);
        Ok(Reading::of(&self.client, self.begun.elapsed(), &seen, refused, unknown))
    }

    /// Waits until each group is led by the server that is meant to: what comes then is what the placement gives.
    fn await_leaders(&self) -> Result<(), Failure> {
        let until = Instant::now() + LEADERS_WITHIN;
        while Instant::now() < until {
            let status = self.client.status();
            let placed = |group: &GroupStatus| group.leader == leader_of(group.group.into());
            if status.local.len() as u64 == self.groups && status.local.iter().all(placed) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(Failure::new("not all groups elected a leader: is the machine overloaded?"))
    }
}
