//! Users as a part of the state: how commands change them.

use std::sync::Arc;

use super::Kv;
use super::digest::of_users;
use crate::command::Keys;
use crate::users::{NotChanged, Users};
use crate::{Data, Reply};

impl Kv {
    /// Makes or changes a user.
    pub(super) fn set_user(&mut self, name: &[u8], rules: Keys<'_>) -> Reply {
        self.change_users(|users| users.set(name, rules).map(|()| Data::OK))
    }

    /// Removes users. Answers how many there were.
    pub(super) fn remove_users(&mut self, names: Keys<'_>) -> Reply {
        self.change_users(|users| users.remove(names).map(Data::count))
    }

    fn change_users(&mut self, change: impl FnOnce(&mut Users) -> Result<Data, NotChanged>) -> Reply {
        let mut users = Users::clone(&self.map.directory.users());
        Reply::Data(match change(&mut users) {
            Ok(data) => {
                self.put_users(Arc::new(users));
                data
            }
            Err(why) => Data::Error(format!("ERR {why}").into()),
        })
    }

    /// Replaces all users.
    pub(super) fn put_users(&mut self, users: Arc<Users>) {
        self.core.users_digest = of_users(&users.saved());
        self.map.directory.publish(users);
    }
}
