//! Whether the servers that a command has found are of one cluster.

use niagara_client::survey::Survey;

use super::failure::Failure;
use super::output::note;

/// Refuses if servers of several clusters were named: which one is to change? Those that other servers list are left out.
pub fn check(survey: &Survey) -> Result<(), Failure> {
    let named = || survey.rows.iter().filter(|row| row.named);
    let own = named().find(|row| row.status.is_some());
    if let (Some(own), Some(stranger)) = (own, named().find(|row| row.stranger)) {
        let what = format!("{} and {} are servers of different clusters", own.at, stranger.at);
        return Err(Failure::refused(what, "name those of one"));
    }
    for row in survey.rows.iter().filter(|row| row.stranger) {
        let why = row.error.as_deref().unwrap_or_default();
        note(&format!("note: {} is left out: it {why}\n", row.at));
    }
    Ok(())
}
