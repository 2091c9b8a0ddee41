//! `niagara member`: who is in the cluster, and servers that are added, removed, replaced and moved while it runs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use niagara_client::Request;
use niagara_engine::{EpochView, MemberView, MembersChange};
use niagara_kvstore::Note;

use super::client_address;
use super::cluster_args::ClusterArgs;
use super::epoch_change::{Servers, Wanted};
use super::failure::Failure;
use super::output::{note, pretty, print};
use super::style::{self, Paint};
use super::table::Table;
use super::{manual, serve};

/// Show the members of the cluster, or add, remove, replace or move some while it runs.
#[derive(Debug, Args)]
#[command(after_long_help = manual::MEMBER)]
pub struct MemberArgs {
    #[command(subcommand)]
    pub command: MemberCommand,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// Show the members, and where they are.
    #[command(after_long_help = manual::MEMBER)]
    List {
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Add a server that `niagara serve --join` has started.
    #[command(after_long_help = manual::MEMBER)]
    Add {
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Remove a server. It hands over what it leads, and stops; its id and its data are of no further use.
    #[command(after_long_help = manual::MEMBER)]
    Remove {
        /// The id of the server.
        #[arg(long, value_name = "N")]
        id: u64,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Remove one server and add another in one step: for one whose disk has died.
    #[command(after_long_help = manual::MEMBER)]
    Replace {
        /// The id of the server to remove.
        #[arg(long = "id", value_name = "N")]
        leaves: u64,
        /// The id of the server to add [default: the one in --file].
        #[arg(long = "with", value_name = "N")]
        with: Option<u64>,
        #[command(flatten)]
        place: PlaceWithoutId,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Change a member's addresses, or its share of the leaderships. What is not given stays.
    #[command(after_long_help = manual::MEMBER)]
    Update {
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        common: CommonArgs,
    },
}

/// Options of all of them.
#[derive(Debug, Args)]
pub struct CommonArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// A server, and where it is.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// The id of the server [default: the one in --file].
    #[arg(long, value_name = "N")]
    pub id: Option<u64>,
    #[command(flatten)]
    pub place: PlaceWithoutId,
}

/// Where a server is.
#[derive(Debug, Args)]
pub struct PlaceWithoutId {
    /// Take what follows from the server's own configuration file.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Its addresses for the groups, which take turns if there are more groups.
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',')]
    pub addresses: Vec<String>,
    /// Its address for snapshots.
    #[arg(long, value_name = "HOST:PORT")]
    pub transfer: Option<String>,
    /// Where clients find its HTTP port.
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Option<String>,
    /// Where clients find its HTTP port with TLS.
    #[arg(long, value_name = "HOST:PORT")]
    pub https: Option<String>,
    /// Where clients find its Redis port.
    #[arg(long, value_name = "HOST:PORT")]
    pub redis: Option<String>,
    /// Its share of the leaderships, compared with those of the others: 100 for one like the others, 0 for none.
    #[arg(long, value_name = "N")]
    pub weight: Option<u16>,
}

pub fn run(arguments: MemberArgs) -> Result<ExitCode, Failure> {
    let (common, wish) = match arguments.command {
        MemberCommand::List { common } => (common, Wish::Nothing),
        MemberCommand::Add { place, common } => (common, Wish::Come(place.id, place.place)),
        MemberCommand::Remove { id, common } => (common, Wish::Leave(id)),
        MemberCommand::Replace { leaves, with, place, common } => {
            (common, Wish::Replace(leaves, with, place))
        }
        MemberCommand::Update { place, common } => (common, Wish::Move(place.id, place.place)),
    };
    let servers = Servers::find(&common.cluster, "/members")?;
    let epoch = servers.newest()?;
    if let Some(change) = wish.change(&epoch)? {
        for (member, known) in moved(&change, &epoch) {
            if member.note != known.note {
                client_address::check(member, &common.cluster)?;
            }
        }
        make(&servers, &epoch, &change)?;
        let come = change.come.iter().filter(|member| !epoch.members.contains(&member.server));
        for member in come {
            await_newcomer(&servers, &common, member)?;
        }
    }
    let newest = servers.newest()?;
    print(if common.json { pretty(&newest) } else { report(&newest, style::for_stdout()) })?;
    Ok(ExitCode::SUCCESS)
}

/// The members that change, and what is known of them.
fn moved<'m>(
    change: &'m MembersChange,
    epoch: &'m EpochView,
) -> impl Iterator<Item = (&'m MemberView, &'m MemberView)> {
    let known = |server: u64| epoch.contacts.iter().find(move |known| known.server == server);
    change.come.iter().filter_map(move |member| Some((member, known(member.server)?)))
}

