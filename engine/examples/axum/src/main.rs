//! A replicated counter as a web service: three servers of a cluster, each behind its own port. Any of them
//! takes any request.
//!
//! ```console
//! $ cargo run --release -p niagara-axum-example
//! $ curl -X POST -H 'Content-Type: application/json' -d '{"by": 5}' http://127.0.0.1:7100/add
//! {"count":5,"position":1}
//! $ curl 'http://127.0.0.1:7101/count?consistency=strong'
//! {"count":5}
//! ```

use std::error::Error;
use std::net::Ipv4Addr;

use axum::extract::{Json, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, serve};
use niagara_engine::{App, CallError, Config, Consistency, GlobalPosition, Node, NodeHandle, Retry};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Default, Serialize, Deserialize)]
struct Counter(u64);

impl App for Counter {
    type Command = u64;
    /// The new count, or nothing if it does not fit.
    type Reply = Option<u64>;

    fn apply(&mut self, _: GlobalPosition, by: u64) -> Option<u64> {
        self.0 = self.0.checked_add(by)?;
        Some(self.0)
    }
}

#[derive(Deserialize)]
struct Add {
    by: u64,
}

#[derive(Serialize)]
struct Added {
    count: u64,
    /// A read of at least this position sees the addition, on any server.
    position: u64,
}

/// Adds, and answers with the new count once a quorum has the command.
async fn add(
    State(node): State<NodeHandle<Counter>>,
    Json(Add { by }): Json<Add>,
) -> Result<Response, Failed> {
    let added = node.call(&by).await.map_err(Failed)?;
    Ok(match added.reply {
        Some(count) => Json(Added { count, position: added.position.get() }).into_response(),
        None => (StatusCode::CONFLICT, "the count would not fit").into_response(),
    })
}

#[derive(Deserialize)]
struct Freshness {
    /// `strong`, the default, `weak`, or the least position.
    consistency: Option<String>,
}

#[derive(Serialize)]
struct Count {
    count: u64,
}

async fn count(
    State(node): State<NodeHandle<Counter>>,
    Query(Freshness { consistency }): Query<Freshness>,
) -> Result<Response, Failed> {
    let consistency = match consistency.as_deref() {
        None | Some("strong") => Consistency::Strong,
        Some("weak") => Consistency::Weak,
        Some(position) => match position.parse() {
            Ok(position) => Consistency::AtLeast(GlobalPosition::new(position)),
            Err(_) => return Ok((StatusCode::BAD_REQUEST, "strong, weak or a position").into_response()),
        },
    };
    let count = node.query(consistency, |counter| counter.0).await.map_err(Failed)?;
    Ok(Json(Count { count }).into_response())
}

/// The engine's error as a response: 504 if the command may have been executed, so that a retry could execute
/// it twice; 503 with `Retry-After` if it was not, or was a query, and a retry helps.
struct Failed(CallError);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let Failed(error) = self;
        let text = error.to_string();
        match error.retry() {
            _ if error.is_unknown() => (StatusCode::GATEWAY_TIMEOUT, text).into_response(),
            Retry::Never => (StatusCode::BAD_REQUEST, text).into_response(),
            _ => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], text).into_response(),
        }
    }
}

fn service(node: &Node<Counter>) -> Router {
    Router::new().route("/add", post(add)).route("/count", get(count)).with_state(node.handle())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let start = |config| Node::start(config, Counter::default());
    let nodes = Config::local(3, 2)?.into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
    let mut services = Vec::new();
    for (node, port) in nodes.iter().zip(7100..) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        println!("listening at http://{}", listener.local_addr()?);
        let service = service(node);
        services.push(tokio::spawn(async move { serve(listener, service).await }));
    }
    for service in services {
        service.await??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn start(node: &Node<Counter>) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = service(node);
        tokio::spawn(async move { serve(listener, service).await });
        port
    }

    /// Head and body of the response, over a connection of its own.
    async fn request(port: u16, method: &str, path: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    #[tokio::test]
    async fn any_server_takes_any_request() {
        let start_node = |config| Node::start(config, Counter::default()).unwrap();
        let nodes: Vec<_> = Config::local(3, 2).unwrap().into_iter().map(start_node).collect();
        let mut ports = Vec::new();
        for node in &nodes {
            ports.push(start(node).await);
        }
        let (head, body) = request(ports[0], "POST", "/add", r#"{"by": 5}"#).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{body}");
        let position =
            body.strip_prefix(r#"{"count":5,"position":"#).unwrap().trim_end_matches('}').to_owned();
        for (port, consistency) in [(ports[1], "strong"), (ports[2], &*position), (ports[0], "weak")] {
            let (_, body) = request(port, "GET", &format!("/count?consistency={consistency}"), "").await;
            assert_eq!(body, r#"{"count":5}"#);
        }
        let (head, _) = request(ports[1], "POST", "/add", &format!(r#"{{"by": {}}}"#, u64::MAX)).await;
        assert!(head.starts_with("HTTP/1.1 409"), "{head}");
        let (head, _) = request(ports[1], "GET", "/count?consistency=perhaps", "").await;
        assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    }

    #[tokio::test]
    async fn without_a_quorum_the_service_says_whether_to_retry() {
        let mut config = Config::local(3, 1).unwrap().remove(0);
        (config.tick, config.deadline) = (Duration::from_millis(10), Duration::from_millis(100));
        let node = Node::start(config, Counter::default()).unwrap();
        let port = start(&node).await;
        let (head, _) = request(port, "POST", "/add", r#"{"by": 1}"#).await;
        assert!(head.starts_with("HTTP/1.1 504"), "it may be executed once there is a quorum: {head}");
        let refused = async {
            loop {
                let (head, _) = request(port, "POST", "/add", r#"{"by": 1}"#).await;
                if head.starts_with("HTTP/1.1 503") {
                    break head;
                }
            }
        };
        let head = tokio::time::timeout(Duration::from_secs(60), refused).await.unwrap();
        assert!(head.to_lowercase().contains("retry-after: 1"), "{head}");
        let (head, _) = request(port, "GET", "/count", "").await;
        assert!(head.starts_with("HTTP/1.1 503"), "a read has no effect: {head}");
        assert!(head.to_lowercase().contains("retry-after: 1"), "{head}");
        let (head, body) = request(port, "GET", "/count?consistency=weak", "").await;
        assert!(head.starts_with("HTTP/1.1 200"), "a weak read needs no quorum: {head}");
        assert_eq!(body, r#"{"count":0}"#);
    }
}
