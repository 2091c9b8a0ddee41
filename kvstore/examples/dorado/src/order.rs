//! The order of all operations, in the cluster.
//!
//! `dorado/next` holds the number of the next operation, and `dorado/op/N` the one with number N. Whoever appends one compares
//! the first and sets both, in one transaction: if somebody else was faster, the transaction says so, and what the number is
//! now. A lost answer does no harm, since each transaction has an Idempotency-Key.

use niagara_client::{Again, Cluster, Request};
use serde::Deserialize;
use serde_json::json;

use crate::Failure;
use crate::counter::Operation;

const NEXT: &str = "dorado/next";
/// What the keys of operations begin with.
pub const OPERATIONS: &str = "dorado/op/";

/// An operation in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordered {
    pub number: u64,
    pub operation: Operation,
}

impl Ordered {
    /// From what is stored.
    pub fn parse(key: &str, value: &str) -> Result<Ordered, Failure> {
        let number = key.strip_prefix(OPERATIONS).ok_or_else(|| format!("{key} is no operation"))?;
        Ok(Ordered { number: number.parse()?, operation: value.parse()? })
    }
}

/// See the [module](self).
pub struct Order {
    pub cluster: Cluster,
    /// What the next number was when this was last known.
    guess: u64,
}

#[derive(Deserialize)]
struct Executed {
    succeeded: bool,
    results: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    get: Option<Found>,
}

#[derive(Deserialize)]
struct Found {
    value: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    keys: Vec<Entry>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    value: String,
}

impl Order {
    pub fn new(cluster: Cluster) -> Order {
        Order { cluster, guess: 0 }
    }

    /// Appends an operation. Returns its number.
    pub fn append(&mut self, operation: Operation) -> Result<u64, Failure> {
        loop {
            let number = self.guess;
            let compare = match number {
                0 => json!({ "key": NEXT, "exists": false }),
                number => json!({ "key": NEXT, "value": number.to_string() }),
            };
            let set = |key: String, value: String| json!({ "put": { "key": key, "value": value } });
            let body = json!({
                "compare": [compare],
                "then": [
                    set(NEXT.to_owned(), (number + 1).to_string()),
                    set(format!("{OPERATIONS}{number:020}"), operation.to_string()),
                ],
                "else": [{ "get": { "key": NEXT } }],
            });
            let request = Request::post("/txn").body(serde_json::to_vec(&body)?);
            let reply = self.cluster.send(&request, Again::Once)?;
            if reply.status != 200 {
                return Err(
                    format!("the transaction was refused: {}", String::from_utf8_lossy(&reply.body)).into()
                );
            }
            let executed: Executed = serde_json::from_slice(&reply.body)?;
            if executed.succeeded {
                self.guess = number + 1;
                return Ok(number);
            }
            let found = executed.results.into_iter().find_map(|one| one.get?.value);
            self.guess = found.map_or(Ok(0), |value| value.parse())?;
        }
    }

    /// How many operations there are.
    pub fn len(&self) -> Result<u64, Failure> {
        match self.cluster.get(NEXT.as_bytes())? {
            None => Ok(0),
            Some(found) => Ok(String::from_utf8(found.value)?.parse()?),
        }
    }

    /// All operations that there are, from the first one on.
    pub fn read(&self) -> Result<Vec<Ordered>, Failure> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let query = format!("&values=true&limit=1000{after}");
            let reply = self.cluster.send(&Request::list(OPERATIONS.as_bytes(), &query), Again::Harmless)?;
            let page: Page = serde_json::from_slice(&reply.body)?;
            for entry in page.keys {
                all.push(Ordered::parse(&entry.key, &entry.value)?);
            }
            let Some(next) = page.next else { break };
            after = format!("&after={next}");
        }
        all.sort_unstable_by_key(|ordered| ordered.number);
        Ok(all)
    }
}
