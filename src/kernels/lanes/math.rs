//! Functions that networks need beyond arithmetic: `exp`, the exact GELU (with the error function) and SiLU.
#![allow(unsafe_op_in_unsafe_fn, reason = "arithmetic over `Lanes` under the trait's contract")]

use super::Lanes;

/// `exp` with an error of at most 2 units in the last place. Below -87 it is `exp(-87)`, practically zero in a softmax.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn exp<L: Lanes>(x: L::V) -> L::V {
    // x = n ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts so that the subtraction is exact. The polynomial is from
    // Cephes.
    let x = L::min(L::max(x, L::splat(-87.0)), L::splat(88.0));
    let n = L::round(L::mul(x, L::splat(std::f32::consts::LOG2_E)));
    let r = L::mul_add(n, L::splat(-0.693_359_4), x);
    let r = L::mul_add(n, L::splat(2.121_944_4e-4), r);
    let mut p = L::splat(1.987_569_1e-4);
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1] {
        p = L::mul_add(p, r, L::splat(c));
    }
    let p = L::add(L::mul_add(p, L::mul(r, r), r), L::splat(1.0));
    L::mul(p, L::exp2_of_whole(n))
}

/// `x * Phi(x)` with the exact normal distribution `Phi`, not the tanh approximation; the absolute error is below 4e-7.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn gelu<L: Lanes>(x: L::V) -> L::V {
    // Abramowitz & Stegun 7.1.26 for the tail 1 - erf(|x| / sqrt 2), the formula PyTorch's vector code uses.
    let a = L::mul(L::max(x, L::sub(L::splat(0.0), x)), L::splat(std::f32::consts::FRAC_1_SQRT_2));
    let t = L::div(L::splat(1.0), L::mul_add(a, L::splat(0.327_591_1), L::splat(1.0)));
    let mut p = L::splat(1.061_405_4);
    for c in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        p = L::mul_add(p, t, L::splat(c));
    }
    let tail = L::mul(L::mul(p, t), exp::<L>(L::sub(L::splat(0.0), L::mul(a, a))));
    let half = L::mul(L::mul(x, L::splat(0.5)), tail);
    L::where_not_negative(x, L::sub(x, half), half)
}

/// `x / (1 + exp(-x))`, the gate of SwiGLU.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn silu<L: Lanes>(x: L::V) -> L::V {
    let e = exp::<L>(L::sub(L::splat(0.0), x));
    L::div(x, L::add(L::splat(1.0), e))
}
