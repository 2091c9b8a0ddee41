//! What the file says about how clients of Redis find a server.

use niagara_engine::ServerId;

use super::ConfigFileError;
use super::tables::{File, ReadOnlyValue};
use crate::resp::{Failover, RedisAddress};

/// The longest name of a master.
const MOST_NAME_BYTES: usize = 256;

pub(super) fn of(file: &File) -> Result<Failover, ConfigFileError> {
    let defaults = Failover::default();
    let cluster = file.front.redis_cluster.unwrap_or(defaults.cluster);
    let readonly = file.front.redis_readonly;
    Ok(Failover {
        members: members(file)?,
        cluster,
        weak_readonly: readonly.map_or(!cluster, |readonly| readonly == ReadOnlyValue::Weak),
        master_name: file.front.redis_master_name.as_ref().map_or(Ok(defaults.master_name), name)?,
    })
}

/// The addresses that clients can be told. This server's own is the one that it listens at, unless the list says
/// another.
fn members(file: &File) -> Result<Vec<(ServerId, RedisAddress)>, ConfigFileError> {
    let mut members = Vec::new();
    for member in &file.members {
        let (setting, text) = match &member.redis {
            Some(text) => (format!("members[server {}].redis", member.server), text),
            None if member.server == file.server => ("redis".to_owned(), &file.redis),
            None => continue,
        };
        match text.parse::<RedisAddress>() {
            Ok(address) if address.is_wildcard() => {}
            Ok(address) => members.push((member.server, address)),
            // It listens at any free port.
            Err(_) if setting == "redis" => {}
            Err(wrong) => return Err(ConfigFileError::Value { key: setting, reason: wrong.to_string() }),
        }
    }
    Ok(members)
}

fn name(name: &String) -> Result<String, ConfigFileError> {
    let is_word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_word && name.len() <= MOST_NAME_BYTES {
        return Ok(name.clone());
    }
    Err(ConfigFileError::Value {
        key: "front.redis_master_name".into(),
        reason: format!("\"{name}\" is not a word of 1 to {MOST_NAME_BYTES} printable ASCII characters"),
    })
}
