//! The atomic cells: the only file that names an atomic type.
//!
//! A [`Cell`] holds one float that every worker may read and write. Loads and stores are relaxed: on x86-64 they are
//! plain moves, and by Rust's rules they are no data race, so that Hogwild! needs no `unsafe`. A value is never torn; an
//! addition made of a load and a store can be lost when two workers meet ([`Cell::get`] then [`Cell::set`]), one made by
//! compare-and-swap cannot ([`Cell::add`]).
//!
//! Under `cfg(loom)` the same names are loom's, which runs every interleaving of a small test (`tests/loom.rs`).

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

#[cfg(not(loom))]
pub use atomic_float::{AtomicF32, AtomicF64};
#[cfg(loom)]
pub use loom::sync::{
    Mutex, MutexGuard, RwLock,
    atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
};
#[cfg(loom)]
pub use loom_cells::{AtomicF32, AtomicF64};
#[cfg(not(loom))]
pub use std::sync::{
    Mutex, MutexGuard, RwLock,
    atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
};

/// The number type of the weights: `f32`, or `f64` with `--precision f64`.
pub trait Float:
    Copy
    + Debug
    + Default
    + Display
    + PartialOrd
    + Send
    + Sync
    + Sum
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    /// The atomic cell that holds one such number.
    type Cell: Cell<Self>;
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The name that `--precision` and files give it.
    const NAME: &'static str;
    /// A feature's value, which is stored as `f32`, as a weight's type.
    fn from_f32(value: f32) -> Self;
    /// Rounds to this precision.
    fn from_f64(value: f64) -> Self;
    /// Exact.
    fn to_f64(self) -> f64;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// This size with that sign.
    fn copysign(self, sign: Self) -> Self;
}

/// One shared float. Every access is relaxed: no other memory is published through a weight.
pub trait Cell<F>: Send + Sync {
    /// A cell that holds `value`.
    fn new(value: F) -> Self;
    /// Reads.
    fn get(&self) -> F;
    /// Reads a cell that nobody else can reach: an ordinary load, of which a compiler makes many at once.
    fn sole(&mut self) -> F {
        self.get()
    }
    /// Writes.
    fn set(&self, value: F);
    /// Adds by compare-and-swap: no addition is ever lost.
    fn add(&self, change: F);
    /// Writes `new` if the cell still holds `current`; tells whether it did.
    fn replace(&self, current: F, new: F) -> bool;
}

macro_rules! float {
    ($float:ident, $cell:ident, $name:literal) => {
        impl Float for $float {
            type Cell = $cell;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NAME: &'static str = $name;
            #[inline(always)]
            fn from_f32(value: f32) -> Self {
                value as $float
            }
            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $float
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $float::sqrt(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $float::abs(self)
            }
            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                $float::copysign(self, sign)
            }
        }

        impl Cell<$float> for $cell {
            fn new(value: $float) -> Self {
                $cell::new(value)
            }
            #[inline(always)]
            fn get(&self) -> $float {
                self.load(Ordering::Relaxed)
            }
            #[cfg(not(loom))]
            #[inline(always)]
            fn sole(&mut self) -> $float {
                *self.get_mut()
            }
            #[inline(always)]
            fn set(&self, value: $float) {
                self.store(value, Ordering::Relaxed)
            }
            #[inline(always)]
            fn add(&self, change: $float) {
                self.fetch_add(change, Ordering::Relaxed);
            }
            #[inline(always)]
            fn replace(&self, current: $float, new: $float) -> bool {
                self.compare_exchange(current, new, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            }
        }
    };
}
float!(f32, AtomicF32, "f32");
float!(f64, AtomicF64, "f64");

/// The same of a byte as [`Cell::sole`] of a float.
#[inline(always)]
pub fn sole(byte: &mut AtomicU8) -> u8 {
    #[cfg(not(loom))]
    return *byte.get_mut();
    #[cfg(loom)]
    byte.load(Ordering::Relaxed)
}

/// `n` cells that hold 0.
pub fn zeros<F: Float>(n: usize) -> Vec<F::Cell> {
    (0..n).map(|_| F::Cell::new(F::ZERO)).collect()
}

/// What the cells hold now.
pub fn values<F: Float>(cells: &[F::Cell]) -> Vec<F> {
    cells.iter().map(Cell::get).collect()
}

/// Sets every cell.
///
/// # Panics
/// If the lengths differ.
pub fn set_values<F: Float>(cells: &[F::Cell], values: &[F]) {
    assert_eq!(cells.len(), values.len(), "one value a cell");
    for (cell, &value) in cells.iter().zip(values) {
        cell.set(value);
    }
}

/// Stand-ins for atomic_float's types; they are documented there.
#[cfg(loom)]
#[allow(missing_docs)]
mod loom_cells {
    use super::Ordering;

    macro_rules! cell {
        ($cell:ident, $float:ident, $atomic:ident) => {
            /// A float kept as bits in loom's integer atomic.
            #[derive(Debug)]
            pub struct $cell(loom::sync::atomic::$atomic);
            impl $cell {
                pub fn new(value: $float) -> Self {
                    Self(loom::sync::atomic::$atomic::new(value.to_bits()))
                }
                pub fn load(&self, order: Ordering) -> $float {
                    $float::from_bits(self.0.load(order))
                }
                pub fn store(&self, value: $float, order: Ordering) {
                    self.0.store(value.to_bits(), order)
                }
                pub fn fetch_add(&self, change: $float, order: Ordering) -> $float {
                    loop {
                        let now = self.load(order);
                        if self.compare_exchange(now, now + change, order, order).is_ok() {
                            return now;
                        }
                    }
                }
                pub fn compare_exchange(
                    &self,
                    current: $float,
                    new: $float,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$float, $float> {
                    self.0
                        .compare_exchange(current.to_bits(), new.to_bits(), success, failure)
                        .map($float::from_bits)
                        .map_err($float::from_bits)
                }
            }
        };
    }
    cell!(AtomicF32, f32, AtomicU32);
    cell!(AtomicF64, f64, AtomicU64);
}
