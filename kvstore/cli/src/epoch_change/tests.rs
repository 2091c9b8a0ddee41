use niagara_client::survey::Row;
use niagara_engine::Status;

use super::*;
use crate::failure::Status as Exit;

fn row(at: &str, named: bool, stranger: bool) -> Row {
    let status = (!stranger).then(Status::default);
    let error = stranger.then(|| "is a server of another cluster, b; the one asked for is a".to_owned());
    Row { at: at.to_owned(), endpoint: at.parse().unwrap(), status, error, named, stranger }
}

#[test]
fn servers_of_two_clusters_cannot_be_named_at_once() {
    let found = |named| {
        let rows = vec![row("http://p:1", true, false), row("http://q:1", named, true)];
        Servers::of(&Survey { rows }, "/members", Duration::ZERO)
    };
    let failure = found(true).err().expect("which one is to change?");
    assert_eq!(failure.status(), Exit::Refused);
    assert_eq!(failure.what, "http://p:1 and http://q:1 are servers of different clusters");
    let servers = found(false).expect("a list may be out of date").servers;
    assert_eq!(servers.iter().map(|(_, at)| at.to_string()).collect::<Vec<_>>(), ["http://p:1"]);
}
