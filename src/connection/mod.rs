//! Commands about the connection: PING, HELLO, AUTH, SELECT, CLIENT, MULTI and others.

mod authentication;
mod client;
mod client_kill;
mod client_list;
mod hello;
mod identity;
mod lifecycle;
mod monitor;
pub mod transactions;

use crate::command::{Call, Command, Flags, Group, Handler, database_number};
use crate::refusal::Refusal;

/// The flags of nearly all commands about the connection itself: they run while data is loaded or stale, but not in scripts.
const CONNECTION: Flags = Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE);

/// The flags of commands that a client may send before it has authenticated.
const HANDSHAKE: Flags = CONNECTION.union(Flags::FAST).union(Flags::NO_AUTH).union(Flags::ALLOW_BUSY);

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "auth",
        syntax: "[username] password",
        summary: "Authenticates the connection.",
        complexity: "O(N) where N is the number of passwords defined for the user",
        group: Group::Connection,
        flags: HANDSHAKE,
        hide_secrets: |arguments| arguments.hide_from(1),
        handler: Handler::Session(authentication::auth),
        ..Command::ROW
    },
    Command {
        name: "client",
        summary: "A container for client connection commands.",
        complexity: "Depends on subcommand.",
        since: "2.4.0",
        group: Group::Connection,
        subcommands: client::SUBCOMMANDS,
        ..Command::ROW
    },
    Command {
        name: "echo",
        syntax: "message",
        summary: "Returns the given string.",
        group: Group::Connection,
        flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST),
        handler: Handler::Data(echo),
        ..Command::ROW
    },
    Command {
        name: "hello",
        syntax: "[protover [AUTH username password] [SETNAME clientname]]",
        summary: "Handshakes with the Redis server.",
        since: "6.0.0",
        group: Group::Connection,
        flags: HANDSHAKE,
        hide_secrets: hello::hide_password,
        handler: Handler::Session(hello::hello),
        ..Command::ROW
    },
    monitor::MONITOR,
    Command {
        name: "ping",
        syntax: "[message]",
        summary: "Returns the server's liveliness response.",
        group: Group::Connection,
        flags: Flags::FAST.union(Flags::WHILE_SUBSCRIBED),
        handler: Handler::Data(ping),
        ..Command::ROW
    },
    Command {
        name: "quit",
        // All arguments are ignored.
        syntax: "[argument ...]",
        summary: "Closes the connection.",
        group: Group::Connection,
        flags: HANDSHAKE.union(Flags::NO_QUEUE).union(Flags::WHILE_SUBSCRIBED),
        handler: Handler::Session(lifecycle::quit),
        ..Command::ROW
    },
    Command {
        name: "reset",
        summary: "Resets the connection.",
        since: "6.2.0",
        group: Group::Connection,
        flags: HANDSHAKE.union(Flags::NO_QUEUE).union(Flags::WHILE_SUBSCRIBED),
        handler: Handler::Session(lifecycle::reset),
        ..Command::ROW
    },
    Command {
        name: "select",
        syntax: "index",
        summary: "Changes the selected database.",
        group: Group::Connection,
        flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST).union(Flags::SELECTS_DATABASE),
        handler: Handler::Data(select),
        ..Command::ROW
    },
];

fn ping(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let message = call.arguments.get(1);
    if call.arguments.len() > 2 {
        return Err(Refusal::wrong_arity("ping"));
    }
    if call.caller.is_limited_to_subscribing() {
        // Such a client reads nothing but messages, so this reply looks like one.
        call.output.array(2);
        call.output.bulk(b"pong");
        call.output.bulk(message.unwrap_or_default());
        return Ok(());
    }
    match message {
        Some(message) => call.output.bulk(message),
        None => call.output.simple("PONG"),
    }
    Ok(())
}

fn echo(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.output.bulk(call.arguments.at(1));
    Ok(())
}

fn select(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let database = database_number(call.keyspace.store(), call.arguments.at(1))?;
    call.caller.database = database;
    call.output.ok();
    Ok(())
}
