//! Error replies, counted by code.

use std::collections::BTreeMap;

use crate::lock_order::{Mutex, rank};

/// The most error codes told apart; there are far fewer, but scripts may make up their own.
const CODES_MAX: usize = 128;

/// One thread's error replies by code.  The lock is that thread's nearly always, and only errors pay for it.
#[derive(Debug, Default)]
pub struct ErrorCounts {
    by_code: Mutex<BTreeMap<String, u64>, { rank::ERROR_COUNTS }>,
}

impl ErrorCounts {
    /// Counts an error reply.
    pub fn count(&self, code: &str) {
        let mut by_code = self.by_code.lock();
        if let Some(count) = by_code.get_mut(code) {
            *count += 1;
        } else if by_code.len() < CODES_MAX {
            by_code.insert(code.to_owned(), 1);
        }
    }

    pub(super) fn add_to(&self, sum: &mut BTreeMap<String, u64>) {
        for (code, count) in &*self.by_code.lock() {
            *sum.entry(code.clone()).or_default() += count;
        }
    }

    pub(super) fn reset(&self) {
        self.by_code.lock().clear();
    }
}
