//! `niagara-load`: load on Niagara, and what it cost.

use std::process::ExitCode;

fn main() -> ExitCode {
    niagara_load::run("niagara-load", std::env::args_os().skip(1))
}
