//! `niagara del`: deletes a key.

use std::process::ExitCode;

use super::ask::{ask, cluster, condition_failed, refusal};
use super::failure::Failure;
use super::put::print_position;
use niagara_client::{Again, Request};

use crate::arguments::DelArgs;

/// Does what `niagara del` promises.
pub fn run(arguments: &DelArgs) -> Result<ExitCode, Failure> {
    let cluster = cluster(&arguments.cluster)?;
    let mut request = Request::on_key("DELETE", arguments.key.as_encoded_bytes(), "");
    if let Some(version) = &arguments.if_match {
        request = request.header("If-Match", version);
    }
    let again = if arguments.if_match.is_some() { Again::Never } else { Again::SameEffect };
    let response = ask(&cluster, &request, again)?;
    match response.status {
        404 if arguments.if_match.is_some() => Err(condition_failed(&response)),
        // 404: there was nothing to delete, or a first attempt with a lost answer has done it.
        200 | 204 | 404 if arguments.quiet => Ok(ExitCode::SUCCESS),
        200 | 204 | 404 => print_position(&response),
        412 => Err(condition_failed(&response)),
        _ => Err(refusal(&response)),
    }
}
