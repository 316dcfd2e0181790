//! Passwords: compared in constant time, counted by address, and not checked where too many were wrong.

use std::net::IpAddr;
use std::time::Duration;

use super::attempts::{Attempts, Hearing, RECOVERY};
use super::users::{User, find};
use crate::clock::Now;

/// The user whose password is the setting `requirepass`.  A client that names no user means this one.
pub const DEFAULT_USER: &str = "default";

/// Why a password is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It is wrong.
    Wrong,
    /// Its address has given too many wrong ones, and may try again after so long.
    TooMany(Duration),
}

impl Failure {
    /// How long to hold up the connection, so that it does not ask again at once.
    pub fn pause(self) -> Option<Duration> {
        match self {
            Failure::Wrong => None,
            Failure::TooMany(left) => Some(left.min(RECOVERY)),
        }
    }

    /// Whole seconds after which another try is worth it; none if that is at any time.
    pub fn retry_after(self) -> Option<u64> {
        match self {
            Failure::Wrong => None,
            Failure::TooMany(left) => Some(left.as_secs() + u64::from(left.subsec_nanos() > 0)),
        }
    }
}

/// A client's try to come in: its address, and what counts the wrong passwords of it.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// What counts them.
    pub attempts: &'a Attempts,
    /// Where the client is.
    pub address: IpAddr,
    /// The time.
    pub now: Now,
}

impl Login<'_> {
    /// Whether the client gives the password of the default user, which is `expected`.  A password that is not set need not
    /// be given, so then nothing is counted.
    ///
    /// # Errors
    /// If the password is wrong, the client names another user, or its address has sent too many wrong ones.
    pub fn as_default(self, expected: &str, user: Option<&[u8]>, password: &[u8]) -> Result<(), Failure> {
        let is_named = user.is_none_or(|user| user == DEFAULT_USER.as_bytes());
        if expected.is_empty() {
            return if is_named { Ok(()) } else { Err(Failure::Wrong) };
        }
        self.check(|| {
            let is_same = same(expected.as_bytes(), password);
            is_same && is_named
        })
    }

    /// Returns the user with this name if the client gives that user's password.
    ///
    /// # Errors
    /// If there is no such user, the password is wrong, or the client's address has sent too many wrong ones.
    pub fn as_user<'u>(self, users: &'u [User], name: &[u8], password: &[u8]) -> Result<&'u User, Failure> {
        let user = find(users, name);
        // An unknown user takes as long as a known one.
        let expected = user.map_or(DEFAULT_USER, |user| &user.password);
        self.check(|| same(expected.as_bytes(), password) & user.is_some())?;
        user.ok_or(Failure::Wrong)
    }

    /// Has a password checked if its address may have it checked, and counts it.
    fn check(self, is_right: impl FnOnce() -> bool) -> Result<(), Failure> {
        let Login { attempts, address, now } = self;
        let hearing = attempts.hearing(address, now);
        if let Hearing::Unheard(left) = hearing {
            attempts.unheard(address);
            return Err(Failure::TooMany(left));
        }
        if is_right() {
            attempts.succeeded(address, now);
            return Ok(());
        }
        attempts.failed(address, now);
        match hearing {
            Hearing::Slowed(left) => Err(Failure::TooMany(left)),
            _ => Err(Failure::Wrong),
        }
    }
}

/// Compares in a time that depends only on the length of the given secret, so that response times reveal nothing about the
/// expected one, which is not empty.
pub(super) fn same(expected: &[u8], given: &[u8]) -> bool {
    let mut difference = usize::from(expected.len() != given.len());
    for (index, byte) in given.iter().enumerate() {
        let other = expected[index % expected.len()];
        difference |= usize::from(std::hint::black_box(byte ^ other));
    }
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::attempts::FAILURES_MAX;

    #[test]
    fn only_the_password_itself_is_right() {
        assert!(same(b"secret", b"secret"));
        for wrong in [&b""[..], b"s", b"secre", b"secret ", b"Secret", b"secretsecret"] {
            assert!(!same(b"secret", wrong), "{wrong:?}");
        }
    }

    fn users() -> Vec<User> {
        ["ann", "ben"]
            .map(|name| User { name: name.into(), password: format!("{name}'s").into(), permissions: None })
            .into()
    }

    #[test]
    fn each_user_has_a_password_and_wrong_ones_are_counted() {
        let attempts = Attempts::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        let login =
            Login { attempts: &attempts, address, now: Now::at(Duration::from_secs(9), Duration::ZERO) };
        let users = users();
        let name = |name: &str, password: &str| {
            login.as_user(&users, name.as_bytes(), password.as_bytes()).map(|user| user.name.to_string())
        };
        assert_eq!(name("ann", "ann's"), Ok("ann".to_owned()));
        assert_eq!(attempts.failures(), 0);
        for (user, password) in
            [("ann", "ben's"), ("ann", ""), ("Ann", "ann's"), ("default", "default"), ("", "")]
        {
            assert_eq!(name(user, password), Err(Failure::Wrong), "{user} {password}");
        }
        assert_eq!(login.as_default("sesame", None, b"sesame"), Ok(()));
        assert_eq!(login.as_default("sesame", Some(b"default"), b"sesame"), Ok(()));
        assert_eq!(login.as_default("sesame", Some(b"ann"), b"sesame"), Err(Failure::Wrong));
        assert_eq!(login.as_default("sesame", None, b"Sesame"), Err(Failure::Wrong));
        assert_eq!(attempts.failures(), 7);
        assert_eq!(login.as_default("", None, b"anything"), Ok(()));
        assert_eq!(login.as_default("", Some(b"ann"), b"anything"), Err(Failure::Wrong));
        assert_eq!(attempts.failures(), 7, "without a password there is nothing to guess");
    }

    #[test]
    fn an_address_that_guesses_is_not_heard_by_any_door() {
        let attempts = Attempts::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        let login =
            Login { attempts: &attempts, address, now: Now::at(Duration::from_secs(9), Duration::ZERO) };
        for _ in 0..FAILURES_MAX {
            assert_eq!(login.as_user(&users(), b"ann", b"guess").err(), Some(Failure::Wrong));
        }
        let too_many = Failure::TooMany(RECOVERY);
        assert_eq!(login.as_user(&users(), b"ann", b"ann's").err(), Some(too_many));
        assert_eq!(login.as_default("sesame", None, b"sesame"), Err(too_many));
        assert_eq!((too_many.pause(), too_many.retry_after()), (Some(RECOVERY), Some(1)));
    }
}
