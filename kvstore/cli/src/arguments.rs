//! The commands. Each has its own module with its options; long help texts are in [`manual`].

use clap::{Parser, Subcommand};

use super::{
    bench, certificates, del, demo, get, groups, leaders, level, list, log, manual, member, new_cluster,
    new_member, put, recover, serve, snapshot, status, txn, watch,
};

/// A replicated key-value store whose log scales with cores and links.
///
/// Each server runs several Raft groups, and merges their logs into one global log. Clients talk to any
/// server, over the Redis protocol or HTTP.
#[derive(Debug, Parser)]
#[command(name = "niagara", version, after_long_help = manual::NIAGARA, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::DemoArgs),
    NewCluster(new_cluster::NewClusterArgs),
    NewMember(new_member::NewMemberArgs),
    Certificates(certificates::CertificatesArgs),
    Serve(serve::ServeArgs),
    Put(put::PutArgs),
    Get(get::GetArgs),
    Del(del::DelArgs),
    List(list::ListArgs),
    Txn(txn::TxnArgs),
    Watch(watch::WatchArgs),
    Status(status::StatusArgs),
    Leaders(leaders::LeadersArgs),
    Groups(groups::GroupsArgs),
    Level(level::LevelArgs),
    Member(member::MemberArgs),
    Snapshot(snapshot::SnapshotArgs),
    Log(log::LogArgs),
    Recover(recover::RecoverArgs),
    Bench(bench::BenchArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_s_help_has_examples_and_exit_statuses() {
        let all = Arguments::command();
        let nested = all.get_subcommands().flat_map(clap::Command::get_subcommands);
        for command in all.get_subcommands().chain(nested) {
            let manual = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                manual.contains("Examples:") && manual.contains("Exit status:"),
                "{}",
                command.get_name()
            );
        }
    }
}
