//! Who a client of the broker's protocol is, by what its CONNECT says.
//!
//! The users of the settings give their passwords, and `requirepass` is the password of the user `default`: with that name,
//! with none, or as a token.  If neither is set, everybody may do everything.

use std::sync::Arc;

use crate::access::{DEFAULT_USER, Failure, Login, Permissions, User, find};
use crate::settings::Settings;

/// What a client gives of itself.  A field that CONNECT lacks, or that is null there, is none.  Keys and signed claims
/// (`nkey`, `jwt`) are credentials of other servers, which nobody has here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials<'a> {
    /// The field `user`.
    pub user: Option<&'a str>,
    /// The field `pass`.
    pub password: Option<&'a str>,
    /// The field `auth_token`.
    pub token: Option<&'a str>,
}

impl Credentials<'_> {
    /// Whether the client gives nothing.
    pub fn are_empty(&self) -> bool {
        [self.user, self.password, self.token].into_iter().flatten().all(str::is_empty)
    }
}

/// Who a client is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identity {
    user: Option<User>,
}

impl Identity {
    /// The name of the user.
    pub fn name(&self) -> &str {
        self.user.as_ref().map_or(DEFAULT_USER, |user| &user.name)
    }

    /// What the client may do; none if everything.
    pub fn permissions(&self) -> Option<&Arc<Permissions>> {
        self.user.as_ref()?.permissions.as_ref()
    }

    /// The same client after a change of the settings.  None if its user is gone or has another password, so that it has to
    /// give one again.  As at the other doors, a client that came in as `default`, or while no password was set, stays.
    #[must_use]
    pub fn renewed(&self, settings: &Settings) -> Option<Identity> {
        let Some(own) = &self.user else { return Some(Identity::default()) };
        let user = find(&settings.users, own.name.as_bytes())?;
        (user.password == own.password).then(|| Identity { user: Some(user.clone()) })
    }
}

/// Whether a client must give a password before anything else: the `auth_required` of INFO.
pub fn is_required(settings: &Settings) -> bool {
    settings.has_broker_password()
}

