//! Messages between clients of three servers: all subscribers hear the same in the same order.

use std::thread;

use niagara_engine::Durability;
use niagara_tests::{Cluster, ClusterPlan, Resp, Value};

fn subscriber(cluster: &Cluster, server: u64) -> Resp {
    let mut redis = cluster.redis(server);
    for (number, command) in [["SUBSCRIBE", "news"], ["PSUBSCRIBE", "n?ws"]].iter().enumerate() {
        let confirmed = redis.command(command).unwrap();
        let Value::Array(parts) = confirmed else { panic!("no confirmation: {confirmed:?}") };
        assert_eq!(parts[2], Value::Integer(number as i64 + 1));
    }
    redis
}

/// The next message: whether it was heard by the pattern, and its payload.
fn heard(subscriber: &mut Resp) -> (bool, String) {
    let message = subscriber.receive().unwrap();
    let Value::Array(parts) = &message else { panic!("no message: {message:?}") };
    let by_pattern = parts[0] == Value::Bulk(b"pmessage".to_vec());
    let Some(Value::Bulk(payload)) = parts.last() else { panic!("no payload: {message:?}") };
    (by_pattern, String::from_utf8(payload.clone()).unwrap())
}

/// Publishes so many messages through a server, every third one in a transaction with a write.
fn publish(cluster: &Cluster, server: u64, messages: usize) {
    let mut redis = cluster.redis(server);
    for i in 0..messages {
        let message = format!("{server} {i}");
        if i % 3 > 0 {
            assert_eq!(redis.command(&["PUBLISH", "news", &message]).unwrap(), Value::Integer(2));
            continue;
        }
        redis.command(&["MULTI"]).unwrap();
        redis.command(&["SET", "last", &message]).unwrap();
        redis.command(&["PUBLISH", "news", &message]).unwrap();
        let done = redis.command(&["EXEC"]).unwrap();
        assert_eq!(done, Value::Array(vec![Value::Simple("OK".into()), Value::Integer(2)]));
    }
}

#[test]
fn all_subscribers_hear_the_same_in_the_same_order() {
    let mut cluster = ClusterPlan::new(3, 2).durability(Durability::Os).start();
    let messages = 200;
    let mut running = vec![1, 2, 3];
    while running.len() > 1 {
        let mut subscribers: Vec<Resp> = running.iter().map(|server| subscriber(&cluster, *server)).collect();
        thread::scope(|scope| {
            for &server in &running {
                let cluster = &cluster;
                scope.spawn(move || publish(cluster, server, messages));
            }
        });
        let first: Vec<_> = (0..2 * running.len() * messages).map(|_| heard(&mut subscribers[0])).collect();
        for other in &mut subscribers[1..] {
            first.iter().for_each(|message| assert_eq!(heard(other), *message));
        }
        for pair in first.chunks(2) {
            assert_eq!(
                (pair[0].0, pair[1].0, &pair[0].1),
                (false, true, &pair[1].1),
                "once for each subscription"
            );
        }
        for server in &running {
            let own: Vec<&String> = first
                .iter()
                .map(|(_, message)| message)
                .filter(|m| m.starts_with(&format!("{server} ")))
                .collect();
            let sent: Vec<String> = (0..messages).flat_map(|i| vec![format!("{server} {i}"); 2]).collect();
            assert!(own.iter().zip(&sent).all(|(own, sent)| *own == sent) && own.len() == sent.len());
        }
        drop(subscribers);
        // The others go on without it.
        let gone = running.remove(0);
        cluster.kill(gone);
        if running.len() > 1 {
            running.iter().for_each(|server| cluster.await_ready(*server));
        }
    }
}
