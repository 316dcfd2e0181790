//! AUTH: one password for one user, `default`.

use crate::command::Call;
use crate::refusal::Refusal;
use crate::settings::Live;

/// The only user there is.
pub(super) const USER: &str = "default";

/// AUTH.
pub(super) fn auth(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (user, password) = match call.arguments.len() {
        2 if !call.services.settings.has_password() => return Err(no_password_configured()),
        2 => (USER.as_bytes(), call.arguments.at(1)),
        3 => (call.arguments.at(1), call.arguments.at(2)),
        _ => return Err(Refusal::SYNTAX),
    };
    authenticate(call, user, password)?;
    call.output.ok();
    Ok(())
}

/// Lets the client in if the password is right.  Without a password to be had, any is right.  A failure takes
/// nothing from a client that was let in before.
pub(super) fn authenticate(call: &mut Call<'_, '_>, user: &[u8], password: &[u8]) -> Result<(), Refusal> {
    if !is_right(&call.services.settings, Some(user), password) {
        return Err(Refusal::new("WRONGPASS invalid username-password pair or user is disabled."));
    }
    call.client.authenticated = true;
    Ok(())
}

/// Whether a user, or whoever does not say who it is, gives the right password.
pub fn is_right(settings: &Live, user: Option<&[u8]>, password: &[u8]) -> bool {
    let expected = settings.password();
    let right = expected.is_empty() || same(expected.as_bytes(), password);
    right && user.is_none_or(|user| user == USER.as_bytes())
}

fn no_password_configured() -> Refusal {
    Refusal::new(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
         configuration is correct?",
    )
}

/// Compares in a time that depends on the length of what was sent only, so that answering times tell nothing of
/// the password.
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
