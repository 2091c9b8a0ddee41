//! The mailbox of a group's thread, with the waker that ends its poll of sockets.

use std::sync::Arc;

use loom::thread;

use super::sockets::Sockets;
use crate::progress::{Mail, Mailbox};

/// Two threads send; the group's thread sleeps whenever the mailbox is empty, as a turn of its transport
/// does.
pub fn all_mail_is_read() {
    let sockets = Sockets::new();
    let mailbox = Arc::new(Mailbox::default());
    mailbox.set_waker(sockets.waker.clone());
    let senders = [Mail::AskRead(1), Mail::Persisted(1)].map(|mail| {
        let mailbox = Arc::clone(&mailbox);
        thread::spawn(move || mailbox.send(mail))
    });
    let mut read = Vec::new();
    while read.len() < 2 {
        sockets.poll(|| !mailbox.has_mail());
        mailbox.take(&mut read);
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    assert_ne!(read[0], read[1], "each is read once");
}
