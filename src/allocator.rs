//! The allocator, and how memory goes back to the system.
//!
//! Small blocks are mimalloc's.  A large block is a mapping of its own: it costs nothing before it is touched, grows without
//! a copy, and goes back to the system when it is freed.  The system needs some milliseconds to take much memory back, so
//! a thread of its own does that.  mimalloc keeps small blocks that were freed; each thread has it give them back after
//! [`ask_for_purge`].

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::ptr::{NonNull, copy_nonoverlapping, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::thread::Thread;

use mimalloc::MiMalloc;
use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap, munmap};

/// Blocks from this size on are mappings.  Smaller ones are reused by mimalloc, so the system need not clear their pages.
const MAPPED_MIN: usize = 4 * 1024 * 1024;

/// Blocks from this size on are whole pages, whoever gives them out.
const PAGED_MIN: usize = 64 * 1024 + 1;

/// Small blocks are multiples of so many bytes.
const GRANULE: usize = 16;

/// The alignment of every mapping.
const PAGE: usize = 4096;

/// Mappings from this size on are given back by the thread for that.
const HANDED_OVER_MIN: usize = 16 * 1024 * 1024;

/// The most bytes that may wait to be given back.  Beyond that a thread gives back the blocks that it frees.
const WAITING_MAX: usize = 1024 * 1024 * 1024;

/// The program's allocator.
pub struct Allocator;

/// The start of a freed mapping that waits to be given back.
struct Freed {
    next: *mut Freed,
    size: usize,
}

/// The mappings that wait to be given back.
static FREED: AtomicPtr<Freed> = AtomicPtr::new(null_mut());

/// Their bytes.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// The thread that gives them back, once it has started.
static GIVER: OnceLock<Thread> = OnceLock::new();

/// Counts the calls of [`ask_for_purge`].
static PURGES: AtomicU64 = AtomicU64::new(0);

fn is_mapped(size: usize, align: usize) -> bool {
    size >= MAPPED_MIN && align <= PAGE
}

// SAFETY: whether a block is mimalloc's or a mapping follows from its layout alone, so each is given back to where it came
// from; both give out blocks of the size and alignment that was asked for, and a mapping is all zeros.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout.size(), layout.align()) {
            return map(layout.size());
        }
        // SAFETY: the caller's promise.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout.size(), layout.align()) {
            return map(layout.size());
        }
        // SAFETY: the caller's promise.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_mapped(layout.size(), layout.align()) {
            // SAFETY: by its layout it is a mapping of this size that is no longer used.
            return unsafe { unmap(block, layout.size()) };
        }
        // SAFETY: the caller's promise.
        unsafe { MiMalloc.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (was_mapped, will_be_mapped) =
            (is_mapped(layout.size(), layout.align()), is_mapped(size, layout.align()));
        if !was_mapped && !will_be_mapped {
            // SAFETY: the caller's promise.
            return unsafe { MiMalloc.realloc(block, layout, size) };
        }
        if was_mapped && will_be_mapped {
            // SAFETY: by its layout it is a mapping of the old size, and only the caller uses it.
            let moved = unsafe { mremap(block.cast(), layout.size(), size, MremapFlags::MAYMOVE) };
            return moved.map_or(null_mut(), |moved| moved.cast());
        }
        // SAFETY: the caller promises that the size, rounded up to the alignment, does not overflow; both blocks are as long
        // as the bytes that are copied, and do not overlap.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                copy_nonoverlapping(block, moved, size.min(layout.size()));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

/// A mapping of `size` bytes, null if the system has none.
fn map(size: usize) -> *mut u8 {
    let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE);
    // SAFETY: the system chooses a place where nothing is.
    let mapped = unsafe { mmap_anonymous(null_mut(), size, protection, flags) };
    mapped.map_or(null_mut(), |mapped| mapped.cast())
}

/// Gives a mapping back, or has it given back soon.
///
/// # Safety
/// The mapping has `size` bytes, was made by [`map`], and is no longer used.
unsafe fn unmap(block: *mut u8, size: usize) {
    let giver = GIVER.get().filter(|_| size >= HANDED_OVER_MIN);
    if let Some(giver) = giver
        && WAITING.fetch_add(size, Ordering::Relaxed) < WAITING_MAX
    {
        let freed = block.cast::<Freed>();
        let mut next = FREED.load(Ordering::Relaxed);
        loop {
            // SAFETY: the block is ours, aligned to a page and longer than what is written.
            unsafe { freed.write(Freed { next, size }) };
            match FREED.compare_exchange_weak(next, freed, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(other) => next = other,
            }
        }
        return giver.unpark();
    }
    if giver.is_some() {
        WAITING.fetch_sub(size, Ordering::Relaxed);
    }
    // SAFETY: the caller's promise.
    unsafe { give_back(block.cast(), size) }
}

