//! CLIENT: its subcommands, and those that change how the server treats the connection.

use quartet_protocol::resp::number::parse_integer;

use super::{CONNECTION, client_kill, client_list, identity};
use crate::client::{ClientFlags, Waiting};
use crate::command::{Call, Command, Flags, Group, Handler, Replies, SessionCall};
use crate::refusal::Refusal;

const OPERATOR: Flags = CONNECTION.union(Flags::ADMIN).union(Flags::DANGEROUS);

/// The start of the subcommands' rows.
const ROW: Command = Command { group: Group::Connection, flags: CONNECTION, ..Command::ROW };

/// The rows.
pub(super) const SUBCOMMANDS: &[Command] = &[
    Command {
        name: "caching",
        syntax: "<YES | NO>",
        summary: "Instructs the server whether to track the keys in the next request.",
        since: "6.0.0",
        handler: Handler::Session(caching),
        ..ROW
    },
    Command {
        name: "getname",
        summary: "Returns the name of the connection.",
        since: "2.6.9",
        handler: Handler::Session(identity::getname),
        ..ROW
    },
    Command {
        name: "getredir",
        summary: "Returns the client ID to which the connection's tracking notifications are redirected.",
        since: "6.0.0",
        handler: Handler::Session(getredir),
        ..ROW
    },
    Command {
        name: "help",
        summary: "Returns helpful text about the different subcommands.",
        since: "5.0.0",
        flags: Flags::LOADING.union(Flags::STALE),
        handler: Handler::Data(help),
        ..ROW
    },
    Command {
        name: "id",
        summary: "Returns the unique client ID of the connection.",
        since: "5.0.0",
        handler: Handler::Session(id),
        ..ROW
    },
    Command {
        name: "info",
        summary: "Returns information about the connection.",
        since: "6.2.0",
        handler: Handler::Session(client_list::info),
        ..ROW
    },
    Command {
        name: "kill",
        syntax: "<ip:port | ID client-id | TYPE client-type | USER username | ADDR ip:port | LADDR ip:port | \
                 SKIPME yes-or-no | MAXAGE maxage> [option value ...]",
        summary: "Terminates open connections.",
        complexity: "O(N) where N is the number of client connections",
        since: "2.4.0",
        flags: OPERATOR,
        handler: Handler::Data(client_kill::kill),
        ..ROW
    },
    Command {
        name: "list",
        syntax: "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]",
        summary: "Lists open connections.",
        complexity: "O(N) where N is the number of client connections",
        since: "2.4.0",
        flags: OPERATOR,
        handler: Handler::Data(client_list::list),
        ..ROW
    },
    Command {
        name: "no-evict",
        syntax: "<ON | OFF>",
        summary: "Sets the client eviction mode of the connection.",
        since: "7.0.0",
        flags: OPERATOR,
        handler: Handler::Session(no_evict),
        ..ROW
    },
    Command {
        name: "no-touch",
        syntax: "<ON | OFF>",
        summary: "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
        since: "7.2.0",
        handler: Handler::Session(no_touch),
        ..ROW
    },
    Command {
        name: "reply",
        syntax: "<ON | OFF | SKIP>",
        summary: "Instructs the server whether to reply to commands.",
        since: "3.2.0",
        // Within EXEC it would take replies out of an array whose length the client knows already.
        flags: CONNECTION.union(Flags::NO_MULTI),
        handler: Handler::Session(reply),
        ..ROW
    },
    Command {
        name: "setinfo",
        syntax: "<LIB-NAME libname | LIB-VER libver>",
        summary: "Sets information specific to the client or connection.",
        since: "7.2.0",
        handler: Handler::Session(identity::setinfo),
        ..ROW
    },
    Command {
        name: "setname",
        syntax: "connection-name",
        summary: "Sets the connection name.",
        since: "2.6.9",
        handler: Handler::Session(identity::setname),
        ..ROW
    },
    Command {
        name: "tracking",
        syntax: "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] \
                 [NOLOOP]",
        summary: "Controls server-assisted client-side caching for the connection.",
        complexity: "O(1). Some options may introduce additional complexity.",
        since: "6.0.0",
        handler: Handler::Session(tracking),
        ..ROW
    },
    Command {
        name: "trackinginfo",
        summary: "Returns information about server-assisted client-side caching for the connection.",
        since: "6.2.0",
        handler: Handler::Session(trackinginfo),
        ..ROW
    },
    Command {
        name: "unblock",
        syntax: "client-id [TIMEOUT | ERROR]",
        summary: "Unblocks a client blocked by a blocking command from a different connection.",
        complexity: "O(log N) where N is the number of client connections",
        since: "5.0.0",
        flags: OPERATOR,
        handler: Handler::Data(unblock),
        ..ROW
    },
];

