//! An abstraction over vector instructions: each kernel is written once over [`Lanes`] and compiled for every path.
//!
//! A kernel implements [`Kernel`]. [`run`] is the only entry from ordinary code into code that needs processor
//! features, and it checks that the machine has them.
#![allow(unsafe_code)]

/// The methods of a path: each is a few instructions, and belongs inside the function that is compiled for them.
macro_rules! lane_methods {
    ($($name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)? => $body:block)*) => {
        $(
            #[inline(always)]
            unsafe fn $name($($arg: $type),*) $(-> $result)? $body
        )*
    };
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;

use super::cpu::Cpu;

/// Vectors of floats and the operations that kernels need.
///
/// A `Row` is the group of vectors that one step of a matrix product multiplies with a single number. Its size leaves
/// room in the registers for six rows of sums.
///
/// # Safety
/// Every method may be called only on a machine that has the instructions of the implementing path, and from a
/// function compiled for them ([`run`] sees to both). Pointers must be valid for `WIDTH` (rows: `PANEL`) floats.
pub(crate) trait Lanes: Copy + 'static {
    type V: Copy;
    type Row: Copy;
    /// Floats in a vector.
    const WIDTH: usize;
    /// Vectors in a row.
    const VECTORS: usize;
    /// Floats in a row: the outputs that one panel of packed weights covers.
    const PANEL: usize = Self::WIDTH * Self::VECTORS;

    /// Runs a kernel in a function of its own, whose loops then have all registers.
    unsafe fn enter<K: Kernel>(kernel: K) -> K::Out;
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once if the path has the instruction.
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// Rounds to the nearest integer, ties to even; for |v| < 2^22.
    unsafe fn round(v: Self::V) -> Self::V;
    /// `2^v` for integers `v` in -126..=127.
    unsafe fn exp2_of_whole(v: Self::V) -> Self::V;
    /// Per lane: `yes` where `test >= 0`, else `no`.
    unsafe fn where_not_negative(test: Self::V, yes: Self::V, no: Self::V) -> Self::V;
    unsafe fn sum(v: Self::V) -> f32;
    unsafe fn largest(v: Self::V) -> f32;

    unsafe fn zero_row() -> Self::Row;
    unsafe fn load_row(from: *const f32) -> Self::Row;
    unsafe fn store_row(to: *mut f32, row: Self::Row);
    /// `sums + x * row`.
    unsafe fn accumulate(x: f32, row: Self::Row, sums: Self::Row) -> Self::Row;
}

/// Code that is written once for all paths.
pub(crate) trait Kernel {
    type Out;
    /// # Safety
    /// As for [`Lanes`], and the requirements of the kernel on its fields must hold. Must be `#[inline(always)]`, so
    /// that it is compiled inside a function that has the path's features.
    unsafe fn run<L: Lanes>(self) -> Self::Out;
}

/// Runs a kernel on a path.
///
/// # Panics
/// If this machine does not have the path. Callers must have checked their [`Cpu`] before.
///
/// # Safety
/// The requirements of the kernel on its fields must hold.
pub(crate) unsafe fn run<K: Kernel>(cpu: Cpu, kernel: K) -> K::Out {
    assert!(cpu.supported(), "the {cpu} path was asked for on a machine without it");
    match cpu {
        // SAFETY: no features needed; the caller answers for the fields.
        Cpu::Plain => unsafe { kernel.run::<plain::Plain>() },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: NEON is part of every 64-bit ARM; the caller answers for the fields.
        Cpu::Neon => unsafe { kernel.run::<neon::Neon>() },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `supported` found AVX2 and FMA; the caller answers for the fields.
        Cpu::Avx2 => unsafe { on_avx2(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `supported` found AVX-512F (which AMX includes); the caller answers for the fields.
        Cpu::Avx512 | Cpu::Amx => unsafe { on_avx512(kernel) },
        #[allow(unreachable_patterns)]
        _ => unreachable!("`supported` refuses the paths of other processors"),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
unsafe fn on_avx2<K: Kernel>(kernel: K) -> K::Out {
    // SAFETY: this function is compiled for, and called only with, AVX2 and FMA.
    unsafe { kernel.run::<avx2::Avx2>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
#[inline(never)]
unsafe fn on_avx512<K: Kernel>(kernel: K) -> K::Out {
    // SAFETY: this function is compiled for, and called only with, AVX-512F.
    unsafe { kernel.run::<avx512::Avx512>() }
}
