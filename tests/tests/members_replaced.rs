//! Every server is replaced, the cluster grows and shrinks, and servers are killed amid that, while clients write: what has been
//! acknowledged stays.

use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use niagara_testing::parts::chance::Chance;
use niagara_tests::binary::niagara;
use niagara_tests::{Cluster, ClusterPlan, History, Load, LoadPlan, rounds, wait};

/// Acknowledged writes between two steps.
const PROGRESS: u64 = 60;
/// A kill comes within this time after a change was asked for, which takes a good part of it.
const KILLED_WITHIN_MS: u64 = 250;

/// The cluster and its members now.
struct Run {
    cluster: Cluster,
    members: Vec<u64>,
    history: Arc<History>,
    chance: Chance,
}

impl Run {
    fn start() -> Run {
        let plan = ClusterPlan::new(3, 2).engine("threads", 1).engine("snapshot_entries", 300);
        Run {
            cluster: plan.start(),
            members: vec![1, 2, 3],
            history: Arc::default(),
            chance: Chance::new(17),
        }
    }

    fn load(&self) -> Load {
        let endpoints: Vec<_> =
            self.members.iter().map(|member| self.cluster.endpoint(*member).clone()).collect();
        Load::start(&endpoints, &self.history, LoadPlan::default())
    }

    /// Has one server leave and another one come, each if it is given, and kills a server that stays or comes meanwhile.
    fn change(&mut self, leaves: Option<u64>, comes: bool) {
        let mut load = self.load();
        load.await_progress(PROGRESS);
        let newcomer = comes.then(|| self.cluster.new_member());
        if let Some(newcomer) = newcomer {
            self.cluster.launch(newcomer);
        }
        self.members.retain(|member| Some(*member) != leaves);
        self.members.extend(newcomer);
        let victim = self.members[self.chance.between(0, self.members.len() as u64 - 1) as usize];
        let asking = {
            let command = self.command(leaves, newcomer);
            thread::spawn(move || run(command))
        };
        thread::sleep(Duration::from_millis(self.chance.below(KILLED_WITHIN_MS)));
        self.cluster.kill(victim);
        load.await_progress(PROGRESS);
        self.cluster.launch(victim);
        asking.join().expect("it waits for a process only");
        // The request may be lost with the server that took it: then it is made again.
        let mut last = None;
        wait::until("the change of members to be made", || {
            let output = run(self.command(leaves, newcomer));
            let done = output.status.success();
            assert_ne!(output.status.code(), Some(2), "{output:?}");
            last = Some(output);
            done.then_some(())
        });
        for member in self.members.clone() {
            self.cluster.await_ready(member);
        }
        if let Some(gone) = leaves {
            self.cluster.await_departure(gone);
        }
        load.stop();
        let mut load = self.load();
        load.await_progress(PROGRESS);
        self.cluster.compare_digests();
        load.stop();
    }

    /// `niagara member` for the change.
    fn command(&self, leaves: Option<u64>, comes: Option<u64>) -> Command {
        let what = match (leaves, comes) {
            (Some(_), Some(_)) => "replace",
            (Some(_), None) => "remove",
            _ => "add",
        };
        let mut command = Command::new(niagara());
        command.args(["member", what, "--timeout", "20", "--at", &self.cluster.urls()]);
        if let Some(gone) = leaves {
            command.args(["--id", &gone.to_string()]);
        }
        if let Some(newcomer) = comes {
            command.arg("--file").arg(self.cluster.config(newcomer));
        }
        command
    }
}

fn run(mut command: Command) -> Output {
    command.output().expect("niagara can be run")
}

/// Proves that nothing acknowledged is lost, executed twice or read stale when all servers are replaced one after the other, and
/// when three become five and three again, with a kill at a random moment of each change; and that each change happens although.
#[test]
fn all_servers_are_replaced_and_some_come_and_leave() {
    let mut run = Run::start();
    for _ in 0..rounds(1) {
        for leaves in run.members.clone() {
            run.change(Some(leaves), true);
        }
        run.change(None, true);
        run.change(None, true);
        run.change(Some(run.members[0]), false);
        run.change(Some(run.members[0]), false);
        assert_eq!(run.members.len(), 3);
    }
    run.cluster.await_agreement();
    for member in &run.members {
        let mut clients = niagara_tests::Client::both(run.cluster.endpoint(*member));
        clients.iter_mut().for_each(|client| run.history.verify(client));
    }
}