/// The lines of HELP about the subcommands that are built.
const HELP: &[&str] = &[
    "GETREDIR",
    "    Return the client ID we are redirecting to when tracking is enabled.",
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are:",
    "    * ADDR <ip:port>",
    "      Kill connections made from the specified address",
    "    * LADDR <ip:port>",
    "      Kill connections made to specified local address",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Kill connections by type.",
    "    * USER <username>",
    "      Kill connections authenticated by <username>.",
    "    * SKIPME (YES|NO)",
    "      Skip killing current connection (default: yes).",
    "    * ID <client-id>",
    "      Kill connections by client id.",
    "    * MAXAGE <maxage>",
    "      Kill connections older than the specified age.",
    "LIST [options ...]",
    "    Return information about client connections. Options:",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Return clients of specified type.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "SETINFO <option> <value>",
    "    Set client meta attr. Options are:",
    "    * LIB-NAME: the client lib name.",
    "    * LIB-VER: the client lib version.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "TRACKINGINFO",
    "    Report tracking status for the current connection.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
    "NO-TOUCH (ON|OFF)",
    "    Will not touch LRU/LFU stats when this mode is on.",
];

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(HELP);
    Ok(())
}

fn id(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    call.data.output.integer(call.client.shared.id as i64);
    Ok(())
}

/// No reply if replies are switched off or skipped by this very command.
fn reply(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    let mode = call.arguments.at(2);
    if mode.eq_ignore_ascii_case(b"ON") {
        call.client.replies = Replies::On;
        call.output.ok();
    } else if mode.eq_ignore_ascii_case(b"OFF") {
        call.client.replies = Replies::Off;
    } else if mode.eq_ignore_ascii_case(b"SKIP") {
        if call.client.replies != Replies::Off {
            call.client.replies = Replies::SkipNext;
        }
    } else {
        return Err(Refusal::SYNTAX);
    }
    Ok(())
}

/// Clients are never evicted here, so the flag is only shown.
fn no_evict(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    let on = switch(call)?;
    call.client.resp().set_flag(ClientFlags::NO_EVICT, on);
    call.output.ok();
    Ok(())
}

fn no_touch(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    let on = switch(call)?;
    call.caller.leaves_traces = !on;
    call.client.resp().set_flag(ClientFlags::NO_TOUCH, on);
    call.output.ok();
    Ok(())
}

fn tracking(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    if switch(call)? {
        return Err(Refusal::new(
            "ERR client-side caching is not supported: CLIENT TRACKING can only be OFF",
        ));
    }
    call.output.ok();
    Ok(())
}

fn caching(_: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    Err(Refusal::new(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
    ))
}

fn getredir(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    call.output.integer(-1);
    Ok(())
}

fn trackinginfo(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    call.output.map(3);
    call.output.bulk(b"flags");
    call.output.set(1);
    call.output.bulk(b"off");
    call.output.bulk(b"redirect");
    call.output.integer(-1);
    call.output.bulk(b"prefixes");
    call.output.array(0);
    Ok(())
}

/// Ends the waiting of another client, which is answered as after its time-out, or with an error.
fn unblock(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let how = match call.arguments.get(3) {
        None => Waiting::TimeOut,
        Some(word) if word.eq_ignore_ascii_case(b"TIMEOUT") => Waiting::TimeOut,
        Some(word) if word.eq_ignore_ascii_case(b"ERROR") => Waiting::Fail,
        Some(_) => return Err(Refusal::new("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
    };
    if call.arguments.len() > 4 {
        return Err(Refusal::SYNTAX);
    }
    let id = parse_integer(call.arguments.at(2)).ok_or(Refusal::NOT_AN_INTEGER)?;
    let client = u64::try_from(id).ok().and_then(|id| call.services.clients.get(id));
    let unblocked = client.filter(|client| client.resp().is_some_and(|resp| resp.unblock(how)));
    if let Some(client) = &unblocked {
        call.effects.wake(&client.outbox);
    }
    call.output.integer(unblocked.is_some().into());
    Ok(())
}

fn switch(call: &Call<'_, '_>) -> Result<bool, Refusal> {
    match call.arguments.at(2) {
        word if word.eq_ignore_ascii_case(b"ON") => Ok(true),
        word if word.eq_ignore_ascii_case(b"OFF") => Ok(false),
        _ => Err(Refusal::SYNTAX),
    }
}
