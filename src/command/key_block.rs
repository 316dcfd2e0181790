//! A command that waits until keys hold something: how it is blocked, and how its client gets the answer.

use std::sync::Arc;
use std::task::{Poll, Waker};

use quartet_protocol::resp::Output;

use super::{
    BlockedCommand, Call, Continuation, Encoder, Flow, KeyWait, KeyWaiters, NotLocked, Servable, Services,
};
use crate::delivery::Effects;
use crate::store::{Key, Keyspace, WaiterId};
use crate::wait::{Mailbox, Ticket};

/// What a command does with a key that it has waited for.
pub trait KeyAction: Send + 'static {
    /// What its client is told.
    type Answer: KeyAnswer;

    /// A further key that it writes.
    fn writes_to(&self) -> Option<&[u8]> {
        None
    }

    /// Does the work.  The key holds a value of the type that the command waits for, and its shard is locked, as is that of
    /// [`KeyAction::writes_to`].
    fn act(&mut self, key: &Key<'_>, keyspace: &mut Keyspace<'_>) -> Self::Answer;
}

/// What a command has taken from a key that it has waited for.
pub trait KeyAnswer: Send + 'static {
    /// The database and the key that it was taken from; none if there is nothing to give back.
    fn origin(&self) -> Option<(usize, &[u8])>;

    /// Gives it back to the key it was taken from, whose shard is locked, since its client has gone before it was told.
    fn give_back(self, key: &Key<'_>, keyspace: &mut Keyspace<'_>);
}

/// How a wait ends.
enum Ended<A> {
    Served(A),
    TimedOut,
}

/// The server's end of a wait.
struct ServerEnd<K: KeyAction> {
    action: K,
    mailbox: Arc<Mailbox<Ended<K::Answer>>>,
    /// What the client has not taken, since it has gone.
    returned: Option<K::Answer>,
}

/// The client's end of it.
struct ClientEnd<A, E> {
    ticket: Ticket<Ended<A>>,
    encoder: E,
}

impl Call<'_, '_> {
    /// Leaves the command without a reply until one of its keys, whose shards are locked, holds a value of the type that is
    /// waited for, and `action` is done with it.  Later requests of the client wait.
    pub fn block_on_keys<K: KeyAction>(
        &mut self,
        wait: KeyWait,
        action: K,
        encoder: impl Encoder<K::Answer>,
    ) {
        debug_assert!(self.may_wait());
        if let Some(deadline) = wait.deadline {
            self.effects.set_deadline(deadline.saturating_mul(1000));
        }
        let mailbox = Arc::<Mailbox<_>>::default();
        let servable = ServerEnd { action, mailbox: Arc::clone(&mailbox), returned: None };
        let id = self.services.key_waiters.add(Box::new(servable), wait, self.keyspace);
        let ticket = Ticket::with_mailbox(id.0, mailbox);
        self.continuation.blocked = Some(Box::new(ClientEnd { ticket, encoder }));
        self.continuation.flow = Flow::Wait;
    }
}

impl<K: KeyAction> Servable for ServerEnd<K> {
    fn writes_to(&self) -> Option<&[u8]> {
        self.action.writes_to()
    }

    fn serve(&mut self, key: &Key<'_>, keyspace: &mut Keyspace<'_>) {
        let answer = self.action.act(key, keyspace);
        if let Err(Ended::Served(answer)) = self.mailbox.fill(Ended::Served(answer)) {
            self.returned = Some(answer);
        }
    }

    fn time_out(&mut self) {
        // A client that has gone need not be told.
        let _ = self.mailbox.fill(Ended::TimedOut);
    }

    fn finish(&mut self, waiters: &KeyWaiters, keyspace: &mut Keyspace<'_>) {
        match self.returned.take() {
            Some(answer) => give_back(answer, waiters, keyspace),
            None => self.mailbox.wake(),
        }
    }
}

impl<A: KeyAnswer, E: Encoder<A>> BlockedCommand for ClientEnd<A, E> {
    fn poll(&mut self, waker: &Waker, output: &mut Output, continuation: &mut Continuation) -> Poll<()> {
        self.ticket.poll(waker).map(|ended| match ended {
            Ended::Served(answer) => self.encoder.write(answer, output, continuation),
            Ended::TimedOut => self.encoder.write_timeout(output),
        })
    }

    fn write_timeout(&self, output: &mut Output) {
        self.encoder.write_timeout(output);
    }

    fn cancel(&self, services: &Services, keyspace: &mut Keyspace<'_>, _: &mut Effects) {
        // A waiter that is not in the table any more was served, or is being served just now.
        let is_removed = services.key_waiters.remove(WaiterId(self.ticket.id()), keyspace);
        if let Some(Ended::Served(answer)) = self.ticket.close()
            && !is_removed
        {
            give_back(answer, &services.key_waiters, keyspace);
        }
    }

    fn cut_short(&mut self, services: &Services, keyspace: &mut Keyspace<'_>, _: &mut Effects) -> bool {
        services.key_waiters.remove(WaiterId(self.ticket.id()), keyspace)
    }
}

/// Gives back what a client will not hear of, and serves those who wait for it before any other command.  No shard is locked.
fn give_back<A: KeyAnswer>(answer: A, waiters: &KeyWaiters, keyspace: &mut Keyspace<'_>) {
    let Some((database, key)) = answer.origin() else { return };
    let (store, bytes) = (keyspace.store(), Box::<[u8]>::from(key));
    let key = store.key(&bytes);
    let outer = std::mem::replace(&mut keyspace.database, database);
    let shard = store.shard_of(database, key.hash);
    let mut is_locked = keyspace.lock_many_unless_held(&mut [shard]).is_ok();
    if is_locked && waiters.have_further_keys() {
        // Of too many further keys some are locked later, by `KeyWaiters::serve`.
        let further = waiters.lock_further(keyspace, &[shard], &[(database, bytes.clone())]);
        is_locked = !matches!(further, Err(NotLocked::Held(_)));
    }
    if is_locked {
        answer.give_back(&key, keyspace);
        let served = waiters.serve_locked(keyspace);
        keyspace.unlock();
        waiters.finish(served, keyspace);
    } else {
        waiters.postpone(Box::new(move |waiters, keyspace| give_back(answer, waiters, keyspace)));
    }
    keyspace.database = outer;
}
