//! Sorted sets: writing and reading members with their scores.  Ranges are in `sorted_set_ranges`, walks and samples in
//! `sorted_set_samples`, the algebra of several sets in `sorted_set_algebra`, pops in `sorted_set_pops`.

use quartet_protocol::resp::number::parse_integer;
use quartet_protocol::resp::{Arguments, Output, Version};

use super::sorted_set_bounds::parse_double;
use crate::command::{Call, Command, Flags, Group, Handler, KeyAccess, Keys, Parts};
use crate::refusal::Refusal;
use crate::store::{EntryRef, Key, SortedSet, SortedSetLimits, SortedSetWriter};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "zadd",
        syntax: "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
        summary: "Adds one or more members to a sorted set, or updates their scores. Creates the key if it doesn't \
                  exist.",
        complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        keys: Keys::first(KeyAccess::ReadWriteUpdate),
        parts: Parts::SECOND_OF_PAIRS,
        handler: Handler::Data(zadd),
        ..WRITES
    },
    Command {
        name: "zincrby",
        syntax: "key increment member",
        summary: "Increments the score of a member in a sorted set.",
        complexity: "O(log(N)) where N is the number of elements in the sorted set.",
        keys: Keys::first(KeyAccess::ReadWriteAccessUpdate),
        parts: Parts::SECOND_OF_PAIRS,
        handler: Handler::Data(zincrby),
        ..WRITES
    },
    Command {
        name: "zscore",
        syntax: "key member",
        summary: "Returns the score of a member in a sorted set.",
        parts: Parts::ONE,
        handler: Handler::Data(zscore),
        ..READS
    },
    Command {
        name: "zmscore",
        syntax: "key member [member ...]",
        summary: "Returns the score of one or more members in a sorted set.",
        complexity: "O(N) where N is the number of members being requested.",
        since: "6.2.0",
        parts: Parts::ALL,
        handler: Handler::Data(zmscore),
        ..READS
    },
    Command {
        name: "zcard",
        syntax: "key",
        summary: "Returns the number of members in a sorted set.",
        keys: Keys::first(KeyAccess::ReadOnly),
        handler: Handler::Data(zcard),
        ..READS
    },
    Command {
        name: "zrank",
        syntax: "key member [WITHSCORE]",
        summary: "Returns the index of a member in a sorted set ordered by ascending scores.",
        complexity: "O(log(N))",
        since: "2.0.0",
        parts: Parts::ONE,
        handler: Handler::Data(|call| zrank(call, false)),
        ..READS
    },
    Command {
        name: "zrevrank",
        syntax: "key member [WITHSCORE]",
        summary: "Returns the index of a member in a sorted set ordered by descending scores.",
        complexity: "O(log(N))",
        since: "2.0.0",
        parts: Parts::ONE,
        handler: Handler::Data(|call| zrank(call, true)),
        ..READS
    },
    Command {
        name: "zrem",
        syntax: "key member [member ...]",
        summary: "Removes one or more members from a sorted set. Deletes the sorted set if all members were removed.",
        complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements \
                     to be removed.",
        flags: Flags::WRITE.union(Flags::FAST),
        keys: Keys::first(KeyAccess::ReadWriteDelete),
        parts: Parts::ALL,
        handler: Handler::Data(zrem),
        ..SORTED_SET
    },
];

/// The start of the rows of all commands on sorted sets.
pub(super) const SORTED_SET: Command = Command { since: "1.2.0", group: Group::SortedSet, ..Command::ROW };

/// The start of the rows of commands that add to a sorted set.
const WRITES: Command =
    Command { flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST), ..SORTED_SET };

/// The start of the rows of commands that read little.
pub(super) const READS: Command = Command {
    flags: Flags::READONLY.union(Flags::FAST),
    keys: Keys::first(KeyAccess::ReadAccess),
    ..SORTED_SET
};

/// A member with its score.
pub(super) type Scored = (Box<[u8]>, f64);

/// The options of ZADD.
#[derive(Clone, Copy, Default)]
struct AddOptions {
    only_new: bool,
    only_existing: bool,
    only_greater: bool,
    only_less: bool,
    counts_changes: bool,
    adds_to_score: bool,
}

/// What became of a member.
enum Added {
    /// It is new, with this score.
    New(f64),
    /// Its score is this one now.
    Changed(f64),
    /// Its score was this one before.
    Same(f64),
    /// The options forbid it.
    Forbidden,
}

