//! Ranges of sorted sets by rank, score and member: reading, counting, storing and removing them.

use std::ops::Range;

use quartet_protocol::resp::Arguments;
use quartet_protocol::resp::number::parse_integer;

use super::sorted_set_bounds::Between;
use super::sorted_sets::{
    READS, SORTED_SET, Scored, read_sorted_set, sorted_set_of, write_member, write_members_head,
    write_sorted_set,
};
use crate::command::{Call, Command, Deprecated, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::Key;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "zrange",
        syntax: "key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
        summary: "Returns members in a sorted set within a range of indexes.",
        handler: Handler::Data(|call| zrange(call, By::Option, Order::Option)),
        ..RANGES
    },
    Command {
        name: "zrevrange",
        deprecated: Some(Deprecated { since: "6.2.0", replaced_by: "`ZRANGE` with the `REV` argument" }),
        syntax: "key start stop [WITHSCORES]",
        summary: "Returns members in a sorted set within a range of indexes in reverse order.",
        handler: Handler::Data(|call| zrange(call, By::Rank, Order::Reversed)),
        ..RANGES
    },
    Command {
        name: "zrangebyscore",
        deprecated: Some(Deprecated { since: "6.2.0", replaced_by: "`ZRANGE` with the `BYSCORE` argument" }),
        syntax: "key min max [WITHSCORES] [LIMIT offset count]",
        summary: "Returns members in a sorted set within a range of scores.",
        since: "1.0.5",
        handler: Handler::Data(|call| zrange(call, By::Score, Order::Forward)),
        ..LIMITED_RANGES
    },
    Command {
        name: "zrevrangebyscore",
        deprecated: Some(Deprecated {
            since: "6.2.0",
            replaced_by: "`ZRANGE` with the `REV` and `BYSCORE` arguments",
        }),
        syntax: "key max min [WITHSCORES] [LIMIT offset count]",
        summary: "Returns members in a sorted set within a range of scores in reverse order.",
        since: "2.2.0",
        handler: Handler::Data(|call| zrange(call, By::Score, Order::Reversed)),
        ..LIMITED_RANGES
    },
    Command {
        name: "zrangebylex",
        deprecated: Some(Deprecated { since: "6.2.0", replaced_by: "`ZRANGE` with the `BYLEX` argument" }),
        syntax: "key min max [LIMIT offset count]",
        summary: "Returns members in a sorted set within a lexicographical range.",
        since: "2.8.9",
        handler: Handler::Data(|call| zrange(call, By::Member, Order::Forward)),
        ..LIMITED_RANGES
    },
    Command {
        name: "zrevrangebylex",
        deprecated: Some(Deprecated {
            since: "6.2.0",
            replaced_by: "`ZRANGE` with the `REV` and `BYLEX` arguments",
        }),
        syntax: "key max min [LIMIT offset count]",
        summary: "Returns members in a sorted set within a lexicographical range in reverse order.",
        since: "2.8.9",
        handler: Handler::Data(|call| zrange(call, By::Member, Order::Reversed)),
        ..LIMITED_RANGES
    },
    Command {
        name: "zrangestore",
        syntax: "dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
        summary: "Stores a range of members from sorted set in a key.",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements \
                     stored into the destination key.",
        since: "6.2.0",
        flags: Flags::WRITE.union(Flags::DENYOOM),
        keys: Keys::source_and_destination(KeyAccess::OverwriteUpdate, KeyAccess::ReadAccess),
        handler: Handler::Data(zrangestore),
        ..SORTED_SET
    },
    Command {
        name: "zcount",
        syntax: "key min max",
        summary: "Returns the count of members in a sorted set that have scores within a range.",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        since: "2.0.0",
        handler: Handler::Data(|call| count(call, By::Score)),
        ..READS
    },
    Command {
        name: "zlexcount",
        syntax: "key min max",
        summary: "Returns the number of members in a sorted set within a lexicographical range.",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        since: "2.8.9",
        handler: Handler::Data(|call| count(call, By::Member)),
        ..READS
    },
    Command {
        name: "zremrangebyrank",
        syntax: "key start stop",
        summary: "Removes members in a sorted set within a range of indexes. Deletes the sorted set if all members \
                  were removed.",
        since: "2.0.0",
        handler: Handler::Data(|call| remove(call, By::Rank)),
        ..REMOVALS
    },
    Command {
        name: "zremrangebyscore",
        syntax: "key min max",
        summary: "Removes members in a sorted set within a range of scores. Deletes the sorted set if all members were \
                  removed.",
        handler: Handler::Data(|call| remove(call, By::Score)),
        ..REMOVALS
    },
    Command {
        name: "zremrangebylex",
        syntax: "key min max",
        summary: "Removes members in a sorted set within a lexicographical range. Deletes the sorted set if all members \
                  were removed.",
        since: "2.8.9",
        handler: Handler::Data(|call| remove(call, By::Member)),
        ..REMOVALS
    },
];

/// The start of the rows of commands that read a range.
const RANGES: Command = Command {
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements \
                 returned.",
    flags: Flags::READONLY,
    keys: Keys::first(KeyAccess::ReadAccess),
    ..SORTED_SET
};

const LIMITED_RANGES: Command = Command {
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being \
                 returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can \
                 consider it O(log(N)).",
    ..RANGES
};

const REMOVALS: Command = Command {
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements \
                 removed by the operation.",
    flags: Flags::WRITE,
    keys: Keys::first(KeyAccess::ReadWriteDelete),
    ..SORTED_SET
};

/// What the bounds of a range are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Rank,
    Score,
    Member,
    /// Ranks, unless an option says otherwise.
    Option,
}

