//! One key and its value in one allocation.
//!
//! The table stores eight-byte pointers to entries; everything about a key lies behind that pointer, so a lookup
//! costs one cache miss for the table and one for the entry.  Byte layout, all fields in native order:
//!
//! ```text
//! 0   u64  header   bits 0..3 encoding, 3..8 flags, 8..32 recency, 32..48 key length, 48..64 value length
//! 8   u64  expiry   only with VOLATILE: bits 0..20 place in the expiry index, 20..64 deadline in milliseconds
//!                   (with FAR: all 64 bits are the deadline, and the key is in no index)
//! ..  u32  length   only with LONG_KEY: the real length of a key of 65,535 bytes or more
//! ..  u8   length   only with TYPED: that of the content type, which follows it
//! ..       key
//! ..       value    the bytes themselves, or with SHARED a pointer to a boxed `Bytes`
//! ```
//!
//! The encodings INLINE and SHARED are strings.  PINNED is the state of a service, which that service alone understands;
//! all other commands see a key without a readable value.
//!
//! The allocation is a multiple of sixteen bytes, which is what the allocator would round it to anyway; a value
//! that changes its length within that size is overwritten in place.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ptr::{NonNull, copy, copy_nonoverlapping};
use std::slice::from_raw_parts;

use bytes::Bytes;

use super::value::{ContentType, Value, ValueType, WrongType};

/// Values longer than this are kept as shared `Bytes`, so that a reply never copies them under a lock.
pub const INLINE_VALUE_MAX: usize = 16 * 1024;

/// The largest place in the expiry index an entry can remember; it stands for "in no index".
pub(super) const UNINDEXED: u32 = (1 << 20) - 1;

/// Deadlines from here on (some 557 years after the epoch of the clock) are kept but not indexed.
const FAR_DEADLINE: u64 = 1 << 44;

const ENCODING_MASK: u64 = 0b111;
const INLINE: u64 = 0;
const SHARED: u64 = 1;
const PINNED: u64 = 2;

const VOLATILE: u64 = 1 << 3;
const FAR: u64 = 1 << 4;
const LONG_KEY: u64 = 1 << 5;
const MODIFIED: u64 = 1 << 6;
const TYPED: u64 = 1 << 7;

const RECENCY_SHIFT: u32 = 8;
const RECENCY_MASK: u64 = 0xff_ffff << RECENCY_SHIFT;
const KEY_LENGTH_SHIFT: u32 = 32;
const VALUE_LENGTH_SHIFT: u32 = 48;
const ESCAPED_KEY_LENGTH: usize = 0xffff;

const GRANULE: usize = 16;
const POINTER_SIZE: usize = size_of::<usize>();

/// Milliseconds on the server's own clock (see `clock`), after which a key is gone.
pub type Deadline = u64;

/// An owned entry.  Moving it moves a pointer; dropping it frees the key and the value.
#[repr(transparent)]
pub struct Entry(NonNull<u8>);

// SAFETY: an entry owns its allocation, and what it holds (bytes, `Bytes`) may be sent to another thread.
unsafe impl Send for Entry {}

/// Where things are in one entry, derived from its header.
#[derive(Clone, Copy)]
struct Shape {
    key_at: usize,
    key_length: usize,
    value_length: usize,
}

impl Shape {
    fn value_at(self) -> usize {
        self.key_at + self.key_length
    }

    fn allocated(self) -> usize {
        (self.value_at() + self.value_length).next_multiple_of(GRANULE)
    }
}

impl Entry {
    /// A string entry.  A value over [`INLINE_VALUE_MAX`] is copied into shared bytes.
    pub fn new(key: &[u8], value: &[u8], deadline: Option<Deadline>) -> Entry {
        if value.len() > INLINE_VALUE_MAX {
            return Entry::new_shared(key, Bytes::copy_from_slice(value), deadline);
        }
        Entry::build(key, INLINE, None, value, deadline)
    }

    /// A string entry that shares `value`; short values are copied into the entry instead.
    pub fn new_shared(key: &[u8], value: Bytes, deadline: Option<Deadline>) -> Entry {
        Entry::new_typed(key, value, None, deadline)
    }

