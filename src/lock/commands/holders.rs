//! Commands of holders, and of operators who take locks away.

use super::options::{Options, about, counted_resources, whole};
use super::promises::AllRenewed;
use super::{ROW, reply_changed, run};
use crate::command::{Call, Command, Flags, Handler};
use crate::lock::operation::{CancelWait, Check, Force, Release, ReleaseMany, Renew, RenewAll};
use crate::refusal::Refusal;

const QUICK: Flags = Flags::NOSCRIPT.union(Flags::FAST);
const OPERATORS: Flags = Flags::NOSCRIPT.union(Flags::ADMIN).union(Flags::DANGEROUS);

/// The options of releasing.
const RELEASING: &[&str] = &["FENCE", "ALL", "REQID"];

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "lock.renew",
        syntax: "resource owner TTL milliseconds [FENCE fence] [REQID request-id]",
        summary: "Makes a lock last at least this long from now; it never becomes shorter.",
        flags: QUICK,
        handler: Handler::Data(renew),
        ..ROW
    },
    Command {
        name: "lock.renewall",
        syntax: "owner TTL milliseconds [REQID request-id]",
        summary: "Renews all locks of an owner, except those that a session keeps. Returns how many.",
        complexity: "O(N) where N is the number of locks.",
        handler: Handler::Data(renew_all),
        ..ROW
    },
    Command {
        name: "lock.release",
        syntax: "resource owner [FENCE fence] [ALL] [REQID request-id]",
        summary: "Releases a lock once, or with ALL as often as it is held. Returns how often it is still held.",
        flags: QUICK,
        handler: Handler::Data(release),
        ..ROW
    },
    Command {
        name: "lock.mrelease",
        syntax: "owner numkeys resource [resource ...] [FENCE fence] [ALL] [REQID request-id]",
        summary: "Releases several locks if the owner holds them all. Returns how many it holds no more.",
        complexity: "O(N) where N is the number of resources.",
        handler: Handler::Data(release_many),
        ..ROW
    },
    Command {
        name: "lock.check",
        syntax: "resource fence",
        summary: "Returns 1 if a resource is held under this fencing token now, else 0.",
        flags: QUICK,
        handler: Handler::Data(check),
        ..ROW
    },
    Command {
        name: "lock.force",
        syntax: "resource [OWNER owner] [REASON text] [REQID request-id]",
        summary: "Takes a lock away from all its holders, or from one of them. Returns from how many.",
        complexity: "O(N) where N is the number of holders.",
        flags: OPERATORS,
        handler: Handler::Data(force),
        ..ROW
    },
    Command {
        name: "lock.cancel",
        syntax: "resource owner [REQID request-id]",
        summary: "Ends the wait of an owner for a resource. Returns how many requests waited.",
        flags: QUICK,
        handler: Handler::Data(cancel),
        ..ROW
    },
];

/// The number after the word TTL, which has to be there.
fn required_ttl(call: &Call<'_, '_>, position: usize) -> Result<u64, Refusal> {
    let word = call.arguments.at(position);
    if !word.eq_ignore_ascii_case(b"TTL") {
        return Err(Refusal::syntax_at(word));
    }
    whole(call.arguments.at(position + 1)).map_err(|refusal| about("TTL", refusal))
}

fn renew(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let ttl = required_ttl(call, 3)?;
    let options = Options::parse(call.arguments.from(5), &["FENCE", "REQID"])?;
    let (resource, owner) = (call.arguments.at(1), call.arguments.at(2));
    let request = options.request_of(owner);
    let operation = Renew { resources: &[resource], owner, ttl, fence: options.fence, request };
    let renewed = run(call, &operation)?;
    reply_changed(call, renewed);
    Ok(())
}

fn renew_all(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let ttl = required_ttl(call, 2)?;
    let owner = call.arguments.at(1);
    let request = Options::parse(call.arguments.from(4), &["REQID"])?.request_of(owner);
    let renewed = run(call, &RenewAll { owner, ttl, request })?;
    call.output.integer(renewed as i64);
    let now = call.now();
    call.promise(|| AllRenewed::new(owner, renewed, ttl, now));
    Ok(())
}

fn release(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let arguments = call.arguments;
    let (resource, owner) = (arguments.at(1), arguments.at(2));
    let options = Options::parse(arguments.from(3), RELEASING)?;
    let (fence, all, request) = (options.fence, options.all, options.request_of(owner));
    let left = run(call, &Release { resource, owner, fence, all, request })?;
    call.output.integer(left as i64);
    Ok(())
}

fn release_many(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let arguments = call.arguments;
    let (resources, rest) = counted_resources(arguments, 2)?;
    let owner = arguments.at(1);
    let options = Options::parse(rest, RELEASING)?;
    let operation = ReleaseMany {
        resources: &resources,
        owner,
        fence: options.fence,
        all: options.all,
        skips_ended: false,
        request: options.request_of(owner),
    };
    let freed = run(call, &operation)?;
    call.output.integer(freed as i64);
    Ok(())
}

fn check(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (resource, fence) = (call.arguments.at(1), whole(call.arguments.at(2))?);
    let is_current = run(call, &Check { resources: &[resource], fence });
    call.output.integer(i64::from(is_current));
    Ok(())
}

fn force(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let resource = call.arguments.at(1);
    let options = Options::parse(call.arguments.from(2), &["OWNER", "REASON", "REQID"])?;
    let operation =
        Force { resource, owner: options.owner, reason: options.reason, request: options.request() };
    let forced = run(call, &operation)?;
    call.output.integer(forced as i64);
    Ok(())
}

fn cancel(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (resource, owner) = (call.arguments.at(1), call.arguments.at(2));
    let request = Options::parse(call.arguments.from(3), &["REQID"])?.request();
    let cancelled = run(call, &CancelWait { resource, owner, request })?;
    call.output.integer(cancelled as i64);
    Ok(())
}
