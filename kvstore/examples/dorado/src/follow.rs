//! What is appended to the order, as it comes: a watch that goes on at another server when one is gone.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use niagara_client::{Cluster, Endpoint, Request};
use serde::Deserialize;

use crate::order::{OPERATIONS, Ordered};

/// A server that says nothing for so long is left. It says something each second.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before the next server is asked.
const PAUSE: Duration = Duration::from_millis(100);

/// A line of a watch.
#[derive(Deserialize)]
struct Line {
    kind: String,
    id: String,
    key: Option<String>,
    value: Option<String>,
}

/// Follows the order from now on, on a thread of its own, as long as somebody listens. What is there already when this returns
/// must be [read](crate::order::Order::read); a part of it may be told, too.
///
/// # Panics
/// If changes are missing, or there is no thread.
pub fn follow(cluster: &Cluster) -> Receiver<Ordered> {
    let (sender, receiver) = mpsc::channel();
    let (begun, has_begun) = mpsc::channel();
    let endpoints = cluster.endpoints();
    thread::spawn(move || {
        let (mut seen, mut begun) = (None, Some(begun));
        for endpoint in endpoints.iter().cycle() {
            if !through(endpoint, &mut seen, &mut begun, &sender) {
                return;
            }
            thread::sleep(PAUSE);
        }
    });
    has_begun.recv().expect("the thread ends when nobody listens");
    receiver
}

/// Follows the order at one server, until that is gone. `false`: nobody listens any more.
fn through(
    endpoint: &Endpoint,
    seen: &mut Option<String>,
    begun: &mut Option<Sender<()>>,
    sender: &Sender<Ordered>,
) -> bool {
    let after = seen.as_ref().map_or_else(String::new, |seen| format!("&after={seen}"));
    let request = Request::watch(OPERATIONS.as_bytes(), &format!("&values=true&heartbeat=1{after}"));
    let Ok(mut reply) = endpoint.open(&request.header("Accept", "application/x-ndjson"), PATIENCE) else {
        return true;
    };
    // What is gone cannot be followed: a replica that goes on would have a gap.
    assert_ne!(reply.response.status, 410, "the server does not keep the changes behind {seen:?} any more");
    while let Ok(Some(text)) = reply.next_line() {
        let Ok(line) = serde_json::from_slice::<Line>(&text) else { return true };
        if line.kind == "end" {
            return true;
        }
        // The first line says where the watch begins.
        if let Some(begun) = begun.take() {
            let _ = begun.send(());
        }
        *seen = Some(line.id);
        if let (Some(key), Some(value)) = (line.key, line.value) {
            let ordered = Ordered::parse(&key, &value).expect("only operations have such keys");
            if sender.send(ordered).is_err() {
                return false;
            }
        }
    }
    true
}
