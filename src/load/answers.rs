//! Answers that come in the order of their requests: where one ends, and whether it is an error.

mod http;
mod resp;

pub(super) use http::{HttpAnswers, is_http_status, json_member};
pub(super) use resp::RespAnswers;

/// An answer at the beginning of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// How many bytes it takes.
    pub(super) length: usize,
    /// Whether it is an error.
    pub(super) is_error: bool,
}

/// A protocol in which every request has one answer.
pub(super) trait Answers: 'static {
    /// The first answer of `input`, if it is whole.
    ///
    /// # Errors
    /// If the input is nothing of the protocol.
    fn next(input: &[u8]) -> Result<Option<Answer>, String>;

    /// How many answers behind the first one, which takes `length` bytes and is no error, are sure to be whole and as long as it.
    fn count_alike(_input: &[u8], _length: usize) -> usize {
        0
    }

    /// What an error says, as one line.
    fn text(answer: &[u8]) -> Vec<u8>;
}

/// Why the input cannot be read.
#[cold]
fn not_of(protocol: &str, input: &[u8]) -> String {
    let shown = &input[..input.len().min(60)];
    format!("it does not answer in {protocol} but with \"{}\"", shown.escape_ascii())
}
