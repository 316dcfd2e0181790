//! What a client does over and over: one request, or several of which each waits for the answer before it.

use crate::random::Random;

use super::template::Template;

/// Takes a part of an answer.
pub(super) type Take = fn(&[u8]) -> Option<&[u8]>;

/// One request of an operation.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// The request.
    pub(super) request: Template,
    /// Whether an answer is a refusal that is no error, such as a lock that another holds.  It ends the operation.
    pub(super) is_refusal: Option<fn(&[u8]) -> bool>,
    /// What the next request takes over from the answer.
    pub(super) taken: Option<Take>,
    /// How long the client waits before its next request, in microseconds.
    pub(super) pause: u64,
    /// Whether the latency of the operation ends with the answer.
    pub(super) is_timed: bool,
}

impl Step {
    /// A request whose answer ends the latency.
    pub(super) fn timed(request: Template) -> Step {
        Step { request, is_refusal: None, taken: None, pause: 0, is_timed: true }
    }

    /// A request behind the one whose answer was timed.
    pub(super) fn untimed(request: Template) -> Step {
        Step { is_timed: false, ..Step::timed(request) }
    }
}

/// The operations of a workload, and how often each is chosen.
#[derive(Clone, Debug)]
pub(super) struct Mix {
    /// Operations with how many in a hundred each is.  Each has a step at least.
    operations: Vec<(u32, Vec<Step>)>,
}

impl Mix {
    /// Always the same operation.
    pub(super) fn one(steps: Vec<Step>) -> Mix {
        Mix { operations: vec![(100, steps)] }
    }

    /// The first in so many of a hundred, otherwise the second.
    pub(super) fn two(percent: u32, first: Vec<Step>, second: Vec<Step>) -> Mix {
        Mix { operations: vec![(percent, first), (100 - percent, second)] }
    }

    /// The steps of each operation.
    pub(super) fn operations(&self) -> impl ExactSizeIterator<Item = &[Step]> {
        self.operations.iter().map(|(_, steps)| steps.as_slice())
    }

    /// Chooses an operation.
    #[inline]
    pub(super) fn choose(&self, random: &mut Random) -> usize {
        if self.operations.len() == 1 {
            return 0;
        }
        let mut drawn = random.below(100) as u32;
        self.operations
            .iter()
            .position(|(percent, _)| {
                let is_chosen = drawn < *percent;
                drawn = drawn.wrapping_sub(*percent);
                is_chosen
            })
            .unwrap_or(0)
    }

    /// The steps of an operation.
    #[inline]
    pub(super) fn steps(&self, operation: usize) -> &[Step] {
        &self.operations[operation].1
    }
}
