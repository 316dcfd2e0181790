//! Commands about the server's life and its place among others: SHUTDOWN, saving, replication, TIME, LOLWUT.

use quartet_protocol::resp::number::parse_integer;

use super::OPERATOR_NO_SCRIPT;
use super::info::REDIS_VERSION;
use crate::command::{Call, Command, Deprecated, Flags, Flow, Group, Handler};
use crate::refusal::Refusal;

/// Refused on a server without a disk: the data would be lost after the client was told that it was kept.
const NOTHING_ON_DISK: &str = "ERR this server keeps nothing on disk, so it cannot save";

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "time",
        summary: "Returns the server time.",
        since: "2.6.0",
        group: Group::Server,
        flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST),
        handler: Handler::Data(time),
        ..Command::ROW
    },
    Command {
        name: "lolwut",
        syntax: "[VERSION version]",
        summary: "Displays computer art and the Redis version.",
        complexity: "",
        since: "5.0.0",
        group: Group::Server,
        flags: Flags::READONLY.union(Flags::FAST),
        handler: Handler::Data(lolwut),
        ..Command::ROW
    },
    Command {
        name: "shutdown",
        syntax: "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
        summary: "Synchronously saves the database(s) to disk and shuts down the Redis server.",
        complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
        group: Group::Server,
        flags: OPERATOR_NO_SCRIPT.union(Flags::NO_MULTI).union(Flags::ALLOW_BUSY),
        handler: Handler::Data(shutdown),
        ..Command::ROW
    },
    Command {
        name: "save",
        summary: "Synchronously saves the database(s) to disk.",
        complexity: "O(N) where N is the total number of keys in all databases",
        group: Group::Server,
        flags: Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::NO_MULTI),
        handler: Handler::Data(save),
        ..Command::ROW
    },
    Command {
        name: "bgsave",
        syntax: "[SCHEDULE]",
        summary: "Asynchronously saves the database(s) to disk.",
        group: Group::Server,
        flags: Flags::ADMIN.union(Flags::NOSCRIPT),
        handler: Handler::Data(bgsave),
        ..Command::ROW
    },
    Command {
        name: "bgrewriteaof",
        summary: "Asynchronously rewrites the append-only file to disk.",
        group: Group::Server,
        flags: Flags::ADMIN.union(Flags::NOSCRIPT),
        handler: Handler::Data(save),
        ..Command::ROW
    },
    Command {
        name: "lastsave",
        summary: "Returns the Unix timestamp of the last successful save to disk.",
        group: Group::Server,
        flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST).union(Flags::DANGEROUS),
        handler: Handler::Data(lastsave),
        ..Command::ROW
    },
    Command {
        name: "role",
        summary: "Returns the replication role.",
        since: "2.8.12",
        group: Group::Server,
        flags: Flags::NOSCRIPT
            .union(Flags::LOADING)
            .union(Flags::STALE)
            .union(Flags::FAST)
            .union(Flags::DANGEROUS),
        handler: Handler::Data(role),
        ..Command::ROW
    },
    Command {
        name: "replicaof",
        syntax: "<host port | NO ONE>",
        summary: "Configures a server as replica of another, or promotes it to a master.",
        since: "5.0.0",
        group: Group::Server,
        flags: Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::STALE),
        handler: Handler::Data(replicaof),
        ..Command::ROW
    },
    Command {
        name: "slaveof",
        deprecated: Some(Deprecated { since: "5.0.0", replaced_by: "`REPLICAOF`" }),
        syntax: "<host port | NO ONE>",
        summary: "Sets a Redis server as a replica of another, or promotes it to being a master.",
        group: Group::Server,
        flags: Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::STALE),
        handler: Handler::Data(replicaof),
        ..Command::ROW
    },
    Command {
        name: "wait",
        syntax: "numreplicas timeout",
        summary: "Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed.",
        since: "3.0.0",
        group: Group::Generic,
        flags: Flags::NOSCRIPT,
        handler: Handler::Data(wait),
        ..Command::ROW
    },
    Command {
        name: "waitaof",
        syntax: "numlocal numreplicas timeout",
        summary: "Blocks until all of the preceding write commands sent by the connection are written to the append-only file of the master and/or replicas.",
        since: "7.2.0",
        group: Group::Generic,
        flags: Flags::NOSCRIPT,
        handler: Handler::Data(waitaof),
        ..Command::ROW
    },
];

