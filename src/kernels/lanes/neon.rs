//! 128-bit vectors of 64-bit ARM: 32 registers hold six rows of four sums, one row of weights and the number it is
//! multiplied with.
#![allow(unsafe_op_in_unsafe_fn, reason = "each method is one or two instructions under the trait's contract")]
#![allow(clippy::wildcard_imports, reason = "dozens of intrinsics")]

use std::arch::aarch64::*;

use super::{Kernel, Lanes};

#[derive(Clone, Copy)]
pub(super) struct Neon;

impl Lanes for Neon {
    type V = float32x4_t;
    type Row = [float32x4_t; 4];
    const WIDTH: usize = 4;
    const VECTORS: usize = 4;

    unsafe fn enter<K: Kernel>(kernel: K) -> K::Out {
        kernel.run::<Self>()
    }

    lane_methods! {
        splat(x: f32) -> Self::V => { vdupq_n_f32(x) }
        load(from: *const f32) -> Self::V => { vld1q_f32(from) }
        store(to: *mut f32, v: Self::V) => { vst1q_f32(to, v); }
        add(a: Self::V, b: Self::V) -> Self::V => { vaddq_f32(a, b) }
        sub(a: Self::V, b: Self::V) -> Self::V => { vsubq_f32(a, b) }
        mul(a: Self::V, b: Self::V) -> Self::V => { vmulq_f32(a, b) }
        div(a: Self::V, b: Self::V) -> Self::V => { vdivq_f32(a, b) }
        mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V => { vfmaq_f32(c, a, b) }
        max(a: Self::V, b: Self::V) -> Self::V => { vmaxq_f32(a, b) }
        min(a: Self::V, b: Self::V) -> Self::V => { vminq_f32(a, b) }
        round(v: Self::V) -> Self::V => { vrndnq_f32(v) }
        exp2_of_whole(v: Self::V) -> Self::V => {
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtnq_s32_f32(v), vdupq_n_s32(127))))
        }
        where_not_negative(test: Self::V, yes: Self::V, no: Self::V) -> Self::V => {
            vbslq_f32(vcgeq_f32(test, vdupq_n_f32(0.0)), yes, no)
        }
        sum(v: Self::V) -> f32 => { vaddvq_f32(v) }
        largest(v: Self::V) -> f32 => { vmaxvq_f32(v) }
        zero_row() -> Self::Row => { [vdupq_n_f32(0.0); 4] }
        load_row(from: *const f32) -> Self::Row => {
            [vld1q_f32(from), vld1q_f32(from.add(4)), vld1q_f32(from.add(8)), vld1q_f32(from.add(12))]
        }
        store_row(to: *mut f32, row: Self::Row) => {
            vst1q_f32(to, row[0]);
            vst1q_f32(to.add(4), row[1]);
            vst1q_f32(to.add(8), row[2]);
            vst1q_f32(to.add(12), row[3]);
        }
        accumulate(x: f32, row: Self::Row, sums: Self::Row) -> Self::Row => {
            [
                vfmaq_n_f32(sums[0], row[0], x),
                vfmaq_n_f32(sums[1], row[1], x),
                vfmaq_n_f32(sums[2], row[2], x),
                vfmaq_n_f32(sums[3], row[3], x),
            ]
        }
    }
}
