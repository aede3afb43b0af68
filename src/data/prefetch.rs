//! Memory asked for before it is needed.
//!
//! The price of a visit is memory: where rows rest, those that are left lie apart, and each is a chain of cache misses
//! (offset, then features and values) unless it is fetched while earlier rows are worked on. Measured, time to a gap of
//! 1e-3 without over with: 1.9 on 50 million text-like non-zeros, 1.2 on rcv1.
#![allow(unsafe_code)]

use std::ops::Range;

/// Bytes in a cache line.
const LINE: usize = 64;
/// Of a long range only so many lines are asked for: the processor follows a started stream by itself.
const MOST_LINES: usize = 8;

/// Asks for `slice[place]` to be brought near, and does not wait. There need be no such place.
#[inline(always)]
pub fn prefetch<T>(slice: &[T], place: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads no memory as far as the program can see, and may name any address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(slice.as_ptr().wrapping_add(place).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, place);
}

/// Asks for the first lines of `slice[range]`, and the last.
#[inline(always)]
pub fn prefetch_range<T>(slice: &[T], range: Range<usize>) {
    let step = (LINE / size_of::<T>().max(1)).max(1);
    prefetch(slice, range.start);
    prefetch(slice, range.end.wrapping_sub(1)); // it may lie on a line that no step meets
    let end = range.end.min(range.start.saturating_add(MOST_LINES * step));
    let mut place = range.start.saturating_add(step); // most short rows end before it
    while place < end {
        prefetch(slice, place);
        place += step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_for_what_is_not_there_is_harmless() {
        let numbers = [1u32, 2, 3];
        prefetch(&numbers, 1);
        prefetch(&numbers, 3);
        prefetch_range(&numbers, 0..usize::MAX);
        prefetch::<u8>(&[], 0);
    }
}
