//! What takes long to free is freed by a thread of its own, so that no client waits for it.
//!
//! Millions of small blocks take the allocator seconds.  Whoever removes a large value takes it out of the store under a lock and
//! hands it on at the end of its batch ([`free`]), whatever command removed it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;

use crate::allocator;

/// Fewer bytes are freed at once: waking a thread would take longer.
const HANDED_OVER_MIN: usize = 256 * 1024;

/// The most bytes that may wait to be freed.  Beyond that a thread frees what it has removed itself, so that clients cannot remove
/// faster than memory becomes free.
const WAITING_MAX: usize = 1024 * 1024 * 1024;

/// The server's thread, once it has started.
static FREER: OnceLock<Freer> = OnceLock::new();

/// Removed contents, and how many bytes they take.
type Removed = (Box<dyn Send>, usize);

/// A thread that frees what it is given.
struct Freer {
    queue: Sender<Removed>,
    /// Bytes that wait.
    waiting: Arc<AtomicUsize>,
}

/// Starts the thread that frees.  Without it each thread frees what it has removed.
///
/// # Errors
/// If the system has no more threads.
pub fn start() -> io::Result<()> {
    let freer = Freer::start()?;
    FREER.get_or_init(|| freer);
    Ok(())
}

/// Frees contents of about so many bytes, soon or at once.  No lock may be held.
pub fn free(contents: Box<dyn Send>, bytes: usize) {
    match FREER.get() {
        Some(freer) => freer.free(contents, bytes),
        None => free_here(contents, bytes),
    }
}

/// Little memory goes back with that of others.
fn free_here(contents: Box<dyn Send>, bytes: usize) {
    drop(contents);
    if bytes >= HANDED_OVER_MIN {
        allocator::ask_for_purge();
    }
}

impl Freer {
    fn start() -> io::Result<Freer> {
        let (queue, removed): (_, Receiver<Removed>) = channel();
        let waiting = Arc::<AtomicUsize>::default();
        let freed = Arc::clone(&waiting);
        thread::Builder::new().name("free".into()).spawn(move || {
            for (contents, bytes) in removed {
                free_here(contents, bytes);
                freed.fetch_sub(bytes, Ordering::Relaxed);
            }
        })?;
        Ok(Freer { queue, waiting })
    }

    fn free(&self, contents: Box<dyn Send>, bytes: usize) {
        if bytes < HANDED_OVER_MIN {
            return free_here(contents, bytes);
        }
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before + bytes > WAITING_MAX {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return free_here(contents, bytes);
        }
        // The thread never ends; if it did, the contents would come back in the error and be freed here.
        let _ = self.queue.send((contents, bytes));
    }
}

#[cfg(test)]
mod tests {
    use std::thread::ThreadId;

    use super::*;

    /// Tells who frees it, once it may be freed.
    struct Contents(Sender<ThreadId>, Option<Receiver<()>>);

    impl Drop for Contents {
        fn drop(&mut self) {
            if let Some(gate) = self.1.take() {
                let _ = gate.recv();
            }
            let _ = self.0.send(thread::current().id());
        }
    }

    #[test]
    fn large_contents_are_freed_by_the_thread_until_too_much_waits() {
        let freer = Freer::start().expect("a thread can be started");
        let here = thread::current().id();
        let ((tell, told), (open, gate)) = (channel(), channel());
        let mut gate = Some(gate);
        let mut contents = || Box::new(Contents(tell.clone(), gate.take()));
        freer.free(contents(), WAITING_MAX + 1);
        freer.free(contents(), HANDED_OVER_MIN - 1);
        assert_eq!(told.recv(), Ok(here), "little is freed at once");
        freer.free(contents(), HANDED_OVER_MIN);
        assert_eq!(told.recv(), Ok(here), "too much waits");
        open.send(()).expect("the thread waits");
        assert_ne!(told.recv(), Ok(here), "the first one is freed by the thread, however large it is");
        while freer.waiting.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
        }
        freer.free(contents(), HANDED_OVER_MIN);
        freer.free(contents(), WAITING_MAX - HANDED_OVER_MIN);
        assert!((0..2).all(|_| told.recv() != Ok(here)), "as much as may wait");
    }
}
