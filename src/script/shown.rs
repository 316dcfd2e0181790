//! The call of a function as FUNCTION STATS shows it while it runs.

use bytes::Bytes;
use quartet_protocol::resp::{Arguments, OwnedArguments};
use smallvec::SmallVec;

/// See the head of the file.
#[derive(Debug)]
pub(super) enum ShownCall {
    /// All texts are one piece of memory, since each call is noted and hardly one is shown.
    Copied {
        /// The texts.
        bytes: Box<[u8]>,
        /// Where they end: the function's name, then the words of the command.
        ends: SmallVec<[usize; 8]>,
    },
    /// A word of the command is long, and lies where it came in.
    Kept {
        /// The function's name.
        function: Box<[u8]>,
        /// The words.
        command: OwnedArguments,
    },
}

impl ShownCall {
    /// The call of a function of this name by this command, whose long words may be kept as parts of `request`.
    pub(super) fn new(function: &[u8], command: Arguments<'_>, request: Option<&Bytes>) -> ShownCall {
        if request.is_some() {
            return ShownCall::Kept { function: function.into(), command: command.to_owned_from(request) };
        }
        let words = || std::iter::once(function).chain(command.iter());
        let mut bytes = Vec::with_capacity(words().map(<[u8]>::len).sum());
        let ends = words().map(|word| {
            bytes.extend_from_slice(word);
            bytes.len()
        });
        let ends = ends.collect();
        ShownCall::Copied { bytes: bytes.into(), ends }
    }

    /// The function's name, and the words of the command.
    pub(super) fn texts(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let count = match self {
            ShownCall::Copied { ends, .. } => ends.len(),
            ShownCall::Kept { command, .. } => command.as_arguments().len() + 1,
        };
        (0..count).map(|index| self.text(index))
    }

    fn text(&self, index: usize) -> &[u8] {
        let before = index.checked_sub(1);
        match self {
            ShownCall::Copied { bytes, ends } => &bytes[before.map_or(0, |before| ends[before])..ends[index]],
            ShownCall::Kept { function, command } => {
                before.map_or(function, |before| command.as_arguments().at(before))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_shown_from_where_they_came_in() {
        for length in [3, 100_000] {
            let word = vec![b'x'; length];
            let command = OwnedArguments::from_slices(&[b"FCALL", b"f", b"0", &word]);
            let shown = ShownCall::new(b"f", command.as_arguments(), command.shared());
            let texts: Vec<_> = shown.texts().collect();
            assert_eq!(texts, [&b"f"[..], b"FCALL", b"f", b"0", &word]);
            assert_eq!(shown.texts().len(), 5);
            let is_kept = texts[4].as_ptr() == command.as_arguments().at(3).as_ptr();
            assert_eq!(is_kept, length > 3, "{length} bytes");
        }
    }
}
