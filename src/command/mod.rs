//! Commands: each is one row of a table beside its code, and runs in a [`Call`].
//!
//! A family of commands is a file with a `COMMANDS` table of [`Command`] rows and the handlers the rows name.
//! Everything that clients and operators can ask about commands (COMMAND, COMMAND DOCS, arity, key positions, ACL
//! categories, help, metric labels, `docs/commands.md`) is derived from the rows.

mod blocked;
mod call;
mod caller;
mod client;
mod continuation;
mod database;
pub mod executor;
mod group;
mod held;
mod help;
mod key_block;
mod key_waiters;
mod monitors;
mod parts;
mod secrets;
mod services;
pub mod syntax;
mod table;
mod usage;

pub use blocked::{Awaited, BlockedCommand, Encoder};
pub use call::{Call, SessionCall};
pub use caller::{Caller, CallerState, LongRequest};
pub use client::{Client, Replies, Transaction};
pub use continuation::{Continuation, Flow, Restart, SoFar};
pub use database::database_number;
pub use group::{GROUPS, Group, GroupFacts};
pub use held::{HeldReply, Promise};
pub use key_block::{KeyAction, KeyAnswer};
pub use key_waiters::{FURTHER_KEYS_MAX, KeyWait, KeyWaiters, NotLocked, PlacedKey, Servable, Served};
pub use monitors::Monitors;
pub use parts::Parts;
pub use secrets::{REDACTED, ShownArguments};
pub use services::{CLOSED_PAUSE, Services};
pub use table::{CommandTable, Row};

use quartet_protocol::resp::Arguments;
use quartet_protocol::resp::number::parse_integer;

use crate::refusal::Refusal;

/// The keys that a request would touch, where no argument is one.
pub type FoundKeys = Result<Vec<Vec<u8>>, Refusal>;

/// Does a command: reads its arguments, changes the state, and writes exactly one reply unless it refuses.
#[derive(Clone, Copy, Debug)]
pub enum Handler {
    /// Works on data and runs for any caller.
    Data(fn(&mut Call<'_, '_>) -> Result<(), Refusal>),
    /// Works on the connection, and is refused to a caller that is none.
    Session(SessionHandler),
}

/// See [`Handler::Session`].
pub type SessionHandler = fn(&mut SessionCall<'_, '_>) -> Result<(), Refusal>;

bitflags::bitflags! {
    /// Facts about a command, for the executor and for COMMAND.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Flags: u32 {
        /// May change the data.
        const WRITE = 1;
        /// Reads the data and never changes it.
        const READONLY = 1 << 1;
        /// May need memory: refused while the store is over its limit and nothing can be evicted.
        const DENYOOM = 1 << 2;
        /// For operators.
        const ADMIN = 1 << 3;
        /// Part of publish and subscribe.
        const PUBSUB = 1 << 4;
        /// Not allowed in scripts.
        const NOSCRIPT = 1 << 5;
        /// May wait.
        const BLOCKING = 1 << 6;
        /// Allowed while data is being loaded.
        const LOADING = 1 << 7;
        /// Allowed on a replica with stale data.
        const STALE = 1 << 8;
        /// Not shown to MONITOR.
        const SKIP_MONITOR = 1 << 9;
        /// Not put into the slow log.
        const SKIP_SLOWLOG = 1 << 10;
        /// Allowed before authentication.
        const NO_AUTH = 1 << 11;
        /// Takes constant time, as Redis sees it.
        const FAST = 1 << 12;
        /// Runs at once inside MULTI instead of being queued.
        const NO_QUEUE = 1 << 13;
        /// Not allowed inside MULTI.
        const NO_MULTI = 1 << 14;
        /// Allowed while a script runs too long.
        const ALLOW_BUSY = 1 << 15;
        /// Harmful in the wrong hands, as Redis sees it.
        const DANGEROUS = 1 << 16;
        /// Needs the gate alone, or may do so (see [`Command::needs_store`]): it uses shards that its key specification does not
        /// name.
        const EXCLUSIVE = 1 << 17;
        /// Locks shards itself, as it scans the store or finds out which ones it needs, so no shard may be locked when it
        /// starts.
        const SELF_LOCKING = 1 << 18;
        /// Runs the queue of the client's transaction.
        const RUNS_QUEUE = 1 << 19;
        /// Takes constant time although Redis does not call it fast.  These and fast commands are timed by sampling, all
        /// others each time.
        const QUICK = 1 << 21;
        /// Allowed to a RESP2 client that has subscriptions.
        const WHILE_SUBSCRIBED = 1 << 20;
        /// Changes the database for the commands after it.
        const SELECTS_DATABASE = 1 << 22;
        /// Runs a script, which may find out that it needs the store alone.
        const RUNS_SCRIPT = 1 << 23;
        /// May be sent without any key although it can have some.
        const NO_MANDATORY_KEYS = 1 << 24;
        /// An argument beyond those that it must have says how much it does.
        const TAKES_COUNT = 1 << 27;
        /// Changes no data but tells others something, which scripts that may not write may not do either.
        const TELLS_OTHERS = 1 << 26;
    }
}