/// Which way a range goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Forward,
    Reversed,
    /// Forward, unless an option says otherwise.
    Option,
}

/// A range as a request asks for it.
struct Asked<'a> {
    between: Between<'a>,
    is_reversed: bool,
    offset: i64,
    /// The most members; all if negative.
    count: i64,
    with_scores: bool,
}

impl<'a> Asked<'a> {
    /// The range of bounds and options from these arguments on.  Redis takes a limit for ranks if its count is -1, and then ignores
    /// the offset.  Scores can be asked for if `may_have_scores`.
    fn parse(
        arguments: Arguments<'a>,
        mut by: By,
        mut order: Order,
        may_have_scores: bool,
    ) -> Result<Asked<'a>, Refusal> {
        let (mut offset, mut count, mut with_scores) = (0, -1, false);
        let mut words = arguments.from(2).iter();
        while let Some(word) = words.next() {
            match word.to_ascii_lowercase().as_slice() {
                b"withscores" if may_have_scores => with_scores = true,
                b"limit" => {
                    let (first, second) = words.next().zip(words.next()).ok_or(Refusal::SYNTAX)?;
                    offset = parse_integer(first).ok_or(Refusal::NOT_AN_INTEGER)?;
                    count = parse_integer(second).ok_or(Refusal::NOT_AN_INTEGER)?;
                }
                b"rev" if order == Order::Option => order = Order::Reversed,
                b"bylex" if by == By::Option => by = By::Member,
                b"byscore" if by == By::Option => by = By::Score,
                _ => return Err(Refusal::SYNTAX),
            }
        }
        if matches!(by, By::Rank | By::Option) {
            if count != -1 {
                return Err(Refusal::new(
                    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
                ));
            }
            offset = 0;
        }
        if with_scores && by == By::Member {
            return Err(Refusal::new("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        let is_reversed = order == Order::Reversed;
        let (first, second) = (arguments.at(0), arguments.at(1));
        let (min, max) = if is_reversed { (second, first) } else { (first, second) };
        let between = match by {
            By::Rank | By::Option => Between::ranks(first, second)?,
            By::Score => Between::scores(min, max)?,
            By::Member => Between::members(min, max)?,
        };
        Ok(Asked { between, is_reversed, offset, count, with_scores })
    }

    /// The part of the ranks between the bounds that offset and count leave.
    fn limited(&self, ranks: Range<usize>) -> Range<usize> {
        let Ok(offset) = usize::try_from(self.offset) else { return 0..0 };
        let offset = offset.min(ranks.len());
        let count = usize::try_from(self.count).unwrap_or(usize::MAX).min(ranks.len() - offset);
        if self.is_reversed {
            ranks.end - offset - count..ranks.end - offset
        } else {
            ranks.start + offset..ranks.start + offset + count
        }
    }
}

fn zrange(call: &mut Call<'_, '_>, by: By, order: Order) -> Result<(), Refusal> {
    let asked = Asked::parse(call.arguments.from(2), by, order, true)?;
    read_sorted_set(call, |sorted_set, output| {
        let Some(sorted_set) = sorted_set else { return output.array(0) };
        let ranks = asked.limited(asked.between.within(sorted_set, asked.is_reversed));
        write_members_head(output, ranks.len(), asked.with_scores);
        sorted_set.visit(ranks, asked.is_reversed, |member, score| {
            write_member(output, member, score, asked.with_scores);
        });
    })
}

fn zrangestore(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let asked = Asked::parse(call.arguments.from(3), By::Option, Order::Option, false)?;
    let (destination, source) = (call.key(1), call.key(2));
    let mut found: Vec<Scored> = Vec::new();
    if let Some(sorted_set) = call.keyspace.read(&source).map(sorted_set_of).transpose()? {
        let ranks = asked.limited(asked.between.within(sorted_set, asked.is_reversed));
        sorted_set.visit(ranks, false, |member, score| found.push((member.into(), score)));
    }
    let count = store_members(call, &destination, &found)?;
    call.output.integer(count as i64);
    Ok(())
}

/// Has a key hold these members with their scores, whatever it held, or nothing if there are none, and returns their number.
pub(super) fn store_members(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    members: &[Scored],
) -> Result<usize, Refusal> {
    call.keyspace.remove(key);
    if !members.is_empty() {
        write_sorted_set(call, key, |sorted_set| {
            members.iter().for_each(|(member, score)| {
                sorted_set.set(member, *score);
            });
            Ok(())
        })?;
    }
    Ok(members.len())
}

fn count(call: &mut Call<'_, '_>, by: By) -> Result<(), Refusal> {
    let between = bounds(call.arguments, by)?;
    read_sorted_set(call, |sorted_set, output| {
        let count = sorted_set.map_or(0, |sorted_set| between.within(sorted_set, false).len());
        output.integer(count as i64);
    })
}

fn remove(call: &mut Call<'_, '_>, by: By) -> Result<(), Refusal> {
    let between = bounds(call.arguments, by)?;
    let key = call.key(1);
    let removed = write_sorted_set(call, &key, |sorted_set| {
        let ranks = between.within(sorted_set.sorted_set(), false);
        sorted_set.remove_ranks(ranks.clone());
        Ok(ranks.len())
    })?;
    call.output.integer(removed as i64);
    Ok(())
}

fn bounds(arguments: Arguments<'_>, by: By) -> Result<Between<'_>, Refusal> {
    let (min, max) = (arguments.at(2), arguments.at(3));
    match by {
        By::Rank | By::Option => Between::ranks(min, max),
        By::Score => Between::scores(min, max),
        By::Member => Between::members(min, max),
    }
}
