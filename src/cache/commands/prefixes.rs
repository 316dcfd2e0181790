//! DELPREFIX: all keys that begin alike, removed in steps of bounded length.

use quartet_protocol::resp::number::parse_integer;

use super::scan::parse_cursor;
use super::walk::{Cursor, Held, Met, walk_one, walk_shards};
use crate::command::{Call, Command, Flags, Group, Handler};
use crate::refusal::Refusal;
use crate::store::{AccessContext, HeldForLong, Keyspace, Shard};

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "delprefix",
    syntax: "cursor prefix [COUNT count]",
    summary: "Removes keys that begin with a prefix, in steps as SCAN takes them: begin with the cursor 0 and go on until it \
              is 0 again. Returns the next cursor and how many keys were removed. COUNT is how many keys a step looks at, \
              about, from 1 to 100,000; 1,000 unless told otherwise.",
    complexity: "O(1) for every call, O(N) for a complete iteration, where N is the number of keys in the database.",
    since: "Quartet 0.1.0",
    group: Group::Generic,
    flags: Flags::WRITE.union(Flags::SELF_LOCKING),
    handler: Handler::Data(delprefix),
    ..Command::ROW
}];

/// Keys that a step looks at unless its client asks for more or fewer: far under a millisecond's work.
pub const STEP: usize = 1_000;

/// Most keys that a client may have a step look at: some milliseconds' work, in which nothing else of its thread runs.
const STEP_MAX: usize = 100_000;

/// Removes those of about `count` keys from `cursor` on that begin with `prefix`.  Returns where to go on, which is the
/// cursor 0 at the end, and how many it removed.
///
/// # Errors
/// If the step begins where keys are held for long.
pub fn remove_step(
    keyspace: &mut Keyspace<'_>,
    cursor: Cursor,
    prefix: &[u8],
    count: usize,
) -> Result<(Cursor, usize), HeldForLong> {
    remove(keyspace, cursor, prefix, count).map_err(|held| held.reason)
}

fn remove(
    keyspace: &mut Keyspace<'_>,
    cursor: Cursor,
    prefix: &[u8],
    count: usize,
) -> Result<(Cursor, usize), Held> {
    let mut removed = 0;
    let next = walk_shards(keyspace, cursor, count, |shard, place, access| {
        remove_at(shard, place, access, prefix, &mut removed)
    })?;
    Ok((next, removed))
}

/// Removes the keys at a place of a shard that begin with `prefix`, under the lock under which they are found.
fn remove_at(
    shard: &mut Shard,
    place: u64,
    access: &AccessContext,
    prefix: &[u8],
    removed: &mut usize,
) -> (u64, Met) {
    let (mut names, mut met) = (Vec::<Box<[u8]>>::new(), Met::default());
    let place = shard.scan(place, access, |entry| {
        met.keys += 1;
        if entry.key().starts_with(prefix) {
            names.push(entry.key().into());
        }
    });
    *removed += names.iter().filter(|name| shard.remove_named(name, access)).count();
    (place, met)
}

fn delprefix(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let arguments = call.arguments;
    let cursor = parse_cursor(arguments.at(1)).ok_or(Refusal::INVALID_CURSOR)?;
    let prefix = arguments.at(2);
    if prefix.is_empty() {
        return Err(Refusal::new("ERR the prefix is empty; FLUSHDB removes all keys"));
    }
    let count = match (arguments.get(3), arguments.get(4)) {
        (None, _) => STEP,
        (Some(word), Some(count)) if word.eq_ignore_ascii_case(b"COUNT") && arguments.len() == 5 => {
            let count = parse_integer(count).ok_or(Refusal::NOT_AN_INTEGER)?;
            let allowed = usize::try_from(count).ok().filter(|count| (1..=STEP_MAX).contains(count));
            allowed
                .ok_or_else(|| Refusal::new(format!("ERR COUNT is {count}; allowed is 1 to {STEP_MAX}")))?
        }
        _ => return Err(Refusal::SYNTAX),
    };
    let step = match call.left_look::<(Cursor, usize)>() {
        Some(step) => step?,
        None => match remove(call.keyspace, Cursor::from_number(cursor), prefix, count) {
            Ok(step) => Some(step),
            Err(held) => {
                let prefix = Box::<[u8]>::from(prefix);
                call.look(held.shard(call.keyspace), move |shard, access| {
                    let mut removed = 0;
                    let next = walk_one(shard, held.at, count, access, |shard, place, access| {
                        remove_at(shard, place, access, &prefix, &mut removed)
                    });
                    (next, removed)
                })?
            }
        },
    };
    let Some((next, removed)) = step else { return Ok(()) };
    call.output.array(2);
    call.output.bulk(next.number().to_string().as_bytes());
    call.output.integer(removed as i64);
    Ok(())
}
