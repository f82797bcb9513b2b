//! Arrays of four floats, which the compiler turns into the baseline vectors of the target.

use super::{Kernel, Lanes};

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

    unsafe fn enter<K: Kernel>(kernel: K) -> K::Out {
        // SAFETY: the caller's promise.
        unsafe { kernel.run::<Self>() }
    }

    lane_methods! {
        splat(x: f32) -> Self::V => { [x; 4] }
        load(from: *const f32) -> Self::V => {
            // SAFETY: valid for four floats by the trait's contract; arrays of floats may be read unaligned.
            unsafe { from.cast::<[f32; 4]>().read_unaligned() }
        }
        store(to: *mut f32, v: Self::V) => {
            // SAFETY: as for `load`.
            unsafe { to.cast::<[f32; 4]>().write_unaligned(v) }
        }
        add(a: Self::V, b: Self::V) -> Self::V => { each(|i| a[i] + b[i]) }
        sub(a: Self::V, b: Self::V) -> Self::V => { each(|i| a[i] - b[i]) }
        mul(a: Self::V, b: Self::V) -> Self::V => { each(|i| a[i] * b[i]) }
        div(a: Self::V, b: Self::V) -> Self::V => { each(|i| a[i] / b[i]) }
        mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V => {
            // Two roundings: without the instruction, `f32::mul_add` is a library call.
            each(|i| a[i] * b[i] + c[i])
        }
        max(a: Self::V, b: Self::V) -> Self::V => { each(|i| if a[i] > b[i] { a[i] } else { b[i] }) }
        min(a: Self::V, b: Self::V) -> Self::V => { each(|i| if a[i] < b[i] { a[i] } else { b[i] }) }
        round(v: Self::V) -> Self::V => {
            // Adding 1.5 * 2^23 leaves no bits for the fraction: the hardware rounds, ties to even.
            const SHIFT: f32 = 12_582_912.0;
            each(|i| (v[i] + SHIFT) - SHIFT)
        }
        exp2_of_whole(v: Self::V) -> Self::V => { each(|i| f32::from_bits(((v[i] as i32 + 127) as u32) << 23)) }
        where_not_negative(test: Self::V, yes: Self::V, no: Self::V) -> Self::V => {
            each(|i| if test[i] >= 0.0 { yes[i] } else { no[i] })
        }
        sum(v: Self::V) -> f32 => { (v[0] + v[2]) + (v[1] + v[3]) }
        largest(v: Self::V) -> f32 => { v[0].max(v[1]).max(v[2].max(v[3])) }
        zero_row() -> Self::Row => { [[0.0; 4]; 2] }
        load_row(from: *const f32) -> Self::Row => {
            // SAFETY: valid for eight floats by the trait's contract.
            unsafe { [Self::load(from), Self::load(from.add(4))] }
        }
        store_row(to: *mut f32, row: Self::Row) => {
            // SAFETY: valid for eight floats by the trait's contract.
            unsafe {
                Self::store(to, row[0]);
                Self::store(to.add(4), row[1]);
            }
        }
        accumulate(x: f32, row: Self::Row, sums: Self::Row) -> Self::Row => {
            // SAFETY: nothing but arithmetic on this path.
            unsafe { [Self::mul_add([x; 4], row[0], sums[0]), Self::mul_add([x; 4], row[1], sums[1])] }
        }
    }
}
