//! What a client asks about this server and the others of its cluster.

use super::RespConnection;
use crate::protocol::{Engine, Protocol};
use crate::resp::cluster;
use crate::resp::encode::Replies;
use crate::resp::handing_over::Own;
use crate::resp::info;
use crate::resp::parse::Arguments;
use crate::resp::plan::Local;
use crate::resp::replication;
use crate::resp::sentinel::{self, Watched};

impl RespConnection {
    /// Answers a question about the cluster's servers.
    pub(super) fn tell_of_servers(
        &self,
        what: Local,
        arguments: Arguments<'_>,
        engine: &impl Engine,
        replies: &mut Replies<'_>,
    ) -> bool {
        let status = engine.status();
        let topology = self.site.told(engine, &status, &self.about);
        match what {
            Local::Wait => {
                let copies = replication::copies(&status, self.is_certain);
                return replication::wait(arguments, copies, replies);
            }
            Local::Cluster | Local::Asking if !self.site.failover.cluster => {
                replies.error(cluster::DISABLED);
                return false;
            }
            Local::Cluster if cluster::is_about_slots(arguments) && !topology.serves() => {
                replies.error(cluster::DOWN);
                return false;
            }
            Local::Cluster => return cluster::cluster(arguments, &topology, status.applied, replies),
            Local::Asking => replies.simple("OK"),
            Local::Sentinel => {
                let name = &self.site.failover.master_name;
                let servers = status.voters.len();
                let watched = Watched { topology: &topology, name, servers, applied: status.applied };
                sentinel::sentinel(arguments, &watched, replies);
            }
            _ => replication::tell_role(&topology, status.applied, replies),
        }
        true
    }

    /// This server, which may have to hand over what it leads.
    pub(super) fn own<'s, E>(&'s self, engine: &'s E) -> Own<'s, E> {
        Own { site: &self.site, engine, now: self.now }
    }

    /// `INFO`
    pub(super) fn tell_of_this(
        &self,
        arguments: Arguments<'_>,
        engine: &impl Engine,
        replies: &mut Replies<'_>,
    ) {
        let status = engine.status();
        let topology = self.site.told(engine, &status, &self.about);
        self.publish();
        let about = (&*self.site, &topology, self.about.member.clients().counts());
        info::info(arguments, (engine, &status), about, replies);
    }
}
