//! The users of the settings.

use std::sync::Arc;

use super::permissions::Permissions;

/// Somebody with a name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name, which no other user has.
    pub name: Arc<str>,
    /// The password, which is not empty.
    pub password: Box<str>,
    /// What the user may do; none if everything.  All connections of the user share it.
    pub permissions: Option<Arc<Permissions>>,
}

/// The user with this name.
pub fn find<'u>(users: &'u [User], name: &[u8]) -> Option<&'u User> {
    users.iter().find(|user| user.name.as_bytes() == name)
}
