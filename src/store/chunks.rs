//! A growable array in pieces of one kibibyte.
//!
//! A plain vector that grows leaves its old block behind, of a size that is not asked for again; with a thousand
//! shards growing in step that was more memory than the arrays themselves (measured: 23 bytes per key).  Pieces of
//! one size never move, are reused exactly, and waste half a piece per array on average.

use std::ops::{Index, IndexMut};

/// Bytes in a piece.
const PIECE_SIZE: usize = 1024;

/// See the module's text.  `LENGTH` elements fill a piece, see [`length_of_piece`].
#[derive(Clone)]
pub(super) struct Chunks<T, const LENGTH: usize> {
    pieces: Vec<Box<[T; LENGTH]>>,
    length: usize,
}

/// How many elements of a type fill a piece.
pub(super) const fn length_of_piece<T>() -> usize {
    PIECE_SIZE / size_of::<T>()
}

impl<T, const LENGTH: usize> Default for Chunks<T, LENGTH> {
    fn default() -> Self {
        Chunks { pieces: Vec::new(), length: 0 }
    }
}

impl<T: Copy, const LENGTH: usize> Chunks<T, LENGTH> {
    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.pieces.len() * PIECE_SIZE + self.pieces.capacity() * size_of::<usize>()
    }

    /// Adds an element at the end.
    pub(super) fn push(&mut self, element: T) {
        if self.length == self.pieces.len() * LENGTH {
            self.pieces.push(Box::new([element; LENGTH]));
        } else {
            self.pieces[self.length / LENGTH][self.length % LENGTH] = element;
        }
        self.length += 1;
    }

    /// Takes the last element.  One empty piece is kept, so that an array at a boundary does not allocate each time.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.length = self.length.checked_sub(1)?;
        let last = self.pieces[self.length / LENGTH][self.length % LENGTH];
        if self.pieces.len() * LENGTH >= self.length + 2 * LENGTH {
            self.pieces.pop();
        }
        Some(last)
    }

    /// The first element.
    pub(super) fn first(&self) -> Option<&T> {
        (self.length > 0).then(|| &self[0])
    }
}

impl<T, const LENGTH: usize> Index<usize> for Chunks<T, LENGTH> {
    type Output = T;

    fn index(&self, at: usize) -> &T {
        assert!(at < self.length, "elements behind the end are stale");
        &self.pieces[at / LENGTH][at % LENGTH]
    }
}

impl<T, const LENGTH: usize> IndexMut<usize> for Chunks<T, LENGTH> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        assert!(at < self.length, "elements behind the end are stale");
        &mut self.pieces[at / LENGTH][at % LENGTH]
    }
}