fn time(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let micros = call.now().wall_micros();
    call.output.array(2);
    call.output.bulk_integer(micros.div_euclid(1_000_000));
    call.output.bulk_integer(micros.rem_euclid(1_000_000));
    Ok(())
}

fn lolwut(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let quartet = env!("CARGO_PKG_VERSION");
    let text = format!("Four voices, one score: Quartet {quartet}. Redis ver. {REDIS_VERSION}\n");
    call.output.verbatim("txt", &text);
    Ok(())
}

/// A client that asks for a save is refused; one that does not say gets none, since nothing is kept on disk.
fn shutdown(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (mut save, mut nosave, mut abort, mut others) = (false, false, false, false);
    for word in call.arguments.from(1).iter() {
        match word.to_ascii_lowercase().as_slice() {
            b"save" => save = true,
            b"nosave" => nosave = true,
            b"now" | b"force" => others = true,
            b"abort" => abort = true,
            _ => return Err(Refusal::SYNTAX),
        }
    }
    if save && nosave || abort && (save || nosave || others) {
        return Err(Refusal::SYNTAX);
    }
    if abort {
        return Err(Refusal::new("ERR No shutdown in progress."));
    }
    if save {
        return Err(Refusal::new(NOTHING_ON_DISK));
    }
    tracing::info!(client = call.caller.connection, address = %call.caller.address, "SHUTDOWN");
    call.continuation.flow = Flow::Shutdown;
    Ok(())
}

fn save(_: &mut Call<'_, '_>) -> Result<(), Refusal> {
    Err(Refusal::new(NOTHING_ON_DISK))
}

fn bgsave(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    match call.arguments.get(1) {
        None => save(call),
        Some(word) if call.arguments.len() == 2 && word.eq_ignore_ascii_case(b"schedule") => save(call),
        Some(_) => Err(Refusal::SYNTAX),
    }
}

fn lastsave(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.output.integer(call.services.started.wall_millis() / 1000);
    Ok(())
}

fn role(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.output.array(3);
    call.output.bulk(b"master");
    call.output.integer(0);
    call.output.array(0);
    Ok(())
}

fn replicaof(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (host, port) = (call.arguments.at(1), call.arguments.at(2));
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        call.output.ok();
        return Ok(());
    }
    if !parse_integer(port).is_some_and(|port| (0..=i64::from(u16::MAX)).contains(&port)) {
        return Err(Refusal::new("ERR Invalid master port"));
    }
    Err(Refusal::new("ERR this server does not replicate"))
}

/// There are no replicas to wait for.
fn wait(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    parse_integer(call.arguments.at(1)).ok_or(Refusal::NOT_AN_INTEGER)?;
    check_timeout(call, 2)?;
    call.output.integer(0);
    Ok(())
}

fn waitaof(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let number = |position: usize| parse_integer(call.arguments.at(position)).ok_or(Refusal::NOT_AN_INTEGER);
    let local = number(1)?;
    if !(0..=1).contains(&local) {
        return Err(Refusal::new("ERR value is out of range, value must between 0 and 1"));
    }
    if number(2)? < 0 {
        return Err(Refusal::new("ERR value is out of range, must be positive"));
    }
    check_timeout(call, 3)?;
    if local > 0 {
        return Err(Refusal::new(
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ));
    }
    call.output.array(2);
    call.output.integer(0);
    call.output.integer(0);
    Ok(())
}

fn check_timeout(call: &Call<'_, '_>, position: usize) -> Result<(), Refusal> {
    match parse_integer(call.arguments.at(position)) {
        None => Err(Refusal::new("ERR timeout is not an integer or out of range")),
        Some(timeout) if timeout < 0 => Err(Refusal::new("ERR timeout is negative")),
        Some(timeout) if timeout.checked_add(call.now().wall_millis()).is_none() => {
            Err(Refusal::new("ERR timeout is out of range"))
        }
        Some(_) => Ok(()),
    }
}