fn zadd(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (options, first_score) = add_options(call.arguments);
    let pairs = call.arguments.from(first_score);
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(Refusal::SYNTAX);
    }
    options.check(pairs.len() / 2)?;
    let scores = parsed_scores(call, pairs)?;
    let key = call.key(1);
    let members = pairs.iter().skip(1).step_by(2);
    let (mut new, mut changed, mut last) = (0, 0, None);
    write_sorted_set(call, &key, |sorted_set| {
        require_room(sorted_set, scores.len())?;
        for (&score, member) in scores.iter().zip(members) {
            last = match add(sorted_set, member, score, options)? {
                Added::New(score) => {
                    new += 1;
                    Some(score)
                }
                Added::Changed(score) => {
                    changed += 1;
                    Some(score)
                }
                Added::Same(score) => Some(score),
                Added::Forbidden => None,
            };
        }
        Ok(())
    })?;
    match last {
        Some(score) if options.adds_to_score => call.output.double(score),
        None if options.adds_to_score => call.output.null(),
        _ => call.output.integer(if options.counts_changes { new + changed } else { new }),
    }
    Ok(())
}

fn zincrby(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (increment, member) = (call.arguments.at(2), call.arguments.at(3));
    let increment = parse_double(increment).ok_or(Refusal::NOT_A_FLOAT)?;
    call.require_value_size(member.len())?;
    let options = AddOptions { adds_to_score: true, ..AddOptions::default() };
    let key = call.key(1);
    let added = write_sorted_set(call, &key, |sorted_set| {
        require_room(sorted_set, 1)?;
        add(sorted_set, member, increment, options)
    })?;
    match added {
        Added::New(score) | Added::Changed(score) | Added::Same(score) => call.output.double(score),
        Added::Forbidden => call.output.null(),
    }
    Ok(())
}

/// The options before the first score, and where that is.
fn add_options(arguments: Arguments<'_>) -> (AddOptions, usize) {
    let (mut options, mut at) = (AddOptions::default(), 2);
    while let Some(word) = arguments.get(at) {
        let option = match word.to_ascii_lowercase().as_slice() {
            b"nx" => &mut options.only_new,
            b"xx" => &mut options.only_existing,
            b"gt" => &mut options.only_greater,
            b"lt" => &mut options.only_less,
            b"ch" => &mut options.counts_changes,
            b"incr" => &mut options.adds_to_score,
            _ => break,
        };
        *option = true;
        at += 1;
    }
    (options, at)
}

