//! Sorted sets: writing and reading members with their scores.  Ranges are in `sorted_set_ranges`, walks and samples in
//! `sorted_set_samples`, the algebra of several sets in `sorted_set_algebra`.

use quartet_protocol::resp::number::parse_integer;
use quartet_protocol::resp::{Arguments, Output, Version};

use super::sorted_set_bounds::parse_double;
use crate::command::{Call, Command, Flags, Group, Handler, KeyAccess, Keys};
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
        handler: Handler::Data(zadd),
        ..WRITES
    },
    Command {
        name: "zincrby",
        syntax: "key increment member",
        summary: "Increments the score of a member in a sorted set.",
        complexity: "O(log(N)) where N is the number of elements in the sorted set.",
        keys: Keys::first(KeyAccess::ReadWriteAccessUpdate),
        handler: Handler::Data(zincrby),
        ..WRITES
    },
    Command {
        name: "zscore",
        syntax: "key member",
        summary: "Returns the score of a member in a sorted set.",
        handler: Handler::Data(zscore),
        ..READS
    },
    Command {
        name: "zmscore",
        syntax: "key member [member ...]",
        summary: "Returns the score of one or more members in a sorted set.",
        complexity: "O(N) where N is the number of members being requested.",
        since: "6.2.0",
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
        handler: Handler::Data(|call| zrank(call, false)),
        ..READS
    },
    Command {
        name: "zrevrank",
        syntax: "key member [WITHSCORE]",
        summary: "Returns the index of a member in a sorted set ordered by descending scores.",
        complexity: "O(log(N))",
        since: "2.0.0",
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
        handler: Handler::Data(zrem),
        ..SORTED_SET
    },
    Command {
        name: "zpopmin",
        summary: "Returns the lowest-scoring members from a sorted set after removing them. Deletes the sorted set if \
                  the last member was popped.",
        handler: Handler::Data(|call| zpop(call, End::Min)),
        ..POPS
    },
    Command {
        name: "zpopmax",
        summary: "Returns the highest-scoring members from a sorted set after removing them. Deletes the sorted set \
                  if the last member was popped.",
        handler: Handler::Data(|call| zpop(call, End::Max)),
        ..POPS
    },
    Command {
        name: "zmpop",
        syntax: "numkeys key [key ...] <MIN | MAX> [COUNT count]",
        summary: "Returns the highest- or lowest-scoring members from one or more sorted sets after removing them. \
                  Deletes the sorted set if the last member was popped.",
        complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in \
                     the sorted set, and M being the number of elements popped.",
        since: "7.0.0",
        flags: Flags::WRITE,
        keys: Keys::counted(1, KeyAccess::ReadWriteAccessDelete),
        handler: Handler::Data(zmpop),
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

const POPS: Command = Command {
    syntax: "key [count]",
    complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of \
                 elements popped.",
    since: "5.0.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: Keys::first(KeyAccess::ReadWriteAccessDelete),
    ..SORTED_SET
};

/// A member with its score.
pub(super) type Scored = (Box<[u8]>, f64);

/// An end of a sorted set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The lowest scores.
    Min,
    /// The highest scores.
    Max,
}

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

fn zpop(call: &mut Call<'_, '_>, end: End) -> Result<(), Refusal> {
    let count = match call.arguments.len() {
        2 => 1,
        3 => positive(call.arguments.at(2), 0, "ERR value is out of range, must be positive")?,
        _ => return Err(Refusal::SYNTAX),
    };
    let is_nested = call.output.version() == Version::Resp3 && call.arguments.len() == 3;
    let key = call.key(1);
    let popped = pop(call, &key, end, count)?;
    if !is_nested {
        call.output.array(2 * popped.len());
    } else {
        call.output.array(popped.len());
    }
    for (member, score) in popped {
        if is_nested {
            call.output.array(2);
        }
        call.output.bulk(&member);
        call.output.double(score);
    }
    Ok(())
}

/// The options of ZMPOP.
#[derive(Clone, Copy, Debug)]
pub(super) struct PopOptions {
    /// The place of the first key.
    pub(super) first_key: usize,
    /// Number of keys.
    pub(super) keys: usize,
    /// The end to pop from.
    pub(super) end: End,
    /// The most members to pop.
    pub(super) count: usize,
}

/// The options whose number of keys is the argument at this place.
pub(super) fn pop_options(arguments: Arguments<'_>, keys_at: usize) -> Result<PopOptions, Refusal> {
    let keys = positive(arguments.at(keys_at), 1, "ERR numkeys should be greater than 0")?;
    let first_key = keys_at + 1;
    let word_at = first_key.saturating_add(keys);
    let end = match arguments.get(word_at).map(<[u8]>::to_ascii_lowercase).as_deref() {
        Some(b"min") => End::Min,
        Some(b"max") => End::Max,
        _ => return Err(Refusal::SYNTAX),
    };
    let options = arguments.from(word_at + 1);
    let count = match options.len() {
        0 => 1,
        2 if options.at(0).eq_ignore_ascii_case(b"count") => {
            positive(options.at(1), 1, "ERR count should be greater than 0")?
        }
        _ => return Err(Refusal::SYNTAX),
    };
    Ok(PopOptions { first_key, keys, end, count })
}

fn zmpop(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let options = pop_options(call.arguments, 1)?;
    for position in options.first_key..options.first_key + options.keys {
        let key = call.key(position);
        let popped = pop(call, &key, options.end, options.count)?;
        if !popped.is_empty() {
            write_popped(call.output, key.bytes, &popped);
            return Ok(());
        }
    }
    call.output.null_array();
    Ok(())
}

/// Writes the key that members were popped from, and the members.
pub(super) fn write_popped(output: &mut Output, key: &[u8], popped: &[Scored]) {
    output.array(2);
    output.bulk(key);
    output.array(popped.len());
    for (member, score) in popped {
        output.array(2);
        output.bulk(member);
        output.double(*score);
    }
}

/// Takes up to `count` members from an end of a sorted set, the outermost first.
pub(super) fn pop(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    end: End,
    count: usize,
) -> Result<Vec<Scored>, Refusal> {
    write_sorted_set(call, key, |sorted_set| Ok(pop_from(sorted_set, end, count)))
}

/// The same of a sorted set at hand.
pub(super) fn pop_from(sorted_set: &mut SortedSetWriter<'_>, end: End, count: usize) -> Vec<Scored> {
    let length = sorted_set.sorted_set().len();
    let count = count.min(length);
    let ranks = if end == End::Min { 0..count } else { length - count..length };
    let mut popped = Vec::with_capacity(count);
    sorted_set.sorted_set().visit(ranks.clone(), end == End::Max, |member, score| {
        popped.push((member.into(), score));
    });
    sorted_set.remove_ranks(ranks);
    popped
}

/// An integer that is not below `min`.
///
/// # Errors
/// `refusal`, if it is not.
pub(super) fn positive(text: &[u8], min: usize, refusal: &'static str) -> Result<usize, Refusal> {
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
