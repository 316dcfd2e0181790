//! An entry as it is read.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::slice::from_raw_parts;

use bytes::Bytes;

use super::layout::{
    Deadline, ENCODING_MASK, FAR, INLINE, KEY_LENGTH_SHIFT, LONG_KEY, MODIFIED, OBJECT, PACKED, PINNED,
    POINTER_SIZE, RECENCY_MASK, RECENCY_SHIFT, SHARED, Shape, TYPED, UNINDEXED, VALUE_LENGTH_SHIFT, VOLATILE,
};
use crate::store::object::{ExpiringHash, Object, Packed, Parts};
use crate::store::value::{ContentType, Value, ValueType, WrongType};

/// A borrowed entry.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    pointer: NonNull<u8>,
    owner: PhantomData<&'a ()>,
}

impl<'a> EntryRef<'a> {
    /// # Safety
    /// `pointer` comes from `Entry::into_raw` and the entry is neither freed nor changed during `'a`.
    pub(in crate::store) unsafe fn from_raw(pointer: NonNull<u8>) -> EntryRef<'a> {
        EntryRef { pointer, owner: PhantomData }
    }

    pub(super) fn shape(self) -> Shape {
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
        match self.header() & ENCODING_MASK {
            PINNED => ValueType::Pinned,
            OBJECT => self.boxed_object().value_type(),
            PACKED => Packed::new(self.field()).kind().value_type(),
            _ => ValueType::String,
        }
    }

    /// Whether it holds a string.
    pub fn is_string(self) -> bool {
        self.header() & ENCODING_MASK <= SHARED
    }

    /// Whether it is pinned.
    pub fn is_pinned(self) -> bool {
        self.header() & ENCODING_MASK == PINNED
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
            INLINE => Ok(Value::Inline(self.field())),
            // SAFETY: with SHARED the value field holds the pointer of a live box that this entry owns.
            SHARED => Ok(Value::Shared(unsafe { &*self.boxed_pointer::<Bytes>() })),
            _ => Err(WrongType),
        }
    }

    /// The pinned state it holds.
    ///
    /// # Errors
    /// If it holds something else.
    pub fn pinned_state(self) -> Result<&'a [u8], WrongType> {
        if self.is_pinned() { Ok(self.field()) } else { Err(WrongType) }
    }

    /// The value with parts that it holds.
    ///
    /// # Errors
    /// If it holds something else.
    pub fn parts(self) -> Result<Parts<'a>, WrongType> {
        match self.header() & ENCODING_MASK {
            PACKED => Ok(Parts::Packed(Packed::new(self.field()))),
            OBJECT => Ok(Parts::Object(self.boxed_object())),
            _ => Err(WrongType),
        }
    }

    /// The packed value it holds.
    pub fn packed(self) -> Option<Packed<'a>> {
        (self.header() & ENCODING_MASK == PACKED).then(|| Packed::new(self.field()))
    }

    /// The object it holds, if its value is large.
    pub fn object(self) -> Option<&'a Object> {
        (self.header() & ENCODING_MASK == OBJECT).then(|| self.boxed_object())
    }

    fn boxed_object(self) -> &'a Object {
        debug_assert!(self.header() & ENCODING_MASK == OBJECT);
        // SAFETY: callers have seen OBJECT, so the value field holds the pointer of a live box that this entry owns.
        unsafe { &*self.boxed_pointer::<Object>() }
    }

    /// The bytes of the string or the pinned state it holds; none of a value with parts.
    pub fn bytes(self) -> &'a [u8] {
        match self.string() {
            Ok(value) => value.bytes(),
            Err(WrongType) => self.pinned_state().unwrap_or_default(),
        }
    }

    /// The content type of the string it holds, if it was given one.
    pub fn content_type(self) -> Option<&'a str> {
        self.typed().map(ContentType::text)
    }

    pub(super) fn typed(self) -> Option<ContentType<'a>> {
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

    /// The bytes of the value field.
    pub(super) fn field(self) -> &'a [u8] {
        let shape = self.shape();
        // SAFETY: the value field holds `value_length` initialised bytes.
        unsafe { from_raw_parts(self.pointer.as_ptr().add(shape.value_at()), shape.value_length) }
    }

    /// The pointer that the value field holds with SHARED and OBJECT.
    pub(super) fn boxed_pointer<T>(self) -> *mut T {
        let shape = self.shape();
        assert!(shape.value_length == POINTER_SIZE, "the value field holds a pointer");
        // SAFETY: the value field has the size of a pointer, and all of its bytes are initialised.
        let address = unsafe { self.pointer.as_ptr().add(shape.value_at()).cast::<usize>().read_unaligned() };
        std::ptr::with_exposed_provenance_mut(address)
    }

    /// When the key is gone, if ever.
    pub fn deadline(self) -> Option<Deadline> {
        match self.expiring_hash() {
            Some(hash) => hash.key_deadline,
            None => self.due(),
        }
    }

    /// The hash it holds, if fields of it may expire.
    pub(in crate::store) fn expiring_hash(self) -> Option<&'a ExpiringHash> {
        match self.object()? {
            Object::ExpiringHash(hash) => Some(hash),
            _ => None,
        }
    }

    /// When the key or the soonest of its fields is gone: the deadline that the index knows.
    pub(in crate::store) fn due(self) -> Option<Deadline> {
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
        self.is_due(now) && self.expiring_hash().is_none_or(|hash| hash.is_gone(now))
    }

    /// Whether the key, or a field of it, is gone at `now`.
    #[inline]
    pub(in crate::store) fn is_due(self, now: Deadline) -> bool {
        self.due().is_some_and(|deadline| now > deadline)
    }

    /// The place in the expiry index, if the entry is in it.
    pub(in crate::store) fn index_place(self) -> Option<u32> {
        let header = self.header();
        if header & VOLATILE == 0 || header & FAR != 0 {
            return None;
        }
        let place = (self.expiry_word() & u64::from(UNINDEXED)) as u32;
        (place != UNINDEXED).then_some(place)
    }

    /// Whether its deadline is in an index: one that is centuries away is not.
    pub(in crate::store) fn is_indexed(self) -> bool {
        self.index_place().is_some()
    }

    /// The 24 bits the eviction policy keeps per key.
    pub fn recency(self) -> u32 {
        ((self.header() & RECENCY_MASK) >> RECENCY_SHIFT) as u32
    }

    /// Whether the value was changed in part (APPEND, SETRANGE), which OBJECT ENCODING shows as `raw`.
    pub fn is_modified(self) -> bool {
        self.header() & MODIFIED != 0
    }

    /// Bytes of memory this entry takes, including a shared value or an object.
    pub fn memory(self) -> usize {
        let allocated = self.shape().allocated();
        match self.header() & ENCODING_MASK {
            // SAFETY: as in `string`.
            SHARED => allocated + size_of::<Bytes>() + unsafe { &*self.boxed_pointer::<Bytes>() }.len(),
            OBJECT => allocated + self.boxed_object().memory(),
            _ => allocated,
        }
    }

    /// The address, for comparing and prefetching.
    pub(in crate::store) fn pointer(self) -> NonNull<u8> {
        self.pointer
    }

    pub(super) fn header(self) -> u64 {
        // SAFETY: every entry starts with an initialised header word.
        unsafe { self.pointer.as_ptr().cast::<u64>().read() }
    }

    pub(super) fn expiry_word(self) -> u64 {
        debug_assert!(self.header() & VOLATILE != 0);
        // SAFETY: the caller has seen VOLATILE, so the second word is the initialised expiry word.
        unsafe { self.pointer.as_ptr().add(8).cast::<u64>().read() }
    }
}
