use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::fake_servers::{FakeServer, reply};
use crate::{Again, Cluster, Failed, Request};

const OK: &str = "HTTP/1.1 200 OK\r\nNiagara-Position: 7\r\nContent-Length: 2\r\n\r\nok";
/// Long, so that whatever waits for a server to the end is noticed.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A server that serves keys or does not, and whose status can be changed.
struct Server {
    id: u64,
    cluster: &'static str,
    status: Arc<Mutex<Option<String>>>,
    fake: FakeServer,
}

/// How a server answers requests for keys.
#[derive(Clone, Copy, PartialEq)]
enum Keys {
    Served,
    Refused,
    /// It closes the connection once it has one.
    Lost,
}

impl Server {
    fn start(id: u64, cluster: &'static str, keys: Keys) -> Server {
        let status = Arc::new(Mutex::new(None));
        let page = Arc::clone(&status);
        let fake = FakeServer::start(move |request| {
            if request.starts_with("GET /healthz ") {
                return Some(reply(200, "ok\n"));
            }
            if request.starts_with("GET /status ") {
                return page.lock().unwrap().clone();
            }
            Some(match keys {
                Keys::Served => OK.to_owned(),
                Keys::Refused => reply(503, r#"{"error":"x","message":"it is about to stop","hint":"x"}"#),
                Keys::Lost => String::new(),
            })
        });
        let server = Server { id, cluster, status, fake };
        server.list(1, &[]);
        server
    }

    /// Has it tell these members of this epoch.
    fn list(&self, epoch: u32, members: &[&Server]) {
        let members: Vec<_> = members
            .iter()
            .map(|member| serde_json::json!({"server": member.id, "http": member.fake.address()}))
            .collect();
        let page = serde_json::json!({"server": self.id, "cluster": self.cluster, "epoch": epoch, "members": members});
        self.say(Some(reply(200, &page.to_string())));
    }

    /// What it answers when it is asked for its status. Without an answer, it keeps the client waiting.
    fn say(&self, status: Option<String>) {
        *self.status.lock().unwrap() = status;
    }

    fn at(&self) -> Endpoint {
        self.fake.endpoint.clone()
    }

    /// How often it was asked for this.
    fn heard(&self, what: &str) -> usize {
        self.fake.heard().iter().filter(|line| line.starts_with(what)).count()
    }
}

fn cluster(named: &[&Server]) -> Cluster {
    Cluster::new(named.iter().map(|server| server.at())).timeout(TIMEOUT)
}

fn endpoints(cluster: &Cluster) -> Vec<String> {
    cluster.endpoints().iter().map(ToString::to_string).collect()
}

fn all(servers: &[&Server]) -> Vec<String> {
    servers.iter().map(|server| server.at().to_string()).collect()
}

#[test]
fn before_a_request_is_given_up_the_members_are_asked_for() {
    let (one, two, three) = (
        Server::start(1, "a", Keys::Refused),
        Server::start(2, "a", Keys::Refused),
        Server::start(3, "a", Keys::Served),
    );
    one.list(1, &[&one, &two]);
    two.list(2, &[&two, &three]);
    let cluster = cluster(&[&one]);
    assert_eq!(cluster.put(b"k", b"").map(|written| written.position), Ok(7));
    assert_eq!((one.heard("PUT "), two.heard("PUT "), three.heard("PUT ")), (1, 1, 1));
    assert_eq!(endpoints(&cluster), all(&[&one, &two, &three]));

    let gone = Cluster::new(["127.0.0.1:1".parse().unwrap()]).timeout(TIMEOUT);
    assert!(matches!(gone.put(b"k", b""), Err(Failed::Refused(tried)) if tried.len() == 1));
}

#[test]
fn what_may_have_been_executed_is_sent_to_no_server_that_is_learned() {
    let (one, two) = (Server::start(1, "a", Keys::Lost), Server::start(2, "a", Keys::Served));
    one.list(1, &[&one, &two]);
    let write = Request::on_key("PUT", b"k", "");
    assert!(matches!(cluster(&[&one]).send(&write, Again::Never), Err(Failed::Unknown(_))));
    assert_eq!((one.heard("GET /status"), two.fake.heard().len()), (0, 0));

    // If that is allowed, it is sent there, and said.
    let mut told = Vec::new();
    let sent = cluster(&[&one]).send_and_tell(&write, Again::SameEffect, |why, next| {
        told.push((why.endpoint.clone(), next.clone()));
    });
    assert_eq!(sent.map(|response| response.status), Ok(200));
    assert_eq!(told, [(one.at(), two.at())]);
}

#[test]
fn a_program_that_goes_on_learns_the_members_while_those_that_it_named_are_there() {
    let (one, two) = (Server::start(1, "a", Keys::Served), Server::start(2, "a", Keys::Served));
    one.list(1, &[&one, &two]);
    let cluster = cluster(&[&one]);
    cluster.put(b"k", b"").unwrap();
    assert_eq!(one.heard("GET /status"), 0, "one request pays nothing");
    cluster.put(b"k", b"").unwrap();
    cluster.put(b"k", b"").unwrap();
    assert_eq!((one.heard("GET /status"), two.fake.heard().len()), (1, 0));
    drop(one);
    cluster.put(b"k", b"").unwrap();
    assert_eq!(two.heard("PUT "), 1);
}

#[test]
fn nothing_but_a_question_reaches_a_server_of_another_cluster() {
    let (one, other) = (Server::start(1, "a", Keys::Refused), Server::start(2, "b", Keys::Served));
    one.list(1, &[&one, &other]);
    other.list(9, &[&other]);
    let cluster = cluster(&[&one]);
    let Err(Failed::Refused(tried)) = cluster.put(b"k", b"") else { panic!("it was refused") };
    assert_eq!(tried[1].why, "it is a server of another cluster, b; the one asked for is a");
    assert!(cluster.get(b"k").is_err(), "its keys are of no use, either");
    assert_eq!(other.heard("GET /status"), other.fake.heard().len(), "{:?}", other.fake.heard());
    assert!(cluster.recognise(&one.at()).is_ok() && cluster.recognise(&other.at()).is_err());

    // A member's address may become another cluster's at any time.
    let two = Server::start(2, "a", Keys::Served);
    one.list(2, &[&one, &two]);
    cluster.put(b"k", b"").unwrap();
    two.say(Some(reply(200, r#"{"server":2,"cluster":"b"}"#)));
    assert!(cluster.put(b"k", b"").is_err());
    assert_eq!(two.heard("PUT "), 1);
}

#[test]
fn a_server_of_another_cluster_that_was_named_is_asked_but_tells_no_members() {
    let (one, two) = (Server::start(1, "a", Keys::Refused), Server::start(2, "a", Keys::Refused));
    let (other, theirs) = (Server::start(1, "b", Keys::Served), Server::start(2, "b", Keys::Served));
    one.list(1, &[&one, &two]);
    other.list(5, &[&other, &theirs]);
    let cluster = cluster(&[&one, &other]);
    cluster.keep_up(Duration::ZERO);
    assert_eq!(endpoints(&cluster), all(&[&one, &other, &two]));
    cluster.put(b"k", b"").unwrap();
    assert_eq!((other.heard("PUT "), theirs.fake.heard().len()), (1, 0));
}

#[test]
fn the_list_is_that_of_the_newest_epoch() {
    let servers = [1, 2, 3].map(|id| Server::start(id, "a", Keys::Served));
    let [one, two, three] = &servers;
    one.list(1, &[one, two]);
    two.list(1, &[one, two]);
    let cluster = cluster(&[one]);
    cluster.keep_up(Duration::ZERO);
    assert_eq!(endpoints(&cluster), all(&[one, two]));
    cluster.keep_up(TIMEOUT);
    assert_eq!(one.heard("GET /status"), 1, "it was not long ago");

    // Server 3 takes the place of server 2, which has yet to notice.
    one.list(2, &[one, three]);
    cluster.keep_up(Duration::ZERO);
    assert_eq!(endpoints(&cluster), all(&[one, three]));

    // What nobody tells any more stays.
    one.say(Some(String::new()));
    three.say(Some(String::new()));
    cluster.keep_up(Duration::ZERO);
    assert_eq!(endpoints(&cluster), all(&[one, three]));
}

#[test]
fn a_server_with_two_names_is_not_asked_twice() {
    let (one, two) = (Server::start(1, "a", Keys::Served), Server::start(2, "a", Keys::Served));
    one.list(1, &[&one, &two]);
    let name = one.fake.address().replace("127.0.0.1", "localhost");
    let cluster = Cluster::new([name.parse().unwrap()]).timeout(TIMEOUT);
    cluster.keep_up(Duration::ZERO);
    assert_eq!(cluster.endpoints()[1..], [two.at()]);
}

#[test]
fn clones_learn_for_each_other() {
    let (one, two) = (Server::start(1, "a", Keys::Refused), Server::start(2, "a", Keys::Served));
    one.list(1, &[&one, &two]);
    let cluster = cluster(&[&one]);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            let (cluster, served) = (cluster.clone(), &served);
            scope.spawn(move || {
                cluster.put(b"k", b"").unwrap();
                served.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    assert_eq!(served.load(Ordering::SeqCst), 8, "each waits for the one that asks");
    assert_eq!(endpoints(&cluster), all(&[&one, &two]));
    let other_access = cluster.clone().with(&crate::Access::new().password("x"));
    assert_eq!(endpoints(&other_access), all(&[&one]));
}

#[test]
fn a_server_that_hangs_holds_up_requests_for_a_moment_only() {
    let (one, hung, two) = (
        Server::start(1, "a", Keys::Served),
        Server::start(2, "a", Keys::Served),
        Server::start(3, "a", Keys::Served),
    );
    hung.say(None);
    one.list(1, &[&one, &hung, &two]);
    for (named, learned) in [(vec![&hung], vec![&hung]), (vec![&one, &hung], vec![&one, &hung, &two])] {
        let cluster = cluster(&named);
        cluster.put(b"k", b"").unwrap();
        let begun = Instant::now();
        cluster.put(b"k", b"").unwrap();
        assert!(begun.elapsed() < TIMEOUT / 2, "{:?}", begun.elapsed());
        assert_eq!(endpoints(&cluster), all(&learned));
    }
}

#[test]
fn a_client_that_must_not_know_asks_once() {
    let one = Server::start(1, "a", Keys::Served);
    one.say(Some(reply(403, r#"{"error":"x","message":"no right","hint":"x"}"#)));
    let cluster = cluster(&[&one]);
    for _ in 0..3 {
        cluster.keep_up(Duration::ZERO);
    }
    assert_eq!((one.heard("GET /status"), endpoints(&cluster)), (1, all(&[&one])));
}
