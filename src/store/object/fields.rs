//! The large form of a hash: fields with their values in a hash table that grows one bucket at a time.
//!
//! The pairs lie in a row without gaps, so that a random one takes one step, and a removed pair is replaced by the last.
//! Buckets are chains of pairs, linked by their places in the row and split and merged as in linear hashing (see
//! `table`), so that no write of a large hash stalls on a rehash.
//!
//! A scan goes from the end of the row to its start.  Only the last pair ever moves, and only towards the start, so a
//! pair that is there all the time cannot get from the part that is still to come into the part already visited.

use crate::store::chunks::{Chunks, length_of_piece};
use crate::store::hash::{KeyHasher, bucket_for};

/// Pairs in a piece of the row: a kibibyte.
const PIECE: usize = 1024 / size_of::<Pair>();

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// The most pairs: places have 32 bits, and one value of them is [`NONE`].
pub(in crate::store) const LENGTH_MAX: usize = NONE as usize;

/// A table does not shrink below so many buckets, and not before it has this many times as many buckets as pairs.
const BUCKETS_MIN: usize = 16;
const SPARSE: usize = 4;

/// The allocator rounds the size of a block up to a multiple of this.
const GRANULE: usize = 16;

/// A field with its value.
#[derive(Clone)]
struct Pair {
    /// The field and then the value.
    bytes: Box<[u8]>,
    field_length: u32,
    hash: u32,
    /// The next pair of the chain.
    next: u32,
}

/// See the head of the file.
pub struct FieldTable {
    hasher: KeyHasher,
    row: Vec<Vec<Pair>>,
    length: usize,
    /// The first pair of each chain.
    heads: Chunks<u32, { length_of_piece::<u32>() }>,
    /// Bytes of the blocks of all pairs.
    pair_memory: usize,
}

impl Pair {
    fn new(field: &[u8], value: &[u8], hash: u32, next: u32) -> Pair {
        let field_length = u32::try_from(field.len()).expect("fields are bounded by the bulk length limit");
        Pair { bytes: [field, value].concat().into(), field_length, hash, next }
    }

    fn field(&self) -> &[u8] {
        &self.bytes[..self.field_length as usize]
    }

    fn value(&self) -> &[u8] {
        &self.bytes[self.field_length as usize..]
    }

    fn memory(&self) -> usize {
        self.bytes.len().next_multiple_of(GRANULE)
    }
}

impl FieldTable {
    /// An empty table.
    pub(in crate::store) fn new(hasher: KeyHasher) -> FieldTable {
        FieldTable { hasher, row: Vec::new(), length: 0, heads: Chunks::default(), pair_memory: 0 }
    }

    /// Number of pairs.
    pub(in crate::store) fn len(&self) -> usize {
        self.length
    }

    /// Bytes of memory, without those of this value itself.
    pub(in crate::store) fn memory(&self) -> usize {
        let row = self.row.len() * PIECE * size_of::<Pair>() + self.row.capacity() * size_of::<Vec<Pair>>();
        row + self.heads.memory() + self.pair_memory
    }

    /// The same, added up pair by pair.
    #[cfg(test)]
    pub(in crate::store) fn recounted_memory(&self) -> usize {
        let pairs: usize = self.row.iter().flatten().map(Pair::memory).sum();
        self.memory() - self.pair_memory + pairs
    }

