//! Sums over the windows of several neighbouring outputs, for one vector of channels.
#![allow(unsafe_code)]

use super::lanes::{Kernel, Lanes};

/// The largest number of outputs whose sums are in registers together.
pub(crate) const MOST_OUTPUTS: usize = 8;

/// A kernel that is compiled for each number of columns that [`Windows::sums`] has code for.
pub(crate) trait WindowKernel {
    /// # Safety
    /// As for [`Kernel::run`]; `COLUMNS` are as for [`Windows::sums`]. Must be `#[inline(always)]` as well.
    unsafe fn run<L: Lanes, const COLUMNS: usize>(self);
}

/// Runs a kernel whose windows have `columns` columns and are `stride` pixels apart.
///
/// # Safety
/// As for [`Lanes`], and the requirements of the kernel on its fields must hold.
#[inline(always)]
pub(crate) unsafe fn enter<L: Lanes>(kernel: impl WindowKernel, columns: usize, stride: usize) {
    // SAFETY: the caller's promise; the windows are as named, or may be any.
    unsafe {
        match (columns, stride) {
            (3, 1) => L::enter(OfColumns::<_, 3>(kernel)),
            (5, 1) => L::enter(OfColumns::<_, 5>(kernel)),
            _ => L::enter(OfColumns::<_, 0>(kernel)),
        }
    }
}

struct OfColumns<K, const COLUMNS: usize>(K);

impl<K: WindowKernel, const COLUMNS: usize> Kernel for OfColumns<K, COLUMNS> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the caller's promise.
        unsafe { self.0.run::<L, COLUMNS>() };
    }
}

/// Where the windows of a line of outputs lie in memory.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    /// The first channel of the vector at the first place of the first window.
    pub from: *const f32,
    pub rows: usize,
    pub columns: usize,
    /// Taps from one row to the next: more than columns where the map ends.
    pub taps: usize,
    /// Outputs are this many pixels apart in the input.
    pub stride: usize,
    /// Floats from one pixel of the input to the next, and from one line to the next.
    pub pixel: usize,
    pub line: usize,
}

impl Windows {
    /// The sums of `N` outputs: of each its window, whose taps are a vector for each place, row by row, on top of `bias`. All
    /// sizes of windows add in this order. `COLUMNS` are those of the windows if their stride is 1, or 0 for any.
    ///
    /// # Safety
    /// As for [`Lanes`]; `N` windows can be read, and `rows * columns` vectors of taps.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "closures would lose the features, see `pointwise`")]
    pub unsafe fn sums<L: Lanes, const N: usize, const COLUMNS: usize>(
        &self,
        mut taps: *const f32,
        bias: L::V,
    ) -> [L::V; N] {
        let mut from = self.from;
        let mut sums = [bias; N];
        for _ in 0..self.rows {
            // SAFETY: the caller's promise.
            unsafe {
                if COLUMNS > 0 {
                    // The taps of a row stay in registers and every pixel is loaded once, because two products a cycle leave
                    // room for few loads.
                    let mut tap = [bias; COLUMNS];
                    for t in 0..COLUMNS {
                        tap[t] = L::load(taps.add(t * L::WIDTH));
                    }
                    for x in 0..N + COLUMNS - 1 {
                        let pixel = L::load(from.add(x * self.pixel));
                        for t in 0..COLUMNS {
                            if x >= t && x - t < N {
                                sums[x - t] = L::mul_add(pixel, tap[t], sums[x - t]);
                            }
                        }
                    }
                } else {
                    for x in 0..self.columns {
                        let tap = L::load(taps.add(x * L::WIDTH));
                        for i in 0..N {
                            let pixel = L::load(from.add((x + i * self.stride) * self.pixel));
                            sums[i] = L::mul_add(pixel, tap, sums[i]);
                        }
                    }
                }
            }
            // Behind the last row they may lead outside, where nothing is read.
            taps = taps.wrapping_add(self.taps * L::WIDTH);
            from = from.wrapping_add(self.line);
        }
        sums
    }
}
