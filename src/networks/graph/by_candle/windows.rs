//! Sliding windows in candle's operations.

use candle_core::{Error, Result, Tensor};

use super::super::operator::Sliding;
use super::super::window::whole_factors;
use super::placed::Bounds;
use crate::axes::require;
use crate::depthwise::{filtered, stepped};

fn require_that(condition: bool, otherwise: &str) -> Result<()> {
    require(condition, otherwise).map_err(Error::msg)
}

/// A map with the border that windows reach into, without what none of them reaches; and the rows and columns of the output.
fn bordered(
    x: &Tensor,
    sliding: Sliding,
    window: [usize; 2],
    border: f32,
    bounds: &Bounds,
) -> Result<(Tensor, [usize; 2])> {
    let (images, channels, height, width) = x.dims4()?;
    let sides = [height, width];
    let (before, outputs) = sliding.over(sides, window).map_err(Error::msg)?;
    let reach = |axis: usize| (outputs[axis].saturating_sub(1)).saturating_mul(sliding.strides[axis]) + window[axis];
    bounds.claim(&[images, channels, reach(0), reach(1)]).map_err(Error::msg)?;
    let mut x = x.clone();
    for axis in [0, 1] {
        let after = reach(axis).saturating_sub(before[axis] + sides[axis]);
        let zeros = |len: usize| {
            let mut shape = x.dims().to_vec();
            shape[axis + 2] = len;
            Tensor::full(border, shape, x.device())
        };
        let mut parts = vec![x.clone()];
        if before[axis] > 0 {
            parts.insert(0, zeros(before[axis])?);
        }
        if after > 0 {
            parts.push(zeros(after)?);
        }
        x = if parts.len() > 1 { Tensor::cat(&parts, axis + 2)? } else { x };
        x = x.narrow(axis + 2, 0, reach(axis))?;
    }
    Ok((x.contiguous()?, outputs))
}

/// Adds zeros before and after channels, rows and columns.
pub(super) fn padded(mut x: Tensor, borders: &[[usize; 2]; 3], bounds: &Bounds) -> Result<Tensor> {
    let mut shape: [usize; 4] = x.dims4()?.into();
    for (axis, [before, after]) in borders.iter().enumerate() {
        shape[axis + 1] = shape[axis + 1].saturating_add(*before).saturating_add(*after);
    }
    bounds.claim(&shape).map_err(Error::msg)?;
    for (axis, [before, after]) in borders.iter().enumerate() {
        x = x.pad_with_zeros(axis + 1, *before, *after)?;
    }
    Ok(x)
}

/// `weight` has the axes outputs, inputs of a group, rows, columns.
pub(super) fn convolved(
    x: &Tensor,
    weight: &Tensor,
    sliding: Sliding,
    groups: usize,
    bounds: &mut Bounds,
) -> Result<Tensor> {
    let (outputs, inputs, rows, columns) = weight.dims4()?;
    let (images, channels, ..) = x.dims4()?;
    let is_depthwise = groups > 1;
    require_that(sliding.window.is_none_or(|said| said == [rows, columns]), "a window that the weights do not have")?;
    require_that(!is_depthwise || inputs == 1 && groups == outputs, "groups of several channels")?;
    require_that(channels == if is_depthwise { outputs } else { inputs }, "a map of other channels")?;
    let (x, sides) = bordered(x, sliding, [rows, columns], 0.0, bounds)?;
    let shape = [images, outputs, sides[0], sides[1]];
    bounds.claim_sums(&shape, inputs.saturating_mul(rows).saturating_mul(columns)).map_err(Error::msg)?;
    let [down, across] = sliding.strides;
    if is_depthwise {
        filtered(&x, weight, sliding.strides)
    } else if down == across {
        x.conv2d(weight, 0, down, 1, 1)
    } else {
        // candle has one stride for both axes.
        let y = x.conv2d(weight, 0, 1, 1, 1)?;
        stepped(&stepped(&y, 2, 0, down, sides[0])?, 3, 0, across, sides[1])
    }
}

