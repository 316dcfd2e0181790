//! AUTH: one password for one user, `default`.

use crate::access::{DEFAULT_USER, Failure, Login};
use crate::command::{Flow, SessionCall};
use crate::refusal::Refusal;

/// AUTH.
pub(super) fn auth(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    let (user, password) = match call.arguments.len() {
        2 if !call.settings.has_password() => return Err(no_password_configured()),
        2 => (DEFAULT_USER.as_bytes(), call.arguments.at(1)),
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
    let (attempts, address, now) = (&call.services.attempts, call.caller.address.ip(), call.now());
    let login = Login { attempts, address, now };
    match login.as_default(&call.services.settings.current().requirepass, Some(user), password) {
        Ok(()) => {
            call.client.authenticated = true;
            Ok(())
        }
        Err(failure) => {
            if let Some(pause) = failure.pause() {
                call.continuation.flow = Flow::Pause(pause);
            }
            Err(refusal(failure))
        }
    }
}

fn refusal(failure: Failure) -> Refusal {
    match failure.retry_after() {
        None => Refusal::new("WRONGPASS invalid username-password pair or user is disabled."),
        Some(seconds) => Refusal::new(format!(
            "ERR too many wrong passwords came from your address; try again in {seconds} s"
        )),
    }
}

fn no_password_configured() -> Refusal {
    Refusal::new(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
         configuration is correct?",
    )
}