/// How a command uses the keys it names, in the words of Redis' key specifications.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyAccess {
    /// Reads the value.
    ReadAccess,
    /// Reads only facts about the key (type, deadline, existence).
    ReadOnly,
    /// Overwrites the value whatever it was.
    OverwriteUpdate,
    /// Writes the value if there was none.
    OverwriteInsert,
    /// Changes the value depending on the old one.
    ReadWriteUpdate,
    /// Changes the value and returns the old one.
    ReadWriteAccessUpdate,
    /// Adds to the value or creates it.
    ReadWriteInsert,
    /// Deletes the key.
    RemoveDelete,
    /// Deletes a part of the value.
    ReadWriteDelete,
    /// Returns the value and deletes the key.
    ReadWriteAccessDelete,
}

/// Where a command's keys are among its arguments: from `first` to `last` (negative counts from the end) by `step`, or as
/// many as an argument says, behind that argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keys {
    /// Position of the first key, the command's name being 0; 0 for no keys, or if only counted ones follow.
    pub first: u8,
    /// Position of the last key.
    pub last: i8,
    /// Distance between keys.
    pub step: u8,
    /// Position of the argument that says how many keys follow it; 0 if there is none.
    pub count: u8,
    /// How the command uses them.
    pub access: KeyAccess,
    /// How the command uses the key at `first`, if that differs: the source, if it has a source and a destination, or the
    /// destination before counted sources.
    pub source: Option<KeyAccess>,
    /// Why the access is as it is, where COMMAND INFO says so.
    pub note: &'static str,
}

impl Keys {
    /// No keys.
    pub const NONE: Keys =
        Keys { first: 0, last: 0, step: 0, count: 0, access: KeyAccess::ReadOnly, source: None, note: "" };

    /// One key, right after the name.
    pub const fn first(access: KeyAccess) -> Keys {
        Keys { first: 1, last: 1, step: 1, access, ..Keys::NONE }
    }

    /// One key, after the name of a subcommand.
    pub const fn second(access: KeyAccess) -> Keys {
        Keys { first: 2, last: 2, step: 1, access, ..Keys::NONE }
    }

    /// All arguments are keys.
    pub const fn all(access: KeyAccess) -> Keys {
        Keys { first: 1, last: -1, step: 1, access, ..Keys::NONE }
    }

    /// All arguments but the last are keys.
    pub const fn all_but_last(access: KeyAccess) -> Keys {
        Keys { first: 1, last: -2, step: 1, access, ..Keys::NONE }
    }

    /// A source and a destination.
    pub const fn source_and_destination(source: KeyAccess, destination: KeyAccess) -> Keys {
        Keys { first: 1, last: 2, step: 1, access: destination, source: Some(source), ..Keys::NONE }
    }

    /// As many keys as the argument at `count` says, right behind it.
    pub const fn counted(count: u8, access: KeyAccess) -> Keys {
        Keys { count, access, ..Keys::NONE }
    }

    /// A destination right after the name, and behind it a number of sources and the sources.
    pub const fn destination_and_counted(destination: KeyAccess, sources: KeyAccess) -> Keys {
        Keys {
            first: 1,
            last: 1,
            step: 1,
            count: 2,
            access: sources,
            source: Some(destination),
            ..Keys::NONE
        }
    }

    /// Whether no request has a key.
    pub const fn are_none(self) -> bool {
        self.first == 0 && self.count == 0
    }

    /// The same with a note.
    pub const fn with_note(self, note: &'static str) -> Keys {
        Keys { note, ..self }
    }

    /// How the command uses the key at `position`.
    pub fn access_at(self, position: usize) -> KeyAccess {
        self.source.filter(|_| position == usize::from(self.first)).unwrap_or(self.access)
    }

    /// The positions of the keys in these arguments.
    pub fn positions(self, arguments: Arguments<'_>) -> impl Iterator<Item = usize> + use<> {
        let count = arguments.len();
        let end = match self.last {
            _ if self.first == 0 => 0,
            last if last < 0 => (count + 1).saturating_sub(usize::from(last.unsigned_abs())),
            last => count.min(last as usize + 1),
        };
        let fixed = (usize::from(self.first)..end).step_by(usize::from(self.step.max(1)));
        fixed.chain(self.counted_positions(arguments))
    }

    /// The positions of the keys that an argument counts: none if it is no number, and no more than there are arguments.
    fn counted_positions(self, arguments: Arguments<'_>) -> std::ops::Range<usize> {
        if self.count == 0 {
            return 0..0;
        }
        let start = usize::from(self.count) + 1;
        let counted = arguments.get(start - 1).and_then(parse_integer);
        let counted = counted.and_then(|counted| usize::try_from(counted).ok()).unwrap_or(0);
        start..start.saturating_add(counted).min(arguments.len()).max(start)
    }

    /// Whether there are as many keys as the argument says that counts them, if one does, and at least one.
    pub fn are_counted_well(self, arguments: Arguments<'_>) -> bool {
        let counted = || arguments.get(usize::from(self.count)).and_then(parse_integer);
        self.count == 0
            || counted().is_some_and(|counted| {
                counted > 0 && counted as usize == self.counted_positions(arguments).len()
            })
    }

