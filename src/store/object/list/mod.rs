//! A list as it is read: elements in an order.  `objects/list` writes.

mod block;
mod chain;
mod element;
mod limits;
mod side;

pub(in crate::store) use block::Block;
pub(in crate::store) use chain::Chain;
pub use element::Element;
pub(in crate::store) use element::{Encoded as EncodedElement, end, find_equal, place};
pub use limits::ListLimits;
pub use side::Side;

use std::slice;

use super::packed::Packed;

/// See the head of the file.
#[derive(Clone, Copy)]
pub enum List<'l> {
    /// Few and short elements, one behind the other.
    Packed(Packed<'l>),
    /// More or longer ones, in blocks.
    Chain(&'l Chain),
}

/// The elements of a list from some place on.
pub struct Elements<'l> {
    current: &'l [u8],
    blocks: std::iter::Chain<slice::Iter<'l, Block>, slice::Iter<'l, Block>>,
}

/// The elements of a list before some place, from there towards the start.
pub struct Backwards<'l>(Elements<'l>);

impl<'l> List<'l> {
    /// Number of elements.
    pub fn len(self) -> usize {
        match self {
            List::Packed(packed) => packed.count(),
            List::Chain(chain) => chain.len(),
        }
    }

    /// Whether there are none, which is so only while a list is made.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The element at an index.
    pub fn get(self, index: usize) -> Option<Element<'l>> {
        self.elements_from(index).next()
    }

    /// The elements from an index on, in their order.
    pub fn elements_from(self, index: usize) -> Elements<'l> {
        match self {
            List::Packed(packed) => {
                let start = place(packed.bytes(), packed.count(), index.min(packed.count()));
                Elements::of(&packed.bytes()[start..])
            }
            List::Chain(chain) => {
                let (one, other) = chain.blocks();
                let (at, within) = chain.locate(index);
                let Some(block) = one.iter().chain(other).nth(at) else { return Elements::of(&[]) };
                let (one, other) =
                    (&one[(at + 1).min(one.len())..], &other[(at + 1).saturating_sub(one.len())..]);
                let current = &block.elements()[block.place(within)..];
                Elements { current, blocks: one.iter().chain(other) }
            }
        }
    }

    /// The elements before an index of at most the length, the last one first.
    pub fn elements_before(self, index: usize) -> Backwards<'l> {
        Backwards(match self {
            List::Packed(packed) => {
                let end = place(packed.bytes(), packed.count(), index);
                Elements::of(&packed.bytes()[..end])
            }
            List::Chain(chain) => {
                let Some(last) = index.checked_sub(1) else { return Backwards(Elements::of(&[])) };
                let (one, other) = chain.blocks();
                let (at, within) = chain.locate(last);
                let block = one.iter().chain(other).nth(at).expect("an element lies in a block");
                let (one, other) = (&one[..at.min(one.len())], &other[..at.saturating_sub(one.len())]);
                let current = &block.elements()[..block.place(within + 1)];
                Elements { current, blocks: one.iter().chain(other) }
            }
        })
    }
}

impl<'l> Elements<'l> {
    /// The elements that lie in these bytes.
    fn of(current: &'l [u8]) -> Elements<'l> {
        Elements { current, blocks: [].iter().chain(&[]) }
    }
}

impl<'l> Iterator for Elements<'l> {
    type Item = Element<'l>;

    #[inline]
    fn next(&mut self) -> Option<Element<'l>> {
        if self.current.is_empty() {
            self.current = self.blocks.next()?.elements();
        }
        let (element, size) = element::first(self.current);
        self.current = &self.current[size..];
        Some(element)
    }
}

impl<'l> Iterator for Backwards<'l> {
    type Item = Element<'l>;

    #[inline]
    fn next(&mut self) -> Option<Element<'l>> {
        let Elements { current, blocks } = &mut self.0;
        if current.is_empty() {
            *current = blocks.next_back()?.elements();
        }
        let (element, size) = element::last(current);
        *current = &current[..current.len() - size];
        Some(element)
    }
}
