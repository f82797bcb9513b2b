//! 128-bit vectors of 64-bit ARM: 32 registers hold six rows of four sums, one row of weights and the number it is
//! multiplied with.
#![allow(unsafe_op_in_unsafe_fn, reason = "each method is one or two instructions under the trait's contract")]
#![allow(clippy::wildcard_imports, reason = "dozens of intrinsics")]

use std::arch::aarch64::*;

use super::Lanes;

#[derive(Clone, Copy)]
pub(super) struct Neon;

impl Lanes for Neon {
    type V = float32x4_t;
    type Row = [float32x4_t; 4];
    const WIDTH: usize = 4;
    const VECTORS: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        vdupq_n_f32(x)
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        vld1q_f32(from)
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: float32x4_t) {
        vst1q_f32(to, v);
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vaddq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vsubq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vmulq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vdivq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        vfmaq_f32(c, a, b)
    }
    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vmaxq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vminq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn round(v: float32x4_t) -> float32x4_t {
        vrndnq_f32(v)
    }
    #[inline(always)]
    unsafe fn exp2_of_whole(v: float32x4_t) -> float32x4_t {
        vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtnq_s32_f32(v), vdupq_n_s32(127))))
    }
    #[inline(always)]
    unsafe fn where_not_negative(test: float32x4_t, yes: float32x4_t, no: float32x4_t) -> float32x4_t {
        vbslq_f32(vcgeq_f32(test, vdupq_n_f32(0.0)), yes, no)
    }
    #[inline(always)]
    unsafe fn sum(v: float32x4_t) -> f32 {
        vaddvq_f32(v)
    }
    #[inline(always)]
    unsafe fn largest(v: float32x4_t) -> f32 {
        vmaxvq_f32(v)
    }

    #[inline(always)]
    unsafe fn zero_row() -> Self::Row {
        [vdupq_n_f32(0.0); 4]
    }
    #[inline(always)]
    unsafe fn load_row(from: *const f32) -> Self::Row {
        [vld1q_f32(from), vld1q_f32(from.add(4)), vld1q_f32(from.add(8)), vld1q_f32(from.add(12))]
    }
    #[inline(always)]
    unsafe fn store_row(to: *mut f32, row: Self::Row) {
        vst1q_f32(to, row[0]);
        vst1q_f32(to.add(4), row[1]);
        vst1q_f32(to.add(8), row[2]);
        vst1q_f32(to.add(12), row[3]);
    }
    #[inline(always)]
    unsafe fn accumulate(x: f32, row: Self::Row, sums: Self::Row) -> Self::Row {
        [
            vfmaq_n_f32(sums[0], row[0], x),
            vfmaq_n_f32(sums[1], row[1], x),
            vfmaq_n_f32(sums[2], row[2], x),
            vfmaq_n_f32(sums[3], row[3], x),
        ]
    }
}