/// What a command line asks for.
enum Wish {
    Nothing,
    Come(Option<u64>, PlaceWithoutId),
    Leave(u64),
    Replace(u64, Option<u64>, PlaceWithoutId),
    Move(Option<u64>, PlaceWithoutId),
}

impl Wish {
    /// The change, if there is something to change.
    fn change(self, now: &EpochView) -> Result<Option<MembersChange>, Failure> {
        let is_member = |server: u64| now.members.contains(&server);
        let was_member = |server: u64| now.former.contains(&server);
        let change = match self {
            Wish::Nothing => return Ok(None),
            Wish::Leave(id) if was_member(id) => {
                note(&format!("server {id} was removed before\n"));
                return Ok(None);
            }
            Wish::Leave(id) | Wish::Replace(id, ..) if !is_member(id) && !was_member(id) => {
                return Err(no_member(id));
            }
            Wish::Leave(id) => MembersChange { leave: vec![id], come: Vec::new() },
            Wish::Come(id, place) => {
                let member = place.member(id, None)?;
                if let Some(known) = now.contacts.iter().find(|known| known.server == member.server) {
                    return same_place(&member, known).map(|()| None);
                }
                MembersChange { leave: Vec::new(), come: vec![member] }
            }
            Wish::Replace(id, with, place) => {
                let member = place.member(with, None)?;
                if is_member(member.server) && !is_member(id) {
                    note(&format!("server {} has replaced server {id} already\n", member.server));
                    return Ok(None);
                }
                if is_member(member.server) {
                    let what = format!("server {} is a member already", member.server);
                    return Err(Failure::refused(what, "`niagara member remove` removes a server"));
                }
                MembersChange { leave: vec![id], come: vec![member] }
            }
            Wish::Move(id, place) => {
                let server = place.id(id)?;
                let Some(known) = now.contacts.iter().find(|contact| contact.server == server) else {
                    return Err(no_member(server));
                };
                let member = place.member(id, Some(known))?;
                if member == *known {
                    note("nothing changes\n");
                    return Ok(None);
                }
                MembersChange { leave: Vec::new(), come: vec![member] }
            }
        };
        Ok(Some(change))
    }
}

/// A member that is to be added again must be where it is.
fn same_place(member: &MemberView, known: &MemberView) -> Result<(), Failure> {
    let server = member.server;
    if (&member.addresses, &member.transfer) != (&known.addresses, &known.transfer) {
        let what = format!("server {server} is a member already, with other addresses");
        return Err(Failure::refused(what, "`niagara member update` changes the addresses of a member"));
    }
    note(&format!("server {server} is a member already\n"));
    Ok(())
}

fn no_member(server: u64) -> Failure {
    Failure::refused(format!("server {server} is no member"), "`niagara member list` shows who is")
}

impl PlaceWithoutId {
    fn id(&self, id: Option<u64>) -> Result<u64, Failure> {
        let in_file = || {
            Ok::<_, Failure>(
                self.file.as_ref().map(|file| serve::read(file)).transpose()?.map(|file| file.engine.server),
            )
        };
        match id.map_or_else(in_file, |id| Ok(Some(id)))? {
            Some(id) => Ok(id),
            None => {
                Err(Failure::usage("which server?", "say --id, or name the server's own file with --file"))
            }
        }
    }