/// # Safety
/// As for [`unmap`].
unsafe fn give_back(block: *mut c_void, size: usize) {
    // SAFETY: the caller's promise.
    let given = unsafe { munmap(block, size) };
    debug_assert!(given.is_ok(), "it is a mapping of this size");
}

/// Gives back all that waits.
fn give_back_all() {
    let mut first = FREED.swap(null_mut(), Ordering::Acquire);
    while let Some(block) = NonNull::new(first) {
        // SAFETY: the thread that put it there has written it and no longer uses it.
        let Freed { next, size } = unsafe { block.read() };
        // SAFETY: as above.
        unsafe { give_back(block.as_ptr().cast(), size) };
        WAITING.fetch_sub(size, Ordering::Relaxed);
        first = next;
    }
}

/// Bytes of the block that is given out for so many; of a block of more than 64 KiB at least so many.
pub fn block_size(size: usize) -> usize {
    match size {
        0..=GRANULE => size.next_multiple_of(GRANULE),
        PAGED_MIN.. => size.next_multiple_of(PAGE),
        // mimalloc has four sizes from one power of two to the next.
        _ => size.next_multiple_of(GRANULE.max(1 << ((size - 1).ilog2() - 2))),
    }
}

/// Starts the thread that gives large blocks back.  Without it each thread gives back what it frees.
///
/// # Errors
/// If the system has no more threads.
pub fn start_giving_back() -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("give-back".into()).spawn(|| {
        loop {
            give_back_all();
            std::thread::park();
        }
    })?;
    GIVER.get_or_init(|| thread.thread().clone());
    Ok(())
}

/// Has each thread that has a [`Purge`] give back the freed memory that it keeps.
pub fn ask_for_purge() {
    PURGES.fetch_add(1, Ordering::Relaxed);
}

/// One thread's part in giving memory back.
#[derive(Debug, Default)]
pub struct Purge {
    done: u64,
}

impl Purge {
    /// Whether that was asked for since the thread has last given back.
    pub fn is_due(&self) -> bool {
        self.done != PURGES.load(Ordering::Relaxed)
    }

    /// Gives back the freed memory that the thread keeps, if that is due.  It takes long if much was freed.
    pub fn follow(&mut self) {
        let asked = PURGES.load(Ordering::Relaxed);
        if self.done != asked {
            self.done = asked;
            purge();
        }
    }
}

/// Gives back the freed memory that this thread keeps.  A thread that ends after it has used much would leave it to nobody.
pub fn purge() {
    // SAFETY: it works on the calling thread's own heap and on what all threads share, which has its own locks.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_the_sizes_of_the_allocator() {
        for size in (GRANULE..4096).chain([5000, 8192, 8193, 40_000, 60_000, PAGED_MIN - 1]) {
            let layout = Layout::from_size_align(size, GRANULE).expect("a fair layout");
            // SAFETY: the block is one of mimalloc's, and is given back with its layout.
            let usable = unsafe {
                let block = Allocator.alloc(layout);
                let usable = libmimalloc_sys::mi_usable_size(block.cast());
                Allocator.dealloc(block, layout);
                usable
            };
            assert_eq!(block_size(size), usable, "{size}");
        }
        assert_eq!((block_size(0), block_size(MAPPED_MIN + 1)), (0, MAPPED_MIN + PAGE));
    }

    /// Blocks on both sides of the limit, grown and shrunk across it, keep their bytes, and bytes that were never written are zero.
    #[test]
    fn blocks_keep_their_bytes_wherever_they_lie() {
        start_giving_back().expect("a thread can be started");
        let sizes =
            [1000, MAPPED_MIN - 1, MAPPED_MIN, 3 * MAPPED_MIN + 5, HANDED_OVER_MIN + 1, MAPPED_MIN, 20];
        for first in sizes {
            let layout = Layout::from_size_align(first, 16).expect("a fair layout");
            // SAFETY: each block is used within its size, and given back with the layout it has by then.
            unsafe {
                let mut block = Allocator.alloc_zeroed(layout);
                assert!(!block.is_null());
                assert_eq!((block.read(), block.add(first - 1).read()), (0, 0));
                block.write(7);
                let mut layout = layout;
                for size in sizes {
                    block = Allocator.realloc(block, layout, size);
                    assert!(!block.is_null());
                    assert_eq!(block.read(), 7);
                    block.add(size - 1).write(9);
                    layout = Layout::from_size_align(size, 16).expect("a fair layout");
                }
                Allocator.dealloc(block, layout);
            }
        }
        while WAITING.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
    }
}
