//! The whole requests of one read, as ranges of its buffer.

use crate::limits;
use crate::resp::arguments::{Arguments, Span};

/// The whole requests found in one buffer.  Made once and reused from read to read, for any connection, so
/// that steady state allocates nothing.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) spans: Vec<Span>,
    pub(crate) requests: Vec<RequestEnd>,
    /// Room that a parser gave back when its partial request went on, for the next partial request.
    pub(crate) spare: Vec<Span>,
}

/// Where a request ends, among the spans and in the buffer; it starts where the one before ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestEnd {
    pub(crate) spans: u32,
    pub(crate) buffer: u32,
}

impl Batch {
    /// An empty batch without room.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all requests and keeps a bounded amount of room.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.requests.clear();
        if self.spans.capacity() > limits::BATCH_SPANS_KEPT {
            self.spans.shrink_to(limits::BATCH_SPANS_KEPT);
        }
    }

    /// How many requests there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The request at `index`, which must be below [`len`](Batch::len).  `buffer` is the one it was parsed
    /// from, unchanged since.
    #[inline]
    pub fn arguments<'a>(&'a self, index: usize, buffer: &'a [u8]) -> Arguments<'a> {
        let start = if index == 0 { 0 } else { self.requests[index - 1].spans };
        Arguments::new(buffer, &self.spans[start as usize..self.requests[index].spans as usize])
    }

    /// The bytes of the buffer up to the end of the request at `index`.
    #[inline]
    pub fn end(&self, index: usize) -> usize {
        self.requests[index].buffer as usize
    }

    /// The spans that belong to a finished request.
    #[inline]
    pub(crate) fn finished_spans(&self) -> usize {
        self.requests.last().map_or(0, |request| request.spans as usize)
    }
}
