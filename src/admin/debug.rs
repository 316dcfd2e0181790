//! DEBUG: the few of Redis' debugging commands that test suites use.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use quartet_protocol::resp::number::parse_integer;

use super::OPERATOR_NO_SCRIPT;
use crate::cache::commands::object::encoding_of;
use crate::command::{Call, Command, Flags, Flow, Group, Handler};
use crate::refusal::Refusal;
use crate::settings::ProtectedAction;

/// The longest DEBUG SLEEP.
const SLEEP_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "debug",
    syntax: "subcommand [argument [argument ...]]",
    summary: "A container for debugging commands.",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    // OBJECT looks at a key that no key specification names.
    flags: OPERATOR_NO_SCRIPT.union(Flags::SELF_LOCKING),
    handler: Handler::Data(debug),
    ..Command::ROW
}];

fn debug(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    check_enabled(call)?;
    let word = call.arguments.at(1).to_ascii_lowercase();
    match (word.as_slice(), call.arguments.len()) {
        (b"sleep", 3) => sleep(call),
        // Suites of clients make the errors by it that they want to meet.
        (b"error", 3) => Err(Refusal::new(call.arguments.at(2))),
        (b"object", 3) => object(call),
        (b"set-active-expire", 3) => set_active_expire(call),
        (b"help", 2) => help(call),
        _ => {
            let word = String::from_utf8_lossy(call.arguments.at(1)).replace(['\r', '\n'], " ");
            Err(Refusal::new(format!(
                "ERR unknown subcommand or wrong number of arguments for '{word}'. Try DEBUG HELP."
            )))
        }
    }
}

/// Refuses in Redis' words whom the setting does not let use it.
fn check_enabled(call: &Call<'_, '_>) -> Result<(), Refusal> {
    let is_local = || call.caller.address.ip().to_canonical().is_loopback();
    let is_enabled = match call.settings.enable_debug_command {
        ProtectedAction::Yes => true,
        ProtectedAction::Local => is_local(),
        ProtectedAction::No => false,
    };
    if is_enabled {
        return Ok(());
    }
    Err(Refusal::new(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a \
         local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
    ))
}

/// Only the caller sleeps: the thread serves many other connections.
fn sleep(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let seconds = std::str::from_utf8(call.arguments.at(2)).ok().and_then(|text| text.parse().ok());
    let pause = Duration::try_from_secs_f64(seconds.unwrap_or(0.0)).unwrap_or(Duration::ZERO);
    if !pause.is_zero() {
        call.continuation.flow = Flow::Pause(pause.min(SLEEP_MAX));
    }
    call.output.ok();
    Ok(())
}

fn object(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let store = call.keyspace.store();
    let key = store.key(call.arguments.at(2));
    let shard = store.shard_of(call.caller.database, key.hash);
    let text = call.keyspace.visit_shard(shard, |shard, moment| {
        let entry = shard.peek(&key, moment)?;
        let (address, length) = (entry.bytes().as_ptr(), entry.bytes().len());
        let encoding = encoding_of(entry);
        Some(format!(
            "Value at:{address:p} refcount:1 encoding:{encoding} serializedlength:{length} lru:{} lru_seconds_idle:0",
            entry.recency(),
        ))
    });
    match text {
        Ok(text) => call.output.simple(&text.ok_or(Refusal::NO_SUCH_KEY)?),
        Err(reason) => return call.hold_up(reason),
    }
    Ok(())
}

fn set_active_expire(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let on = parse_integer(call.arguments.at(2)).is_some_and(|number| number != 0);
    call.services.active_expiry.store(on, Relaxed);
    call.output.ok();
    Ok(())
}

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(&[
        "ERROR <string>",
        "    Return a Redis protocol error with <string> as message. Useful for clients",
        "    unit tests to simulate Redis errors.",
        "OBJECT <key>",
        "    Show low level info about `key` and associated value.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Setting it to 0 disables expiring keys in background when they are not",
        "    accessed (otherwise the Redis behavior). Setting it to 1 reenables back the",
        "    default.",
        "SLEEP <seconds>",
        "    Stop serving this connection for <seconds>. Decimals allowed.",
    ]);
    Ok(())
}