impl AddOptions {
    /// Refuses options that contradict each other.
    fn check(self, pairs: usize) -> Result<(), Refusal> {
        if self.only_new && self.only_existing {
            return Err(Refusal::new("ERR XX and NX options at the same time are not compatible"));
        }
        let exclusive = [self.only_greater, self.only_less, self.only_new];
        if exclusive.iter().filter(|&&option| option).count() > 1 {
            return Err(Refusal::new("ERR GT, LT, and/or NX options at the same time are not compatible"));
        }
        if self.adds_to_score && pairs > 1 {
            return Err(Refusal::new("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }
}

/// The scores of pairs whose members may be kept.
fn parsed_scores(call: &Call<'_, '_>, pairs: Arguments<'_>) -> Result<Vec<f64>, Refusal> {
    let mut scores = Vec::with_capacity(pairs.len() / 2);
    let mut words = pairs.iter();
    while let (Some(score), Some(member)) = (words.next(), words.next()) {
        scores.push(parse_double(score).ok_or(Refusal::NOT_A_FLOAT)?);
        call.require_value_size(member.len())?;
    }
    Ok(scores)
}

/// Writes a score as far as the options allow it.
fn add(
    sorted_set: &mut SortedSetWriter<'_>,
    member: &[u8],
    score: f64,
    options: AddOptions,
) -> Result<Added, Refusal> {
    let Some(old) = sorted_set.sorted_set().score(member) else {
        if options.only_existing {
            return Ok(Added::Forbidden);
        }
        sorted_set.set(member, score);
        return Ok(Added::New(score));
    };
    if options.only_new {
        return Ok(Added::Forbidden);
    }
    let score = if options.adds_to_score { old + score } else { score };
    if score.is_nan() {
        return Err(Refusal::new("ERR resulting score is not a number (NaN)"));
    }
    if options.only_less && score >= old || options.only_greater && score <= old {
        return Ok(Added::Forbidden);
    }
    if score == old {
        return Ok(Added::Same(score));
    }
    sorted_set.set(member, score);
    Ok(Added::Changed(score))
}

fn zscore(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let member = call.arguments.at(2);
    read_sorted_set(call, |sorted_set, output| {
        write_score(output, sorted_set.and_then(|sorted_set| sorted_set.score(member)));
    })
}

fn zmscore(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let members = call.arguments.from(2);
    read_sorted_set(call, |sorted_set, output| {
        output.array(members.len());
        for member in members.iter() {
            write_score(output, sorted_set.and_then(|sorted_set| sorted_set.score(member)));
        }
    })
}

fn zcard(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    read_sorted_set(call, |sorted_set, output| {
        output.integer(sorted_set.map_or(0, SortedSet::len) as i64);
    })
}

fn zrank(call: &mut Call<'_, '_>, is_reversed: bool) -> Result<(), Refusal> {
    let member = call.arguments.at(2);
    let with_score = match call.arguments.len() {
        3 => false,
        4 if call.arguments.at(3).eq_ignore_ascii_case(b"withscore") => true,
        4 => return Err(Refusal::SYNTAX),
        _ => return Err(Refusal::wrong_arity(&call.row.name)),
    };
    read_sorted_set(call, |sorted_set, output| {
        let found = sorted_set.and_then(|sorted_set| {
            let (rank, score) = sorted_set.rank(member)?;
            Some((if is_reversed { sorted_set.len() - 1 - rank } else { rank }, score))
        });
        match found {
            Some((rank, score)) if with_score => {
                output.array(2);
                output.integer(rank as i64);
                output.double(score);
            }
            Some((rank, _)) => output.integer(rank as i64),
            None if with_score => output.null_array(),
            None => output.null(),
        }
    })
}

fn zrem(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let members = call.arguments.from(2);
    let key = call.key(1);
    let removed = write_sorted_set(call, &key, |sorted_set| {
        Ok(members.iter().map(|member| usize::from(sorted_set.remove(member))).sum::<usize>())
    })?;
    call.output.integer(removed as i64);
    Ok(())
}

/// An integer that is not below `min`.
///
/// # Errors
/// `refusal`, if it is not.
pub(super) fn at_least(text: &[u8], min: usize, refusal: &'static str) -> Result<usize, Refusal> {
    let number = parse_integer(text).and_then(|number| usize::try_from(number).ok());
    number.filter(|&number| number >= min).ok_or_else(|| Refusal::new(refusal))
}

/// Reads the sorted set under the first key, none if there is no such key, and writes the reply.
///
/// # Errors
/// If the key holds something else.
pub(super) fn read_sorted_set(
    call: &mut Call<'_, '_>,
    reply: impl FnOnce(Option<SortedSet<'_>>, &mut Output),
) -> Result<(), Refusal> {
    let key = call.key(1);
    let sorted_set = call.keyspace.read(&key).map(sorted_set_of).transpose()?;
    reply(sorted_set, call.output);
    Ok(())
}

/// Changes the sorted set under a key, an empty one if there is no such key.
///
/// # Errors
/// The refusal of `write`, or that the key holds something else.
pub(super) fn write_sorted_set<R>(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    write: impl FnOnce(&mut SortedSetWriter<'_>) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    let (limits, access) = (limits(call), call.keyspace.access);
    call.keyspace.shard(key).write_sorted_set(key, limits, &access, write)?
}

/// Refuses further members if there are as many as there can be.
///
/// # Errors
/// If so.
pub(super) fn require_room(sorted_set: &SortedSetWriter<'_>, members: usize) -> Result<(), Refusal> {
    if sorted_set.has_room(members) {
        Ok(())
    } else {
        Err(Refusal::new("ERR the sorted set has too many members"))
    }
}

/// Up to where it has a small form.
pub(super) fn limits(call: &Call<'_, '_>) -> SortedSetLimits {
    SortedSetLimits {
        entries: call.settings.zset_max_listpack_entries,
        value: call.settings.zset_max_listpack_value,
    }
}

/// The sorted set that an entry holds.
pub(super) fn sorted_set_of(entry: EntryRef<'_>) -> Result<SortedSet<'_>, Refusal> {
    Ok(entry.parts()?.sorted_set()?)
}

fn write_score(output: &mut Output, score: Option<f64>) {
    match score {
        Some(score) => output.double(score),
        None => output.null(),
    }
}

/// Writes the head of an array of so many members, with their scores if they are wanted.
pub(super) fn write_members_head(output: &mut Output, count: usize, with_scores: bool) {
    let is_flat = with_scores && output.version() == Version::Resp2;
    output.array(if is_flat { count.saturating_mul(2) } else { count });
}

/// Writes a member of such an array.
pub(super) fn write_member(output: &mut Output, member: &[u8], score: f64, with_scores: bool) {
    if with_scores && output.version() == Version::Resp3 {
        output.array(2);
    }
    output.bulk(member);
    if with_scores {
        output.double(score);
    }
}
