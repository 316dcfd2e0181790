//! Commands on sorted sets that wait until there is a member.

use quartet_protocol::resp::Output;

use super::sorted_set_pops::{End, pop_from, pop_options, write_popped};
use super::sorted_sets::{SORTED_SET, limits};
use super::waits::{act_or_wait, deadline};
use crate::command::{
    Call, Command, Continuation, Encoder, Flags, Handler, KeyAccess, KeyAction, KeyAnswer, Keys,
};
use crate::refusal::Refusal;
use crate::store::{Deadline, Key, Keyspace, SortedSetLimits, TakenMembers, ValueType};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "bzpopmin",
        summary: "Removes and returns the member with the lowest score from one or more sorted sets. Blocks until a \
                  member is available otherwise. Deletes the sorted set if the last element was popped.",
        handler: Handler::Data(|call| pop(call, End::Min)),
        ..POPS
    },
    Command {
        name: "bzpopmax",
        summary: "Removes and returns the member with the highest score from one or more sorted sets. Blocks until a \
                  member available otherwise.  Deletes the sorted set if the last element was popped.",
        handler: Handler::Data(|call| pop(call, End::Max)),
        ..POPS
    },
    Command {
        name: "bzmpop",
        syntax: "timeout numkeys key [key ...] <MIN | MAX> [COUNT count]",
        summary: "Removes and returns a member by score from one or more sorted sets. Blocks until a member is \
                  available otherwise. Deletes the sorted set if the last element was popped.",
        complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in \
                     the sorted set, and M being the number of elements popped.",
        since: "7.0.0",
        flags: Flags::WRITE.union(Flags::BLOCKING),
        keys: Keys::counted(2, KeyAccess::ReadWriteAccessDelete),
        handler: Handler::Data(bzmpop),
        ..SORTED_SET
    },
];

/// The start of the rows of BZPOPMIN and BZPOPMAX.
const POPS: Command = Command {
    syntax: "key [key ...] timeout",
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    since: "5.0.0",
    flags: Flags::WRITE.union(Flags::FAST).union(Flags::BLOCKING),
    keys: Keys::all_but_last(KeyAccess::ReadWriteAccessDelete),
    ..SORTED_SET
};

/// Takes members from one end of the first sorted set that has any.
struct Pop {
    end: End,
    count: usize,
    limits: SortedSetLimits,
}

/// The members that were taken, the outermost first.
struct Popped {
    database: usize,
    key: Box<[u8]>,
    members: TakenMembers,
    limits: SortedSetLimits,
    /// When the key was to expire.
    deadline: Option<Deadline>,
}

/// The form of the reply.
#[derive(Clone, Copy)]
enum PopEncoder {
    /// The key, a member and its score.
    One,
    /// The key and an array of members with their scores.
    Several,
}

fn pop(call: &mut Call<'_, '_>, end: End) -> Result<(), Refusal> {
    let last = call.arguments.len() - 1;
    let deadline = deadline(call, last)?;
    let action = Pop { end, count: 1, limits: limits(call) };
    act_or_wait(call, 1..last, (ValueType::SortedSet, deadline), action, PopEncoder::One)
}

fn bzmpop(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let options = pop_options(call.arguments, 2)?;
    let deadline = deadline(call, 1)?;
    let action = Pop { end: options.end, count: options.count, limits: limits(call) };
    let keys = options.first_key..options.first_key + options.keys;
    act_or_wait(call, keys, (ValueType::SortedSet, deadline), action, PopEncoder::Several)
}

impl KeyAction for Pop {
    type Answer = Popped;

    fn act(&mut self, key: &Key<'_>, keyspace: &mut Keyspace<'_>) -> Popped {
        let Pop { end, count, limits } = *self;
        let access = keyspace.untraced_access();
        let deadline = keyspace.peek(key).and_then(|entry| entry.deadline());
        let shard = keyspace.shard(key);
        let taken =
            shard.write_sorted_set(key, limits, &access, |sorted_set| pop_from(sorted_set, end, count));
        debug_assert!(taken.is_ok(), "the caller has seen that it is a sorted set");
        let members = taken.unwrap_or_default();
        Popped { database: keyspace.database, key: key.bytes.into(), members, limits, deadline }
    }
}

impl KeyAnswer for Popped {
    fn origin(&self) -> Option<(usize, &[u8])> {
        Some((self.database, &self.key))
    }

    fn give_back(self, key: &Key<'_>, keyspace: &mut Keyspace<'_>) {
        let is_there = keyspace.peek(key).is_some();
        let access = keyspace.access;
        // If the key holds something else by now, there is no place for them.
        let _ = keyspace.shard(key).write_sorted_set(key, self.limits, &access, |sorted_set| {
            for (member, score) in &self.members {
                // A member that was written meanwhile has its new score.
                if sorted_set.sorted_set().score(member).is_none() {
                    sorted_set.set(member, *score);
                }
            }
        });
        if !is_there && self.deadline.is_some() {
            keyspace.set_deadline(key, self.deadline);
        }
    }
}

impl Encoder<Popped> for PopEncoder {
    fn write(&mut self, popped: Popped, output: &mut Output, _: &mut Continuation) {
        match (self, popped.members.first()) {
            (PopEncoder::One, Some((member, score))) => {
                output.array(3);
                output.bulk(&popped.key);
                output.bulk(member);
                output.double(*score);
            }
            _ => write_popped(output, &popped.key, &popped.members),
        }
    }

    fn write_timeout(&self, output: &mut Output) {
        output.null_array();
    }
}