    /// The position of the first key in these arguments, if they name any.
    #[inline]
    pub fn first_position(self, arguments: Arguments<'_>) -> Option<usize> {
        match self.first {
            0 if self.count == 0 => None,
            0 => self.counted_positions(arguments).next(),
            first => (usize::from(first) < arguments.len()).then_some(usize::from(first)),
        }
    }

    /// Whether a request names exactly one key.
    #[inline]
    pub fn is_one(self) -> bool {
        self.count == 0 && i32::from(self.last) == i32::from(self.first)
    }
}

/// One row of the command table.
#[derive(Debug)]
pub struct Command {
    /// The name in lower case; of a subcommand only its own word.
    pub name: &'static str,
    /// The arguments after the name, in the notation of Redis' documentation: `key [EX seconds | PX milliseconds]`,
    /// `<A | B>` for a required choice, `...` after a part that may be repeated.
    pub syntax: &'static str,
    /// A sentence that says what it does.
    pub summary: &'static str,
    /// Its cost, in O notation.
    pub complexity: &'static str,
    /// The version of Redis (or, as `Quartet 0.1.0`, of this server) that brought it.
    pub since: &'static str,
    /// Since when another command is to be used in its place, if Redis says so.
    pub deprecated: Option<Deprecated>,
    /// The family it belongs to.
    pub group: Group,
    /// See [`Flags`].
    pub flags: Flags,
    /// Where its keys are.
    pub keys: Keys,
    /// How a request uses its key of an index, where that depends on its arguments.
    pub access_in: Option<fn(Arguments<'_>, usize) -> KeyAccess>,
    /// Where the parts are that it looks for in the value of its first key.
    pub parts: Parts,
    /// Hides the arguments of a request that others may not see; the slow log and MONITOR show the rest.
    pub hide_secrets: fn(&mut ShownArguments<'_>),
    /// Finds the keys of a request that are not among its arguments: the policies of the limiter name them.
    pub find_keys: Option<fn(Arguments<'_>, &Services) -> FoundKeys>,
    /// Whether a request of an [exclusive](Flags::EXCLUSIVE) command needs the gate alone, where only some do.
    pub needs_store: fn(Arguments<'_>) -> bool,
    /// Whether its first argument is a subject that streams may keep, so that it waits while they have more to write than they can.
    pub may_be_stored: bool,
    /// Does it.
    pub handler: Handler,
    /// Subcommands, if the name is that of a family, like CLIENT.
    pub subcommands: &'static [Command],
}

/// That a command has had its day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deprecated {
    /// The version of Redis that says so.
    pub since: &'static str,
    /// What to use, in Redis' words.
    pub replaced_by: &'static str,
}

impl Command {
    /// The start of a row: `Command { name: …, ..Command::ROW }`.
    pub const ROW: Command = Command {
        name: "",
        syntax: "",
        summary: "",
        complexity: "O(1)",
        since: "1.0.0",
        deprecated: None,
        group: Group::Generic,
        flags: Flags::empty(),
        keys: Keys::NONE,
        access_in: None,
        parts: Parts::NONE,
        hide_secrets: |_| (),
        find_keys: None,
        needs_store: |_| true,
        may_be_stored: false,
        handler: Handler::Data(missing_subcommand),
        subcommands: &[],
    };
}

/// The handler of a family's own name, which needs a subcommand.
fn missing_subcommand(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    Err(Refusal::wrong_arity(&call.row.name))
}

#[cfg(test)]
mod tests {
    use quartet_protocol::resp::OwnedArguments;

    use super::{KeyAccess, Keys};

    #[test]
    fn counted_keys_follow_their_number() {
        let positions = |keys: Keys, words: &[&str]| {
            let request =
                OwnedArguments::from_slices(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
            let positions: Vec<usize> = keys.positions(request.as_arguments()).collect();
            assert_eq!(keys.first_position(request.as_arguments()), positions.first().copied());
            positions
        };
        let eval = Keys::counted(2, KeyAccess::ReadWriteAccessUpdate);
        assert_eq!(positions(eval, &["eval", "script", "2", "a", "b", "argument"]), [3, 4]);
        assert_eq!(positions(eval, &["eval", "script", "0", "argument"]), [0; 0]);
        for odd in ["-1", "many", "9223372036854775808"] {
            assert_eq!(positions(eval, &["eval", "script", odd, "a"]), [0; 0]);
        }
        assert_eq!(positions(eval, &["eval", "script", "9223372036854775807", "a"]), [3]);
        assert_eq!(positions(eval, &["eval", "script"]), [0; 0]);
        let union = Keys::destination_and_counted(KeyAccess::OverwriteUpdate, KeyAccess::ReadAccess);
        assert_eq!(positions(union, &["zunionstore", "to", "2", "a", "b", "WEIGHTS"]), [1, 3, 4]);
        assert_eq!(union.access_at(1), KeyAccess::OverwriteUpdate);
        assert_eq!(union.access_at(3), KeyAccess::ReadAccess);
        assert!(Keys::NONE.are_none() && !eval.are_none() && !union.is_one());
    }
}
