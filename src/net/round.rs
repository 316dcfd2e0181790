//! The connections of a worker that have a turn to come.

use std::mem;

/// The connections, by number, each listed once however often it is added: one that always has more to do gets one turn
/// while each of the others gets one.
#[derive(Default)]
pub(super) struct Round {
    due: Vec<usize>,
    /// Whether a connection is listed.
    is_due: Vec<bool>,
}

impl Round {
    /// Gives a connection a turn to come, if it has none.
    pub(super) fn add(&mut self, number: usize) {
        if self.is_due.len() <= number {
            self.is_due.resize(number + 1, false);
        }
        if !mem::replace(&mut self.is_due[number], true) {
            self.due.push(number);
        }
    }

    /// Whether a connection has a turn to come.
    pub(super) fn has(&self, number: usize) -> bool {
        self.is_due.get(number).is_some_and(|is_due| *is_due)
    }

    /// Whether no connection has.
    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Moves all of them into `turns`, which is empty, the first that was added first.  A connection that is added from here
    /// on has a turn in the next round.
    pub(super) fn begin(&mut self, turns: &mut Vec<usize>) {
        debug_assert!(turns.is_empty());
        mem::swap(&mut self.due, turns);
        turns.iter().for_each(|number| self.is_due[*number] = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_one_turn_in_a_round_however_often_it_is_added() {
        let (mut turns, mut round) = (Round::default(), Vec::new());
        for number in [7, 2, 7, 7, 0, 2] {
            turns.add(number);
        }
        assert!(turns.has(7) && turns.has(0) && !turns.has(1) && !turns.has(100));
        turns.begin(&mut round);
        assert_eq!(round, [7, 2, 0]);
        assert!(turns.is_empty() && !turns.has(7));
        // Added in its own turn.
        turns.add(7);
        turns.add(7);
        round.clear();
        turns.begin(&mut round);
        assert_eq!(round, [7]);
    }
}
