//! Learns a whitening from the feature vectors of many photos: their principal components, scaled towards unit
//! variance.

use judge::cluster::whitening::Whitening;

/// Fits a whitening to `rows` (`inputs` numbers per photo). It keeps the `outputs` components of the largest variance
/// and divides each by its variance to the power of `power`: 0.5 gives all unit variance, 0 leaves them unscaled.
pub fn fit(rows: &[f32], inputs: usize, outputs: usize, power: f64) -> Whitening {
    let photos = (rows.len() / inputs) as f64;
    let mut mean = vec![0.0_f64; inputs];
    for row in rows.chunks_exact(inputs) {
        mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value) / photos);
    }
    let mut covariance = vec![0.0_f64; inputs * inputs];
    for row in rows.chunks_exact(inputs) {
        let centred: Vec<f64> = row.iter().zip(&mean).map(|(value, mean)| f64::from(*value) - mean).collect();
        for (line, a) in covariance.chunks_exact_mut(inputs).zip(&centred) {
            line.iter_mut().zip(&centred).for_each(|(sum, b)| *sum += a * b / photos);
        }
    }
    let (variances, directions) = eigen(covariance, inputs);
    let mut order: Vec<usize> = (0..inputs).collect();
    order.sort_by(|a, b| variances[*b].total_cmp(&variances[*a]));
    let of_component = |at: &usize| {
        let scale = variances[*at].max(1e-12).powf(-power);
        directions[at * inputs..][..inputs].iter().map(move |weight| (weight * scale) as f32)
    };
    let weights = order[..outputs].iter().flat_map(of_component).collect();
    Whitening::new(mean.into_iter().map(|value| value as f32).collect(), weights)
}

/// Returns the eigenvalues of a symmetric matrix and its eigenvectors, one per row, by Jacobi rotations.
fn eigen(mut matrix: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0.0; n * n];
    (0..n).for_each(|i| vectors[i * n + i] = 1.0);
    let scale: f64 = matrix.iter().map(|value| value * value).sum();
    // An upper bound: each round about squares the off-diagonal remainder, so far fewer are needed.
    for _ in 0..50 {
        let off_diagonal: f64 =
            (0..n).flat_map(|i| matrix[i * n + i + 1..(i + 1) * n].iter()).map(|value| value * value).sum();
        if off_diagonal <= 1e-22 * scale {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut matrix, &mut vectors, n, p, q);
            }
        }
    }
    ((0..n).map(|i| matrix[i * n + i]).collect(), vectors)
}

/// Applies the Jacobi rotation of axes `p` and `q` that makes their off-diagonal element zero.
fn rotate(matrix: &mut [f64], vectors: &mut [f64], n: usize, p: usize, q: usize) {
    let off_diagonal = matrix[p * n + q];
    if off_diagonal.abs() < 1e-300 {
        return;
    }
    let theta = (matrix[q * n + q] - matrix[p * n + p]) / (2.0 * off_diagonal);
    let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    for k in 0..n {
        let (a, b) = (matrix[k * n + p], matrix[k * n + q]);
        (matrix[k * n + p], matrix[k * n + q]) = (cosine * a - sine * b, sine * a + cosine * b);
    }
    for rows in [matrix, vectors] {
        let (above, below) = rows.split_at_mut(q * n);
        for (a, b) in above[p * n..][..n].iter_mut().zip(&mut below[..n]) {
            (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_uncorrelated_and_vary_alike() {
        let (inputs, photos) = (6, 400);
        let mut rows = Vec::new();
        for i in 0..photos {
            let hidden: Vec<f64> = (0..inputs).map(|k| ((i * (k + 3) * 7 + k * k) as f64 * 0.737).sin()).collect();
            // Neighbours share a part, and the first varies most.
            rows.extend(
                (0..inputs).map(|k| (3.0 + hidden[k] * (inputs - k) as f64 + 0.5 * hidden[(k + 1) % inputs]) as f32),
            );
        }
        let bytes = fit(&rows, inputs, 4, 0.5).to_bytes();
        let numbers: Vec<f64> = bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|half| f64::from(f32::from_bits(u32::from(u16::from_le_bytes(*half)) << 16)))
            .collect();
        let (mean, map) = numbers.split_at(inputs);
        let mut second = [[0.0; 4]; 4];
        for row in rows.chunks_exact(inputs) {
            let out: Vec<f64> = map
                .chunks_exact(inputs)
                .map(|weights| weights.iter().zip(row).zip(mean).map(|((w, v), m)| w * (f64::from(*v) - m)).sum())
                .collect();
            for (a, line) in second.iter_mut().enumerate() {
                line.iter_mut().enumerate().for_each(|(b, sum)| *sum += out[a] * out[b] / f64::from(photos as u32));
            }
        }
        for (a, line) in second.iter().enumerate() {
            for (b, value) in line.iter().enumerate() {
                let wanted = f64::from(u8::from(a == b));
                assert!((value - wanted).abs() < 0.05, "{a},{b}: {value}");
            }
        }
    }
}
