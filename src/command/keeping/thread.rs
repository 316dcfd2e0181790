//! The thread that keeps the limits.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::LimitKeeper;

/// How often what has changed is written.
const INTERVAL: Duration = Duration::from_millis(500);

/// See the head of the file.
pub struct KeeperThread {
    handle: JoinHandle<()>,
    is_stopping: Arc<AtomicBool>,
}

impl KeeperThread {
    /// Lets a keeper write what has changed, twice a second, and make the journal as soon as somebody waits for it.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn start(keeper: LimitKeeper) -> io::Result<KeeperThread> {
        let is_stopping = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&is_stopping);
        let services = Arc::clone(&keeper.services);
        let handle = thread::Builder::new().name("limits keeper".to_owned()).spawn(move || {
            let mut keeper = keeper;
            while !stopping.load(Ordering::Acquire) {
                keeper.keep();
                thread::park_timeout(INTERVAL);
            }
            keeper.close();
        })?;
        services.limits.keeping.set_keeper(handle.thread().clone());
        Ok(KeeperThread { handle, is_stopping })
    }

    /// Writes all that is left once nobody changes anything any more, and ends.
    pub fn stop(self) {
        self.is_stopping.store(true, Ordering::Release);
        self.handle.thread().unpark();
        // A panic of the thread has been reported, and there is nothing left to do about it.
        let _ = self.handle.join();
    }
}