    /// The member as these options say, beyond what its file says, or what is known of it.
    fn member(&self, id: Option<u64>, known: Option<&MemberView>) -> Result<MemberView, Failure> {
        let server = self.id(id)?;
        let mut member =
            known.cloned().unwrap_or(MemberView { server, weight: 100, ..MemberView::default() });
        let mut told = Note::parse(&member.note);
        if let Some(path) = &self.file {
            let config = serve::read(path)?.engine;
            let own = config.members.iter().find(|own| own.server == server);
            let Some(own) = own.filter(|_| config.server == server) else {
                let what = format!("{} is the file of server {}", path.display(), config.server);
                return Err(Failure::usage(what, format!("name that of server {server}, or its addresses")));
            };
            (member.addresses, member.transfer) = (own.addresses.clone(), own.transfer.clone());
            told = config.notes.get(&server).map(|note| Note::parse(note)).unwrap_or_default();
        }
        if !self.addresses.is_empty() {
            member.addresses.clone_from(&self.addresses);
        }
        let given = |option: &Option<String>, value: &mut Option<String>| {
            if option.is_some() {
                value.clone_from(option);
            }
        };
        given(&self.http, &mut told.http);
        given(&self.https, &mut told.https);
        given(&self.redis, &mut told.redis);
        member.transfer = self.transfer.clone().unwrap_or(member.transfer);
        member.weight = self.weight.unwrap_or(member.weight);
        member.note = told.to_text();
        if member.addresses.is_empty() || member.transfer.is_empty() {
            let hint = "say --addresses and --transfer, or name the server's own file with --file";
            return Err(Failure::usage(format!("where is server {server}?"), hint));
        }
        Ok(member)
    }
}

/// Makes the change, and waits until the servers that stay have gone on.
fn make(servers: &Servers, now: &EpochView, change: &MembersChange) -> Result<(), Failure> {
    let begun = Instant::now();
    let body = serde_json::to_vec(change).expect("plain data has a JSON form");
    let asked = servers.ask_for(&body, begun)?;
    let is_it = |epoch: &EpochView| {
        let has = |server: &u64| epoch.members.contains(server);
        let come = change.come.iter().all(|member| epoch.contacts.contains(member));
        match come && !change.leave.iter().any(has) {
            true => Ok(()),
            false => Err(format!("the members are {}", listed(&epoch.members))),
        }
    };
    let wanted = Wanted { epoch: now.number + 1, asked, leave: &change.leave, is_it: &is_it };
    servers.await_epoch(&wanted, begun)
}

/// Waits until a server that has come serves, if it says where.
fn await_newcomer(servers: &Servers, common: &CommonArgs, member: &MemberView) -> Result<(), Failure> {
    let Some(endpoint) = client_address::of(member, &common.cluster)? else {
        note(&format!(
            "server {} says no HTTP address, so nobody can see here when it serves\n",
            member.server
        ));
        return Ok(());
    };
    let mut patience = servers.patience(Instant::now());
    let serves = || {
        let response = endpoint.send(&Request::get("/readyz"), Duration::from_secs(1));
        response.is_ok_and(|response| response.status == 200)
    };
    while !serves() {
        if let Some(found) = client_address::who_answers(&endpoint).filter(|found| *found != member.server) {
            let what = format!(
                "server {found} answers at {endpoint}, not server {}, which is a member now",
                member.server
            );
            return Err(Failure::new(what, "correct its HTTP address with `niagara member update`"));
        }
        patience.wait(&format!("waiting for server {} to receive the state and to serve", member.server))?;
    }
    Ok(())
}

fn listed(servers: &[u64]) -> String {
    servers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

fn report(epoch: &EpochView, paint: Paint) -> String {
    let mut table = Table::new(["server", "http", "redis", "groups at", "snapshots at", "weight"]);
    for MemberView { server, addresses, transfer, weight, note } in &epoch.contacts {
        let Note { http, https, redis } = Note::parse(note);
        table.row([
            server.to_string(),
            https.or(http).unwrap_or_default(),
            redis.unwrap_or_default(),
            addresses.join(" "),
            transfer.clone(),
            weight.to_string(),
        ]);
    }
    format!("{}\nepoch {}, {} groups\n", table.text(paint), epoch.number, epoch.groups)
}
