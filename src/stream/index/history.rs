//! Where the messages of a subject begin and end, and with few messages a subject, all their sequences.

/// One end of the sequences of a subject.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// The sequence of the message there.
    pub sequence: u64,
    /// Whether that message is still stored.  If not, the end lies further inside and storage has to be asked.
    pub is_exact: bool,
}

/// What is known of the messages of a subject.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// How many are stored; at least one.
    pub count: u64,
    /// The oldest of them is here or behind.
    pub first: End,
    /// The newest of them is here or before.
    pub last: End,
}

/// The same in few bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    /// The count, and in its top bits whether the ends are not exact.
    count: u64,
    first: u64,
    last: u64,
}

const FIRST_IS_GONE: u64 = 1 << 63;
const LAST_IS_GONE: u64 = 1 << 62;
const COUNT: u64 = LAST_IS_GONE - 1;

impl Ends {
    pub(super) fn count(&self) -> u64 {
        self.count & COUNT
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn first_is_exact(&self) -> bool {
        self.count & FIRST_IS_GONE == 0
    }

    pub(super) fn last_is_exact(&self) -> bool {
        self.count & LAST_IS_GONE == 0
    }

    pub(super) fn known(&self) -> Known {
        Known {
            count: self.count(),
            first: End { sequence: self.first, is_exact: self.first_is_exact() },
            last: End { sequence: self.last, is_exact: self.last_is_exact() },
        }
    }

    /// Messages come behind all others.
    pub(super) fn add(&mut self, count: u64, first: u64, last: u64) {
        if self.count() == 0 {
            self.first = first;
        }
        self.count = (self.count + count) & !LAST_IS_GONE;
        self.last = last;
    }

    /// A message has gone.
    pub(super) fn remove(&mut self, sequence: u64) {
        self.count -= 1;
        if sequence == self.first {
            self.count |= FIRST_IS_GONE;
        }
        if sequence == self.last {
            self.count |= LAST_IS_GONE;
        }
        if self.count() == 1 {
            match (self.first_is_exact(), self.last_is_exact()) {
                (false, true) => self.correct_first(self.last),
                (true, false) => self.correct_last(self.first),
                _ => {}
            }
        }
    }

    /// The oldest message has been found.
    pub(super) fn correct_first(&mut self, sequence: u64) {
        self.first = sequence;
        self.count &= !FIRST_IS_GONE;
    }

    /// The newest message has been found.
    pub(super) fn correct_last(&mut self, sequence: u64) {
        self.last = sequence;
        self.count &= !LAST_IS_GONE;
    }
}

/// The sequences between a subject's first and its last, for subjects that may have few messages only.
#[derive(Clone, Debug, Default)]
pub(super) struct Middle(Vec<u64>);

impl Middle {
    pub(super) fn sequences(&self) -> &[u64] {
        &self.0
    }

    pub(super) fn memory(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }

    /// What was a subject's last sequence has another behind it now.
    pub(super) fn push(&mut self, sequence: u64) {
        self.0.push(sequence);
    }

    /// Takes out a sequence that was removed.
    pub(super) fn remove(&mut self, sequence: u64) {
        if let Ok(at) = self.0.binary_search(&sequence) {
            self.0.remove(at);
        }
    }

    /// Takes the oldest, which becomes the first of its subject.
    pub(super) fn take_first(&mut self) -> Option<u64> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// Takes the newest, which becomes the last of its subject.
    pub(super) fn take_last(&mut self) -> Option<u64> {
        self.0.pop()
    }
}
