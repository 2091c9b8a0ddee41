//! What commands do with their keys, in the words of Redis: COMMAND INFO and COMMAND GETKEYSANDFLAGS tell it to clients.

use super::{Op, Spec, is};

/// What is done with a key: whether it is read (`RO`, `access`), read and written (`RW`), overwritten (`OW`) or removed (`RM`),
/// and how.
pub(crate) type Use = &'static [&'static str];

const LOOK: Use = &["RO"];
const READ: Use = &["RO", "access"];
const CHANGE: Use = &["RW", "access", "update"];
const TAKE: Use = &["RW", "access", "delete"];
const OVERWRITE: Use = &["OW", "update"];
const INSERT: Use = &["OW", "insert"];
const REMOVE: Use = &["RM", "delete"];
const APPEND: Use = &["RW", "insert"];
const UPDATE: Use = &["RW", "update"];
/// It depends on what else the command is given.
const VARIABLE: Use = &["RW", "access", "update", "variable_flags"];

impl Spec {
    /// What is done with the first key, and with the others, if that differs; nothing if there are none.
    pub(crate) fn key_uses(&self) -> &'static [Use] {
        match self.name {
            "SETNX" | "MSETNX" => &[INSERT],
            "MSET" | "SETEX" | "PSETEX" | "RESTORE" | "NIAGARA.PUT" => &[OVERWRITE],
            "BITOP" => &[OVERWRITE, READ],
            "DEL" | "UNLINK" => &[REMOVE],
            "EXISTS" | "STRLEN" | "TYPE" | "TOUCH" | "WATCH" | "OBJECT" | "MEMORY" => &[LOOK],
            "COPY" => &[READ, OVERWRITE],
            "GETDEL" => &[TAKE],
            "RENAME" => &[TAKE, OVERWRITE],
            "RENAMENX" => &[TAKE, INSERT],
            "SET" | "BITFIELD" => &[VARIABLE],
            "APPEND" => &[APPEND],
            "SETRANGE" | "EXPIRE" | "PEXPIRE" | "EXPIREAT" | "PEXPIREAT" | "PERSIST" => &[UPDATE],
            "EVAL" | "EVALSHA" => &[CHANGE],
            "EVAL_RO" | "EVALSHA_RO" => &[READ],
            _ if self.keys.first == 0 => &[],
            _ if self.is_read() => &[READ],
            _ => &[CHANGE],
        }
    }

    /// What a request, with these words behind the command's name, does with the key of this number, from 0.
    pub(crate) fn use_of<'w>(&self, key: usize, words: &(impl Iterator<Item = &'w [u8]> + Clone)) -> Use {
        let uses = self.key_uses();
        match self.op() {
            Some(Op::Set) if words.clone().skip(2).any(|word| is(word, "GET")) => CHANGE,
            Some(Op::Set) => OVERWRITE,
            Some(Op::BitField) if words.clone().any(|word| is(word, "SET") || is(word, "INCRBY")) => CHANGE,
            Some(Op::BitField) => READ,
            _ => uses.get(key).or(uses.last()).copied().unwrap_or(LOOK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{COMMANDS, Does};

    #[test]
    fn what_is_done_with_keys_fits_what_a_command_is() {
        for spec in &COMMANDS {
            let uses = spec.key_uses();
            let is_script = spec.name.starts_with("EVAL");
            assert_eq!(uses.is_empty(), spec.keys.first == 0 && !is_script, "{}", spec.name);
            let writes = uses.iter().any(|keys| !keys[0].starts_with("RO"));
            let may_write =
                !spec.is_read() && !matches!(spec.does, Does::Local(_)) && !spec.name.ends_with("_RO");
            assert_eq!(writes, may_write && !uses.is_empty(), "{}", spec.name);
        }
    }
}
