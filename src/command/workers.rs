//! The way to threads whose long turns hold nobody up, for those that are not watched themselves.

use super::executor::Executor;

/// Work of another thread that may take long.
pub type Work = Box<dyn FnOnce(&mut Executor) + Send>;

/// Threads that do such work.
pub trait Workers: Send + Sync {
    /// Has one of them do this, each time that it is called; it may drop the work undone while the server stops.
    fn give_work(&self, work: Work);
}
