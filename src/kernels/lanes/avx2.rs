//! 256-bit vectors with fused multiply-add: 16 registers hold six rows of two sums, one row of weights and the
//! number it is multiplied with.
#![allow(unsafe_op_in_unsafe_fn, reason = "each method is a few instructions under the trait's contract")]
#![allow(clippy::wildcard_imports, reason = "dozens of intrinsics")]

use std::arch::x86_64::*;

use super::{Kernel, Lanes};

#[derive(Clone, Copy)]
pub(super) struct Avx2;

impl Lanes for Avx2 {
    type V = __m256;
    type Row = [__m256; 2];
    const WIDTH: usize = 8;
    const VECTORS: usize = 2;

    unsafe fn enter<K: Kernel>(kernel: K) -> K::Out {
        super::on_avx2(kernel)
    }

    lane_methods! {
        splat(x: f32) -> Self::V => { _mm256_set1_ps(x) }
        load(from: *const f32) -> Self::V => { _mm256_loadu_ps(from) }
        store(to: *mut f32, v: Self::V) => { _mm256_storeu_ps(to, v); }
        add(a: Self::V, b: Self::V) -> Self::V => { _mm256_add_ps(a, b) }
        sub(a: Self::V, b: Self::V) -> Self::V => { _mm256_sub_ps(a, b) }
        mul(a: Self::V, b: Self::V) -> Self::V => { _mm256_mul_ps(a, b) }
        div(a: Self::V, b: Self::V) -> Self::V => { _mm256_div_ps(a, b) }
        mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V => { _mm256_fmadd_ps(a, b, c) }
        max(a: Self::V, b: Self::V) -> Self::V => { _mm256_max_ps(a, b) }
        min(a: Self::V, b: Self::V) -> Self::V => { _mm256_min_ps(a, b) }
        round(v: Self::V) -> Self::V => { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(v) }
        exp2_of_whole(v: Self::V) -> Self::V => {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        }
        where_not_negative(test: Self::V, yes: Self::V, no: Self::V) -> Self::V => {
            _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_GE_OQ>(test, _mm256_setzero_ps()))
        }
        sum(v: Self::V) -> f32 => {
            let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
        largest(v: Self::V) -> f32 => {
            let four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
        zero_row() -> Self::Row => { [_mm256_setzero_ps(); 2] }
        load_row(from: *const f32) -> Self::Row => { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
        store_row(to: *mut f32, row: Self::Row) => {
            _mm256_storeu_ps(to, row[0]);
            _mm256_storeu_ps(to.add(8), row[1]);
        }
        accumulate(x: f32, row: Self::Row, sums: Self::Row) -> Self::Row => {
            let x = _mm256_set1_ps(x);
            [_mm256_fmadd_ps(x, row[0], sums[0]), _mm256_fmadd_ps(x, row[1], sums[1])]
        }
    }
}
