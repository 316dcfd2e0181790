//! The lock commands, a file per family; `FENCE.SET` writes to the cache under a fence.

pub mod acquire;
mod encoder;
pub mod fenced;
pub mod holders;
mod options;
mod promises;
mod refusals;
pub mod reports;
pub mod sessions;

use crate::command::{Call, Command, Flags, Group};
use crate::lock::{Grant, LockOperation};

/// The fields that all rows share.
const ROW: Command =
    Command { group: Group::Lock, since: "Quartet 0.1.0", flags: Flags::NOSCRIPT, ..Command::ROW };

/// Runs an operation.  The reply, which is not written yet, waits for the disk if it has to.
fn run<O: LockOperation>(call: &mut Call<'_, '_>, operation: &O) -> O::Answer {
    let answer = call.services.run_lock(operation, call.now(), call.effects);
    if let Some(barrier) = call.effects.take_barrier() {
        call.delay_reply(barrier);
    }
    answer
}

/// Replies with a grant that its owner does not know of.
fn reply_granted(call: &mut Call<'_, '_>, grant: Grant) {
    write_grant(call.output, &grant);
    call.promise(|| promises::Granted::new(grant));
}

/// Replies with a lease that its owner knows of and has changed.
fn reply_changed(call: &mut Call<'_, '_>, grant: Grant) {
    write_grant(call.output, &grant);
    call.promise(|| promises::Changed(grant));
}

/// Writes a grant: `ttl_ms` is null for a lease that lasts as long as its session.
fn write_grant(output: &mut quartet_protocol::resp::Output, grant: &Grant) {
    output.map(4);
    output.bulk(b"fence");
    output.integer(grant.fence as i64);
    write_optional(output, b"ttl_ms", grant.ttl);
    output.bulk(b"holds");
    output.integer(i64::from(grant.holds));
    output.bulk(b"waited_ms");
    output.integer(grant.waited as i64);
}

/// Writes a field whose number may be missing.
fn write_optional(output: &mut quartet_protocol::resp::Output, name: &[u8], number: Option<u64>) {
    output.bulk(name);
    match number {
        Some(number) => output.integer(number as i64),
        None => output.null(),
    }
}
