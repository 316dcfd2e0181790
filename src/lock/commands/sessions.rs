//! LOCK.SESSION: many locks kept by one ping, or by one connection.

use quartet_protocol::resp::Output;

use super::options::{Options, session};
use super::promises::{SessionKept, report};
use super::{ROW, run, write_optional};
use crate::command::{Call, Command, Flags, Handler};
use crate::lock::SessionReport;
use crate::lock::operation::{CloseSession, InspectSession, OpenSession, PingSession, SessionTerms};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "lock.session",
    summary: "A container for commands about sessions that keep locks.",
    complexity: "Depends on subcommand.",
    flags: Flags::empty(),
    subcommands: SUBCOMMANDS,
    ..ROW
}];

const SUBCOMMANDS: &[Command] = &[
    Command {
        name: "open",
        syntax: "[TTL milliseconds] [DELAY milliseconds] [CONN] [REQID request-id]",
        summary: "Opens a session that lasts from ping to ping, or as long as the connection, or both. Returns its name.",
        handler: Handler::Data(open),
        ..ROW
    },
    Command {
        name: "ping",
        syntax: "session [REQID request-id]",
        summary: "Makes a session last its full time from now, even if it was lost less than its delay ago. Returns the \
                  milliseconds, or null if it lasts as long as the connection.",
        flags: Flags::NOSCRIPT.union(Flags::FAST),
        handler: Handler::Data(ping),
        ..ROW
    },
    Command {
        name: "close",
        syntax: "session [REQID request-id]",
        summary: "Ends a session and releases its locks. Returns how many.",
        complexity: "O(N) where N is the number of locks.",
        handler: Handler::Data(close),
        ..ROW
    },
    Command {
        name: "info",
        syntax: "session",
        summary: "Returns what is known about a session.",
        complexity: "O(N) where N is the number of locks.",
        handler: Handler::Data(info),
        ..ROW
    },
    Command {
        name: "help",
        summary: "Returns helpful text about the different subcommands.",
        handler: Handler::Data(help),
        ..ROW
    },
];

fn open(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let options = Options::parse(call.arguments.from(2), &["TTL", "DELAY", "CONN", "REQID"])?;
    if options.is_bound && call.caller.connection.is_none() {
        return Err(Refusal::NEEDS_CONNECTION);
    }
    let connection = call.caller.connection.filter(|_| options.is_bound);
    let terms = SessionTerms { ttl: options.ttl, delay: options.delay, connection };
    let id = call.random.draw();
    let opened = run(call, &OpenSession { id, terms, request: options.request() })?;
    call.output.bulk(opened.to_string().as_bytes());
    call.promise(|| SessionKept::opened(opened));
    Ok(())
}

fn ping(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let id = session(call.arguments.at(2))?;
    let request = Options::parse(call.arguments.from(3), &["REQID"])?.request();
    let connection = call.caller.connection;
    match run(call, &PingSession { session: id, connection, request })? {
        Some(ttl) => call.output.integer(ttl as i64),
        None => call.output.null(),
    }
    call.promise(|| SessionKept::pinged(id));
    Ok(())
}

fn close(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let id = session(call.arguments.at(2))?;
    let request = Options::parse(call.arguments.from(3), &["REQID"])?.request();
    let ended = run(call, &CloseSession { session: id, request })?;
    call.output.integer(ended as i64);
    Ok(())
}

fn info(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let id = session(call.arguments.at(2))?;
    let found = run(call, &InspectSession { session: id })?;
    report(call, found, write_session);
    Ok(())
}

fn write_session(output: &mut Output, report: &SessionReport) {
    output.map(8);
    write_optional(output, b"ttl_ms", report.ttl);
    write_optional(output, b"left_ms", report.left);
    write_optional(output, b"delay_ms", Some(report.delay));
    write_optional(output, b"bound", Some(report.is_bound.into()));
    write_optional(output, b"lost", Some(report.is_lost.into()));
    write_optional(output, b"locks", Some(report.leases as u64));
    write_optional(output, b"waiting", Some(report.waiters as u64));
    output.bulk(b"resources");
    output.array(report.resources.len());
    report.resources.iter().for_each(|resource| output.bulk(resource));
}

fn help(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.write_help(&[
        "CLOSE <session> [REQID <request-id>]",
        "    Ends a session and releases its locks.",
        "INFO <session>",
        "    Returns what is known about a session.",
        "OPEN [TTL <milliseconds>] [DELAY <milliseconds>] [CONN] [REQID <request-id>]",
        "    Opens a session that lasts from ping to ping (TTL), or as long as this connection (CONN).",
        "    DELAY keeps the locks of a lost session for a time, in which a ping saves it.",
        "PING <session> [REQID <request-id>]",
        "    Makes a session last its full time from now.",
    ]);
    Ok(())
}
