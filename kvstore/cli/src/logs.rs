//! The logs of commands that run servers.

use tracing_subscriber::EnvFilter;

use super::failure::Failure;

/// Checks a filter on the command line, so that a wrong one is a usage error.
pub fn parse_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => {
            Err(format!("{error}; write a level (error, warn, info, debug, trace) or CRATE=LEVEL,..."))
        }
    }
}

/// Starts the logs with the filter of the command line, else the environment's, else the default. Call it
/// once.
pub fn start(typed: Option<&str>, default: &str) -> Result<(), Failure> {
    let variable = std::env::var("NIAGARA_LOG").ok().filter(|text| !text.is_empty());
    let filter = typed.or(variable.as_deref()).unwrap_or(default);
    niagara_logging::start(with_audit(filter)).map_err(|error| {
        Failure::new(
            format!("cannot start the thread that writes logs: {error}"),
            "raise the limit of threads (ulimit -u)",
        )
    })
}

/// The filter, by which the audit is told whatever the level of other lines, unless it names the audit itself.
fn with_audit(filter: &str) -> EnvFilter {
    let names_it = filter.split(',').any(|directive| directive.trim().starts_with("audit"));
    let filter = EnvFilter::new(filter);
    if names_it { filter } else { filter.add_directive("audit=info".parse().expect("a directive")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked() {
        assert_eq!(parse_filter("info,niagara_engine=debug").as_deref(), Ok("info,niagara_engine=debug"));
        for (filter, told) in
            [("error", "audit=info"), ("info", "audit=info"), ("info,audit=off", "audit=off")]
        {
            assert!(with_audit(filter).to_string().contains(told), "{filter}");
        }
        assert!(parse_filter("niagara_engine=loud").unwrap_err().contains("CRATE=LEVEL"));
    }
}
