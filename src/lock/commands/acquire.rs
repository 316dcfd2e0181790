//! Commands that acquire locks or change their mode: at once, in turn, several together.

use super::encoder::GrantEncoder;
use super::options::{Options, counted_resources};
use super::{ROW, reply_changed, reply_granted, run};
use crate::command::{Call, Command, Flags, Handler};
use crate::lock::Asked;
use crate::lock::operation::{Acquire, Downgrade, Upgrade};
use crate::refusal::Refusal;

/// The options of both commands.
const WORDS: &[&str] =
    &["TTL", "WAIT", "EXCLUSIVE", "SHARED", "PERMITS", "REENTRANT", "SESSION", "REQID", "META"];

const ASKING: Flags = Flags::NOSCRIPT.union(Flags::BLOCKING).union(Flags::FAST);

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "lock.acquire",
        syntax: "resource owner [TTL milliseconds] [WAIT milliseconds] \
                 [EXCLUSIVE | SHARED | PERMITS count OF count] [REENTRANT] [SESSION session] [REQID request-id] \
                 [META text]",
        summary: "Acquires a resource for an owner, which waits its turn with WAIT. Returns the fencing token and the time of the \
                  lease, or null if it was not granted in time. A wait that would never end is refused at once.",
        complexity: "O(1) for the common case; O(W) where W is the number of waiting requests, if the owner holds \
                     something that others wait for.",
        flags: ASKING,
        handler: Handler::Data(acquire),
        ..ROW
    },
    Command {
        name: "lock.macquire",
        syntax: "owner numkeys resource [resource ...] [TTL milliseconds] [WAIT milliseconds] \
                 [EXCLUSIVE | SHARED | PERMITS count OF count] [REENTRANT] [SESSION session] [REQID request-id] \
                 [META text]",
        summary: "Acquires several resources together, all or none, under one fencing token.",
        complexity: "O(N) where N is the number of resources.",
        flags: ASKING,
        handler: Handler::Data(acquire_many),
        ..ROW
    },
    Command {
        name: "lock.upgrade",
        syntax: "resource owner [WAIT milliseconds] [FENCE fence] [REQID request-id]",
        summary: "Makes a shared lock an exclusive one, under a new fencing token, before all other waiters.",
        flags: ASKING,
        handler: Handler::Data(upgrade),
        ..ROW
    },
    Command {
        name: "lock.downgrade",
        syntax: "resource owner [FENCE fence] [REQID request-id]",
        summary: "Makes an exclusive lock a shared one, under the same fencing token.",
        flags: Flags::NOSCRIPT.union(Flags::FAST),
        handler: Handler::Data(downgrade),
        ..ROW
    },
];

fn acquire(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let arguments = call.arguments;
    let options = Options::parse(arguments.from(3), WORDS)?;
    ask(call, arguments.at(2), &[arguments.at(1)], &options)
}

fn acquire_many(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let arguments = call.arguments;
    let (resources, rest) = counted_resources(arguments, 2)?;
    let options = Options::parse(rest, WORDS)?;
    ask(call, arguments.at(1), &resources, &options)
}

fn ask(
    call: &mut Call<'_, '_>,
    owner: &[u8],
    resources: &[&[u8]],
    options: &Options<'_>,
) -> Result<(), Refusal> {
    let operation = Acquire {
        owner,
        is_owner_made_up: false,
        resources,
        mode: options.mode(),
        ttl: options.ttl,
        wait: if call.may_wait() { options.wait } else { 0 },
        is_reentrant: options.is_reentrant,
        session: options.session,
        meta: options.meta,
        request: options.request_of(owner),
    };
    let asked = run(call, &operation)?;
    answer(call, asked)
}

fn answer(call: &mut Call<'_, '_>, asked: Asked) -> Result<(), Refusal> {
    match asked {
        Asked::Granted(grant) => reply_granted(call, grant),
        Asked::Busy => call.output.null(),
        Asked::Waiting(ticket) => call.block(ticket, GrantEncoder),
        Asked::Deadlock(deadlock) => return Err(Refusal::new(format!("DEADLOCK {deadlock}"))),
    }
    Ok(())
}

fn upgrade(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let arguments = call.arguments;
    let options = Options::parse(arguments.from(3), &["WAIT", "FENCE", "REQID"])?;
    let (resource, owner) = (arguments.at(1), arguments.at(2));
    let operation = Upgrade {
        resource,
        owner,
        fence: options.fence,
        wait: if call.may_wait() { options.wait } else { 0 },
        request: options.request_of(owner),
    };
    let asked = run(call, &operation)?;
    answer(call, asked)
}

fn downgrade(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let options = Options::parse(call.arguments.from(3), &["FENCE", "REQID"])?;
    let (resource, owner) = (call.arguments.at(1), call.arguments.at(2));
    let request = options.request_of(owner);
    let grant = run(call, &Downgrade { resource, owner, fence: options.fence, request })?;
    reply_changed(call, grant);
    Ok(())
}
