//! Unions, intersections and differences of sorted sets.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;

use quartet_protocol::resp::Arguments;
use quartet_protocol::resp::number::parse_integer;

use super::sorted_set_bounds::parse_double;
use super::sorted_set_ranges::store_members;
use super::sorted_sets::{SORTED_SET, Scored, write_member, write_members_head};
use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::{EntryRef, Key, Set, SortedSet};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "zunion",
        syntax: "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
        summary: "Returns the union of multiple sorted sets.",
        complexity: "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the \
                     number of elements in the resulting sorted set.",
        handler: Handler::Data(|call| answer(call, Operation::Union)),
        ..ANSWERS
    },
    Command {
        name: "zinter",
        syntax: "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
        summary: "Returns the intersect of multiple sorted sets.",
        complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of \
                     input sorted sets and M being the number of elements in the resulting sorted set.",
        handler: Handler::Data(|call| answer(call, Operation::Intersection)),
        ..ANSWERS
    },
    Command {
        name: "zdiff",
        syntax: "numkeys key [key ...] [WITHSCORES]",
        summary: "Returns the difference between multiple sorted sets.",
        complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the \
                     size of the first set, and K is the size of the result set.",
        handler: Handler::Data(|call| answer(call, Operation::Difference)),
        ..ANSWERS
    },
    Command {
        name: "zunionstore",
        syntax: "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
        summary: "Stores the union of multiple sorted sets in a key.",
        complexity: "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the \
                     number of elements in the resulting sorted set.",
        since: "2.0.0",
        handler: Handler::Data(|call| store(call, Operation::Union)),
        ..STORES
    },
    Command {
        name: "zinterstore",
        syntax: "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
        summary: "Stores the intersect of multiple sorted sets in a key.",
        complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of \
                     input sorted sets and M being the number of elements in the resulting sorted set.",
        since: "2.0.0",
        handler: Handler::Data(|call| store(call, Operation::Intersection)),
        ..STORES
    },
    Command {
        name: "zdiffstore",
        syntax: "destination numkeys key [key ...]",
        summary: "Stores the difference of multiple sorted sets in a key.",
        complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the \
                     size of the first set, and K is the size of the result set.",
        handler: Handler::Data(|call| store(call, Operation::Difference)),
        ..STORES
    },
    Command {
        name: "zintercard",
        syntax: "numkeys key [key ...] [LIMIT limit]",
        summary: "Returns the number of members of the intersect of multiple sorted sets.",
        complexity: "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted \
                     sets.",
        since: "7.0.0",
        handler: Handler::Data(zintercard),
        ..ANSWERS
    },
];

/// The start of the rows of commands that reply with members.
const ANSWERS: Command = Command {
    since: "6.2.0",
    flags: Flags::READONLY,
    keys: Keys::counted(1, KeyAccess::ReadAccess),
    ..SORTED_SET
};

/// The start of the rows of commands that store members.
const STORES: Command = Command {
    since: "6.2.0",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: Keys::destination_and_counted(KeyAccess::OverwriteUpdate, KeyAccess::ReadAccess),
    ..SORTED_SET
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What becomes of the scores that a member has in several sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, one: f64, other: f64) -> f64 {
        match self {
            // Infinities that cancel out are nothing, as in Redis.
            Aggregate::Sum => number_or_zero(one + other),
            Aggregate::Min => one.min(other),
            Aggregate::Max => one.max(other),
        }
    }
}

