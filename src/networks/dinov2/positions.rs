//! Resizing of position embeddings to other grids than the trained one.

/// Cubic weights of the four neighbours of a point at distance `t` after the second one.
fn cubic(t: f64, a: f64) -> [f64; 4] {
    let near = |d: f64| ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
    let far = |d: f64| ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a;
    [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)]
}

/// For each output position: the first source position, and the weights from there on.
type Taps = Vec<(usize, Vec<f64>)>;

/// PyTorch's interpolation without antialiasing (`a = -0.75`, clamped at the edges) at a given scale.
///
/// The models without registers pass the scale `(side + 0.1) / trained` to avoid a rounding error in the output size.
/// Sampling positions follow that scale, not `side / trained`.
fn plain_taps(from: usize, to: usize, scale: f64) -> Taps {
    let tap = |i: usize| {
        let source = (i as f64 + 0.5) / scale - 0.5;
        let base = source.floor();
        let mut weights = vec![0.0; from];
        for (k, w) in cubic(source - base, -0.75).into_iter().enumerate() {
            let at = (base as i64 + k as i64 - 1).clamp(0, from as i64 - 1);
            weights[at as usize] += w;
        }
        (0, weights)
    };
    (0..to).map(tap).collect()
}

/// PyTorch's interpolation with antialiasing (`a = -0.5`; the support grows with the reduction).
fn antialiased_taps(from: usize, to: usize) -> Taps {
    let scale = from as f64 / to as f64;
    let (stretch, support) = (scale.max(1.0), 2.0 * scale.max(1.0));
    let kernel = |x: f64| {
        let x = x.abs();
        let a = -0.5;
        if x < 1.0 {
            ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
        } else if x < 2.0 {
            (((x - 5.0) * x + 8.0) * x - 4.0) * a
        } else {
            0.0
        }
    };
    let tap = |i: usize| {
        let center = scale * (i as f64 + 0.5);
        let first = ((center - support + 0.5) as i64).max(0) as usize;
        let end = ((center + support + 0.5) as usize).min(from);
        let weights: Vec<f64> = (first..end).map(|s| kernel((s as f64 - center + 0.5) / stretch)).collect();
        let total: f64 = weights.iter().sum();
        (first, weights.into_iter().map(|w| w / total).collect())
    };
    (0..to).map(tap).collect()
}

/// Patch positions (`side * side` rows of `width`) resized to `height * across` patches. The models with registers use
/// `antialias`.
pub(super) fn resized(
    patches: &[f32],
    width: usize,
    side: usize,
    [height, across]: [usize; 2],
    antialias: bool,
) -> Vec<f32> {
    if [height, across] == [side, side] {
        return patches.to_vec();
    }
    let taps = |to: usize| {
        if antialias { antialiased_taps(side, to) } else { plain_taps(side, to, (to as f64 + 0.1) / side as f64) }
    };
    let (down, right) = (taps(height), taps(across));
    let mut out = vec![0.0f32; height * across * width];
    let mut row = vec![0.0f64; side * width];
    for ((first, weights), out) in down.iter().zip(out.chunks_exact_mut(across * width)) {
        row.fill(0.0);
        for (source, w) in patches.chunks_exact(side * width).skip(*first).zip(weights) {
            row.iter_mut().zip(source).for_each(|(sum, v)| *sum += w * f64::from(*v));
        }
        for ((first, weights), out) in right.iter().zip(out.chunks_exact_mut(width)) {
            for (c, out) in out.iter_mut().enumerate() {
                let sum: f64 = weights.iter().enumerate().map(|(k, w)| w * row[(first + k) * width + c]).sum();
                *out = sum as f32;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_embedding_stays_flat_and_its_own_size_stays_as_it_is() {
        let flat = vec![0.25f32; 37 * 37 * 2];
        for antialias in [false, true] {
            let smaller = resized(&flat, 2, 37, [16, 21], antialias);
            assert_eq!(smaller.len(), 16 * 21 * 2);
            assert!(smaller.iter().all(|v| (v - 0.25).abs() < 1e-6));
        }
        let ramp: Vec<f32> = (0..9).map(|i| i as f32).collect();
        assert_eq!(resized(&ramp, 1, 3, [3, 3], false), ramp);
    }
}
