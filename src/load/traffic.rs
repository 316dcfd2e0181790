//! What the connections of one thread say and hear, without sockets and clocks.

use crate::random::Random;

use super::connection::Outgoing;
use super::pacing::Pace;
use super::tally::Tally;

/// A conversation over the connections of one thread.
pub(super) trait Traffic {
    /// Says what is due by now.
    fn begin(&mut self, stage: &mut Stage<'_>);

    /// Takes in what is whole at the beginning of `input`, which came over `connection`.  Returns how many bytes that was.
    ///
    /// # Errors
    /// If the run cannot go on.
    fn receive(&mut self, connection: usize, input: &[u8], stage: &mut Stage<'_>) -> Result<usize, String>;

    /// Whether everything that was begun has come to its end.
    fn is_settled(&self) -> bool;

    /// Whether nothing will begin any more, besides what the pace says.
    fn is_over(&self, stage: &Stage<'_>) -> bool {
        stage.pace.is_over(stage.now)
    }

    /// When there is something to say again, if that is known; beside the times of the pace.
    fn wake_at(&self) -> Option<u64> {
        None
    }

    /// What has not come yet, to end the sentence "it has said nothing for 10 seconds, and ...".
    fn missing(&self) -> String;
}

/// What a conversation works with.
pub(super) struct Stage<'s> {
    /// The time in microseconds.
    pub(super) now: u64,
    /// What goes out over each connection.
    pub(super) outputs: &'s mut [Outgoing],
    pub(super) random: &'s mut Random,
    pub(super) tally: &'s mut Tally,
    pub(super) pace: &'s mut Pace,
}
