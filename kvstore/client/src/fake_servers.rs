//! Servers for tests, which answer as the test says until they are dropped.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::Endpoint;

/// A server, each of whose connections has a thread.
pub(crate) struct FakeServer {
    pub endpoint: Endpoint,
    heard: Arc<Mutex<Vec<String>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeServer {
    /// `answer` makes a reply of a request's head. Without one, the server keeps the client waiting.
    pub fn start(answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> FakeServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
        let (heard, ends) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (answer, all, end) = (Arc::new(answer), Arc::clone(&heard), Arc::clone(&ends));
        let thread = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (answer, all) = (Arc::clone(&answer), Arc::clone(&all));
                thread::spawn(move || serve(stream, &*answer, &all));
            }
        });
        FakeServer { endpoint, heard, ends, thread: Some(thread) }
    }

    /// The lines with which requests began, such as `GET /status`.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Where it is, as servers list it.
    pub fn address(&self) -> String {
        self.endpoint.to_string().strip_prefix("http://").unwrap().to_owned()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes it.
        let _ = TcpStream::connect(self.address());
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&str) -> Option<String>, heard: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    heard.lock().unwrap().push(request.split(" HTTP/").next().unwrap().to_owned());
    match answer(&request) {
        // The client may have gone.
        Some(reply) => drop(stream.write_all(reply.as_bytes())),
        None => drop(stream.read(&mut [0])),
    }
}

/// A reply with a body.
pub(crate) fn reply(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
