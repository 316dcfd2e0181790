//! FENCE.SET: a write that only the present holder of a lock can do.
//!
//! The check and the write are one step: the executor locks the key's shard before the table of locks is asked and
//! until the value is written.  So the next holder finds that value, or this writer is refused.

use super::options::whole;
use super::run;
use crate::command::{Call, Command, Flags, Group, Handler, KeyAccess, Keys};
use crate::lock::operation::Check;
use crate::refusal::Refusal;
use crate::store::Lifetime;

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "fence.set",
    syntax: "key value LOCK resource FENCE fence [PX milliseconds]",
    summary: "Sets a key if the resource is held under this fencing token now, in one step with the check.",
    since: "Quartet 0.1.0",
    group: Group::Lock,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::NOSCRIPT).union(Flags::FAST),
    keys: Keys::first(KeyAccess::OverwriteUpdate),
    handler: Handler::Data(set),
    ..Command::ROW
}];

fn set(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let arguments = call.arguments;
    let is_word = |position: usize, word: &[u8]| arguments.at(position).eq_ignore_ascii_case(word);
    if !is_word(3, b"LOCK") || !is_word(5, b"FENCE") {
        return Err(Refusal::SYNTAX);
    }
    let fence = whole(arguments.at(6))?;
    let lifetime = match arguments.len() {
        7 => Lifetime::Forever,
        9 if is_word(7, b"PX") => lifetime(call, whole(arguments.at(8))?)?,
        _ => return Err(Refusal::SYNTAX),
    };
    let resource = arguments.at(4);
    if !run(call, &Check { resources: &[resource], fence }) {
        return Err(Refusal::new("FENCED the resource is not held under this fence"));
    }
    let key = call.key(1);
    let access = call.keyspace.access;
    call.keyspace.shard(&key).set(&key, arguments.at(2), lifetime, &access);
    call.output.ok();
    Ok(())
}

fn lifetime(call: &Call<'_, '_>, millis: u64) -> Result<Lifetime, Refusal> {
    let ends = (call.now().wall_millis() as u64).checked_add(millis).filter(|&end| end <= i64::MAX as u64);
    if millis == 0 || ends.is_none() {
        return Err(Refusal::new("ERR invalid expire time in 'fence.set' command"));
    }
    Ok(Lifetime::Until(call.now().millis() + millis))
}
