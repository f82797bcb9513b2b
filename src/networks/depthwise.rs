//! Depthwise convolutions in candle's operations. Its own loop over the channels, with an operation for each.

use candle_core::{Error, Result, Tensor};

/// The sum over the taps of windows that lie inside the map; `weight` has the axes channels, 1, rows, columns.
pub(crate) fn filtered(x: &Tensor, weight: &Tensor, strides: [usize; 2]) -> Result<Tensor> {
    let (channels, _, rows, columns) = weight.dims4()?;
    let outputs = |axis: usize, window: usize| Ok::<_, Error>((x.dim(axis)? - window) / strides[axis - 2] + 1);
    let (height, width) = (outputs(2, rows)?, outputs(3, columns)?);
    let mut sum: Option<Tensor> = None;
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        let seen = stepped(&stepped(x, 2, row, strides[0], height)?, 3, column, strides[1], width)?;
        let weight = weight.narrow(2, row, 1)?.narrow(3, column, 1)?.reshape((1, channels, 1, 1))?;
        let part = seen.broadcast_mul(&weight)?;
        sum = Some(match sum {
            Some(sum) => (sum + part)?,
            None => part,
        });
    }
    sum.ok_or_else(|| Error::Msg("a window without taps".into()))
}

/// Every `stride`th element of an axis, from `start` on.
pub(crate) fn stepped(x: &Tensor, axis: usize, start: usize, stride: usize, count: usize) -> Result<Tensor> {
    if stride == 1 {
        return x.narrow(axis, start, count);
    }
    let missing = (start + count * stride).saturating_sub(x.dim(axis)?);
    let part = x.pad_with_zeros(axis, 0, missing)?.narrow(axis, start, count * stride)?.contiguous()?;
    let mut shape = part.dims().to_vec();
    shape.splice(axis..=axis, [count, stride]);
    part.reshape(shape)?.narrow(axis + 1, 0, 1)?.squeeze(axis + 1)
}
