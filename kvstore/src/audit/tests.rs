use std::fmt::{self, Write as _};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;

/// Collects the lines of the log that have a target.
#[derive(Clone)]
struct Lines {
    target: &'static str,
    told: Arc<Mutex<Vec<String>>>,
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}:"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {}={value}", field.name());
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == self.target
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.told.lock().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The lines that something leaves in the audit, on this thread.
pub(crate) fn audited(doing: impl FnOnce()) -> Vec<String> {
    logged(TARGET, doing)
}

/// The lines with a target that something leaves in the log, on this thread.
pub(crate) fn logged(target: &'static str, doing: impl FnOnce()) -> Vec<String> {
    let lines = Lines { target, told: Arc::default() };
    tracing::subscriber::with_default(lines.clone(), doing);
    std::mem::take(&mut *lines.told.lock())
}

#[test]
fn each_act_is_told_once_with_its_end() {
    let begin = |what: &str| Act::by(b"default", None, what);
    let lines = audited(|| {
        begin("one").done();
        begin("two").replied(17, &Reply::Flushed);
        begin("three").replied(18, &Reply::Data(Data::Error("ERR no".into())));
        begin("four").refused("the server is about to stop");
        begin("five").unknown();
        drop(begin("six"));
    });
    let expected = [
        "act=one outcome=done",
        "act=two position=17 outcome=done",
        "act=three position=18 outcome=ERR no",
        "act=four outcome=refused: the server is about to stop",
        "act=five outcome=unknown: its deadline has passed",
        "act=six outcome=unknown: its client has left before it was known",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains("user=default") && line.ends_with(expected), "{line} is not {expected}");
    }
}

#[test]
fn what_may_be_a_secret_is_not_told() {
    let secrets: [&[u8]; 4] = [b">hunter2", b"<hunter2", b"#f52fbd32b2b3", b"!f52fbd32b2b3"];
    let text = words("ACL SETUSER alice on", secrets.into_iter().chain([b"+get".as_slice()]));
    assert_eq!(text, "ACL SETUSER alice on >(password) <(password) #(password) !(password) +get");
}

#[test]
fn what_a_client_sends_cannot_make_lines() {
    assert_eq!(
        words("ACL DELUSER", [b"a\r\nERROR audit: x".as_slice()].into_iter()),
        "ACL DELUSER a\\r\\nERROR audit: x"
    );
    let long = vec![b'x'; 1 << 20];
    assert!(words("ACL DELUSER", [long.as_slice(); 9].into_iter()).len() < 2 * MOST_BYTES);
}
