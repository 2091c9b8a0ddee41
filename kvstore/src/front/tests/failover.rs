//! FAILOVER as time passes, on several threads, and who may ask for it.

use std::time::{Duration, Instant};

use niagara_engine::Refused;

use super::audit::{command, redis};
use super::fake::{FakeEngine, FakeServer, Leading, Mood};
use super::sockets::Server;
use crate::handover::{Handover, Stage, Wanted};

const SECOND: Duration = Duration::from_secs(1);

/// A server that leads groups 1 and 3, and what is handed over there.
fn server() -> (FakeEngine, Handover, Instant) {
    let (engine, _) = FakeServer::new().engine();
    *engine.server.leading.lock() = Leading::of_three(&[1, 2, 1]);
    (engine, Handover::default(), Instant::now())
}

/// What the engine was asked for since the last time.
fn asked(engine: &FakeEngine) -> Vec<String> {
    std::mem::take(&mut engine.server.leading.lock().asked)
}

fn stage(handover: &Handover, engine: &FakeEngine) -> Stage {
    handover.stage(&handover.leaders(engine))
}

#[test]
fn one_server_takes_over_group_by_group_when_it_can() {
    let (engine, handover, begin) = server();
    engine.server.leading.lock().lags(2);
    handover.begin(Wanted { to: Some(2), ..Wanted::default() }, begin, &engine);
    assert_eq!(asked(&engine), ["leave group 1", "leave group 2", "leave group 3"]);
    assert_eq!(stage(&handover, &engine), Stage::WaitsForSync, "server 3 could, but is not meant");
    assert!(handover.leaders(&engine).draining, "others are told so");

    engine.server.leading.lock().led_by(&[1, 2, 1]);
    let look = handover.due().expect("it looks again");
    handover.turn(look - Duration::from_millis(1), &engine);
    assert_eq!(asked(&engine), [""; 0], "not before");
    handover.turn(look, &engine);
    assert_eq!(asked(&engine), ["move group 1 to 2", "move group 3 to 2"]);
    assert_eq!(stage(&handover, &engine), Stage::Hands);

    // A group that is being handed over takes no commands, so who does not take it is not asked all the time.
    engine.server.leading.lock().led_by(&[2, 2, 1]);
    let look = handover.due().unwrap();
    handover.turn(look, &engine);
    assert_eq!(asked(&engine), [""; 0]);
    handover.turn(look + 2 * SECOND, &engine);
    assert_eq!(asked(&engine), ["move group 3 to 2"]);

    engine.server.leading.lock().led_by(&[2, 2, 2]);
    handover.turn(look + 3 * SECOND, &engine);
    assert_eq!(asked(&engine), ["drain"], "it claims nothing");
    assert_eq!((stage(&handover, &engine), handover.due()), (Stage::Nothing, None));
    assert!(handover.leaders(&engine).draining, "until somebody ends it");
    handover.end(&engine);
    assert_eq!(asked(&engine), ["balance"]);
    assert!(!handover.leaders(&engine).draining);
}

#[test]
fn what_is_not_complete_in_time_ends_or_is_forced() {
    for (to, forces, begins, ends) in [
        (None, false, vec!["drain"], "balance"),
        (Some(2), false, vec!["leave group 1", "move group 1 to 2"], "balance"),
        (Some(2), true, vec!["leave group 1", "move group 1 to 2"], "drain"),
    ] {
        let (engine, handover, begin) = server();
        engine.server.leading.lock().led_by(&[1]);
        handover.begin(Wanted { to, until: Some(begin + SECOND), forces }, begin, &engine);
        assert_eq!(asked(&engine), begins);
        assert!(handover.due() < Some(begin + SECOND), "it notices when all is handed over");
        handover.turn(begin + SECOND - Duration::from_millis(1), &engine);
        assert_eq!((asked(&engine), handover.due()), (vec![], Some(begin + SECOND)));
        handover.turn(begin + SECOND, &engine);
        assert_eq!((asked(&engine), handover.due()), (vec![ends.to_owned()], None), "{to:?} {forces}");
    }
}

#[test]
fn what_was_complete_in_time_lasts() {
    let (engine, handover, begin) = server();
    let wanted = Wanted { until: Some(begin + SECOND), ..Wanted::default() };
    handover.begin(wanted, begin, &engine);
    engine.server.leading.lock().led_by(&[2, 2, 3]);
    handover.turn(handover.due().unwrap(), &engine);
    // For want of anybody else it leads again, for a moment.
    engine.server.leading.lock().led_by(&[1, 2, 3]);
    handover.turn(begin + 2 * SECOND, &engine);
    assert!(engine.server.leading.lock().leaders.draining && handover.due().is_none());
}

