//! Messages for subscribers: they are delivered once the command is executed, and change nothing.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use niagara_engine::Wake;

use super::*;
use crate::command::Watch;
use crate::pubsub::{Audience, Subscriber, Topic};
use crate::{Data, Op};

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

pub(super) fn subscriber(kv: &Kv, topic: Topic, name: &[u8]) -> (Rc<RefCell<Audience>>, Subscriber) {
    let hub = Arc::clone(kv.reader().hub());
    let audience = Rc::new(RefCell::new(Audience::new(hub, Arc::new(Nobody))));
    let mut subscriber = Subscriber::new(Rc::clone(&audience), 1);
    subscriber.subscribe(topic, name).unwrap();
    (audience, subscriber)
}

fn heard(audience: &Rc<RefCell<Audience>>) -> Option<Vec<Bytes>> {
    let messages = audience.borrow().take_messages()?;
    Some(messages.into_iter().map(|message| message.payload).collect())
}

fn publish(out: &mut Vec<u8>, op: Op, payload: &[u8]) {
    command::encode_call(out, op, [b"news", payload].into_iter());
}

#[test]
fn a_message_goes_to_those_who_subscribe_and_the_state_stays_as_it_is() {
    let mut kv = Kv::new();
    assert_eq!(run(&mut kv, 1, |out| publish(out, Op::Publish, b"x")), Reply::Data(Data::Integer(0)));
    let (audience, _subscriber) = subscriber(&kv, Topic::Pattern, b"n*");
    let before = kv.digest();
    // A large payload stays where it is.
    let large = vec![b'x'; 100_000];
    for payload in [b"y".as_slice(), &large] {
        assert_eq!(run(&mut kv, 2, |out| publish(out, Op::Publish, payload)), Reply::Data(Data::Integer(1)));
    }
    assert_eq!(run(&mut kv, 2, |out| publish(out, Op::SPublish, b"z")), Reply::Data(Data::Integer(0)));
    assert_eq!(heard(&audience), Some(vec![Bytes::from_static(b"y"), large.into()]));
    assert_eq!(kv.digest(), before);
}

#[test]
fn messages_of_a_block_are_sent_in_order_if_it_is_executed() {
    let mut kv = Kv::new();
    let (audience, _subscriber) = subscriber(&kv, Topic::Channel, b"news");
    let commands: Vec<Vec<u8>> =
        [b"1", b"2"].iter().map(|payload| encoded(|out| publish(out, Op::Publish, *payload))).collect();
    let block = |watches: Vec<(&'static [u8], Option<Version>)>| {
        encoded(|out| {
            let watches = watches.into_iter().map(|(key, version)| Watch { key, database: None, version });
            command::encode_block(out, watches, commands.iter().map(Vec::as_slice));
        })
    };
    let missing = Version { position: 1, further: 0 };
    let refused = kv.execute(GlobalPosition::new(1), &block(vec![(b"k", Some(missing))]).into());
    assert_eq!((refused, heard(&audience)), (Reply::Block(None), Some(vec![])));
    kv.execute(GlobalPosition::new(2), &block(vec![(b"k", None)]).into());
    assert_eq!(heard(&audience), Some(vec![Bytes::from_static(b"1"), Bytes::from_static(b"2")]));
}

#[test]
fn a_snapshot_in_the_place_of_commands_tells_subscribers_that_they_may_have_missed_some() {
    let mut kv = Kv::new();
    let (audience, _subscriber) = subscriber(&kv, Topic::Channel, b"news");
    run(&mut kv, 3, |out| publish(out, Op::Publish, b"1"));
    assert_eq!(heard(&audience), Some(vec![Bytes::from_static(b"1")]));
    let restoring = Kv::restoring(&kv.reader());
    kv.restore(GlobalPosition::new(3), restoring).unwrap();
    assert_eq!(heard(&audience), Some(vec![]), "nothing was left out");
    let restoring = Kv::restoring(&kv.reader());
    kv.restore(GlobalPosition::new(9), restoring).unwrap();
    assert_eq!(heard(&audience), None);
    run(&mut kv, 10, |out| publish(out, Op::Publish, b"2"));
    assert_eq!(heard(&audience), Some(vec![Bytes::from_static(b"2")]));
}
