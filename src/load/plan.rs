//! What a run does with one server: the connections it needs, what comes before and after, and what is said over them.

use super::target::Target;
use super::traffic::Traffic;

/// The connections of one thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) thread: usize,
    pub(super) threads: usize,
    /// The first of them among those of all threads.
    pub(super) first: usize,
    pub(super) count: usize,
}

/// A workload with all its options, for one server.
pub(super) trait Plan: Sync {
    /// How many connections it needs.
    fn connections(&self) -> usize;

    /// So many connections in a row belong together, and so on one thread.
    fn group(&self) -> usize {
        1
    }

    /// Makes the server ready.
    ///
    /// # Errors
    /// If it cannot be.
    fn prepare(&self, _target: &Target) -> Result<(), String> {
        Ok(())
    }

    /// What a broker is told on a connection before the run begins.
    fn greeting(&self, _connection: usize) -> Vec<u8> {
        Vec::new()
    }

    /// The conversation over the connections of one thread.
    fn traffic(&self, share: Share) -> Box<dyn Traffic>;

    /// Microseconds for which the server may say nothing because it was asked to, as while a lock is held or waited for.
    fn silence(&self) -> u64 {
        0
    }

    /// Takes away what [`Plan::prepare`] has made.
    ///
    /// # Errors
    /// If that fails.
    fn clean_up(&self, _target: &Target) -> Result<(), String> {
        Ok(())
    }

    /// The words that are used with this server, if not all servers have the same.
    fn words(&self) -> Option<&'static str> {
        None
    }
}