    /// As [`Entry::new_shared`], with a content type.
    pub fn new_typed(
        key: &[u8],
        value: Bytes,
        content_type: Option<ContentType<'_>>,
        deadline: Option<Deadline>,
    ) -> Entry {
        if value.len() <= INLINE_VALUE_MAX {
            return Entry::build(key, INLINE, content_type, &value, deadline);
        }
        let pointer = Box::into_raw(Box::new(value)).expose_provenance();
        Entry::build(key, SHARED, content_type, &pointer.to_ne_bytes(), deadline)
    }

    /// A pinned entry with its state of at most [`INLINE_VALUE_MAX`] bytes.
    pub fn new_pinned(key: &[u8], state: &[u8], deadline: Option<Deadline>) -> Entry {
        assert!(state.len() <= INLINE_VALUE_MAX, "a pinned state lies inside the entry");
        Entry::build(key, PINNED, None, state, deadline)
    }

    fn build(
        key: &[u8],
        encoding: u64,
        content_type: Option<ContentType<'_>>,
        value: &[u8],
        deadline: Option<Deadline>,
    ) -> Entry {
        let mut header = encoding | (value.len() as u64) << VALUE_LENGTH_SHIFT;
        let mut key_at = 8;
        if let Some(deadline) = deadline {
            header |= VOLATILE;
            key_at += 8;
            if deadline >= FAR_DEADLINE {
                header |= FAR;
            }
        }
        if key.len() >= ESCAPED_KEY_LENGTH {
            header |= LONG_KEY | (ESCAPED_KEY_LENGTH as u64) << KEY_LENGTH_SHIFT;
            key_at += 4;
        } else {
            header |= (key.len() as u64) << KEY_LENGTH_SHIFT;
        }
        let fixed_end = key_at;
        let content_type = content_type.map(|content_type| content_type.text().as_bytes());
        if let Some(content_type) = content_type {
            header |= TYPED;
            key_at += 1 + content_type.len();
        }
        let shape = Shape { key_at, key_length: key.len(), value_length: value.len() };
        let entry = Entry::allocate(shape.allocated());
        // SAFETY: the allocation holds `allocated()` bytes, which cover the header, the optional fields, the key
        // and the value by the way `shape` was computed; the sources are slices of those lengths, that of a content
        // type fitting a byte by the promise of its type.
        unsafe {
            entry.write_word(0, header);
            if let Some(deadline) = deadline {
                entry.write_word(8, pack_expiry(deadline, UNINDEXED));
            }
            if header & LONG_KEY != 0 {
                let length = u32::try_from(key.len()).expect("keys are bounded by the bulk length limit");
                entry.0.as_ptr().add(fixed_end - 4).cast::<u32>().write_unaligned(length);
            }
            if let Some(content_type) = content_type {
                let at = entry.0.as_ptr().add(fixed_end);
                at.write(content_type.len() as u8);
                copy_nonoverlapping(content_type.as_ptr(), at.add(1), content_type.len());
            }
            copy_nonoverlapping(key.as_ptr(), entry.0.as_ptr().add(key_at), key.len());
            copy_nonoverlapping(value.as_ptr(), entry.0.as_ptr().add(shape.value_at()), value.len());
        }
        entry
    }

    fn allocate(size: usize) -> Entry {
        let layout = Layout::from_size_align(size, GRANULE).expect("an entry is far smaller than isize::MAX");
        // SAFETY: the layout's size is at least one granule.
        let Some(pointer) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        Entry(pointer)
    }

    /// # Safety
    /// `at + 8` lies within the allocation, and `at` is a multiple of eight.
    unsafe fn write_word(&self, at: usize, word: u64) {
        // SAFETY: the caller's promise; the allocation is aligned to sixteen.
        unsafe { self.0.as_ptr().add(at).cast::<u64>().write(word) }
    }

