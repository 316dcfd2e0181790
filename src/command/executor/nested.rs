//! A command inside another one: it runs under the locks that the outer one holds, and takes none.

use quartet_protocol::resp::{Arguments, Output};

use super::{instrumentation, lookup};
use crate::clock;
use crate::command::{Call, Caller, Client, Flags, Handler, Row};
use crate::refusal::Refusal;

impl<'s> Call<'_, 's> {
    /// Runs another command inside this one, as a script does, and writes its one reply to `output`; false if it was
    /// refused.
    ///
    /// It runs at the time of this command, for `caller`, whose database it uses, and under the locks that this command
    /// holds.  Refused before anything has happened are: a key whose shard is not locked, a command that works on a
    /// connection or is not allowed in scripts, and one that looks beyond its keys unless this command has the store
    /// alone.
    ///
    /// This command must not have written its reply yet: if the inner reply has to wait for the disk, this one does instead.
    pub fn execute(&mut self, caller: &mut Caller, arguments: Arguments<'_>, output: &mut Output) -> bool {
        let held = std::mem::take(&mut self.continuation.held);
        // Nothing may come in between, whatever the caller allows elsewhere.
        let may_block = std::mem::replace(&mut caller.may_block, false);
        let mut inner = Call { caller: &mut *caller, output, ..self.reborrow() };
        let is_done = match inner.allowed_in_script(arguments) {
            Ok(row) => inner.run_nested(row, None, arguments, &mut clock::ticks()),
            Err(refusal) => {
                inner.refuse(&refusal);
                false
            }
        };
        caller.may_block = may_block;
        let held_inside = std::mem::replace(&mut self.continuation.held, held);
        if let Some(last) = held_inside.into_iter().next_back() {
            // This command acts on the inner reply at once, so there is no promise to write anew.
            match self.continuation.held.last_mut().filter(|held| held.is_open()) {
                Some(open) => open.barrier = last.barrier,
                None => self.delay_reply(last.barrier),
            }
        }
        is_done
    }

    /// The row of a request, if a script may say it.
    fn allowed_in_script(&self, arguments: Arguments<'_>) -> Result<&'s Row, Refusal> {
        let services = self.services;
        let row = lookup::resolve(services, arguments)?;
        let flags = row.command.flags;
        if flags.contains(Flags::NOSCRIPT) {
            return Err(Refusal::NOT_IN_SCRIPTS);
        }
        if matches!(row.command.handler, Handler::Session(_)) {
            return Err(Refusal::NEEDS_CONNECTION);
        }
        // Nothing can be evicted under the locks that are held.
        let limit = self.settings.maxmemory;
        if limit != 0 && flags.contains(Flags::DENYOOM) && services.store.evictable_memory() > limit {
            return Err(Refusal::OUT_OF_MEMORY);
        }
        Ok(row)
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
        let first_hash = match self.covered(row, arguments) {
            Ok(first_hash) => first_hash,
            Err(refusal) => {
                self.keyspace.database = outer;
                self.refuse(&refusal);
                return false;
            }
        };
        if self.keyspace.is_exclusive() {
            // A command that locks shards itself must find none locked.
            self.keyspace.unlock();
        }
        let mut inner = Call { arguments, row, first_hash, ..self.reborrow() };
        let failed = instrumentation::run(&mut inner, client, ticks).failed;
        self.keyspace.database = outer;
        !failed
    }

    /// The hash of the first key of a command, if the locks that are held are all that the command needs.
    fn covered(&self, row: &Row, arguments: Arguments<'_>) -> Result<Option<u64>, Refusal> {
        if self.keyspace.is_exclusive() {
            return Ok(None);
        }
        if row.command.flags.intersects(Flags::EXCLUSIVE.union(Flags::SELF_LOCKING)) {
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
