//! One server's process: started, signalled, watched and ended.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::binary::niagara;
use crate::network::{Host, Namespaces};
use crate::wait;

/// A running `niagara serve`. Dropping it kills it.
pub struct ServerProcess {
    child: Child,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts a server, and appends what it logs to a file.
    ///
    /// # Panics
    /// When the system cannot start it.
    pub fn start(config: &Path, log: &Path) -> ServerProcess {
        ServerProcess::start_with(config, log, &[])
    }

    /// Starts a server with further options.
    ///
    /// # Panics
    /// When the system cannot start it.
    pub fn start_with(config: &Path, log: &Path, options: &[String]) -> ServerProcess {
        let open = File::options().create(true).append(true).open(log);
        let file = open.unwrap_or_else(|error| panic!("cannot open {}: {error}", log.display()));
        let child = Command::new(niagara())
            .args(["serve", "--config"])
            .arg(config)
            .args(options)
            // Backtraces cost nothing unless there is a panic, and then they are wanted.
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            // An interrupt typed at the terminal is for the one who drives the servers, not for them.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", niagara().display()));
        ServerProcess { child, log: log.to_owned() }
    }

    /// Starts a server in its namespace of a network.
    ///
    /// # Panics
    /// As [`start`](Self::start) does, and when the namespace cannot be entered.
    pub fn start_in(network: &Namespaces, server: u64, config: &Path, log: &Path) -> ServerProcess {
        // Found here, since this may build it, which is to happen where there is a network.
        niagara();
        // A process begins in the namespace of the thread that starts it.
        let started = network.inside(Host::Server(server), || ServerProcess::start(config, log));
        started.unwrap_or_else(|error| panic!("server {server}: {error}"))
    }

    /// What the server, and those before it with the same log file, have logged so far.
    pub fn log(&self) -> String {
        read_log(&self.log)
    }

    /// The system's number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for the process's end.
    ///
    /// # Panics
    /// When it goes on.
    pub fn await_exit(&mut self) -> ExitStatus {
        wait::until("the end of a server's process", || self.exit_status())
    }

    /// SIGKILL: the end at once, as by a failure.
    pub fn kill(mut self) {
        self.end();
    }

    /// SIGTERM, without waiting for the end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGTERM: the clean end, asserted.
    ///
    /// # Panics
    /// When the server does not end, or not with status 0.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.await_exit();
        assert!(
            status.success(),
            "a server that was asked to stop ended with {status}; its log:\n{}",
            self.log()
        );
    }

    /// SIGSTOP: the process stands still, and its connections stay open.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// The processor time it has used since its start, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = self.proc("stat");
        // The second field is the command in parentheses; utime and stime are the 14th and the 15th.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect::<Vec<_>>());
        let ticks: Option<u64> = fields.and_then(|fields| {
            Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
        });
        let ticks = ticks.unwrap_or_else(|| panic!("/proc/PID/stat has no such fields: {stat}"));
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64
    }

    /// How often its threads have gone to sleep since their start.
    pub fn sleeps(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).expect("the process runs");
        let sleeps = tasks.flatten().filter_map(|task| {
            // A thread can end while it is looked at.
            let status = std::fs::read_to_string(task.path().join("status")).ok()?;
            let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            count.trim().parse::<u64>().ok()
        });
        sleeps.sum()
    }

    /// The most memory that it has ever held, in bytes: VmHWM of proc(5).
    pub fn peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// The memory that it holds now, in bytes: VmRSS of proc(5).
    pub fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, field: &str) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kib.unwrap_or_else(|| panic!("/proc/PID/status has no {field} {status}")) << 10
    }

    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}; its log:\n{}", self.log()))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal)
            .expect("a child that was not waited for can be signalled");
    }

    fn end(&mut self) {
        // It may have ended by itself, and its being gone is all that is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// A server's log as text, whatever is in it.
pub fn read_log(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
