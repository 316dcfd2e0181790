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
//! ..       value    the bytes themselves; with SHARED a pointer to a boxed `Bytes`, with OBJECT one to a boxed `Object`
//! ```
//!
//! The encodings INLINE and SHARED are strings.  PINNED is the state of a service, which that service alone understands;
//! all other commands see a key without a readable value.  Every type with parts is PACKED (see `object/packed`) while it is
//! small, and OBJECT beyond.
//!
//! The allocation is a multiple of sixteen bytes, which is what the allocator would round it to anyway; a value
//! that changes its length within that size is overwritten in place.

mod layout;
mod packed;
mod view;

pub(super) use layout::UNINDEXED;
pub use layout::{Deadline, INLINE_VALUE_MAX};
pub use view::EntryRef;

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::marker::PhantomData;
use std::ptr::{NonNull, copy, copy_nonoverlapping, write_bytes};
use std::slice::from_raw_parts_mut;

use bytes::Bytes;

use crate::store::object::{ExpiringHash, Object};
use crate::store::value::{ContentType, Value};
use layout::{
    ENCODING_MASK, ESCAPED_KEY_LENGTH, FAR, FAR_DEADLINE, GRANULE, INLINE, KEY_LENGTH_SHIFT, LONG_KEY,
    MODIFIED, OBJECT, PINNED, RECENCY_MASK, RECENCY_SHIFT, SHARED, Shape, TYPED, VALUE_LENGTH_SHIFT,
    VOLATILE,
};

/// An owned entry.  Moving it moves a pointer; dropping it frees the key and the value.
pub struct Entry {
    pointer: NonNull<u8>,
    owned: PhantomData<(Bytes, Object)>,
}

// SAFETY: an entry owns its allocation, and what it holds may be sent to another thread: plain bytes, and what the
// assertion below names.
unsafe impl Send for Entry {}

