//! Models of code that threads share without a common mutex: every order of their steps is tried.
//!
//! A model compiles the file it is about once more, here, with loom's primitives in place of those of `src/sync` and
//! `src/lock_order` (`primitives`).  loom then runs a few threads through that code in every order, and with every
//! value that the memory orderings allow a load to see.  A lost wake-up shows as a deadlock, a missing ordering as a
//! data race.  Each model was seen to fail with a step or an ordering taken out; its text says which.
//!
//! The models are a crate of their own since the files name their neighbours as `crate::…`.

mod changes_model;
mod mailbox_model;
mod parking;
mod primitives;
mod shard_lock_model;
mod wakeups_model;

#[path = "../../src/delivery/interest/changes.rs"]
mod changes;
#[expect(unreachable_pub, reason = "the file belongs to a library")]
#[path = "../../src/wait/mailbox.rs"]
mod mailbox;
#[expect(dead_code, reason = "the model needs the lock alone")]
#[path = "../../src/store/shard_lock.rs"]
mod shard_lock;
#[path = "../../src/net/wakeups.rs"]
mod wakeups;

use primitives::{lock_order, poll_waker, sync};

/// Switches of a thread that is able to run, in one run of a model.  Nearly all faults need two or fewer, and all orders of
/// longer models would take minutes.
const PREEMPTIONS_MAX: usize = 3;

/// Runs `model` in all orders.
fn try_all_orders(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS_MAX);
    builder.check(model);
}
