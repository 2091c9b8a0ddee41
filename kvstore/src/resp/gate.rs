//! Refuses commands whose meaning depends on a refused one.
//!
//! MULTI and SELECT change the meaning of what follows: after MULTI it is executed together or not at all,
//! after SELECT in another database. Clients send more before they see that the command was refused, so what
//! follows is refused, too.

use super::parse::Arguments;
use super::plan::{self, Local, Plan};
use super::words::is;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// A MULTI was refused, and its EXEC or DISCARD has not come.
    transaction: bool,
    /// The last SELECT was refused.
    database: bool,
}

const NO_TRANSACTIONS: &str = "ERR MULTI is not supported: send the commands without it; MSET and MSETNX set several keys \
                               at once. Up to EXEC or DISCARD nothing is executed";
const IN_TRANSACTION: &str = "ERR not executed, since MULTI was refused: send EXEC or DISCARD first";
const ABORTED: &str = "EXECABORT Transaction discarded because of previous errors.";
const NO_DATABASE: &str =
    "ERR not executed, since SELECT was refused: the only database is 0, send SELECT 0 first";

impl Gate {
    /// Interprets a request; `arguments` has at least one argument.
    pub(super) fn plan(&mut self, arguments: Arguments<'_>) -> Plan {
        let name = |word| is(arguments.get(0), word);
        let alone = arguments.len() == 1;
        if name("RESET") && alone {
            *self = Gate::default();
        } else if self.transaction && !name("QUIT") {
            return self.end_of_transaction(arguments);
        } else if name("MULTI") {
            self.transaction = true;
            return Plan::Refuse(NO_TRANSACTIONS.into());
        } else if self.database && !name("SELECT") && !name("QUIT") {
            return Plan::Refuse(NO_DATABASE.into());
        }
        let plan = plan::plan(arguments);
        if name("SELECT") {
            self.database = matches!(plan, Plan::Refuse(_));
        }
        plan
    }

    fn end_of_transaction(&mut self, arguments: Arguments<'_>) -> Plan {
        let name = |word| arguments.len() == 1 && is(arguments.get(0), word);
        let (exec, discard) = (name("EXEC"), name("DISCARD"));
        self.transaction = !exec && !discard;
        if discard {
            Plan::Local(Local::Nothing)
        } else {
            Plan::Refuse(if exec { ABORTED } else { IN_TRANSACTION }.into())
        }
    }
}
