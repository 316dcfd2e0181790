//! Commands that report holders, waiters and deadlocks.

use quartet_protocol::resp::Output;

use super::options::{Options, whole};
use super::promises::report;
use super::refusals::mode_text;
use super::{ROW, run, write_optional};
use crate::command::{Call, Command, Flags, Handler};
use crate::glob::Pattern;
use crate::lock::limits::{DEADLOCKS_MAX, WAITS_SHOWN_MAX};
use crate::lock::operation::{Deadlocks, Inspect, List, Waits};
use crate::lock::{Holder, Mode, ResourceReport, WaitReport};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "lock.info",
        syntax: "resource",
        summary: "Returns the holders of a resource and the number of its waiters; null if there are none.",
        complexity: "O(N) where N is the number of holders.",
        flags: Flags::NOSCRIPT.union(Flags::READONLY),
        handler: Handler::Data(info),
        ..ROW
    },
    Command {
        name: "lock.list",
        syntax: "[MATCH pattern] [OWNER owner] [CURSOR cursor]",
        summary: "Walks through all resources that are held or waited for, a thousand places at a time. Returns the \
                  cursor of the next step, 0 after the last, and what this one has found.",
        complexity: "O(1) for every call, O(N) for a whole walk.",
        flags: Flags::NOSCRIPT.union(Flags::READONLY),
        handler: Handler::Data(list),
        ..ROW
    },
    Command {
        name: "lock.waits",
        syntax: "[RESOURCE resource] [OWNER owner] [COUNT count]",
        summary: "Returns waiting requests and their blockers: of one resource, of one owner, or all.",
        complexity: "O(N) where N is the number of waiting requests.",
        flags: Flags::NOSCRIPT.union(Flags::READONLY),
        handler: Handler::Data(waits),
        ..ROW
    },
    Command {
        name: "lock.deadlocks",
        syntax: "[count]",
        summary: "Returns the deadlocks that were refused last, the newest first.",
        complexity: "O(N) where N is the number of deadlocks.",
        flags: Flags::NOSCRIPT.union(Flags::READONLY),
        handler: Handler::Data(deadlocks),
        ..ROW
    },
];

fn info(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let resource = call.arguments.at(1);
    match run(call, &Inspect { resources: &[resource] }).pop() {
        Some(found) => report(call, found, write_report),
        None => call.output.null(),
    }
    Ok(())
}

fn write_report(output: &mut Output, report: &ResourceReport) {
    output.map(3);
    output.bulk(b"resource");
    output.bulk(&report.resource);
    write_optional(output, b"waiters", Some(report.waiters as u64));
    output.bulk(b"holders");
    output.array(report.holders.len());
    report.holders.iter().for_each(|holder| write_holder(output, holder));
}

fn write_holder(output: &mut Output, holder: &Holder) {
    output.map(8);
    output.bulk(b"owner");
    output.bulk(&holder.owner);
    write_mode(output, holder.mode);
    write_optional(output, b"fence", Some(holder.fence));
    write_optional(output, b"holds", Some(holder.holds.into()));
    write_optional(output, b"ttl_ms", holder.ttl);
    write_optional(output, b"held_ms", Some(holder.held));
    output.bulk(b"session");
    match holder.session {
        Some(session) => output.bulk(session.to_string().as_bytes()),
        None => output.null(),
    }
    output.bulk(b"meta");
    output.bulk(&holder.meta);
}

fn write_mode(output: &mut Output, mode: Mode) {
    output.bulk(b"mode");
    output.bulk(mode_text(mode).as_bytes());
}

fn list(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let options = Options::parse(call.arguments.from(1), &["MATCH", "OWNER", "CURSOR"])?;
    let pattern = options.pattern.map(Pattern::new).transpose()?;
    let operation = List { cursor: options.cursor, pattern: pattern.as_ref(), owner: options.owner };
    let page = run(call, &operation);
    report(call, page, |output, page| {
        output.array(2);
        output.bulk_integer(page.next as i64);
        output.array(page.resources.len());
        page.resources.iter().for_each(|report| write_report(output, report));
    });
    Ok(())
}

fn waits(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let options = Options::parse(call.arguments.from(1), &["RESOURCE", "OWNER", "COUNT"])?;
    let count = options.count.unwrap_or(WAITS_SHOWN_MAX);
    let waits = run(call, &Waits { resource: options.resource, owner: options.owner, count });
    report(call, waits, |output, waits| {
        output.array(waits.len());
        waits.iter().for_each(|wait| write_wait(output, wait));
    });
    Ok(())
}

fn write_wait(output: &mut Output, wait: &WaitReport) {
    output.map(7);
    output.bulk(b"owner");
    output.bulk(&wait.owner);
    output.bulk(b"resource");
    output.bulk(&wait.resource);
    write_mode(output, wait.mode);
    write_optional(output, b"place", Some(wait.position as u64));
    write_optional(output, b"waited_ms", Some(wait.waited));
    write_optional(output, b"left_ms", Some(wait.left));
    output.bulk(b"blockers");
    output.array(wait.blockers.len());
    wait.blockers.iter().for_each(|blocker| output.bulk(blocker));
}

fn deadlocks(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let count = match call.arguments.get(1) {
        Some(count) if call.arguments.len() == 2 => whole(count)? as usize,
        None => DEADLOCKS_MAX,
        Some(_) => return Err(Refusal::wrong_arity(&call.row.name)),
    };
    let found = run(call, &Deadlocks { count });
    let now = call.now();
    call.output.array(found.len());
    for deadlock in found {
        let output = &mut *call.output;
        output.map(3);
        let ago = now.micros().saturating_sub(deadlock.at) / 1000;
        write_optional(output, b"at_ms", Some(now.wall_millis().unsigned_abs().saturating_sub(ago)));
        output.bulk(b"cycle");
        output.bulk(deadlock.to_string().as_bytes());
        output.bulk(b"steps");
        output.array(deadlock.steps.len());
        for step in &deadlock.steps {
            output.map(2);
            output.bulk(b"owner");
            output.bulk(&step.owner);
            output.bulk(b"waits_for");
            output.bulk(&step.resource);
        }
    }
    Ok(())
}
