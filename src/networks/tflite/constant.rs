//! Decoding of constants: half precision is widened, sparse weights are filled in.

use std::sync::Arc;

use super::TfliteError;
use super::flatbuffer::Table;

type Result<T> = std::result::Result<T, TfliteError>;

const F32: u8 = 0;
const F16: u8 = 1;
const I32: u8 = 2;

#[derive(Clone, Debug)]
pub enum Value {
    /// Includes values stored in half precision or sparse.
    F32(Arc<[f32]>),
    I32(Vec<i32>),
}

/// Decodes the `data` of a constant tensor. The size of `shape` was checked before.
pub(super) fn decode(tensor: &Table, data: &[u8], shape: &[usize]) -> std::result::Result<Value, String> {
    let kind = tensor.u8(1).map_err(|e| e.to_string())?;
    let sparsity = tensor.table(6).map_err(|e| e.to_string())?;
    let count: usize = shape.iter().product();
    let whole = |size: usize, stored: usize| {
        let fits = data.len() == stored.saturating_mul(size);
        if fits { Ok(()) } else { Err(format!("{} bytes for {stored} numbers of {size}", data.len())) }
    };
    let floats: Vec<f32> = match kind {
        F32 => data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        F16 => data.as_chunks().0.iter().map(|&b| half::f16::from_le_bytes(b).to_f32()).collect(),
        I32 if sparsity.is_none() => {
            whole(4, count)?;
            return Ok(Value::I32(data.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b)).collect()));
        }
        other => return Err(format!("numbers of type {other} are not supported")),
    };
    let size = if kind == F32 { 4 } else { 2 };
    let dense = match sparsity {
        None => {
            whole(size, count)?;
            floats
        }
        Some(sparsity) => {
            whole(size, floats.len())?;
            fill_in(&sparsity, &floats, shape).map_err(|e| e.to_string())?
        }
    };
    Ok(Value::F32(Arc::from(dense)))
}

/// Fills in compressed sparse rows: all axes but the last are dense; `segments` give the start of each row's values and
/// `indices` their columns. The format has other layouts, which no known file uses.
fn fill_in(sparsity: &Table, values: &[f32], shape: &[usize]) -> Result<Vec<f32>> {
    let unknown = TfliteError::Operator { name: "DENSIFY of another layout than compressed rows".to_owned() };
    let Some((&columns, outer)) = shape.split_last() else { return Err(unknown) };
    let axes: Vec<Table> = sparsity.tables(2)?.take(shape.len() + 1).collect::<Result<_>>()?;
    let in_order = sparsity.i32s(0)?.take(shape.len() + 1).eq(0..shape.len() as i32);
    let blocks = sparsity.i32s(1)?.len();
    if axes.len() != shape.len() || !in_order || blocks != 0 {
        return Err(unknown);
    }
    for (axis, &len) in axes.iter().zip(outer) {
        if axis.u8(0)? != 0 || axis.index(1)? != len {
            return Err(unknown);
        }
    }
    let last = &axes[outer.len()];
    let rows: usize = outer.iter().product();
    if last.u8(0)? != 1 {
        return Err(unknown);
    }
    let (segments, indices) = (indices(last, 2, rows + 1)?, indices(last, 4, values.len())?);
    let fits = segments.len() == rows + 1
        && segments.first() == Some(&0)
        && segments.last() == Some(&values.len())
        && segments.is_sorted()
        && indices.len() == values.len()
        && indices.iter().all(|&column| column < columns);
    if !fits {
        return Err(TfliteError::Missing { what: "sparse value", index: values.len() as i64 });
    }
    let mut dense = vec![0.0; rows * columns];
    for (row, segment) in dense.chunks_exact_mut(columns.max(1)).zip(segments.windows(2)) {
        for at in segment[0]..segment[1] {
            row[indices[at]] = values[at];
        }
    }
    Ok(dense)
}

/// Reads a union of three vector types: its type is in field `number`, its value in the next. Allows one more element than
/// `expected`.
fn indices(axis: &Table, number: usize, expected: usize) -> Result<Vec<usize>> {
    let kind = axis.u8(number)?;
    let vector = axis.table(number + 1)?.ok_or(TfliteError::Missing { what: "index vector", index: 0 })?;
    let most = expected + 1;
    match kind {
        1 => vector
            .i32s(0)?
            .take(most)
            .map(|value| usize::try_from(value).map_err(|_| TfliteError::Negative { value }))
            .collect(),
        2 => Ok(vector.u16s(0)?.take(most).map(usize::from).collect()),
        3 => Ok(vector.bytes(0)?.iter().take(most).map(|&b| usize::from(b)).collect()),
        other => Err(TfliteError::Missing { what: "index vector type", index: i64::from(other) }),
    }
}