/// Who a client is that gives these credentials.  Where a password is required, each wrong one counts against the client's
/// address, as at the other doors; to give none is refused too but is no guess.
///
/// # Errors
/// If the credentials are not those of a user, or the address has sent too many wrong ones.
pub fn authenticate(
    settings: &Settings,
    login: Login<'_>,
    credentials: Credentials<'_>,
) -> Result<Identity, Failure> {
    if !is_required(settings) {
        return Ok(Identity::default());
    }
    let Credentials { user, password, token } = credentials;
    // Some clients send empty fields where nothing was configured.
    let named = user.filter(|user| !user.is_empty() && *user != DEFAULT_USER);
    let secret = match named {
        Some(_) => password,
        None => password.filter(|password| !password.is_empty()).or(token),
    };
    let Some(secret) = secret.filter(|secret| !secret.is_empty()) else { return Err(Failure::Wrong) };
    if named.is_none() && settings.has_password() {
        login.as_default(&settings.requirepass, None, secret.as_bytes())?;
        return Ok(Identity::default());
    }
    let name = named.unwrap_or(DEFAULT_USER);
    let user = login.as_user(&settings.users, name.as_bytes(), secret.as_bytes())?;
    Ok(Identity { user: Some(user.clone()) })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;
    use crate::access::attempts::{Attempts, FAILURES_MAX};
    use crate::clock::Now;

    fn user(name: &str, password: &str) -> User {
        let permissions = Some(Arc::new(Permissions::default()));
        User { name: name.into(), password: password.into(), permissions }
    }

    fn settings(requirepass: &str, users: &[User]) -> Settings {
        Settings { requirepass: requirepass.to_owned(), users: users.into(), ..Settings::default() }
    }

    /// Whom the credentials (user, password, token) make, and how many wrong passwords that was.
    #[track_caller]
    fn check(settings: &Settings, credentials: [Option<&str>; 3], expected: Option<&str>, failures: u64) {
        let [user, password, token] = credentials;
        let attempts = Attempts::default();
        let now = Now::at(Duration::from_secs(9), Duration::ZERO);
        let login = Login { attempts: &attempts, address: IpAddr::from([192, 0, 2, 1]), now };
        let identity = authenticate(settings, login, Credentials { user, password, token });
        assert_eq!(identity.as_ref().ok().map(Identity::name), expected, "{credentials:?}");
        assert_eq!(attempts.failures(), failures, "{credentials:?}");
    }

    #[test]
    fn without_passwords_everybody_is_in() {
        let open = settings("", &[]);
        assert!(!is_required(&open));
        for credentials in [[None, None, None], [Some("ann"), Some("x"), None], [Some(""), None, Some("x")]] {
            check(&open, credentials, Some("default"), 0);
        }
    }

    #[test]
    fn requirepass_is_the_password_of_default() {
        let guarded = settings("sesame", &[]);
        assert!(is_required(&guarded));
        for credentials in [
            [None, Some("sesame"), None],
            [Some(""), Some("sesame"), Some("")],
            [Some("default"), Some("sesame"), None],
            [None, None, Some("sesame")],
            [Some(""), Some(""), Some("sesame")],
        ] {
            check(&guarded, credentials, Some("default"), 0);
        }
        for (credentials, failures) in [
            ([None, None, None], 0),
            ([Some("default"), None, None], 0),
            ([Some("default"), Some(""), Some("")], 0),
            ([None, Some("Sesame"), None], 1),
            ([None, None, Some("Sesame")], 1),
            ([Some("ann"), Some("sesame"), None], 1),
            // The token does not stand in for the password of a named user.
            ([Some("ann"), None, Some("sesame")], 0),
        ] {
            check(&guarded, credentials, None, failures);
        }
    }

    #[test]
    fn users_have_their_own_passwords() {
        let users = [user("ann", "a"), user("ben", "b")];
        let (alone, both) = (settings("", &users), settings("sesame", &users));
        for settings in [&alone, &both] {
            assert!(is_required(settings));
            check(settings, [Some("ann"), Some("a"), None], Some("ann"), 0);
            check(settings, [Some("ben"), Some("b"), Some("ignored")], Some("ben"), 0);
            check(settings, [Some("ann"), Some("b"), None], None, 1);
            check(settings, [Some("eve"), Some("a"), None], None, 1);
            check(settings, [Some("ann"), None, None], None, 0);
            check(settings, [None, None, Some("a")], None, 1);
        }
        check(&both, [None, Some("sesame"), None], Some("default"), 0);
        check(&both, [None, None, Some("sesame")], Some("default"), 0);
        check(&alone, [None, Some("sesame"), None], None, 1);
        check(&alone, [None, Some(""), None], None, 0);
        check(&alone, [Some("default"), Some("default"), None], None, 1);
    }

    #[test]
    fn a_guessing_address_is_not_heard() {
        let attempts = Attempts::default();
        let now = Now::at(Duration::from_secs(9), Duration::ZERO);
        let login = Login { attempts: &attempts, address: IpAddr::from([192, 0, 2, 1]), now };
        let guarded = settings("sesame", &[]);
        let failure = |password| {
            let credentials = Credentials { password: Some(password), ..Credentials::default() };
            authenticate(&guarded, login, credentials).err()
        };
        for _ in 0..FAILURES_MAX {
            assert_eq!(failure("guess"), Some(Failure::Wrong));
        }
        assert!(matches!(failure("sesame"), Some(Failure::TooMany(_))));
    }

    #[test]
    fn a_client_is_renewed_as_long_as_its_user_has_the_same_password() {
        let before = settings("", &[user("ann", "a")]);
        let attempts = Attempts::default();
        let now = Now::at(Duration::from_secs(9), Duration::ZERO);
        let login = Login { attempts: &attempts, address: IpAddr::from([192, 0, 2, 1]), now };
        let credentials = Credentials { user: Some("ann"), password: Some("a"), token: None };
        let identity = authenticate(&before, login, credentials).unwrap_or_default();
        assert!(identity.renewed(&before) == Some(identity.clone()));
        let unrestricted = User { permissions: None, ..user("ann", "a") };
        let freed = identity.renewed(&settings("", &[unrestricted]));
        assert!(freed.is_some_and(|identity| identity.permissions().is_none() && identity.name() == "ann"));
        for gone in [settings("", &[user("ann", "b")]), settings("", &[user("ben", "a")]), settings("a", &[])]
        {
            assert!(identity.renewed(&gone).is_none());
        }
        assert!(Identity::default().renewed(&settings("sesame", &[user("ann", "a")])).is_some());
    }
}
