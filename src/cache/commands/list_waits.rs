//! Commands on lists that wait until there is an element.

use quartet_protocol::resp::Output;

use super::list_moves::{MOVES, Move, Taking, side, taking};
use super::lists::{LIST, limits, take};
use super::waits::{act_or_wait, deadline};
use crate::command::{
    Call, Command, Continuation, Deprecated, Encoder, Flags, Handler, KeyAccess, KeyAction, KeyAnswer,
    KeyWait, Keys,
};
use crate::refusal::Refusal;
use crate::store::{Deadline, Key, Keyspace, ListLimits, Side, ValueType};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "blpop",
        syntax: "key [key ...] timeout",
        summary: "Removes and returns the first element in a list. Blocks until an element is available otherwise. \
                  Deletes the list if the last element was popped.",
        handler: Handler::Data(|call| pop(call, Side::Left)),
        ..POPS
    },
    Command {
        name: "brpop",
        syntax: "key [key ...] timeout",
        summary: "Removes and returns the last element in a list. Blocks until an element is available otherwise. \
                  Deletes the list if the last element was popped.",
        handler: Handler::Data(|call| pop(call, Side::Right)),
        ..POPS
    },
    Command {
        name: "blmpop",
        syntax: "timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
        summary: "Pops the first element from one of multiple lists. Blocks until an element is available otherwise. \
                  Deletes the list if the last element was popped.",
        complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        since: "7.0.0",
        flags: Flags::WRITE.union(Flags::BLOCKING),
        keys: Keys::counted(2, KeyAccess::ReadWriteAccessDelete),
        handler: Handler::Data(blmpop),
        ..LIST
    },
    Command {
        name: "blmove",
        syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
        summary: "Pops an element from a list, pushes it to another list and returns it. Blocks until an element is \
                  available otherwise. Deletes the list if the last element was moved.",
        since: "6.2.0",
        flags: MOVES.flags.union(Flags::BLOCKING),
        handler: Handler::Data(blmove),
        ..MOVES
    },
    Command {
        name: "brpoplpush",
        deprecated: Some(Deprecated {
            since: "6.2.0",
            replaced_by: "`BLMOVE` with the `RIGHT` and `LEFT` arguments",
        }),
        syntax: "source destination timeout",
        summary: "Pops an element from a list, pushes it to another list and returns it. Block until an element is \
                  available otherwise. Deletes the list if the last element was popped.",
        since: "2.2.0",
        flags: MOVES.flags.union(Flags::BLOCKING),
        handler: Handler::Data(brpoplpush),
        ..MOVES
    },
];

/// The start of the rows of BLPOP and BRPOP.
const POPS: Command = Command {
    complexity: "O(N) where N is the number of provided keys.",
    since: "2.0.0",
    flags: Flags::WRITE.union(Flags::BLOCKING),
    keys: Keys::all_but_last(KeyAccess::ReadWriteAccessDelete),
    ..LIST
};

/// Takes elements from one end of the first list that has any.
struct Pop {
    taking: Taking,
    limits: ListLimits,
}

/// The elements that were taken, in their order.
struct Popped {
    database: usize,
    key: Box<[u8]>,
    elements: Vec<Vec<u8>>,
    side: Side,
    limits: ListLimits,
    /// When the key was to expire.
    deadline: Option<Deadline>,
}

/// The form of the reply.
#[derive(Clone, Copy)]
enum PopEncoder {
    /// The key and an element.
    One,
    /// The key and an array of elements.
    Several,
}

fn pop(call: &mut Call<'_, '_>, side: Side) -> Result<(), Refusal> {
    let last = call.arguments.len() - 1;
    let deadline = deadline(call, last)?;
    let action = Pop { taking: Taking { side, count: 1 }, limits: limits(call) };
    act_or_wait(call, 1..last, (ValueType::List, deadline), action, PopEncoder::One)
}

