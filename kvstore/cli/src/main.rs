//! The `niagara` binary: runs servers, and talks to them. See `niagara --help`.
//!
//! | command | file |
//! |---|---|
//! | all | [`arguments`]: the definitions; [`mod@parse`]: parsing, and help |
//! | `demo` | [`demo`]: a cluster in one process, with a load and a verdict |
//! | `new-cluster` | [`new_cluster`]: writes configuration files |
//! | `new-member` | [`new_member`]: writes the file of a server that joins |
//! | `serve` | [`serve`]: one server |
//! | `put`, `get`, `del` | [`put`], [`get`], [`del`], through [`ask`], which fails over |
//! | `list` | [`list`]: the keys with a prefix, page by page |
//! | `txn` | [`txn`]: several operations at one position |
//! | `watch` | [`watch`]: changes, from one server after the other |
//! | `groups` | [`groups`]: the number of groups, and how to change it |
//! | `level` | [`level`]: which commands, entries and formats the cluster may use, and how to raise that |
//! | `member`, `serve --join` | [`member`], [`join`]: servers that come and leave; with `groups` and `level` through [`epoch_change`] |
//! | `leaders` | [`leaders`]: who leads which group, and how to change that |
//! | `status` | [`status`]: what the servers report, and whether they agree |
//! | `snapshot` | [`snapshot`]: takes, inspects, exports and imports snapshots |
//! | `log` | [`log`]: what a group's log holds on disk |
//! | `recover` | [`recover`]: a new cluster out of what is left of one without a majority |
//! | `bench` | [`mod@bench`]: the load generator |
//!
//! Each returns the exit status, or a [`Failure`] that says what happened and what to do. Long help texts are
//! in [`manual`].

mod arguments;
mod ask;
mod audit;
mod bench;
mod certificates;
mod client_address;
mod cluster_args;
mod del;
mod demo;
mod epoch_change;
mod failure;
mod figures;
mod file_limit;
mod follow;
mod get;
mod groups;
mod host;
mod join;
mod leaders;
mod level;
mod list;
mod log;
mod logs;
mod manual;
mod member;
mod new_cluster;
mod new_member;
mod one_cluster;
mod output;
mod parse;
mod password;
mod place;
mod progress;
mod put;
mod read_only;
mod recover;
mod serve;
mod shell;
mod snapshot;
mod status;
mod stop_signal;
mod style;
mod table;
mod txn;
mod watch;
mod wrap;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use failure::Failure;

fn main() -> ExitCode {
    niagara_logging::end_on_any_panic();
    let code = match parse::parse(std::env::args_os()) {
        Ok(arguments) => run(arguments).unwrap_or_else(|failure| failure.report()),
        Err(code) => code,
    };
    niagara_logging::flush();
    code
}

fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::NewCluster(arguments) => new_cluster::run(&arguments),
        Command::NewMember(arguments) => new_member::run(&arguments),
        Command::Certificates(arguments) => certificates::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Put(arguments) => put::run(arguments),
        Command::Get(arguments) => get::run(&arguments),
        Command::Del(arguments) => del::run(&arguments),
        Command::List(arguments) => list::run(&arguments),
        Command::Txn(arguments) => txn::run(arguments),
        Command::Watch(arguments) => watch::run(&arguments),
        Command::Groups(arguments) => groups::run(&arguments),
        Command::Level(arguments) => level::run(&arguments),
        Command::Member(arguments) => member::run(arguments),
        Command::Leaders(arguments) => leaders::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Snapshot(arguments) => snapshot::run(&arguments),
        Command::Log(arguments) => log::run(&arguments),
        Command::Recover(arguments) => recover::run(&arguments),
        Command::Bench(arguments) => Ok(bench::run(arguments)),
    }
}
