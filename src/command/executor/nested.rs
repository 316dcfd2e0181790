//! A command inside another one: it runs under the locks that the outer one holds, and takes none.

use quartet_protocol::resp::{Arguments, Output};

use super::{instrumentation, lookup};
use crate::clock;
use crate::command::{Call, Caller, Client, Flags, Handler, KeyAccess, Row};
use crate::refusal::Refusal;

/// The services whose commands change nothing but keys, which can be given back what they held.
const UNDONE_SERVICES: &[&str] = &["cache", "server"];

/// What the commands inside another one may do, and what they have done.
#[derive(Default)]
pub struct Inside {
    /// They may not write.
    pub is_readonly: bool,
    /// They may take memory although there is too little.
    pub allows_oom: bool,
    /// They have done what cannot be undone, which only happens while the store is held alone.
    pub is_lasting: bool,
}

/// What became of a command inside another one.
#[derive(PartialEq, Eq, Debug)]
pub enum Executed {
    /// Its reply is written.
    Done,
    /// The error reply that says why not is written.
    Refused,
    /// Nothing is written, and what has happened can be undone: it needs more than the keys of the outer command, or writes what could
    /// not be undone, so the outer command needs the store alone.
    NeedsStore,
}

impl<'s> Call<'_, 's> {
    /// Whether the commands inside this one have written anything.
    pub fn has_written(&self, inside: &Inside) -> bool {
        inside.is_lasting || self.keyspace.has_kept()
    }

    /// Runs another command inside this one, as a script does, and writes its one reply to `output`.
    ///
    /// It runs at the time of this command, for `caller`, whose database it uses, and under the locks that this command
    /// holds.  Refused before anything has happened is a command that works on a connection or is not allowed in scripts.
    ///
    /// This command must not have written its reply yet: if the inner reply has to wait for the disk, this one does instead.
    pub fn execute(
        &mut self,
        caller: &mut Caller,
        arguments: Arguments<'_>,
        output: &mut Output,
        inside: &mut Inside,
    ) -> Executed {
        let held = std::mem::take(&mut self.continuation.held);
        // Nothing may come in between, whatever the caller allows elsewhere.
        let may_block = std::mem::replace(&mut caller.may_block, false);
        let mut inner = Call { caller: &mut *caller, output, ..self.reborrow() };
        let executed = match inner.allowed_in_script(arguments, inside) {
            Ok(row) => match inner.prepare(row, arguments, inside) {
                Some(first_hash) => {
                    let outer = std::mem::replace(&mut inner.keyspace.database, inner.caller.database);
                    let request = (arguments, first_hash);
                    let is_done = inner.run_covered(row, None, request, &mut clock::ticks());
                    inner.keyspace.database = outer;
                    match is_done {
                        _ if inner.keyspace.lacks_undo() => Executed::NeedsStore,
                        true => Executed::Done,
                        false => Executed::Refused,
                    }
                }
                None => Executed::NeedsStore,
            },
            Err(refusal) => {
                inner.refuse(&refusal);
                Executed::Refused
            }
        };
        caller.may_block = may_block;
        let mut held_inside = std::mem::replace(&mut self.continuation.held, held);
        if let Some(last) = held_inside.pop() {
            // This command acts on the inner reply at once, so there is no promise to write anew.
            match self.continuation.held.last_mut().filter(|held| held.is_open()) {
                Some(open) => open.barrier = last.barrier,
                None => self.delay_reply(last.barrier),
            }
        }
        executed
    }

    /// The row of a request, if a script may say it.
    fn allowed_in_script(&self, arguments: Arguments<'_>, inside: &Inside) -> Result<&'s Row, Refusal> {
        let services = self.services;
        let row = lookup::find_row(services, arguments).ok_or(Refusal::UNKNOWN_IN_SCRIPT)?;
        let names_no_subcommand = !row.subcommands.is_empty() && arguments.len() > 1;
        if names_no_subcommand {
            return Err(Refusal::UNKNOWN_IN_SCRIPT);
        }
        if !row.accepts(arguments.len()) {
            return Err(Refusal::WRONG_ARITY_IN_SCRIPT);
        }
        let flags = row.command.flags;
        if flags.contains(Flags::NOSCRIPT) {
            return Err(Refusal::NOT_IN_SCRIPTS);
        }
        if matches!(row.command.handler, Handler::Session(_)) {
            return Err(Refusal::NEEDS_CONNECTION);
        }
        if inside.is_readonly && flags.intersects(Flags::WRITE.union(Flags::TELLS_OTHERS)) {
            return Err(Refusal::WRITE_IN_READONLY_SCRIPT);
        }
        // Nothing can be evicted under the locks that are held.
        let limit = self.settings.maxmemory;
        // Once something is written, the rest is let through, so that nothing stays half done.
        let may_need_memory =
            limit != 0 && flags.contains(Flags::DENYOOM) && !inside.allows_oom && !self.has_written(inside);
        if may_need_memory && services.store.evictable_memory() > limit {
            return Err(Refusal::OUT_OF_MEMORY);
        }
        Ok(row)
    }

    /// Whether the locks that are held are all that the command needs, and what it will do can be undone: then the hash of its
    /// first key, if it is known.  With the store held alone it runs even so, and `inside` notes that not all can be undone.
    fn prepare(&mut self, row: &Row, arguments: Arguments<'_>, inside: &mut Inside) -> Option<Option<u64>> {
        let (flags, group) = (row.command.flags, row.command.group.facts());
        let is_alone = self.keyspace.is_exclusive();
        // What cannot be undone as a whole need not be kept in parts.
        if is_alone && (flags.contains(Flags::READONLY) || inside.is_lasting) {
            return Some(None);
        }
        let may_be_undone = flags.contains(Flags::READONLY) || UNDONE_SERVICES.contains(&group.service);
        let looks_beyond = flags.contains(Flags::SELF_LOCKING) || row.needs_store(arguments);
        let first_hash = match may_be_undone && !looks_beyond {
            true => self.keep(row, arguments),
            false => None,
        };
        if is_alone && first_hash.is_none() {
            inside.is_lasting = true;
            self.keyspace.end_undo();
            return Some(None);
        }
        first_hash
    }

    /// Keeps what the command's keys hold if it may write to them, and returns the hash of the first one, if there is one; none
    /// if a key is not locked or cannot be kept.
    fn keep(&mut self, row: &Row, arguments: Arguments<'_>) -> Option<Option<u64>> {
        let (store, database) = (&self.services.store, self.caller.database);
        let is_alone = self.keyspace.is_exclusive();
        // What is only removed is kept by the removal itself, without a copy; alone it must be known before whether that can be.
        let only_removes = row.command.keys.access == KeyAccess::RemoveDelete && !is_alone;
        let is_copied = row.command.flags.contains(Flags::WRITE) && !only_removes;
        let outer = std::mem::replace(&mut self.keyspace.database, database);
        let mut keep = |position| {
            let key = store.key(arguments.at(position));
            let is_locked = is_alone || self.keyspace.has_locked(&key);
            let is_kept = is_locked && (!is_copied || self.keyspace.keep(database, &key).is_ok());
            is_kept.then_some(key.hash)
        };
        let keys = row.command.keys;
        let first_hash = match keys.first_position(arguments) {
            Some(first) if keys.is_one() => keep(first).map(Some),
            Some(_) => keys.positions(arguments).try_fold(None, |first_hash, position| {
                let hash = keep(position)?;
                Some(Some(first_hash.unwrap_or(hash)))
            }),
            None => Some(None),
        };
        self.keyspace.database = outer;
        first_hash
    }

    /// Runs a command inside this one, for the same caller and with the same output; false if it was refused.  `ticks`
    /// are as in [`instrumentation::run`].
    pub(super) fn run_nested(
        &mut self,
        row: &'s Row,
        client: Option<&mut Client>,
        arguments: Arguments<'_>,
        ticks: &mut u64,
    ) -> bool {
        let outer = std::mem::replace(&mut self.keyspace.database, self.caller.database);
        let covered = self.covered(row, arguments);
        let is_done = match covered {
            Ok(first_hash) => self.run_covered(row, client, (arguments, first_hash), ticks),
            Err(refusal) => {
                self.refuse(&refusal);
                false
            }
        };
        self.keyspace.database = outer;
        is_done
    }

    /// The same of a command that the locks cover, in the caller's database.
    fn run_covered(
        &mut self,
        row: &'s Row,
        client: Option<&mut Client>,
        (arguments, first_hash): (Arguments<'_>, Option<u64>),
        ticks: &mut u64,
    ) -> bool {
        if self.keyspace.is_exclusive() {
            // A command that locks shards itself must find none locked.
            self.keyspace.unlock();
        }
        let mut inner = Call { arguments, row, first_hash, ..self.reborrow() };
        !instrumentation::run(&mut inner, client, ticks, None).failed
    }

    /// The hash of the first key of a command, if the locks that are held are all that the command needs.
    fn covered(&self, row: &Row, arguments: Arguments<'_>) -> Result<Option<u64>, Refusal> {
        if self.keyspace.is_exclusive() {
            return Ok(None);
        }
        if row.command.flags.contains(Flags::SELF_LOCKING) || row.needs_store(arguments) {
            return Err(Refusal::NEEDS_WHOLE_STORE);
        }
        let mut first_hash = None;
        for position in row.command.keys.positions(arguments) {
            let key = self.services.store.key(arguments.at(position));
            if !self.keyspace.has_locked(&key) {
                return Err(Refusal::UNDECLARED_KEY);
            }
            first_hash.get_or_insert(key.hash);
        }
        Ok(first_hash)
    }
}
