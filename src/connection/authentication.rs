//! AUTH: one password for one user, `default`.

use std::net::IpAddr;
use std::time::Duration;

use crate::attempts::{Hearing, RECOVERY};
use crate::clock::Now;
use crate::command::{Flow, Services, SessionCall};
use crate::refusal::Refusal;
use crate::settings::Settings;

/// The only user there is.
pub(super) const USER: &str = "default";

/// AUTH.
pub(super) fn auth(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    let (user, password) = match call.arguments.len() {
        2 if !call.settings.has_password() => return Err(no_password_configured()),
        2 => (USER.as_bytes(), call.arguments.at(1)),
        3 => (call.arguments.at(1), call.arguments.at(2)),
        _ => return Err(Refusal::SYNTAX),
    };
    authenticate(call, user, password)?;
    call.output.ok();
    Ok(())
}

/// Authenticates the client if the password is right.  Without a configured password, any is accepted.  A client that is
/// authenticated stays so after a failure.
pub(super) fn authenticate(
    call: &mut SessionCall<'_, '_>,
    user: &[u8],
    password: &[u8],
) -> Result<(), Refusal> {
    let (services, address) = (call.services, call.caller.address.ip());
    match attempt(services, call.now(), address, Some(user), password) {
        Ok(()) => {
            call.client.authenticated = true;
            Ok(())
        }
        Err(failure) => {
            if let Some(pause) = failure.pause() {
                call.continuation.flow = Flow::Pause(pause);
            }
            Err(failure.into())
        }
    }
}

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

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        match failure.retry_after() {
            None => Refusal::new("WRONGPASS invalid username-password pair or user is disabled."),
            Some(seconds) => Refusal::new(format!(
                "ERR too many wrong passwords came from your address; try again in {seconds} s"
            )),
        }
    }
}

/// Whether a user at an address gives the right password; without a name it is the default user.
///
/// # Errors
/// If it is wrong, or was not checked because the address has sent too many wrong ones.
pub fn attempt(
    services: &Services,
    now: Now,
    address: IpAddr,
    user: Option<&[u8]>,
    password: &[u8],
) -> Result<(), Failure> {
    let (settings, attempts) = (services.settings.current(), &services.attempts);
    if !settings.has_password() {
        return if is_right(&settings, user, password) { Ok(()) } else { Err(Failure::Wrong) };
    }
    let hearing = attempts.hearing(address, now);
    if let Hearing::Unheard(left) = hearing {
        attempts.unheard(address);
        return Err(Failure::TooMany(left));
    }
    if is_right(&settings, user, password) {
        attempts.succeeded(address, now);
        return Ok(());
    }
    attempts.failed(address, now);
    match hearing {
        Hearing::Slowed(left) => Err(Failure::TooMany(left)),
        _ => Err(Failure::Wrong),
    }
}

fn is_right(settings: &Settings, user: Option<&[u8]>, password: &[u8]) -> bool {
    let expected = &settings.requirepass;
    let right = expected.is_empty() || same(expected.as_bytes(), password);
    right && user.is_none_or(|user| user == USER.as_bytes())
}

fn no_password_configured() -> Refusal {
    Refusal::new(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
         configuration is correct?",
    )
}

/// Compares in a time that depends only on the length of the given password, so that response times reveal nothing
/// about the expected one.
fn same(expected: &[u8], given: &[u8]) -> bool {
    let mut difference = usize::from(expected.len() != given.len());
    for (index, byte) in given.iter().enumerate() {
        let other = expected[index % expected.len()];
        difference |= usize::from(std::hint::black_box(byte ^ other));
    }
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn only_the_password_itself_is_right() {
        assert!(same(b"secret", b"secret"));
        for wrong in [&b""[..], b"s", b"secre", b"secret ", b"Secret", b"secretsecret"] {
            assert!(!same(b"secret", wrong), "{wrong:?}");
        }
    }
}