    /// The value of a field.
    pub(in crate::store) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.find(field, self.hash(field)).map(|at| self.pair(at).value())
    }

    /// The pair at a place in the row.
    pub(in crate::store) fn pair_at(&self, place: usize) -> (&[u8], &[u8]) {
        let pair = &self.row[place / PIECE][place % PIECE];
        (pair.field(), pair.value())
    }

    /// All pairs.
    pub(in crate::store) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.row.iter().flatten().map(|pair| (pair.field(), pair.value()))
    }

    /// Writes the value of a field; true if the field is new.
    pub(in crate::store) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        let hash = self.hash(field);
        match self.find(field, hash) {
            Some(at) => {
                self.overwrite(at, value);
                false
            }
            None => {
                self.insert(field, value, hash);
                true
            }
        }
    }

    /// Removes a field; false if there is none.
    pub(in crate::store) fn remove(&mut self, field: &[u8]) -> bool {
        let hash = self.hash(field);
        let Some(at) = self.find(field, hash) else { return false };
        let next = self.pair(at).next;
        self.relink(hash, at, next);
        let last = (self.length - 1) as u32;
        if at != last {
            self.relink(self.pair(last).hash, last, at);
        }
        self.length -= 1;
        let piece = self.row.last_mut().expect("a pair was found");
        let moved = piece.pop().expect("no piece is empty");
        if piece.is_empty() {
            self.row.pop();
        }
        let removed = if at == last { moved } else { std::mem::replace(self.pair_mut(at), moved) };
        self.pair_memory -= removed.memory();
        if self.heads.len() > BUCKETS_MIN && self.length * SPARSE < self.heads.len() {
            self.merge_last();
        }
        true
    }

    /// Visits about `count` pairs for `cursor` (0 to start) and returns the next cursor, 0 at the end; see the head of
    /// the file for the promise.
    pub(in crate::store) fn scan(
        &self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> u64 {
        let end = match usize::try_from(cursor) {
            Ok(place) if place > 0 => place.min(self.length),
            _ => self.length,
        };
        let start = end.saturating_sub(count);
        for place in (start..end).rev() {
            let (field, value) = self.pair_at(place);
            visit(field, value);
        }
        start as u64
    }

    fn hash(&self, field: &[u8]) -> u32 {
        self.hasher.hash(field) as u32
    }

    fn pair(&self, at: u32) -> &Pair {
        &self.row[at as usize / PIECE][at as usize % PIECE]
    }

    fn pair_mut(&mut self, at: u32) -> &mut Pair {
        &mut self.row[at as usize / PIECE][at as usize % PIECE]
    }

    fn bucket(&self, hash: u32) -> usize {
        bucket_for(u64::from(hash), self.heads.len())
    }

    fn find(&self, field: &[u8], hash: u32) -> Option<u32> {
        if self.length == 0 {
            return None;
        }
        let mut at = self.heads[self.bucket(hash)];
        while at != NONE {
            let pair = self.pair(at);
            if pair.hash == hash && pair.field() == field {
                return Some(at);
            }
            at = pair.next;
        }
        None
    }

    fn overwrite(&mut self, at: u32, value: &[u8]) {
        let pair = self.pair_mut(at);
        let before = pair.memory();
        let field_length = pair.field_length as usize;
        if pair.bytes.len() == field_length + value.len() {
            pair.bytes[field_length..].copy_from_slice(value);
        } else {
            pair.bytes = [pair.field(), value].concat().into();
        }
        let after = pair.memory();
        self.pair_memory = self.pair_memory - before + after;
    }

    fn insert(&mut self, field: &[u8], value: &[u8], hash: u32) {
        if self.length >= self.heads.len() {
            self.split_next();
        }
        let bucket = self.bucket(hash);
        let pair = Pair::new(field, value, hash, self.heads[bucket]);
        self.pair_memory += pair.memory();
        self.heads[bucket] = u32::try_from(self.length).expect("a caller has asked for room");
        if self.length.is_multiple_of(PIECE) {
            self.row.push(Vec::with_capacity(PIECE));
        }
        self.row.last_mut().expect("there is a piece with room").push(pair);
        self.length += 1;
    }

    /// Changes the link that leads to `from`, in the chain of `hash`, to lead to `to`.
    fn relink(&mut self, hash: u32, from: u32, to: u32) {
        let bucket = self.bucket(hash);
        let mut at = self.heads[bucket];
        if at == from {
            self.heads[bucket] = to;
            return;
        }
        while at != NONE {
            let pair = self.pair_mut(at);
            if pair.next == from {
                pair.next = to;
                return;
            }
            at = pair.next;
        }
    }

    /// Adds a bucket and moves the pairs into it that the next bit of the hash assigns to it.
    fn split_next(&mut self) {
        self.heads.push(NONE);
        let new = self.heads.len() - 1;
        if new > 0 {
            let buddy = new - (new + 1).next_power_of_two() / 2;
            let chain = std::mem::replace(&mut self.heads[buddy], NONE);
            self.distribute(chain);
        }
    }

    /// Removes the last bucket; its pairs go back to the bucket that it was split from.
    fn merge_last(&mut self) {
        let chain = self.heads.pop().unwrap_or(NONE);
        self.distribute(chain);
    }

    /// Puts the pairs of a chain into the buckets that they belong to now.
    fn distribute(&mut self, mut at: u32) {
        while at != NONE {
            let bucket = self.bucket(self.pair(at).hash);
            let head = std::mem::replace(&mut self.heads[bucket], at);
            at = std::mem::replace(&mut self.pair_mut(at).next, head);
        }
    }
}

impl Clone for FieldTable {
    fn clone(&self) -> FieldTable {
        let piece = |pairs: &Vec<Pair>| {
            let mut copy = Vec::with_capacity(PIECE);
            copy.extend_from_slice(pairs);
            copy
        };
        FieldTable {
            hasher: self.hasher.clone(),
            row: self.row.iter().map(piece).collect(),
            length: self.length,
            heads: self.heads.clone(),
            pair_memory: self.pair_memory,
        }
    }
}
