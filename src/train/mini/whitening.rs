//! The embedding: the whitened principal components of the pooled features, all with unit variance so that none
//! dominates distances. It is computed in closed form; there is no contrastive loss, which would push takes of one
//! scene apart.

use candle_core::{DType, Device, Result, Tensor};

use crate::rng::Rng;
use networks::checkpoint::InMemory;
use networks::mini::{EMBEDDING, POOLED};

/// Rounds of subspace iteration, each of which brings the span nearer to that of the leading eigenvectors.
const ROUNDS: usize = 20;

/// Returns weight and bias of the embedding by the names that [`networks::mini::Heads`] reads, from scaled features.
pub fn embedding(rows: &Tensor) -> Result<InMemory> {
    let (count, device) = (rows.dim(0)?, &Device::Cpu);
    let mean = rows.mean_keepdim(0)?;
    let centred = rows.broadcast_sub(&mean)?;
    let covariance = (centred.t()?.contiguous()?.matmul(&centred)? / count as f64)?.to_dtype(DType::F64)?;
    // A ridge, because the covariance of few photos is singular.
    let ridge = (covariance.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt() * 1e-6).max(1e-6);
    let covariance = (covariance + (Tensor::eye(POOLED, DType::F64, device)? * ridge)?)?;
    let mut rng = Rng::at(11, [0, 0]);
    let drawn: Vec<f64> = (0..EMBEDDING * POOLED).map(|_| f64::from(rng.normal())).collect();
    let mut span = Tensor::from_vec(drawn, (EMBEDDING, POOLED), device)?;
    for _ in 0..ROUNDS {
        span = orthonormalised(&span, &span.matmul(&span.t()?)?)?.matmul(&covariance)?;
    }
    // Scales the rows so that the covariance of the embedding is the identity.
    let weight = orthonormalised(&span, &span.matmul(&covariance)?.matmul(&span.t()?)?)?.to_dtype(DType::F32)?;
    let bias = weight.matmul(&mean.t()?)?.neg()?.flatten_all()?.to_vec1()?;
    let mut embedding = InMemory::default();
    embedding.tensors.insert("embedding.weight".into(), (vec![EMBEDDING, POOLED], weight.flatten_all()?.to_vec1()?));
    embedding.tensors.insert("embedding.bias".into(), (vec![EMBEDDING], bias));
    Ok(embedding)
}

/// Orthonormalises rows with regard to the inner product in which their Gram matrix is `products`: the inverse of the
/// lower Cholesky factor times the rows.
fn orthonormalised(rows: &Tensor, products: &Tensor) -> Result<Tensor> {
    let products = products.to_vec2::<f64>()?;
    let count = products.len();
    let (mut lower, mut inverse) = (vec![vec![0.0; count]; count], vec![vec![0.0; count]; count]);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for i in 0..count {
        for j in 0..=i {
            let left = products[i][j] - dot(&lower[i][..j], &lower[j][..j]);
            lower[i][j] = if i == j { left.max(f64::MIN_POSITIVE).sqrt() } else { left / lower[j][j] };
        }
    }
    for column in 0..count {
        inverse[column][column] = 1.0 / lower[column][column];
        for i in column + 1..count {
            let known: f64 = (column..i).map(|k| lower[i][k] * inverse[k][column]).sum();
            inverse[i][column] = -known / lower[i][i];
        }
    }
    Tensor::new(inverse, rows.device())?.matmul(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_direction_of_the_embedding_varies_alike_and_none_with_another() -> Result<()> {
        let (count, mut rng) = (900, Rng::at(3, [0, 0]));
        // 280 strong directions and 20 faint ones.
        let mixing: Vec<Vec<f32>> = (0..300).map(|_| (0..POOLED).map(|_| rng.normal()).collect()).collect();
        let strengths: Vec<f32> =
            (0..count * 300).map(|at| rng.normal() * if at % 300 < 280 { 3.0 } else { 0.1 }).collect();
        let rows =
            Tensor::from_vec(strengths, (count, 300), &Device::Cpu)?.matmul(&Tensor::new(mixing, &Device::Cpu)?)?;
        let embedding = embedding(&rows)?;
        let tensor = |name: &str| {
            let (shape, values) = &embedding.tensors[name];
            Tensor::from_vec(values.clone(), shape.clone(), &Device::Cpu)
        };
        let embedded = rows.matmul(&tensor("embedding.weight")?.t()?)?.broadcast_add(&tensor("embedding.bias")?)?;
        let within = (embedded.t()?.contiguous()?.matmul(&embedded)? / count as f64)?.to_vec2::<f32>()?;
        for (i, row) in within.iter().enumerate() {
            for (j, v) in row.iter().enumerate() {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((v - expected).abs() < 0.02, "{i} {j}: {v}");
            }
        }
        Ok(())
    }
}