const _: () = {
    const fn may_be_sent<T: Send>() {}
    may_be_sent::<(Bytes, Object)>();
};

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

    /// An entry with an object.
    pub(in crate::store) fn new_object(
        key: &[u8],
        mut object: Box<Object>,
        deadline: Option<Deadline>,
    ) -> Entry {
        let due = match &mut *object {
            Object::ExpiringHash(hash) => {
                hash.key_deadline = deadline;
                hash.due()
            }
            _ => deadline,
        };
        let pointer = Box::into_raw(object).expose_provenance();
        Entry::build(key, OBJECT, None, &pointer.to_ne_bytes(), due)
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
                entry.pointer.as_ptr().add(fixed_end - 4).cast::<u32>().write_unaligned(length);
            }
            if let Some(content_type) = content_type {
                let at = entry.pointer.as_ptr().add(fixed_end);
                at.write(content_type.len() as u8);
                copy_nonoverlapping(content_type.as_ptr(), at.add(1), content_type.len());
            }
            copy_nonoverlapping(key.as_ptr(), entry.pointer.as_ptr().add(key_at), key.len());
            copy_nonoverlapping(value.as_ptr(), entry.pointer.as_ptr().add(shape.value_at()), value.len());
        }
        entry
    }

    fn allocate(size: usize) -> Entry {
        let layout = Layout::from_size_align(size, GRANULE).expect("an entry is far smaller than isize::MAX");
        // SAFETY: the layout's size is at least one granule.
        let Some(pointer) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        Entry { pointer, owned: PhantomData }
    }

    /// # Safety
    /// `at + 8` lies within the allocation, and `at` is a multiple of eight.
    unsafe fn write_word(&self, at: usize, word: u64) {
        // SAFETY: the caller's promise; the allocation is aligned to sixteen.
        unsafe { self.pointer.as_ptr().add(at).cast::<u64>().write(word) }
    }

    /// The entry to be read.
    pub fn view(&self) -> EntryRef<'_> {
        // SAFETY: this entry is live and not changed while the view borrows it.
        unsafe { EntryRef::from_raw(self.pointer) }
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
        // since there is no other reference into an entry that is borrowed mutably.
        unsafe {
            copy_nonoverlapping(value.as_ptr(), self.pointer.as_ptr().add(shape.value_at()), value.len())
        }
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
        let fits = view.is_pinned() && shape.value_length == state.len();
        if !fits
            || view.header() & (VOLATILE | FAR) != VOLATILE
            || !(view.expiry_word() >> 20..FAR_DEADLINE).contains(&deadline)
        {
            return false;
        }
        let place = view.expiry_word() as u32 & UNINDEXED;
        // SAFETY: the state takes the place of one of the same length; VOLATILE entries have an expiry word.
        unsafe {
            copy_nonoverlapping(state.as_ptr(), self.pointer.as_ptr().add(shape.value_at()), state.len());
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
        Some(std::mem::take(unsafe { &mut *self.view().boxed_pointer::<Bytes>() }))
    }

    /// Changes or removes the deadline of the key.  The place in the expiry index is kept while both are near; the entry may
    /// move when it gains or loses its deadline.
    pub(in crate::store) fn set_deadline(&mut self, deadline: Option<Deadline>) {
        match self.object_mut() {
            Some(Object::ExpiringHash(hash)) => {
                hash.key_deadline = deadline;
                self.settle_due();
            }
            _ => self.set_due(deadline),
        }
    }

    /// Brings up to date when it falls due, after a change of the deadlines of its fields.  The entry may move.
    pub(in crate::store) fn settle_due(&mut self) {
        let due = self.view().expiring_hash().map(ExpiringHash::due);
        if let Some(due) = due.filter(|due| *due != self.view().due()) {
            self.set_due(due);
        }
    }

    fn set_due(&mut self, deadline: Option<Deadline>) {
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
                let moved = self.move_value(None, deadline);
                self.adopt(moved, MODIFIED | RECENCY_MASK);
            }
        }
    }

    /// The same value, deadline and mark of modification under another key.  The parts of an object are not copied.
    pub fn renamed(mut self, key: &[u8]) -> Entry {
        let is_modified = self.view().is_modified();
        let mut renamed = self.move_value(Some(key), self.view().due());
        if is_modified {
            renamed.mark_modified();
        }
        renamed
    }

    /// Replaces the value by an object, keeping key, deadline and recency.  The entry may move.
    pub(in crate::store) fn set_object(&mut self, object: Box<Object>) {
        let made = Entry::new_object(self.view().key(), object, self.view().deadline());
        self.adopt(made, MODIFIED | RECENCY_MASK);
    }

    /// The bytes of the value field of an entry without a pointer.
    fn field_mut(&mut self) -> &mut [u8] {
        let shape = self.view().shape();
        // SAFETY: the value field holds `value_length` initialised bytes, and the entry is borrowed mutably.
        unsafe { from_raw_parts_mut(self.pointer.as_ptr().add(shape.value_at()), shape.value_length) }
    }

    /// Makes the value field of an entry without a pointer longer, with zeros, or shorter.  The entry may move.
    fn resize_field(&mut self, length: usize) {
        let shape = self.view().shape();
        let new = Shape { value_length: length, ..shape };
        assert!(length <= usize::from(u16::MAX), "the length of a value field has sixteen bits");
        if new.allocated() != shape.allocated() {
            let layout = Layout::from_size_align(shape.allocated(), GRANULE).expect("it was allocated so");
            // SAFETY: this is the layout that the entry was allocated with, and the new size is far from any limit.
            let moved = unsafe { realloc(self.pointer.as_ptr(), layout, new.allocated()) };
            let Some(moved) = NonNull::new(moved) else { handle_alloc_error(layout) };
            self.pointer = moved;
        }
        if length > shape.value_length {
            // SAFETY: the longer value ends within the allocation.
            unsafe {
                let end = self.pointer.as_ptr().add(shape.value_at() + shape.value_length);
                write_bytes(end, 0, length - shape.value_length);
            }
        }
        let header = self.view().header() & !(0xffff << VALUE_LENGTH_SHIFT);
        self.set_header(header | (length as u64) << VALUE_LENGTH_SHIFT);
    }

    /// The object it holds, if its value is large.
    pub(in crate::store) fn object_mut(&mut self) -> Option<&mut Object> {
        if self.view().header() & ENCODING_MASK != OBJECT {
            return None;
        }
        // SAFETY: with OBJECT the value field is the pointer of a live box owned by this entry, which is borrowed mutably.
        Some(unsafe { &mut *self.view().boxed_pointer() })
    }

    /// Moves the value with its content type into a new entry, of the same key if none is given.  This one is left with a
    /// string that must not be read.
    fn move_value(&mut self, key: Option<&[u8]>, deadline: Option<Deadline>) -> Entry {
        let view = self.view();
        let (encoding, key) = (view.header() & ENCODING_MASK, key.unwrap_or(view.key()));
        let moved = Entry::build(key, encoding, view.typed(), view.field(), deadline);
        // The box behind the value field belongs to the new entry from here on.
        self.set_header(self.view().header() & !ENCODING_MASK | INLINE);
        moved
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
        unsafe { copy(suffix.as_ptr(), self.pointer.as_ptr().add(end), suffix.len()) }
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
        let pointer = self.pointer;
        std::mem::forget(self);
        pointer
    }

    /// # Safety
    /// `pointer` comes from [`Entry::into_raw`], the entry was not freed since, and of all entries made from the
    /// pointer at most one is dropped.
    pub(super) unsafe fn from_raw(pointer: NonNull<u8>) -> Entry {
        Entry { pointer, owned: PhantomData }
    }
}

impl EntryRef<'_> {
    /// A copy under another key: the value with its encoding and content type, the deadline, and whether it was changed in
    /// part.
    pub fn copied_to(self, key: &[u8]) -> Entry {
        let mut copy = match (self.string(), self.object()) {
            (Ok(Value::Shared(value)), _) => {
                Entry::new_typed(key, value.clone(), self.typed(), self.deadline())
            }
            (_, Some(object)) => Entry::new_object(key, Box::new(object.clone()), self.deadline()),
            // The value field holds no pointer.
            _ => {
                let encoding = self.header() & ENCODING_MASK;
                Entry::build(key, encoding, self.typed(), self.field(), self.deadline())
            }
        };
        if self.is_modified() {
            copy.mark_modified();
        }
        copy
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let shape = self.view().shape();
        match self.view().header() & ENCODING_MASK {
            // SAFETY: the box was leaked by `new_typed` for this entry alone.
            SHARED => drop(unsafe { Box::from_raw(self.view().boxed_pointer::<Bytes>()) }),
            // SAFETY: the same of `new_object`.
            OBJECT => drop(unsafe { Box::from_raw(self.view().boxed_pointer::<Object>()) }),
            _ => {}
        }
        let layout = Layout::from_size_align(shape.allocated(), GRANULE).expect("it was allocated so");
        // SAFETY: every in-place change keeps `allocated()`, so this is the layout `allocate` was called with.
        unsafe { dealloc(self.pointer.as_ptr(), layout) }
    }
}

fn pack_expiry(deadline: Deadline, place: u32) -> u64 {
    if deadline >= FAR_DEADLINE { deadline } else { deadline << 20 | u64::from(place) }
}
