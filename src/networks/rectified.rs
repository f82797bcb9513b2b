//! Activations applied to stored outputs, for layers whose kernel does not apply them.

use kernels::pointwise::Rectifier;

/// The error function, with an error below 1.5e-7 (Abramowitz and Stegun, 7.1.26).
pub(crate) fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let sum = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    (1.0 - sum * (-x * x).exp()).copysign(x)
}

pub(crate) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

/// The maximum as one instruction. Unlike `f32::max`, the result for NaN is unspecified.
pub(crate) fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// Applies an activation; pixels are `step` floats apart.
pub(crate) fn rectified(rectifier: &Rectifier, data: &mut [f32], step: usize) {
    match rectifier {
        Rectifier::Identity => {}
        Rectifier::Relu => data.iter_mut().for_each(|v| *v = larger(*v, 0.0)),
        Rectifier::Relu6 => data.iter_mut().for_each(|v| *v = larger(*v, 0.0).min(6.0)),
        Rectifier::Silu => data.iter_mut().for_each(|v| *v = silu(*v)),
        Rectifier::Gelu => data.iter_mut().for_each(|v| *v = gelu(*v)),
        Rectifier::Prelu(slope) => {
            for pixel in data.chunks_exact_mut(step) {
                for (v, slope) in pixel.iter_mut().zip(slope) {
                    *v = if *v >= 0.0 { *v } else { *v * slope };
                }
            }
        }
    }
}
