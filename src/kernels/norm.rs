//! Layer normalisation and the SwiGLU gate, row by row.
#![allow(unsafe_code)]

use super::cpu::Cpu;
use super::lanes::{self, Kernel, Lanes};

/// `(x - mean) / sqrt(variance + eps) * scale + shift` over each row, with the population variance.
#[derive(Debug)]
pub struct LayerNorm {
    cpu: Cpu,
    scale: Vec<f32>,
    shift: Vec<f32>,
    eps: f32,
}

impl LayerNorm {
    pub fn new(cpu: Cpu, scale: Vec<f32>, shift: Vec<f32>, eps: f32) -> Self {
        assert_eq!(scale.len(), shift.len(), "a shift for each scale");
        Self { cpu, scale, shift, eps }
    }

    pub fn apply(&self, x: &[f32], y: &mut [f32]) {
        let width = self.scale.len();
        assert!(x.len() == y.len() && x.len().is_multiple_of(width), "whole rows of {width}");
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
            // SAFETY: the four slices have the same length, which is all that `NormRowKernel` asks for.
            unsafe { lanes::run(self.cpu, NormRowKernel { norm: self, x, y }) };
        }
    }

    pub fn bytes(&self) -> usize {
        2 * self.scale.len() * size_of::<f32>()
    }
}

struct NormRowKernel<'a> {
    norm: &'a LayerNorm,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for NormRowKernel<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let len = self.x.len();
        let whole = len - len % L::WIDTH;
        let x = self.x.as_ptr();
        // SAFETY: vectors are read and written below `whole` only, inside slices of `len`.
        unsafe {
            let mut sum = L::splat(0.0);
            for i in (0..whole).step_by(L::WIDTH) {
                sum = L::add(sum, L::load(x.add(i)));
            }
            let mean = (L::sum(sum) + self.x[whole..].iter().sum::<f32>()) / len as f32;
            let mut squares = L::splat(0.0);
            for i in (0..whole).step_by(L::WIDTH) {
                let d = L::sub(L::load(x.add(i)), L::splat(mean));
                squares = L::mul_add(d, d, squares);
            }
            let rest: f32 = self.x[whole..].iter().map(|v| (v - mean) * (v - mean)).sum();
            let inverse = 1.0 / ((L::sum(squares) + rest) / len as f32 + self.norm.eps).sqrt();
            let (scale, shift) = (self.norm.scale.as_ptr(), self.norm.shift.as_ptr());
            for i in (0..whole).step_by(L::WIDTH) {
                let d = L::mul(L::sub(L::load(x.add(i)), L::splat(mean)), L::splat(inverse));
                L::store(self.y.as_mut_ptr().add(i), L::mul_add(d, L::load(scale.add(i)), L::load(shift.add(i))));
            }
            for i in whole..len {
                self.y[i] = (self.x[i] - mean) * inverse * self.norm.scale[i] + self.norm.shift[i];
            }
        }
    }
}

/// The gate of SwiGLU: computes `silu(first half) * second half` of each row of `2 * width` numbers.
pub fn gated(cpu: Cpu, x: &[f32], width: usize, y: &mut [f32]) {
    assert!(x.len() == 2 * y.len() && y.len().is_multiple_of(width), "two numbers in for each out");
    for (x, y) in x.chunks_exact(2 * width).zip(y.chunks_exact_mut(width)) {
        // SAFETY: `gate` and `value` are as long as `y`, which is all that `GateKernel` asks for.
        unsafe { lanes::run(cpu, GateKernel { gate: &x[..width], value: &x[width..], y }) };
    }
}

struct GateKernel<'a> {
    gate: &'a [f32],
    value: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for GateKernel<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let whole = self.y.len() - self.y.len() % L::WIDTH;
        for i in (0..whole).step_by(L::WIDTH) {
            // SAFETY: `i + WIDTH <= whole`, inside all three slices.
            unsafe {
                let gate = lanes::math::silu::<L>(L::load(self.gate.as_ptr().add(i)));
                L::store(self.y.as_mut_ptr().add(i), L::mul(gate, L::load(self.value.as_ptr().add(i))));
            }
        }
        for i in whole..self.y.len() {
            self.y[i] = self.gate[i] / (1.0 + (-self.gate[i]).exp()) * self.value[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_get_mean_zero_and_variance_one_before_scale_and_shift() {
        let (rows, width) = (3, 53);
        let x: Vec<f32> = (0..rows * width).map(|i| (i as f32 * 0.7).sin() * 3.0 + 5.0).collect();
        for cpu in Cpu::available() {
            let norm = LayerNorm::new(cpu, vec![2.0; width], vec![1.0; width], 1e-6);
            let mut y = vec![0.0; x.len()];
            norm.apply(&x, &mut y);
            for row in y.chunks_exact(width) {
                let mean = row.iter().map(|v| f64::from(*v)).sum::<f64>() / width as f64;
                let variance = row.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / width as f64;
                assert!((mean - 1.0).abs() < 1e-5 && (variance - 4.0).abs() < 1e-4, "{cpu}: {mean} {variance}");
            }
        }
    }

    #[test]
    fn the_gate_is_silu() {
        let x: Vec<f32> = (0..2 * 37).map(|i| (i as f32 - 37.0) * 0.4).collect();
        for cpu in Cpu::available() {
            let mut y = vec![0.0; 37];
            gated(cpu, &x, 37, &mut y);
            for (i, y) in y.iter().enumerate() {
                let gate = f64::from(x[i]);
                let expected = gate / (1.0 + (-gate).exp()) * f64::from(x[37 + i]);
                assert!((f64::from(*y) - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{cpu} {i}: {y} {expected}");
            }
        }
    }
}