fn blmpop(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (keys, taking) = taking(call, 2)?;
    let deadline = deadline(call, 1)?;
    let action = Pop { taking, limits: limits(call) };
    act_or_wait(call, keys, (ValueType::List, deadline), action, PopEncoder::Several)
}

impl KeyAction for Pop {
    type Answer = Popped;

    fn act(&mut self, key: &Key<'_>, keyspace: &mut Keyspace<'_>) -> Popped {
        let Pop { taking: Taking { side, count }, limits } = *self;
        let access = keyspace.untraced_access();
        let deadline = keyspace.peek(key).and_then(|entry| entry.deadline());
        let mut elements = Vec::new();
        let taken = keyspace.shard(key).change_list(key, limits, &access, |list| {
            take(list, side, count, |element| elements.push(element.to_vec()));
        });
        debug_assert!(taken.is_ok(), "the caller has seen that it is a list");
        Popped { database: keyspace.database, key: key.bytes.into(), elements, side, limits, deadline }
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
        let _ = keyspace.shard(key).write_list(key, self.limits, &access, |list| {
            self.elements.iter().rev().for_each(|element| list.push(self.side, element));
        });
        if !is_there && self.deadline.is_some() {
            keyspace.set_deadline(key, self.deadline);
        }
    }
}

impl Encoder<Popped> for PopEncoder {
    fn write(&mut self, popped: Popped, output: &mut Output, _: &mut Continuation) {
        output.array(2);
        output.bulk(&popped.key);
        if let PopEncoder::Several = self {
            output.array(popped.elements.len());
        }
        popped.elements.iter().for_each(|element| output.bulk(element));
    }

    fn write_timeout(&self, output: &mut Output) {
        output.null_array();
    }
}

/// Moves an element to another list once there is one.
struct MoveWhenThere {
    move_: Move,
    destination: Box<[u8]>,
}

/// The element that was moved, or why it could not be.
struct Moved(Result<Option<Vec<u8>>, Refusal>);

struct MoveEncoder;

fn blmove(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let move_ = Move { from: side(call, 3)?, to: side(call, 4)?, limits: limits(call) };
    move_or_wait(call, move_, 5)
}

fn brpoplpush(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let move_ = Move { from: Side::Right, to: Side::Left, limits: limits(call) };
    move_or_wait(call, move_, 3)
}

fn move_or_wait(call: &mut Call<'_, '_>, move_: Move, timeout: usize) -> Result<(), Refusal> {
    let deadline = deadline(call, timeout)?;
    let (source, destination) = (call.key(1), call.key(2));
    match move_.run(call.keyspace, &source, &destination)? {
        Some(element) => call.output.bulk(&element),
        None if !call.may_wait() => call.output.null(),
        None => {
            let wait = KeyWait { keys: vec![source.bytes.into()], value_type: ValueType::List, deadline };
            let action = MoveWhenThere { move_, destination: destination.bytes.into() };
            call.block_on_keys(wait, action, MoveEncoder);
        }
    }
    Ok(())
}

impl KeyAction for MoveWhenThere {
    type Answer = Moved;

    fn writes_to(&self) -> Option<&[u8]> {
        Some(&self.destination)
    }

    fn act(&mut self, key: &Key<'_>, keyspace: &mut Keyspace<'_>) -> Moved {
        let destination = keyspace.store().key(&self.destination);
        Moved(self.move_.run(keyspace, key, &destination))
    }
}

impl KeyAnswer for Moved {
    fn origin(&self) -> Option<(usize, &[u8])> {
        // It is where it was to go, as with a client that has gone after the reply.
        None
    }

    fn give_back(self, _: &Key<'_>, _: &mut Keyspace<'_>) {}
}

impl Encoder<Moved> for MoveEncoder {
    fn write(&mut self, Moved(moved): Moved, output: &mut Output, _: &mut Continuation) {
        match moved {
            Ok(Some(element)) => output.bulk(&element),
            Ok(None) => self.write_timeout(output),
            Err(refusal) => output.error(refusal.text()),
        }
    }

    fn write_timeout(&self, output: &mut Output) {
        output.null_array();
    }
}
