//! How a receiver is asked to end.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// See the module's text.  A request takes the place of those above it, never of those below.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Ending {
    /// It was not asked to end.
    Open,
    /// It is to end once everything is written.
    Finishing,
    /// It is to end without waiting for its client.
    Closing,
    /// The same, since it is too slow.
    CutOff,
}

/// The last request.
pub(super) struct End(AtomicU8);

impl Default for End {
    fn default() -> End {
        End(AtomicU8::new(Ending::Open as u8))
    }
}

impl End {
    /// Asks the receiver to end.
    pub(super) fn ask(&self, ending: Ending) {
        self.0.fetch_max(ending as u8, Relaxed);
    }

    /// Whether it was asked to end in this way or a stronger one.
    #[inline]
    pub(super) fn is(&self, ending: Ending) -> bool {
        self.0.load(Relaxed) >= ending as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_request_stays() {
        let end = End::default();
        let state = || [Ending::Finishing, Ending::Closing, Ending::CutOff].map(|ending| end.is(ending));
        assert_eq!(state(), [false, false, false]);
        end.ask(Ending::Closing);
        end.ask(Ending::Finishing);
        assert_eq!(state(), [true, true, false]);
        end.ask(Ending::CutOff);
        end.ask(Ending::Closing);
        assert_eq!(state(), [true, true, true]);
    }
}
