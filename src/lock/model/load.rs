//! The load of a resource: how much of it is taken, and whether a request fits beside that.

use crate::lock::mode::Mode;

/// How much of a resource is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::lock) struct Load {
    pub(in crate::lock) permits: u64,
    pub(in crate::lock) exclusive: u32,
    pub(in crate::lock) shared: u32,
    /// The smallest total of permits that a request ahead has named, since it must not be overtaken; 0 if there is
    /// none.
    pub(in crate::lock) least_ahead: u32,
}

impl Load {
    /// Whether a request in this mode fits beside it.
    pub(in crate::lock) fn admits(&self, mode: Mode) -> bool {
        match mode {
            Mode::Exclusive => self.exclusive + self.shared == 0 && self.permits == 0,
            Mode::Shared => self.exclusive == 0 && self.permits == 0,
            Mode::Permits { count, of } => {
                let of = if self.least_ahead == 0 { of } else { of.min(self.least_ahead) };
                self.exclusive + self.shared == 0 && self.permits + u64::from(count) <= u64::from(of)
            }
        }
    }

    /// Whether a sharing owner may hold the resource exclusively: it has to be the only one.
    pub(in crate::lock) fn admits_upgrade(&self) -> bool {
        self.exclusive == 0 && self.permits == 0 && self.shared == 1
    }

    /// Whether nothing fits beside it, given that nobody has named more permits than this.
    pub(in crate::lock) fn is_full(&self, most_permits: u32) -> bool {
        self.exclusive > 0 || (self.permits > 0 && self.permits >= u64::from(most_permits))
    }

    /// Adds a lease.
    pub(in crate::lock) fn add(&mut self, mode: Mode) {
        match mode {
            Mode::Exclusive => self.exclusive += 1,
            Mode::Shared => self.shared += 1,
            Mode::Permits { count, .. } => self.permits += u64::from(count),
        }
    }

    /// Adds a request that is ahead.
    pub(in crate::lock) fn add_ahead(&mut self, mode: Mode) {
        self.add(mode);
        if let Mode::Permits { of, .. } = mode
            && (self.least_ahead == 0 || of < self.least_ahead)
        {
            self.least_ahead = of;
        }
    }

    /// Removes a lease.
    pub(in crate::lock) fn remove(&mut self, mode: Mode) {
        match mode {
            Mode::Exclusive => self.exclusive -= 1,
            Mode::Shared => self.shared -= 1,
            Mode::Permits { count, .. } => self.permits -= u64::from(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE_OF_FIVE: Mode = Mode::Permits { count: 3, of: 5 };
    const TWO_OF_FIVE: Mode = Mode::Permits { count: 2, of: 5 };

    #[test]
    fn loads_that_fit_beside_each_other() {
        let cases = [
            (vec![], Mode::Exclusive, true),
            (vec![Mode::Shared], Mode::Exclusive, false),
            (vec![Mode::Shared, Mode::Shared], Mode::Shared, true),
            (vec![Mode::Exclusive], Mode::Shared, false),
            (vec![THREE_OF_FIVE], TWO_OF_FIVE, true),
            (vec![THREE_OF_FIVE, TWO_OF_FIVE], Mode::Permits { count: 1, of: 5 }, false),
            (vec![THREE_OF_FIVE], THREE_OF_FIVE, false),
            (vec![TWO_OF_FIVE], Mode::Shared, false),
            (vec![THREE_OF_FIVE], Mode::Permits { count: 1, of: 3 }, false),
            (vec![THREE_OF_FIVE], Mode::Permits { count: 4, of: 7 }, true),
        ];
        for (held, wanted, expected) in cases {
            let mut load = Load::default();
            held.iter().for_each(|&mode| load.add(mode));
            assert_eq!(load.admits(wanted), expected, "{held:?} and {wanted:?}");
            held.iter().for_each(|&mode| load.remove(mode));
            assert!(load.admits(Mode::Exclusive));
        }
    }
}
