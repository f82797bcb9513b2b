//! Arrays of four floats, which the compiler turns into the baseline vectors of the target.

use super::Lanes;

#[derive(Clone, Copy)]
pub(super) struct Plain;

#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> [f32; 4] {
    [f(0), f(1), f(2), f(3)]
}

impl Lanes for Plain {
    type V = [f32; 4];
    type Row = [[f32; 4]; 2];
    const WIDTH: usize = 4;
    const VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 4] {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        // SAFETY: valid for four floats by the trait's contract; arrays of floats may be read unaligned.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: [f32; 4]) {
        // SAFETY: as for `load`.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn div(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(|i| a[i] / b[i])
    }
    #[inline(always)]
    unsafe fn mul_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        // Two roundings: without the instruction, `f32::mul_add` is a library call.
        each(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn max(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn min(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn round(v: [f32; 4]) -> [f32; 4] {
        // Adding 1.5 * 2^23 leaves no fraction bits, so the hardware rounds, ties to even.
        const SHIFT: f32 = 12_582_912.0;
        each(|i| (v[i] + SHIFT) - SHIFT)
    }
    #[inline(always)]
    unsafe fn exp2_of_whole(v: [f32; 4]) -> [f32; 4] {
        each(|i| f32::from_bits(((v[i] as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn where_not_negative(test: [f32; 4], yes: [f32; 4], no: [f32; 4]) -> [f32; 4] {
        each(|i| if test[i] >= 0.0 { yes[i] } else { no[i] })
    }
    #[inline(always)]
    unsafe fn sum(v: [f32; 4]) -> f32 {
        (v[0] + v[2]) + (v[1] + v[3])
    }
    #[inline(always)]
    unsafe fn largest(v: [f32; 4]) -> f32 {
        v[0].max(v[1]).max(v[2].max(v[3]))
    }

    #[inline(always)]
    unsafe fn zero_row() -> Self::Row {
        [[0.0; 4]; 2]
    }
    #[inline(always)]
    unsafe fn load_row(from: *const f32) -> Self::Row {
        // SAFETY: valid for eight floats by the trait's contract.
        unsafe { [Self::load(from), Self::load(from.add(4))] }
    }
    #[inline(always)]
    unsafe fn store_row(to: *mut f32, row: Self::Row) {
        // SAFETY: valid for eight floats by the trait's contract.
        unsafe {
            Self::store(to, row[0]);
            Self::store(to.add(4), row[1]);
        }
    }
    #[inline(always)]
    unsafe fn accumulate(x: f32, row: Self::Row, sums: Self::Row) -> Self::Row {
        // SAFETY: nothing but arithmetic on this path.
        unsafe { [Self::mul_add([x; 4], row[0], sums[0]), Self::mul_add([x; 4], row[1], sums[1])] }
    }
}
