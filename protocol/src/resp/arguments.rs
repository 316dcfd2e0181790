//! The arguments of one request: ranges into the buffer they arrived in, or an owned copy that outlives it.

use std::ops::Index;

use bytes::Bytes;

use crate::limits;

/// One argument: a range of a buffer, relative to that buffer's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where the argument's first byte is.
    pub start: u32,
    /// How many bytes it has.
    pub length: u32,
}

impl Span {
    fn of(self, buffer: &[u8]) -> &[u8] {
        let start = self.start as usize;
        &buffer[start..start + self.length as usize]
    }
}

/// A view of one request.  Its first argument is the command's name.  A request is never empty; a view that
/// [`from`](Arguments::from) returned may be.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    buffer: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Arguments<'a> {
    /// The view of `spans`, which must be ranges of `buffer`.
    pub fn new(buffer: &'a [u8], spans: &'a [Span]) -> Self {
        Self { buffer, spans }
    }

    /// How many arguments there are, the command's name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `index`, if there is one.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| span.of(self.buffer))
    }

    /// The argument at `index`, which must be below [`len`](Arguments::len).  Unlike indexing, the bytes
    /// live as long as the buffer.
    #[inline]
    pub fn at(&self, index: usize) -> &'a [u8] {
        self.spans[index].of(self.buffer)
    }

    /// The arguments in order.
    #[inline]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone + use<'a> {
        let buffer = self.buffer;
        self.spans.iter().map(move |span| span.of(buffer))
    }

    /// The arguments from `index` on; none if there are no more than `index`.
    #[inline]
    pub fn from(&self, index: usize) -> Arguments<'a> {
        Self { buffer: self.buffer, spans: self.spans.get(index..).unwrap_or(&[]) }
    }

    /// The first `count` arguments; all of them if there are no more.
    #[inline]
    pub fn up_to(&self, count: usize) -> Arguments<'a> {
        Self { buffer: self.buffer, spans: self.spans.get(..count).unwrap_or(self.spans) }
    }

    /// The bytes of all arguments together, without any framing.
    pub fn total_bytes(&self) -> usize {
        self.spans.iter().map(|span| span.length as usize).sum()
    }

    /// A copy that outlives the buffer.
    pub fn to_owned(&self) -> OwnedArguments {
        OwnedArguments::gather(self.iter(), self.len(), self.total_bytes())
    }

    /// The same, without copying a long argument that lies in `shared` and is nearly all of it.
    pub fn to_owned_from(&self, shared: Option<&Bytes>) -> OwnedArguments {
        let is_kept = |bytes: &&Bytes| self.iter().any(|argument| kept_of(bytes, argument).is_some());
        match shared.filter(is_kept) {
            Some(bytes) if bytes.as_ptr_range() == self.buffer.as_ptr_range() => {
                OwnedArguments { bytes: bytes.clone(), spans: self.spans.into() }
            }
            _ => self.to_owned(),
        }
    }
}

impl Index<usize> for Arguments<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, index: usize) -> &[u8] {
        self.at(index)
    }
}

impl std::fmt::Debug for Arguments<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_list()
            .entries(self.iter().map(|argument| argument.escape_ascii().to_string()))
            .finish()
    }
}

/// An argument as a part of the buffer it lies in, to be kept without a copy.  None unless it is long and nearly all of the
/// buffer, since the whole buffer is kept with it.
pub fn kept_of(buffer: &Bytes, argument: &[u8]) -> Option<Bytes> {
    let (range, part) = (buffer.as_ptr_range(), argument.as_ptr_range());
    let is_inside = range.start <= part.start && part.end <= range.end;
    let is_worth_it = argument.len() >= limits::KEPT_LENGTH_MIN
        && buffer.len() - argument.len().min(buffer.len()) <= argument.len() / 8;
    (is_inside && is_worth_it).then(|| buffer.slice_ref(argument))
}

/// Arguments that outlive their buffer: a transaction queues them.  One allocation holds the bytes, one the
/// spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedArguments {
    bytes: Bytes,
    spans: Box<[Span]>,
}

impl OwnedArguments {
    /// A copy of these arguments.
    pub fn from_slices(arguments: &[&[u8]]) -> Self {
        let total = arguments.iter().map(|argument| argument.len()).sum();
        Self::gather(arguments.iter().copied(), arguments.len(), total)
    }

    /// The buffer they lie in, if a long argument may be kept as a part of it.
    pub fn shared(&self) -> Option<&Bytes> {
        Some(&self.bytes).filter(|bytes| bytes.len() >= limits::KEPT_LENGTH_MIN)
    }

    /// The view of them.
    #[inline]
    pub fn as_arguments(&self) -> Arguments<'_> {
        Arguments { buffer: &self.bytes, spans: &self.spans }
    }

    fn gather<'a>(arguments: impl Iterator<Item = &'a [u8]>, count: usize, total: usize) -> Self {
        assert!(u32::try_from(total).is_ok(), "a request is shorter than 4 GiB");
        let mut bytes = Vec::with_capacity(total);
        let mut spans = Vec::with_capacity(count);
        for argument in arguments {
            spans.push(Span { start: bytes.len() as u32, length: argument.len() as u32 });
            bytes.extend_from_slice(argument);
        }
        Self { bytes: bytes.into(), spans: spans.into_boxed_slice() }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Arguments, OwnedArguments, Span, kept_of};
    use crate::limits::KEPT_LENGTH_MIN;

    #[test]
    fn a_long_argument_is_kept_without_a_copy() {
        let buffer = Bytes::from(vec![b'x'; KEPT_LENGTH_MIN + 100]);
        let argument = &buffer[50..KEPT_LENGTH_MIN + 50];
        assert_eq!(kept_of(&buffer, argument).map(|kept| kept.as_ptr()), Some(argument.as_ptr()));
        assert_eq!(kept_of(&buffer, &buffer[..KEPT_LENGTH_MIN - 1]), None);
        assert_eq!(kept_of(&buffer, &vec![b'x'; KEPT_LENGTH_MIN]), None);
        let wide = Bytes::from(vec![b'x'; 2 * KEPT_LENGTH_MIN]);
        assert_eq!(kept_of(&wide, &wide[..KEPT_LENGTH_MIN]), None);

        let spans = [Span { start: 50, length: KEPT_LENGTH_MIN as u32 }];
        let arguments = Arguments::new(&buffer, &spans);
        let shared = arguments.to_owned_from(Some(&buffer));
        assert_eq!(shared.as_arguments().at(0).as_ptr(), argument.as_ptr());
        let copied = arguments.to_owned_from(None);
        assert_ne!(copied.as_arguments().at(0).as_ptr(), argument.as_ptr());
        assert_eq!(copied.as_arguments().at(0), argument);
    }

    #[test]
    fn a_view_reads_indexes_and_narrows() {
        let owned = OwnedArguments::from_slices(&[b"SET", b"", b"value"]);
        let arguments = owned.as_arguments();
        assert_eq!(arguments.len(), 3);
        assert_eq!(&arguments[0], b"SET");
        assert_eq!(arguments.at(1), b"");
        assert_eq!(arguments.get(3), None);
        assert_eq!(arguments.total_bytes(), 8);
        assert_eq!(arguments.iter().next_back(), Some(&b"value"[..]));
        assert_eq!(arguments.from(2).at(0), b"value");
        assert!(arguments.from(3).is_empty());
        assert!(arguments.from(9).is_empty());
        assert_eq!(arguments.from(1).to_owned(), OwnedArguments::from_slices(&[b"", b"value"]));
        assert_eq!(format!("{arguments:?}"), r#"["SET", "", "value"]"#);
    }
}
