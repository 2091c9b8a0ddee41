//! Where the logs of a server in this process go: standard error, in lines that people read.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Checks a filter that was typed, so that a wrong one is a usage error.
pub fn parse_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => {
            Err(format!("{error}; write a level (error, warn, info, debug, trace) or CRATE=LEVEL,..."))
        }
    }
}

/// Sends all logs that pass the filter to standard error: the one that was typed, else the environment's, else the
/// default. To be called once, by the command that runs servers.
pub fn start(typed: Option<&str>, default: &str) {
    let variable = std::env::var("NIAGARA_LOG").ok().filter(|text| !text.is_empty());
    let filter = typed.or(variable.as_deref()).unwrap_or(default);
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked() {
        assert_eq!(parse_filter("info,niagara_engine=debug").as_deref(), Ok("info,niagara_engine=debug"));
        assert!(parse_filter("niagara_engine=loud").unwrap_err().contains("CRATE=LEVEL"));
    }
}