    /// What can be read of the entry.
    pub fn view(&self) -> EntryRef<'_> {
        EntryRef { pointer: self.0, owner: PhantomData }
    }

    fn set_header(&mut self, header: u64) {
        // SAFETY: every entry starts with a header word.
        unsafe { self.write_word(0, header) }
    }

    /// Replaces the value by a string without a content type, keeping key, deadline and recency.  The entry may move.
    pub fn set_value(&mut self, value: &[u8]) {
        let shape = self.view().shape();
        let new = Shape { value_length: value.len(), ..shape };
        if value.len() > INLINE_VALUE_MAX
            || self.view().header() & (ENCODING_MASK | TYPED) != INLINE
            || new.allocated() != shape.allocated()
        {
            return self.rebuild(|key, deadline| Entry::new(key, value, deadline));
        }
        // SAFETY: the new value ends within the allocation, whose size is unchanged; `value` cannot overlap it,
        // since nobody holds a reference into an entry that is borrowed mutably.
        unsafe { copy_nonoverlapping(value.as_ptr(), self.0.as_ptr().add(shape.value_at()), value.len()) }
        let header = self.view().header() & !(0xffff << VALUE_LENGTH_SHIFT) & !MODIFIED;
        self.set_header(header | (value.len() as u64) << VALUE_LENGTH_SHIFT);
    }

    /// Replaces the value by shared bytes, keeping key, deadline and recency.  The entry may move.
    pub fn set_shared(&mut self, value: Bytes, content_type: Option<ContentType<'_>>) {
        self.rebuild(|key, deadline| Entry::new_typed(key, value, content_type, deadline));
    }

    /// Overwrites a pinned state by one as long and moves its deadline to one that is as near and not earlier, which is
    /// what nearly every write does.  False, with nothing done, if the entry does not allow that.
    pub fn refresh_pinned_state(&mut self, state: &[u8], deadline: Deadline) -> bool {
        let view = self.view();
        let shape = view.shape();
        let fits = view.value_type() == ValueType::Pinned && shape.value_length == state.len();
        if !fits
            || view.header() & (VOLATILE | FAR) != VOLATILE
            || !(view.expiry_word() >> 20..FAR_DEADLINE).contains(&deadline)
        {
            return false;
        }
        let place = view.expiry_word() as u32 & UNINDEXED;
        // SAFETY: the state takes the place of one of the same length; VOLATILE entries have an expiry word.
        unsafe {
            copy_nonoverlapping(state.as_ptr(), self.0.as_ptr().add(shape.value_at()), state.len());
            self.write_word(8, pack_expiry(deadline, place));
        }
        true
    }

    /// Takes a shared value out, leaving an empty one, so that a sole owner can change its bytes without a copy.
    pub fn take_shared(&mut self) -> Option<Bytes> {
        if self.view().header() & ENCODING_MASK != SHARED {
            return None;
        }
        // SAFETY: with SHARED the pointer is that of a live box owned by this entry.
        Some(std::mem::take(unsafe { &mut *self.view().shared_pointer(self.view().shape()) }))
    }

    /// Puts bytes taken by [`Entry::take_shared`] back, changed or not.
    pub fn restore_shared(&mut self, value: Bytes) {
        assert!(self.view().header() & ENCODING_MASK == SHARED, "only a shared value was taken");
        // SAFETY: as in `take_shared`.
        unsafe { *self.view().shared_pointer(self.view().shape()) = value };
    }

    /// Changes or removes the deadline.  The place in the expiry index is kept while both are near; the entry may
    /// move when it gains or loses its deadline.
    pub fn set_deadline(&mut self, deadline: Option<Deadline>) {
        let header = self.view().header();
        match deadline {
            Some(deadline) if header & VOLATILE != 0 => {
                let place = self.view().index_place().unwrap_or(UNINDEXED);
                let far = if deadline >= FAR_DEADLINE { FAR } else { 0 };
                self.set_header(header & !FAR | far);
                // SAFETY: VOLATILE entries have an expiry word.
                unsafe { self.write_word(8, pack_expiry(deadline, place)) }
            }
            None if header & VOLATILE == 0 => {}
            _ => {
                let moved = match self.take_shared() {
                    Some(value) => Entry::new_typed(self.view().key(), value, self.view().typed(), deadline),
                    None => self.view().inline_copy(self.view().key(), deadline),
                };
                self.adopt(moved, MODIFIED | RECENCY_MASK);
            }
        }
    }

    /// Whether a deadline this far away belongs into an expiry index.
    pub(super) fn is_indexable(deadline: Deadline) -> bool {
        deadline < FAR_DEADLINE
    }

    /// Remembers the place in the expiry index; [`UNINDEXED`] for none.
    pub(super) fn set_index_place(&mut self, place: u32) {
        debug_assert!(self.view().header() & VOLATILE != 0 && self.view().header() & FAR == 0);
        let word = self.view().expiry_word() & !u64::from(UNINDEXED) | u64::from(place);
        // SAFETY: VOLATILE entries have an expiry word.
        unsafe { self.write_word(8, word) }
    }

    /// Sets the eviction policy's 24 bits.
    pub fn set_recency(&mut self, recency: u32) {
        let bits = (u64::from(recency) << RECENCY_SHIFT) & RECENCY_MASK;
        self.set_header(self.view().header() & !RECENCY_MASK | bits);
    }

    /// Notes that the value was changed in part.
    pub fn mark_modified(&mut self) {
        self.set_header(self.view().header() | MODIFIED);
    }

    /// Appends to an inline string without leaving the allocation.  Returns false when it does not fit, or when the
    /// string has a content type, which ends with it.
    pub fn append_in_place(&mut self, suffix: &[u8]) -> bool {
        let shape = self.view().shape();
        let length = shape.value_length + suffix.len();
        let new = Shape { value_length: length, ..shape };
        let inline = self.view().header() & (ENCODING_MASK | TYPED) == INLINE && length <= INLINE_VALUE_MAX;
        if !inline || new.allocated() != shape.allocated() {
            return false;
        }
        let end = shape.value_at() + shape.value_length;
        // SAFETY: the longer value still ends within the allocation, as checked above.
        unsafe { copy(suffix.as_ptr(), self.0.as_ptr().add(end), suffix.len()) }
        let header = self.view().header() & !(0xffff << VALUE_LENGTH_SHIFT);
        self.set_header(header | (length as u64) << VALUE_LENGTH_SHIFT | MODIFIED);
        true
    }

    fn rebuild(&mut self, make: impl FnOnce(&[u8], Option<Deadline>) -> Entry) {
        let rebuilt = make(self.view().key(), self.view().deadline());
        self.adopt(rebuilt, RECENCY_MASK);
    }

    /// Takes over `other`'s allocation with these header bits and the index place of the old one.
    fn adopt(&mut self, mut other: Entry, kept: u64) {
        other.set_header(other.view().header() & !kept | self.view().header() & kept);
        if let Some(place) = self.view().index_place()
            && other.view().header() & VOLATILE != 0
            && other.view().header() & FAR == 0
        {
            other.set_index_place(place);
        }
        *self = other;
    }

    /// The entry as a plain pointer, to be given back to [`Entry::from_raw`].
    pub(super) fn into_raw(self) -> NonNull<u8> {
        let pointer = self.0;
        std::mem::forget(self);
        pointer
    }

    /// # Safety
    /// `pointer` comes from [`Entry::into_raw`], the entry was not freed since, and of all entries made from the
    /// pointer at most one is dropped.
    pub(super) unsafe fn from_raw(pointer: NonNull<u8>) -> Entry {
        Entry(pointer)
    }
}

