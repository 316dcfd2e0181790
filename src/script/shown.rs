//! The call of a function as FUNCTION STATS shows it while it runs.

use quartet_protocol::resp::Arguments;
use smallvec::SmallVec;

/// See the head of the file.  All texts are one piece of memory, since each call is noted and hardly one is shown.
#[derive(Debug)]
pub(super) struct ShownCall {
    bytes: Box<[u8]>,
    /// Where the texts end: the function's name, then the words of the command.
    ends: SmallVec<[usize; 8]>,
}

impl ShownCall {
    /// The call of a function of this name by this command.
    pub(super) fn new(function: &[u8], command: Arguments<'_>) -> ShownCall {
        let words = || std::iter::once(function).chain(command.iter());
        let mut bytes = Vec::with_capacity(words().map(<[u8]>::len).sum());
        let ends = words().map(|word| {
            bytes.extend_from_slice(word);
            bytes.len()
        });
        let ends = ends.collect();
        ShownCall { bytes: bytes.into(), ends }
    }

    /// The function's name, and the words of the command.
    pub(super) fn texts(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.ends.iter().enumerate().map(|(index, end)| {
            let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.bytes[start..*end]
        })
    }
}
