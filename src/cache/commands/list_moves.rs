//! Elements that go from one list to another, and elements of the first of several lists.

use quartet_protocol::resp::Output;
use quartet_protocol::resp::number::parse_integer;

use super::lists::{LIST, limits, list_of, take};
use crate::command::{Call, Command, Deprecated, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::{Key, Keyspace, ListLimits, Side};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "lmove",
        syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
        summary: "Returns an element after popping it from one list and pushing it to another. Deletes the list if \
                  the last element was moved.",
        since: "6.2.0",
        handler: Handler::Data(lmove),
        ..MOVES
    },
    Command {
        name: "rpoplpush",
        deprecated: Some(Deprecated {
            since: "6.2.0",
            replaced_by: "`LMOVE` with the `RIGHT` and `LEFT` arguments",
        }),
        syntax: "source destination",
        summary: "Returns the last element of a list after removing and pushing it to another list. Deletes the list \
                  if the last element was popped.",
        since: "1.2.0",
        handler: Handler::Data(rpoplpush),
        ..MOVES
    },
    Command {
        name: "lmpop",
        syntax: "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
        summary: "Returns multiple elements from a list after removing them. Deletes the list if the last element was \
                  popped.",
        complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        since: "7.0.0",
        flags: Flags::WRITE,
        keys: Keys::counted(1, KeyAccess::ReadWriteAccessDelete),
        handler: Handler::Data(lmpop),
        ..LIST
    },
];

/// The start of the rows of commands that move an element.
pub(super) const MOVES: Command = Command {
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: Keys::source_and_destination(KeyAccess::ReadWriteAccessDelete, KeyAccess::ReadWriteInsert),
    ..LIST
};

/// How an element goes from one list to another.
#[derive(Clone, Copy)]
pub(super) struct Move {
    /// The end that it is taken from.
    pub(super) from: Side,
    /// The end that it is added to.
    pub(super) to: Side,
    /// Those of the destination.
    pub(super) limits: ListLimits,
}

/// What LMPOP takes.
#[derive(Clone, Copy)]
pub(super) struct Taking {
    pub(super) side: Side,
    pub(super) count: usize,
}

fn lmove(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let move_ = Move { from: side(call, 3)?, to: side(call, 4)?, limits: limits(call) };
    run_move(call, move_)
}

fn rpoplpush(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let move_ = Move { from: Side::Right, to: Side::Left, limits: limits(call) };
    run_move(call, move_)
}

fn run_move(call: &mut Call<'_, '_>, move_: Move) -> Result<(), Refusal> {
    let (source, destination) = (call.key(1), call.key(2));
    match move_.run(call.keyspace, &source, &destination)? {
        Some(element) => call.output.bulk(&element),
        None => call.output.null(),
    }
    Ok(())
}

impl Move {
    /// Moves an element, and returns it; none if there is no list to take it from.
    ///
    /// # Errors
    /// If one of the keys holds something else.
    pub(super) fn run(
        self,
        keyspace: &mut Keyspace<'_>,
        source: &Key<'_>,
        destination: &Key<'_>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(entry) = keyspace.find(source) else { return Ok(None) };
        list_of(entry)?;
        keyspace.find(destination).map(list_of).transpose()?;
        let access = keyspace.untraced_access();
        let Move { from, to, limits } = self;
        if source.bytes == destination.bytes {
            let shard = keyspace.shard(source);
            let moved = shard.change_list(source, limits, &access, |list| {
                let element = list.pop(from, |element| element.to_vec())?;
                list.push(to, &element);
                Some(element)
            })?;
            return Ok(moved.flatten());
        }
        let shard = keyspace.shard(source);
        let taken = shard
            .change_list(source, limits, &access, |list| list.pop(from, |element| element.to_vec()))?
            .flatten();
        if let Some(element) = &taken {
            let shard = keyspace.shard(destination);
            shard.write_list(destination, limits, &access, |list| list.push(to, element))?;
        }
        Ok(taken)
    }
}

fn lmpop(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (keys, taking) = taking(call, 1)?;
    let limits = limits(call);
    for position in keys {
        let key = call.key(position);
        if taking.run(call.keyspace, &key, limits, call.output)? {
            return Ok(());
        }
    }
    call.output.null_array();
    Ok(())
}

/// The places of the keys, whose number is the argument at `position`, and what is to be taken, which follows them.
///
/// # Errors
/// If the request is not well formed.
pub(super) fn taking(
    call: &Call<'_, '_>,
    position: usize,
) -> Result<(std::ops::Range<usize>, Taking), Refusal> {
    let count_of = |text: &[u8], name: &str| {
        let count =
            parse_integer(text).and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0);
        count.ok_or_else(|| Refusal::new(format!("ERR {name} should be greater than 0")))
    };
    let keys = count_of(call.arguments.at(position), "numkeys")?;
    let end = (position + 1).saturating_add(keys);
    if end >= call.arguments.len() {
        return Err(Refusal::SYNTAX);
    }
    let mut taking = Taking { side: side(call, end)?, count: 1 };
    let mut words = call.arguments.from(end + 1).iter();
    if let Some(word) = words.next() {
        let count = words.next().filter(|_| word.eq_ignore_ascii_case(b"count")).ok_or(Refusal::SYNTAX)?;
        taking.count = count_of(count, "count")?;
    }
    if words.next().is_some() {
        return Err(Refusal::SYNTAX);
    }
    Ok((position + 1..end, taking))
}

impl Taking {
    /// Takes elements of the list under a key and writes the reply; false if there is no such key.
    ///
    /// # Errors
    /// If the key holds something else.
    pub(super) fn run(
        self,
        keyspace: &mut Keyspace<'_>,
        key: &Key<'_>,
        limits: ListLimits,
        output: &mut Output,
    ) -> Result<bool, Refusal> {
        let access = keyspace.access;
        let taken = keyspace.shard(key).change_list(key, limits, &access, |list| {
            output.array(2);
            output.bulk(key.bytes);
            output.array(self.count.min(list.list().len()));
            take(list, self.side, self.count, |element| element.write(output));
        })?;
        Ok(taken.is_some())
    }
}

/// The side that the argument at `position` names.
///
/// # Errors
/// If it names none.
pub(super) fn side(call: &Call<'_, '_>, position: usize) -> Result<Side, Refusal> {
    let word = call.arguments.at(position);
    if word.eq_ignore_ascii_case(b"left") {
        Ok(Side::Left)
    } else if word.eq_ignore_ascii_case(b"right") {
        Ok(Side::Right)
    } else {
        Err(Refusal::SYNTAX)
    }
}
