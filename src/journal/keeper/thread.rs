//! The keeper's thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Keeper;

/// How often changes are copied.
const INTERVAL: Duration = Duration::from_millis(500);

/// A keeper on a thread of its own, which acts twice a second, and at once when a service needs the journal made.
pub struct KeeperThread {
    handle: JoinHandle<()>,
    is_stopping: Arc<AtomicBool>,
}

impl KeeperThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(keeper: Keeper) -> io::Result<KeeperThread> {
        let is_stopping = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&is_stopping);
        let journal = Arc::clone(&keeper.handle);
        let handle = thread::Builder::new().name("keeper".to_owned()).spawn(move || {
            let mut keeper = keeper;
            // The first requests of clients need not share cores and disk with the snapshot that replaces old files.
            keeper.tend();
            thread::park_timeout(INTERVAL);
            while !stopping.load(Ordering::Acquire) {
                keeper.tick();
                thread::park_timeout(INTERVAL);
            }
            keeper.close();
        })?;
        journal.set_keeper(handle.thread().clone());
        Ok(KeeperThread { handle, is_stopping })
    }

    /// Writes the remaining changes, once no client is served any more, and ends.
    pub fn stop(self) {
        self.is_stopping.store(true, Ordering::Release);
        self.handle.thread().unpark();
        // A panic of the thread has been reported, and there is nothing left to do about it.
        let _ = self.handle.join();
    }
}
