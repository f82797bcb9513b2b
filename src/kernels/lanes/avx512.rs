//! 512-bit vectors: 32 registers hold six rows of four sums, one row of weights and the number it is multiplied with.
#![allow(unsafe_op_in_unsafe_fn, reason = "each method is one or two instructions under the trait's contract")]
#![allow(clippy::wildcard_imports, reason = "dozens of intrinsics")]

use std::arch::x86_64::*;

use super::{Kernel, Lanes};

#[derive(Clone, Copy)]
pub(super) struct Avx512;

impl Lanes for Avx512 {
    type V = __m512;
    type Row = [__m512; 4];
    const WIDTH: usize = 16;
    const VECTORS: usize = 4;

    unsafe fn enter<K: Kernel>(kernel: K) -> K::Out {
        super::on_avx512(kernel)
    }

    lane_methods! {
        splat(x: f32) -> Self::V => { _mm512_set1_ps(x) }
        load(from: *const f32) -> Self::V => { _mm512_loadu_ps(from) }
        store(to: *mut f32, v: Self::V) => { _mm512_storeu_ps(to, v); }
        add(a: Self::V, b: Self::V) -> Self::V => { _mm512_add_ps(a, b) }
        sub(a: Self::V, b: Self::V) -> Self::V => { _mm512_sub_ps(a, b) }
        mul(a: Self::V, b: Self::V) -> Self::V => { _mm512_mul_ps(a, b) }
        div(a: Self::V, b: Self::V) -> Self::V => { _mm512_div_ps(a, b) }
        mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V => { _mm512_fmadd_ps(a, b, c) }
        max(a: Self::V, b: Self::V) -> Self::V => { _mm512_max_ps(a, b) }
        min(a: Self::V, b: Self::V) -> Self::V => { _mm512_min_ps(a, b) }
        round(v: Self::V) -> Self::V => { _mm512_roundscale_ps::<0>(v) }
        exp2_of_whole(v: Self::V) -> Self::V => { _mm512_scalef_ps(_mm512_set1_ps(1.0), v) }
        where_not_negative(test: Self::V, yes: Self::V, no: Self::V) -> Self::V => {
            _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(test, _mm512_setzero_ps()), no, yes)
        }
        sum(v: Self::V) -> f32 => { _mm512_reduce_add_ps(v) }
        largest(v: Self::V) -> f32 => { _mm512_reduce_max_ps(v) }
        zero_row() -> Self::Row => { [_mm512_setzero_ps(); 4] }
        load_row(from: *const f32) -> Self::Row => {
            [
                _mm512_loadu_ps(from),
                _mm512_loadu_ps(from.add(16)),
                _mm512_loadu_ps(from.add(32)),
                _mm512_loadu_ps(from.add(48)),
            ]
        }
        store_row(to: *mut f32, row: Self::Row) => {
            _mm512_storeu_ps(to, row[0]);
            _mm512_storeu_ps(to.add(16), row[1]);
            _mm512_storeu_ps(to.add(32), row[2]);
            _mm512_storeu_ps(to.add(48), row[3]);
        }
        accumulate(x: f32, row: Self::Row, sums: Self::Row) -> Self::Row => {
            let x = _mm512_set1_ps(x);
            [
                _mm512_fmadd_ps(x, row[0], sums[0]),
                _mm512_fmadd_ps(x, row[1], sums[1]),
                _mm512_fmadd_ps(x, row[2], sums[2]),
                _mm512_fmadd_ps(x, row[3], sums[3]),
            ]
        }
    }
}
