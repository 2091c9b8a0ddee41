//! What all servers of a cluster report, and whether they have executed the same.

use std::thread;
use std::time::Duration;

use niagara_engine::Status;
use niagara_engine::agreement::Agreement;
use serde::{Deserialize, Serialize};

use crate::Endpoint;
use crate::members::{Member, of_another_cluster, status_of};

/// What each server of a cluster reports at one time. The cluster is that of the first named server that answers; a server of
/// another one has a row without a status.
///
/// ```no_run
/// use std::time::Duration;
///
/// use niagara_client::survey::Survey;
///
/// // One server that answers names the others.
/// let survey = Survey::take(vec!["http://127.0.0.1:7000".parse()?], Duration::from_secs(5));
/// for status in survey.statuses() {
///     println!("server {} has applied position {}", status.server, status.applied);
/// }
/// println!("{:?}", survey.agreement());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Survey {
    /// In order of the servers' ids. Those without a status come last.
    pub rows: Vec<Row>,
}

/// One server's answer, or why there is none.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The address that was asked.
    pub at: String,
    /// The same, to be asked again.
    #[serde(skip)]
    pub endpoint: Endpoint,
    /// Its status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Why there is no status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether the caller named it. If not, another server did.
    #[serde(skip)]
    pub named: bool,
    /// Whether it answered, and is of another cluster.
    #[serde(skip)]
    pub stranger: bool,
}

/// A cluster's members by id, with their HTTP addresses.
type Members = Vec<(u64, Endpoint)>;

/// A server's status, and where it finds the others.
#[derive(Deserialize)]
struct Page {
    #[serde(flatten)]
    status: Status,
    #[serde(default)]
    members: Vec<Member>,
}

impl Survey {
    /// Asks the servers that are named, then those that they name, each once.
    pub fn take(named: Vec<Endpoint>, timeout: Duration) -> Survey {
        let (mut asked, mut rows) = (Vec::<Endpoint>::new(), Vec::<Row>::new());
        let mut cluster = None;
        let mut next = named;
        while !next.is_empty() {
            let are_named = asked.is_empty();
            let (mut found, mut members): (Vec<Row>, Vec<Members>) =
                ask_all(&next, timeout).into_iter().unzip();
            for (row, members) in found.iter_mut().zip(&mut members) {
                row.named = are_named;
                row.check(&mut cluster, members);
            }
            rows.extend(found);
            asked.append(&mut next);
            for (server, endpoint) in members.into_iter().flatten() {
                // A server may have several names. One that has answered is not asked again.
                let has_answered =
                    |row: &Row| row.status.as_ref().is_some_and(|status| status.server == server);
                if !asked.contains(&endpoint) && !next.contains(&endpoint) && !rows.iter().any(has_answered) {
                    next.push(endpoint);
                }
            }
        }
        rows.sort_by_key(|row| row.status.as_ref().map_or(u64::MAX, |status| status.server));
        Survey { rows }
    }

    /// The statuses of the servers that gave one.
    pub fn statuses(&self) -> impl Iterator<Item = &Status> {
        self.rows.iter().filter_map(|row| row.status.as_ref())
    }

    /// Whether the servers have executed the same, as far as their digests tell.
    pub fn agreement(&self) -> Agreement {
        if self.rows.iter().any(|row| row.named && row.stranger) {
            return Agreement::DifferentClusters;
        }
        Agreement::of(self.statuses(), self.rows.len() - self.statuses().count())
    }
}

impl Row {
    /// Takes what a server of another cluster says for no answer, and follows none of the addresses that it lists. The first
    /// answer says which cluster it is.
    fn check(&mut self, cluster: &mut Option<String>, members: &mut Members) {
        let Some(status) = &self.status else { return };
        let ours = cluster.get_or_insert_with(|| status.cluster.clone());
        if status.cluster != *ours {
            self.error = Some(of_another_cluster(&status.cluster, ours));
            self.status = None;
            self.stranger = true;
            members.clear();
        }
    }
}

/// Asks all servers at once, so that one that hangs does not delay the others.
fn ask_all(endpoints: &[Endpoint], timeout: Duration) -> Vec<(Row, Members)> {
    thread::scope(|scope| {
        let asked: Vec<_> = endpoints.iter().map(|at| scope.spawn(move || ask_one(at, timeout))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, (Row, Members)>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        asked.into_iter().map(join).collect()
    })
}

fn ask_one(endpoint: &Endpoint, timeout: Duration) -> (Row, Members) {
    let outcome = match status_of(endpoint, timeout) {
        Err(trouble) => Err(format!("unreachable: {trouble}")),
        Ok(response) if response.status != 200 => Err(response.what_happened()),
        Ok(response) => serde_json::from_slice::<Page>(&response.body)
            .map_err(|_| "this is not a Niagara server's HTTP port, or it runs another release".to_owned()),
    };
    let (page, error) = match outcome {
        Ok(page) => (Some(page), None),
        Err(error) => (None, Some(error)),
    };
    let (status, members) = page.map_or((None, Vec::new()), |page| (Some(page.status), page.members));
    let members =
        members.into_iter().filter_map(|member| Some((member.server, member.endpoint(endpoint)?))).collect();
    let (at, endpoint) = (endpoint.to_string(), endpoint.clone());
    (Row { at, endpoint, status, error, named: false, stranger: false }, members)
}

#[cfg(test)]
mod tests;
