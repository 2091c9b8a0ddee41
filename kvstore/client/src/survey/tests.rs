use super::*;
use crate::fake_servers::{FakeServer, reply};

const TIMEOUT: Duration = Duration::from_secs(20);

/// A server that shows this id and this cluster, and lists those at these addresses.
fn server(id: u64, cluster: &str, members: &[(u64, String)]) -> FakeServer {
    let mut status = Status::default();
    (status.server, status.cluster) = (id, cluster.to_owned());
    let mut page = serde_json::to_value(&status).unwrap();
    let members = members.iter().map(|(server, http)| serde_json::json!({"server": server, "http": http}));
    page["members"] = members.collect();
    FakeServer::start(move |_| Some(reply(200, &page.to_string())))
}

fn take(named: &[&FakeServer]) -> Survey {
    Survey::take(named.iter().map(|server| server.endpoint.clone()).collect(), TIMEOUT)
}

fn ids(survey: &Survey) -> Vec<u64> {
    survey.statuses().map(|status| status.server).collect()
}

#[test]
fn one_server_names_the_others() {
    let two = server(2, "a", &[]);
    let one = server(1, "a", &[(1, "127.0.0.1:1".into()), (2, two.address())]);
    assert_eq!(ids(&take(&[&one])), [1, 2]);
    assert_eq!(ids(&take(&[&two, &one])), [1, 2]);
    assert_eq!(one.heard().len(), 2, "each is asked once");
}

/// A list may be out of date: what was a member's address may be a server's of another cluster by now.
#[test]
fn servers_of_another_cluster_that_are_listed_are_no_part_of_it() {
    let theirs = server(5, "b", &[]);
    let other = server(2, "b", &[(5, theirs.address())]);
    let one = server(1, "a", &[(2, other.address())]);
    let survey = take(&[&one]);
    assert_eq!(ids(&survey), [1]);
    let Row { at, error, named, stranger, .. } = &survey.rows[1];
    assert_eq!((at, *named, *stranger), (&other.endpoint.to_string(), false, true));
    assert_eq!(error.as_deref(), Some("is a server of another cluster, b; the one asked for is a"));
    assert!(theirs.heard().is_empty(), "the addresses that it lists are not followed");
    assert!(matches!(survey.agreement(), Agreement::Unknown(_)));
}

#[test]
fn the_cluster_is_that_of_the_first_named_server_that_answers() {
    let silent = "127.0.0.1:1".parse::<Endpoint>().unwrap();
    let (one, two) = (server(1, "a", &[]), server(2, "b", &[]));
    for (first, second, of_first) in [(&one, &two, 1), (&two, &one, 2)] {
        let named = vec![silent.clone(), first.endpoint.clone(), second.endpoint.clone()];
        let survey = Survey::take(named, TIMEOUT);
        assert_eq!(ids(&survey), [of_first]);
        assert_eq!(survey.agreement(), Agreement::DifferentClusters);
        assert!(survey.rows.iter().all(|row| row.named));
    }
}

#[test]
fn a_stranger_at_a_listed_address_does_not_hear_the_password() {
    // Were it told the password, it would be asked for its status as well.
    let stranger = FakeServer::start(|request| {
        let knows = request.contains("Authorization");
        Some(if knows { reply(200, "ok\n") } else { reply(404, "not found") })
    });
    let mut status = Status::default();
    status.server = 1;
    let mut page = serde_json::to_value(&status).unwrap();
    page["members"] = serde_json::json!([{"server": 2, "http": stranger.address()}]);
    let one = FakeServer::start(move |request| {
        let is_health = request.starts_with("GET /healthz ");
        Some(if is_health { reply(200, "ok\n") } else { reply(200, &page.to_string()) })
    });
    let access = crate::Access::new().password("secret");
    let survey = Survey::take(vec![one.endpoint.clone().with(&access)], TIMEOUT);
    assert_eq!(ids(&survey), [1]);
    assert_eq!(stranger.heard(), ["GET /healthz"]);
}
