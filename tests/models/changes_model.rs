//! The generations of subjects: a remembered lookup that still holds is what a new one would find.

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

use super::changes::{Generations, Slots};
use super::try_all_orders;

/// Nobody takes the lock of a tree without wildcards, nor that of exact subjects without sinks, so their number stands for what
/// a lookup finds.  `change` notes that it has changed: a subscriber or a sink has come, and another thread publishes.
fn check(change: fn(&Generations)) {
    try_all_orders(move || {
        let shared = Arc::new((Generations::default(), AtomicUsize::new(0)));
        let subscriber = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (generations, receivers) = &*shared;
                receivers.store(1, Relaxed);
                change(generations);
            })
        };
        let ((generations, receivers), slots) = (&*shared, Slots::of(0, 0));
        let remembered = (generations.sum(slots), receivers.load(Relaxed));
        subscriber.join().expect("the subscriber ends");
        let now = (generations.sum(slots), receivers.load(Relaxed));
        assert!(now.0 != remembered.0 || now.1 == remembered.1, "the publisher misses somebody");
    });
}

/// Fails if the generation rises before the change, if the publisher looks up before it takes the generations, or if
/// generations are read or changed with relaxed ordering.
#[test]
fn a_remembered_lookup_that_holds_is_what_a_new_one_finds() {
    check(|generations| generations.change_first_token(b"news", 0));
    check(|generations| generations.change_subject(b"news", 0));
    check(Generations::change_any);
}