#[test]
fn whatever_comes_later_counts() {
    let (engine, handover, begin) = server();
    let wanted = Wanted { to: Some(2), until: Some(begin + SECOND), forces: false };
    handover.begin(wanted, begin, &engine);
    // Over HTTP, or because the server is told to stop.
    handover.drain(&engine);
    handover.turn(begin + 2 * SECOND, &engine);
    assert!(engine.server.leading.lock().leaders.draining, "that has no end");
    handover.end(&engine);
    handover.begin(wanted, begin, &engine);
    engine.server.leading.lock().leaders.retiring = true;
    asked(&engine);
    handover.turn(begin + 2 * SECOND, &engine);
    assert_eq!((asked(&engine), handover.due()), (vec![], None));
}

/// Each client is served by another thread.
#[test]
fn threads_that_sleep_look_after_it() {
    let server = Server::start(2, 100);
    *server.fake.leading.lock() = Leading::of_three(&[1]);
    let (mut one, mut other) = (server.redis(), server.redis());
    assert_eq!(one.ask("FAILOVER TIMEOUT 1"), "+OK");
    server.until(|server| server.fake.leading.lock().asked == ["drain", "balance"]);

    assert_eq!(one.ask("FAILOVER TO 10.0.0.2 7002"), "+OK");
    assert_eq!(other.ask("FAILOVER"), "-ERR FAILOVER already in progress.");
    let http = &mut server.http();
    http.send("GET /leaders HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(http.rest().contains("\"draining\":true"));
    server.fake.leading.lock().led_by(&[2]);
    server.until(|server| server.fake.leading.lock().leaders.draining);
    assert_eq!(other.ask("FAILOVER ABORT"), "+OK");
    assert_eq!(one.ask("FAILOVER ABORT"), "-ERR No failover in progress.");
}

#[test]
fn it_is_an_act_of_whoever_may_do_it() {
    let mut stage = redis();
    *stage.engine.server.leading.lock() = Leading::of_three(&[1]);
    for (words, reply, outcome) in [
        ("FAILOVER ABORT", "-ERR No failover in progress.", "outcome=refused: ERR No failover in progress."),
        ("failover timeout 60000", "+OK", "act=FAILOVER timeout 60000 outcome=done"),
        ("FAILOVER ABORT", "+OK", "act=FAILOVER ABORT outcome=done"),
        ("SENTINEL FAILOVER mymaster", "+OK", "act=SENTINEL FAILOVER outcome=done"),
    ] {
        let (lines, told) = command(&mut stage, words);
        assert_eq!(told, format!("{reply}\r\n"), "{words}");
        assert!(lines.len() == 1 && lines[0].ends_with(outcome), "{words}: {lines:#?}");
    }
    assert_eq!(command(&mut stage, "FAILOVER TIMEOUT x").0, [""; 0], "nothing was asked for");

    command(&mut stage, "ACL SETUSER bob on >secret +@all -@dangerous");
    command(&mut stage, "AUTH bob secret");
    for words in ["FAILOVER", "FAILOVER ABORT", "SENTINEL FAILOVER mymaster", "CLUSTER FAILOVER"] {
        let (lines, reply) = command(&mut stage, words);
        assert!(reply.starts_with("-NOPERM"), "{words}: {reply}");
        let is_told = lines.len() == 1 && lines[0].contains("outcome=denied: ");
        assert!(is_told || words == "CLUSTER FAILOVER", "{words}: {lines:#?}");
    }
}

#[test]
fn a_server_that_stops_keeps_to_that_and_a_follower_leads_nothing() {
    let mut stage = redis();
    *stage.engine.server.leading.lock() = Leading::of_three(&[1]);
    {
        let leaders = &mut stage.engine.server.leading.lock().leaders;
        (leaders.draining, leaders.retiring) = (true, true);
    }
    for words in ["FAILOVER", "FAILOVER ABORT", "SENTINEL FAILOVER mymaster"] {
        let (_, reply) = command(&mut stage, words);
        assert!(reply.starts_with("-LOADING this server is stopping"), "{words}: {reply}");
    }
    assert_eq!(asked(&stage.engine), [""; 0]);

    *stage.engine.server.leading.lock() = Leading::of_three(&[2]);
    *stage.mood.lock() = Mood::Refuse(Refused::Follower);
    let (_, reply) = command(&mut stage, "FAILOVER");
    assert_eq!(reply, "-ERR FAILOVER is not valid when server is a replica.\r\n");
}
