//! Products of matrices.

use std::sync::Arc;

use kernels::pointwise::Rectifier;
use kernels::{Activation, Engine, Linear, Scratch};

use super::tensor::{Memory, Tensor, elements};
use crate::axes::{Checked, require};

/// Packs the columns of a matrix for the kernels: a row of weights for each output.
pub(super) fn packed(engine: Engine, matrix: &[f32], inputs: usize, bias: &[f32]) -> Linear {
    let outputs = bias.len();
    let mut turned = vec![0.0; matrix.len()];
    for (i, row) in matrix.chunks_exact(outputs).enumerate() {
        row.iter().enumerate().for_each(|(o, v)| turned[o * inputs + i] = *v);
    }
    Linear::new(engine, &turned, bias)
}

/// The number of multiplications of a product, if the shapes fit.
pub(super) fn product_of(a: &[usize], b: &[usize]) -> Checked<(Vec<usize>, u64)> {
    let (&[ref outer @ .., rows, inner], &[ref batch @ .., other, columns]) = (a, b) else {
        return Err("a product of what are no matrices".into());
    };
    require(inner == other && inner > 0 && columns > 0, "matrices that do not fit")?;
    require(batch.is_empty() || batch == outer, "products of other batches")?;
    let shape = [outer, &[rows, columns]].concat();
    let work = (elements(&shape)? as u64).saturating_mul(inner as u64);
    Ok((shape, work))
}

/// Rows times packed columns.
pub(super) fn multiplied(
    a: Arc<Tensor>,
    linear: &Linear,
    rectifier: &Rectifier,
    memory: &mut Memory,
) -> Checked<Arc<Tensor>> {
    let a = a.plain();
    let Some((&inner, outer)) = a.shape.split_last() else { return Err("a product of what is no matrix".into()) };
    require(inner == linear.inputs() && !a.data.is_empty(), "matrices that do not fit")?;
    let mut y = memory.tensor([outer, &[linear.outputs()]].concat(), false)?;
    let activation = match rectifier {
        Rectifier::Relu => Activation::Relu,
        Rectifier::Gelu => Activation::Gelu,
        _ => Activation::Identity,
    };
    linear.apply(&a.data, &mut y.data, activation, &mut Scratch::new(1));
    Ok(Arc::new(y))
}

pub(super) fn product(engine: Engine, a: Arc<Tensor>, b: &Tensor, memory: &mut Memory) -> Checked<Arc<Tensor>> {
    let a = a.plain();
    let (shape, _) = product_of(&a.shape, &b.shape)?;
    let mut y = memory.tensor(shape, false)?;
    let (inner, columns) = (b.shape[b.shape.len() - 2], b.shape[b.shape.len() - 1]);
    let rows = if b.shape.len() == 2 { a.data.len() / inner } else { a.shape[a.shape.len() - 2] };
    if rows == 0 {
        return Ok(Arc::new(y));
    }
    let (bias, mut scratch) = (vec![0.0; columns], Scratch::new(1));
    let parts = a.data.chunks_exact(rows * inner).zip(b.data.chunks_exact(inner * columns).cycle());
    for ((a, b), y) in parts.zip(y.data.chunks_exact_mut(rows * columns)) {
        packed(engine, b, inner, &bias).apply(a, y, Activation::Identity, &mut scratch);
    }
    Ok(Arc::new(y))
}