/// A transposed convolution whose windows do not overlap. `weight` has the axes inputs, outputs, rows, columns.
pub(super) fn spread(x: &Tensor, weight: &Tensor, sliding: Sliding, bounds: &mut Bounds) -> Result<Tensor> {
    let (inputs, outputs, rows, columns) = weight.dims4()?;
    let (images, channels, height, width) = x.dims4()?;
    require_that(sliding.window == Some([rows, columns]), "a window that the weights do not have")?;
    require_that(channels == inputs, "a map of other channels")?;
    let shape = [images, outputs, height.saturating_mul(rows), width.saturating_mul(columns)];
    bounds.claim_sums(&shape, inputs).map_err(Error::msg)?;
    // A product for each pixel, then its numbers side by side.
    let pixels = x.permute((0, 2, 3, 1))?.reshape((images * height * width, inputs))?;
    let y = pixels.matmul(&weight.reshape((inputs, outputs * rows * columns))?)?;
    let y = y.reshape(vec![images, height, width, outputs, rows, columns])?;
    y.permute(vec![0, 3, 1, 4, 2, 5])?.reshape(&shape)
}

pub(super) fn largest(x: &Tensor, sliding: Sliding, bounds: &mut Bounds) -> Result<Tensor> {
    let window = window_of(x, sliding, bounds)?;
    let (x, _) = bordered(x, sliding, window, f32::NEG_INFINITY, bounds)?;
    x.max_pool2d_with_stride((window[0], window[1]), (sliding.strides[0], sliding.strides[1]))
}

/// The averages of the pixels that lie in the map.
pub(super) fn averages(x: &Tensor, sliding: Sliding, bounds: &mut Bounds) -> Result<Tensor> {
    let window = window_of(x, sliding, bounds)?;
    let average = |x: &Tensor| {
        let (x, _) = bordered(x, sliding, window, 0.0, bounds)?;
        x.avg_pool2d_with_stride((window[0], window[1]), (sliding.strides[0], sliding.strides[1]))
    };
    let inside = Tensor::ones((1, 1, x.dim(2)?, x.dim(3)?), x.dtype(), x.device())?;
    average(x)?.broadcast_div(&average(&inside)?)
}

/// The window of a pool, if it always meets the map.
fn window_of(x: &Tensor, sliding: Sliding, bounds: &mut Bounds) -> Result<[usize; 2]> {
    let window = sliding.window.ok_or_else(|| Error::Msg("a pool without a window".into()))?;
    let ([top, left], [rows, columns]) = sliding.over([x.dim(2)?, x.dim(3)?], window).map_err(Error::msg)?;
    require_that(top < window[0] && left < window[1], "a border wider than the window")?;
    let meets = |axis: usize, outputs: usize, before: usize| {
        Ok::<_, Error>(outputs.saturating_sub(1) * sliding.strides[axis] < before + x.dim(axis + 2)?)
    };
    require_that(meets(0, rows, top)? && meets(1, columns, left)?, "a window beside the map")?;
    let work = x.elem_count().saturating_mul(window[0]).saturating_mul(window[1]);
    bounds.afford(work as u64).map_err(Error::msg)?;
    bounds.claim(&[x.dim(0)?, x.dim(1)?, rows, columns]).map_err(Error::msg)?;
    Ok(window)
}

pub(super) fn enlarged(x: &Tensor, factors: &[f32], bounds: &mut Bounds) -> Result<Tensor> {
    let [down, across] = whole_factors(factors).map_err(Error::msg)?;
    let (images, channels, height, width) = x.dims4()?;
    let (height, width) = (height.saturating_mul(down), width.saturating_mul(across));
    bounds.claim(&[images, channels, height, width]).map_err(Error::msg)?;
    x.upsample_nearest2d(height, width)
}

/// Turns channels, in the order (row, column, channel), into blocks of pixels.
pub(super) fn to_blocks(x: &Tensor, block: usize) -> Result<Tensor> {
    let (images, channels, height, width) = x.dims4()?;
    let fits = (1..=16).contains(&block) && channels.is_multiple_of(block * block);
    require_that(fits, "channels that do not fill the block")?;
    let channels = channels / (block * block);
    let x = x.reshape(vec![images, block, block, channels, height, width])?;
    x.permute(vec![0, 3, 4, 1, 5, 2])?.reshape((images, channels, height * block, width * block))
}