fn number_or_zero(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

/// The words after the keys.
struct Options {
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
}

fn answer(call: &mut Call<'_, '_>, operation: Operation) -> Result<(), Refusal> {
    let keys = sources(call, 1)?;
    let options = options(call, 2 + keys.len(), keys.len(), operation, true)?;
    let members = combine(call, &keys, operation, &options)?;
    write_members_head(call.output, members.len(), options.with_scores);
    for (member, score) in members {
        write_member(call.output, &member, score, options.with_scores);
    }
    Ok(())
}

fn store(call: &mut Call<'_, '_>, operation: Operation) -> Result<(), Refusal> {
    let keys = sources(call, 2)?;
    let options = options(call, 3 + keys.len(), keys.len(), operation, false)?;
    let members = combine(call, &keys, operation, &options)?;
    let destination = call.key(1);
    let count = store_members(call, &destination, &members)?;
    call.output.integer(count as i64);
    Ok(())
}

fn zintercard(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let keys = sources(call, 1)?;
    let limit = parse_limit(call.arguments.from(2 + keys.len()))?;
    let count = count_intersection(call, &keys, limit)?;
    call.output.integer(count as i64);
    Ok(())
}

/// The words behind the keys of SINTERCARD and ZINTERCARD: where counting ends, 0 for nowhere.
pub(super) fn parse_limit(words: Arguments<'_>) -> Result<usize, Refusal> {
    let (mut limit, mut words) = (0, words.iter());
    while let Some(word) = words.next() {
        let number = words.next().filter(|_| word.eq_ignore_ascii_case(b"limit")).ok_or(Refusal::SYNTAX)?;
        let number = parse_integer(number).and_then(|number| usize::try_from(number).ok());
        limit = number.ok_or_else(|| Refusal::new("ERR LIMIT can't be negative"))?;
    }
    Ok(limit)
}

/// Members that are looked for in the other sets at a time.
const COUNTED_AT_ONCE: usize = 256;

/// How many members all of these keys have in common, up to `limit`; 0 for no limit.
pub(super) fn count_intersection(
    call: &mut Call<'_, '_>,
    keys: &[Key<'_>],
    limit: usize,
) -> Result<usize, Refusal> {
    let limit = if limit == 0 { usize::MAX } else { limit };
    let places = by_size(call, keys)?;
    let Some((&smallest, others)) = places.split_first() else { return Ok(0) };
    let (mut count, mut start) = (0, 0);
    loop {
        let Some(entry) = call.keyspace.peek(&keys[smallest]) else { return Ok(count) };
        let source = Source::of(entry)?;
        let range = start..source.len().min(start + COUNTED_AT_ONCE);
        if range.is_empty() || count >= limit {
            return Ok(count.min(limit));
        }
        start = range.end;
        let mut members: Vec<Box<[u8]>> = Vec::with_capacity(range.len());
        source.visit(range, |member| members.push(member.into()));
        for &place in others {
            let Some(entry) = call.keyspace.peek(&keys[place]) else { return Ok(0) };
            let source = Source::of(entry)?;
            members.retain(|member| source.score(member).is_some());
        }
        count += members.len();
    }
}

/// The keys that the argument at this place counts, none of which holds anything without members.
fn sources<'c>(call: &mut Call<'c, '_>, count_at: usize) -> Result<Vec<Key<'c>>, Refusal> {
    let count = parse_integer(call.arguments.at(count_at)).ok_or(Refusal::NOT_AN_INTEGER)?;
    let count = usize::try_from(count).ok().filter(|&count| count > 0).ok_or_else(|| {
        Refusal::new(format!("ERR at least 1 input key is needed for '{}' command", call.row.name))
    })?;
    if count > call.arguments.len() - count_at - 1 {
        return Err(Refusal::SYNTAX);
    }
    let keys: Vec<Key<'c>> = (0..count).map(|number| call.key(count_at + 1 + number)).collect();
    for key in &keys {
        call.keyspace.read(key).map(Source::of).transpose()?;
    }
    Ok(keys)
}

fn options(
    call: &Call<'_, '_>,
    first: usize,
    keys: usize,
    operation: Operation,
    may_have_scores: bool,
) -> Result<Options, Refusal> {
    let mut options = Options { weights: vec![1.0; keys], aggregate: Aggregate::Sum, with_scores: false };
    let mut words = call.arguments.from(first).iter();
    let has_weights = operation != Operation::Difference;
    while let Some(word) = words.next() {
        match word.to_ascii_lowercase().as_slice() {
            b"weights" if has_weights && words.len() >= keys => {
                for weight in &mut options.weights {
                    let text = words.next().ok_or(Refusal::SYNTAX)?;
                    *weight =
                        parse_double(text).ok_or_else(|| Refusal::new("ERR weight value is not a float"))?;
                }
            }
            b"aggregate" if has_weights => {
                options.aggregate = match words.next().map(<[u8]>::to_ascii_lowercase).as_deref() {
                    Some(b"sum") => Aggregate::Sum,
                    Some(b"min") => Aggregate::Min,
                    Some(b"max") => Aggregate::Max,
                    _ => return Err(Refusal::SYNTAX),
                };
            }
            b"withscores" if may_have_scores => options.with_scores = true,
            _ => return Err(Refusal::SYNTAX),
        }
    }
    Ok(options)
}

/// The members that the operation makes of those under the keys, in their order.
fn combine(
    call: &mut Call<'_, '_>,
    keys: &[Key<'_>],
    operation: Operation,
    options: &Options,
) -> Result<Vec<Scored>, Refusal> {
    let mut members = match operation {
        Operation::Union => union(call, keys, options)?,
        Operation::Intersection => intersection(call, keys, options)?,
        Operation::Difference => difference(call, keys)?,
    };
    members.sort_unstable_by(|(member, score), (other, other_score)| {
        // Zero and its negative are one score.
        score.partial_cmp(other_score).unwrap_or(Ordering::Equal).then_with(|| member.cmp(other))
    });
    Ok(members)
}

/// The places of the keys, that of the smallest set first: of an intersection no other member can be missing from it, and sums
/// of scores depend on the order, which is Redis' this way.
fn by_size(call: &mut Call<'_, '_>, keys: &[Key<'_>]) -> Result<Vec<usize>, Refusal> {
    let mut sizes: Vec<(usize, usize)> = Vec::with_capacity(keys.len());
    for (place, key) in keys.iter().enumerate() {
        sizes.push((call.keyspace.peek(key).map(Source::of).transpose()?.map_or(0, Source::len), place));
    }
    sizes.sort_unstable();
    Ok(sizes.into_iter().map(|(_, place)| place).collect())
}

fn union(call: &mut Call<'_, '_>, keys: &[Key<'_>], options: &Options) -> Result<Vec<Scored>, Refusal> {
    let mut scores: HashMap<Box<[u8]>, f64> = HashMap::new();
    for place in by_size(call, keys)? {
        let weight = options.weights[place];
        let Some(entry) = call.keyspace.peek(&keys[place]) else { continue };
        Source::of(entry)?.for_each(|member, score| {
            let score = number_or_zero(weight * score);
            match scores.get_mut(member) {
                Some(sum) => *sum = options.aggregate.of(*sum, score),
                None => drop(scores.insert(member.into(), score)),
            }
        });
    }
    Ok(scores.into_iter().collect())
}

fn intersection(
    call: &mut Call<'_, '_>,
    keys: &[Key<'_>],
    options: &Options,
) -> Result<Vec<Scored>, Refusal> {
    let mut members: Vec<Scored> = Vec::new();
    for (number, place) in by_size(call, keys)?.into_iter().enumerate() {
        let weight = options.weights[place];
        let Some(entry) = call.keyspace.peek(&keys[place]) else { return Ok(Vec::new()) };
        if number == 0 {
            Source::of(entry)?
                .for_each(|member, score| members.push((member.into(), number_or_zero(weight * score))));
            continue;
        }
        let source = Source::of(entry)?;
        members.retain_mut(|(member, sum)| {
            let Some(score) = source.score(member) else { return false };
            *sum = options.aggregate.of(*sum, number_or_zero(weight * score));
            true
        });
    }
    Ok(members)
}

fn difference(call: &mut Call<'_, '_>, keys: &[Key<'_>]) -> Result<Vec<Scored>, Refusal> {
    let mut members: Vec<Scored> = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        let Some(entry) = call.keyspace.peek(key) else { continue };
        if number == 0 {
            Source::of(entry)?.for_each(|member, score| members.push((member.into(), score)));
            continue;
        }
        let source = Source::of(entry)?;
        members.retain(|(member, _)| source.score(member).is_none());
    }
    Ok(members)
}

/// What a key holds whose members take part.
#[derive(Clone, Copy)]
enum Source<'s> {
    SortedSet(SortedSet<'s>),
    /// Each member has the score 1.
    Set(Set<'s>),
}

impl<'s> Source<'s> {
    fn of(entry: EntryRef<'s>) -> Result<Source<'s>, Refusal> {
        let parts = entry.parts()?;
        Ok(parts.sorted_set().map(Source::SortedSet).or_else(|_| parts.set().map(Source::Set))?)
    }

    fn len(self) -> usize {
        match self {
            Source::SortedSet(sorted_set) => sorted_set.len(),
            Source::Set(set) => set.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Source::SortedSet(sorted_set) => sorted_set.score(member),
            Source::Set(set) => set.contains(member).then_some(1.0),
        }
    }

    /// Visits the members at these places, which stay theirs while nothing is written.
    fn visit(self, places: Range<usize>, mut visit: impl FnMut(&[u8])) {
        match self {
            Source::SortedSet(sorted_set) => sorted_set.visit(places, false, |member, _| visit(member)),
            Source::Set(set) => set.visit_places(&places.collect::<Vec<_>>(), visit),
        }
    }

    fn for_each(self, mut visit: impl FnMut(&[u8], f64)) {
        match self {
            Source::SortedSet(sorted_set) => sorted_set.for_each(visit),
            Source::Set(set) => set.for_each(|member| visit(member, 1.0)),
        }
    }
}
