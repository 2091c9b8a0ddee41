//! What an engine reports: metrics for the embedding program's registry, its status as JSON, and log lines that say whose
//! they are.

use std::io;
use std::sync::{Arc, Mutex};

use niagara_engine::internals::example;
use niagara_engine::prometheus_client::encoding::text::encode;
use niagara_engine::prometheus_client::registry::Registry;
use niagara_engine::{Durability, GlobalPosition, Role, Status};

/// A page of metrics, as lines without comments.
fn series(page: &str) -> Vec<&str> {
    page.lines().filter(|line| !line.starts_with('#')).collect()
}

fn encoded(registry: &Registry) -> String {
    let mut page = String::new();
    encode(&mut page, registry).unwrap();
    page
}

#[test]
fn two_engines_share_a_registry_and_do_not_clash() {
    let (a, b) = (example::engine(), example::engine());
    let metrics = a.client().metrics(&[("node", "a")]).and(b.client().metrics(&[("node", "b")]));
    let mut registry = Registry::default();
    registry.sub_registry_with_prefix("shop").register_collector(Box::new(metrics));
    a.client().propose("count".into()).unwrap().wait().unwrap();

    let page = encoded(&registry);
    let lines = series(&page);
    assert!(lines.contains(&"shop_commands_applied_total{node=\"a\"} 1"), "{page}");
    assert!(lines.contains(&"shop_commands_applied_total{node=\"b\"} 0"), "{page}");
    assert!(lines.iter().all(|line| line.contains("node=\"a\"") || line.contains("node=\"b\"")), "{page}");
    let mut names: Vec<_> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), lines.len(), "a series is there twice: {page}");
    let mut described: Vec<_> = page.lines().filter(|line| line.starts_with("# HELP")).collect();
    let count = described.len();
    described.sort_unstable();
    described.dedup();
    assert_eq!(described.len(), count, "a metric is described twice: {page}");
}

#[test]
fn the_own_page_has_the_same_metrics_under_its_own_prefix() {
    let engine = example::engine();
    let mut own = String::new();
    engine.client().encode_metrics(&mut own);
    let mut registry = Registry::default();
    let collector = engine.client().metrics(&[]);
    registry.sub_registry_with_prefix("niagara").register_collector(Box::new(collector));
    let other = encoded(&registry);
    let names = |page: &str| -> Vec<String> {
        series(page).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&own), names(&other));
    assert!(names(&own).contains(&"niagara_applied_position".to_owned()), "{own}");
    assert!(names(&own).contains(&"niagara_term{group=\"1\"}".to_owned()), "{own}");
}

#[test]
#[should_panic(expected = "two engines have the labels")]
fn engines_that_nobody_could_tell_apart_are_refused() {
    let engine = example::engine();
    let metrics = || engine.client().metrics(&[("node", "a")]);
    let _ = metrics().and(metrics());
}

#[test]
#[should_panic(expected = "the label \"group\" is taken")]
fn the_label_of_groups_is_taken() {
    let _ = example::engine().client().metrics(&[("group", "a")]);
}

#[test]
#[should_panic(expected = "is no name of a label")]
fn a_label_needs_a_name_that_prometheus_knows() {
    let _ = example::engine().client().metrics(&[("a-b", "a")]);
}

#[test]
fn words_and_positions_have_their_json() {
    let mut status = Status::default();
    (status.server, status.durability) = (3, Durability::Memory);
    let document = serde_json::to_value(&status).unwrap();
    assert_eq!(document["durability"], "memory");
    assert_eq!(serde_json::from_value::<Status>(document).unwrap(), status);
    for (role, word) in [
        (Role::Follower, "follower"),
        (Role::PreCandidate, "pre-candidate"),
        (Role::Candidate, "candidate"),
        (Role::Leader, "leader"),
    ] {
        assert_eq!(serde_json::to_value(role).unwrap(), word);
        assert_eq!(role.to_string(), word);
    }
    for durability in [Durability::Fsync, Durability::Os, Durability::Memory] {
        assert_eq!(serde_json::to_value(durability).unwrap(), durability.name());
    }
    assert_eq!(serde_json::to_value(GlobalPosition::new(7)).unwrap(), 7);
    assert_eq!(serde_json::from_str::<GlobalPosition>("7").unwrap(), GlobalPosition::new(7));
}

/// A log that can be read while it is written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn log_lines_say_whose_and_which_thread_they_are_of() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let engine = example::engine();
    engine.client().propose("count".into()).unwrap().wait().unwrap();
    engine.stop();
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    // Engines of other tests may have been started before there was a subscriber.
    let starts =
        text.lines().find(|line| line.contains("engine{server=1}") && line.contains("the engine runs"));
    assert!(starts.is_some(), "{text}");
    let leads = text.lines().find(|line| line.contains("engine{server=1}:thread{name=\"group-1"));
    assert!(leads.is_some(), "{text}");
}