/// A borrowed entry: what can be read of it.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    pointer: NonNull<u8>,
    owner: PhantomData<&'a Entry>,
}

impl<'a> EntryRef<'a> {
    /// # Safety
    /// `pointer` comes from [`Entry::into_raw`] and the entry is neither freed nor changed during `'a`.
    pub(super) unsafe fn from_raw(pointer: NonNull<u8>) -> EntryRef<'a> {
        EntryRef { pointer, owner: PhantomData }
    }

    fn shape(self) -> Shape {
        let header = self.header();
        let value_length = (header >> VALUE_LENGTH_SHIFT) as usize;
        let key_length = (header >> KEY_LENGTH_SHIFT) as usize & 0xffff;
        let key_at = if header & VOLATILE == 0 { 8 } else { 16 };
        if header & (LONG_KEY | TYPED) == 0 {
            return Shape { key_at, key_length, value_length };
        }
        self.uncommon_shape(Shape { key_at, key_length, value_length })
    }

    /// The shape of an entry with a long key or a content type, from that of one without.
    fn uncommon_shape(self, Shape { mut key_at, mut key_length, value_length }: Shape) -> Shape {
        let header = self.header();
        if header & LONG_KEY != 0 {
            // SAFETY: with LONG_KEY the length of the key follows the fixed fields.
            let length = unsafe { self.pointer.as_ptr().add(key_at).cast::<u32>().read_unaligned() };
            key_length = length as usize;
            key_at += 4;
        }
        if header & TYPED != 0 {
            // SAFETY: with TYPED the length of the content type is there, and the content type follows it.
            key_at += 1 + usize::from(unsafe { self.pointer.as_ptr().add(key_at).read() });
        }
        Shape { key_at, key_length, value_length }
    }

    /// The type of the value.
    pub fn value_type(self) -> ValueType {
        if self.header() & ENCODING_MASK == PINNED { ValueType::Pinned } else { ValueType::String }
    }

    /// The key's bytes.
    pub fn key(self) -> &'a [u8] {
        let shape = self.shape();
        // SAFETY: `build` initialised this range and nothing shortens it.
        unsafe { from_raw_parts(self.pointer.as_ptr().add(shape.key_at), shape.key_length) }
    }

    /// The string it holds.
    ///
    /// # Errors
    /// If it is no string.
    pub fn string(self) -> Result<Value<'a>, WrongType> {
        match self.header() & ENCODING_MASK {
            INLINE => Ok(Value::Inline(self.inline_bytes())),
            // SAFETY: with SHARED the value field holds the pointer of a live box that this entry owns.
            SHARED => Ok(Value::Shared(unsafe { &*self.shared_pointer(self.shape()) })),
            _ => Err(WrongType),
        }
    }

    /// The pinned state it holds.
    ///
    /// # Errors
    /// If it holds something else.
    pub fn pinned_state(self) -> Result<&'a [u8], WrongType> {
        if self.value_type() == ValueType::Pinned { Ok(self.inline_bytes()) } else { Err(WrongType) }
    }

    /// The bytes it holds, of whatever type they are.
    pub fn bytes(self) -> &'a [u8] {
        self.string().map_or_else(|WrongType| self.inline_bytes(), Value::bytes)
    }

    /// The content type of the string it holds, if it was given one.
    pub fn content_type(self) -> Option<&'a str> {
        self.typed().map(ContentType::text)
    }

    fn typed(self) -> Option<ContentType<'a>> {
        let header = self.header();
        if header & TYPED == 0 {
            return None;
        }
        let fixed_end =
            8 + if header & VOLATILE == 0 { 0 } else { 8 } + if header & LONG_KEY == 0 { 0 } else { 4 };
        // SAFETY: with TYPED the length of the content type is here, and its bytes follow.
        let text = unsafe {
            let at = self.pointer.as_ptr().add(fixed_end);
            from_raw_parts(at.add(1), usize::from(at.read()))
        };
        let text = std::str::from_utf8(text).expect("it was text when it was put here");
        ContentType::new(text)
    }

    /// What the value field holds.
    fn inline_bytes(self) -> &'a [u8] {
        let shape = self.shape();
        // SAFETY: the value field holds `value_length` initialised bytes.
        unsafe { from_raw_parts(self.pointer.as_ptr().add(shape.value_at()), shape.value_length) }
    }

    fn shared_pointer(self, shape: Shape) -> *mut Bytes {
        debug_assert_eq!(shape.value_length, POINTER_SIZE);
        // SAFETY: callers have seen SHARED, so the value field is a pointer written by `new_shared`.
        let address = unsafe { self.pointer.as_ptr().add(shape.value_at()).cast::<usize>().read_unaligned() };
        std::ptr::with_exposed_provenance_mut(address)
    }

    /// When the key is gone, if ever.
    pub fn deadline(self) -> Option<Deadline> {
        let header = self.header();
        if header & VOLATILE == 0 {
            return None;
        }
        let word = self.expiry_word();
        Some(if header & FAR == 0 { word >> 20 } else { word })
    }

    /// Whether the key is gone at `now`.  In the millisecond of its deadline it is still there, as in Redis: the clock
    /// counts whole milliseconds, so a key that went then could have lived up to one too short.
    pub fn is_expired(self, now: Deadline) -> bool {
        self.deadline().is_some_and(|deadline| now > deadline)
    }

    /// The place in the expiry index, if the entry is in it.
    pub(super) fn index_place(self) -> Option<u32> {
        let header = self.header();
        if header & VOLATILE == 0 || header & FAR != 0 {
            return None;
        }
        let place = (self.expiry_word() & u64::from(UNINDEXED)) as u32;
        (place != UNINDEXED).then_some(place)
    }

    /// The 24 bits the eviction policy keeps per key.
    pub fn recency(self) -> u32 {
        ((self.header() & RECENCY_MASK) >> RECENCY_SHIFT) as u32
    }

    /// Whether the value was changed in part (APPEND, SETRANGE), which OBJECT ENCODING shows as `raw`.
    pub fn is_modified(self) -> bool {
        self.header() & MODIFIED != 0
    }

    /// Bytes of memory this entry takes, a shared value included.
    pub fn memory(self) -> usize {
        let allocated = self.shape().allocated();
        match self.string() {
            Ok(Value::Shared(bytes)) => allocated + size_of::<Bytes>() + bytes.len(),
            _ => allocated,
        }
    }

    /// A copy under another key: the value with its encoding and content type, the deadline, and whether it was changed in
    /// part.
    pub fn copied_to(self, key: &[u8]) -> Entry {
        let mut copy = match self.string() {
            Ok(Value::Shared(value)) => Entry::new_typed(key, value.clone(), self.typed(), self.deadline()),
            _ => self.inline_copy(key, self.deadline()),
        };
        if self.is_modified() {
            copy.mark_modified();
        }
        copy
    }

    /// A new entry with what this one's value field holds, which is no pointer.
    fn inline_copy(self, key: &[u8], deadline: Option<Deadline>) -> Entry {
        let encoding = self.header() & ENCODING_MASK;
        debug_assert!(encoding != SHARED);
        Entry::build(key, encoding, self.typed(), self.inline_bytes(), deadline)
    }

    /// The address, for comparing and prefetching.
    pub(super) fn pointer(self) -> NonNull<u8> {
        self.pointer
    }

    fn header(self) -> u64 {
        // SAFETY: every entry starts with an initialised header word.
        unsafe { self.pointer.as_ptr().cast::<u64>().read() }
    }

    fn expiry_word(self) -> u64 {
        debug_assert!(self.header() & VOLATILE != 0);
        // SAFETY: the caller has seen VOLATILE, so the second word is the initialised expiry word.
        unsafe { self.pointer.as_ptr().add(8).cast::<u64>().read() }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let shape = self.view().shape();
        if self.view().header() & ENCODING_MASK == SHARED {
            // SAFETY: the box was leaked by `new_shared` for this entry, and nobody else frees it.
            drop(unsafe { Box::from_raw(self.view().shared_pointer(shape)) });
        }
        let layout = Layout::from_size_align(shape.allocated(), GRANULE).expect("it was allocated so");
        // SAFETY: every in-place change keeps `allocated()`, so this is the layout `allocate` was called with.
        unsafe { dealloc(self.0.as_ptr(), layout) }
    }
}

fn pack_expiry(deadline: Deadline, place: u32) -> u64 {
    if deadline >= FAR_DEADLINE { deadline } else { deadline << 20 | u64::from(place) }
}
