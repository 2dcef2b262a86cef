//! How often a thread has asked for memory, for tests that something allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts for each thread how often it is asked. A test file that counts makes it its own:
///
/// ```
/// use sx_testkit::{CountingAllocator, allocations};
///
/// #[global_allocator]
/// static COUNTING: CountingAllocator = CountingAllocator;
///
/// let before = allocations();
/// let kept = vec![1];
/// assert_eq!((allocations() - before, kept.len()), (1, 1));
/// ```
#[derive(Debug)]
pub struct CountingAllocator;

std::thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// How often this thread has asked since it began; always zero where [`CountingAllocator`] is not the allocator.
pub fn allocations() -> u64 {
    ALLOCATIONS.get()
}

// SAFETY: everything is passed on to the system's allocator as it came; the count is a plain number.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no count any more, and is not measured.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: what holds for us holds for it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: what holds for us holds for it.
        unsafe { System.dealloc(at, layout) }
    }
}
