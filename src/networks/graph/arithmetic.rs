//! Element-wise operators, reductions and row operators.

use std::sync::Arc;

use kernels::Cpu;

use super::operator::Arithmetic;
use super::rearrange::transposed;
use super::tensor::{Tensor, elements, lying};
use crate::axes::{Checked, axes_of, axis_of, require, together};

pub(super) fn binary(arithmetic: Arithmetic, a: Arc<Tensor>, b: Arc<Tensor>) -> Checked<Arc<Tensor>> {
    match arithmetic {
        Arithmetic::Add => combined(a, b, |a, b| a + b),
        Arithmetic::Sub => combined(a, b, |a, b| a - b),
        Arithmetic::Mul => combined(a, b, |a, b| a * b),
        Arithmetic::Div => combined(a, b, |a, b| a / b),
        Arithmetic::Pow => combined(a, b, |a, b| if b == 2.0 { a * a } else { a.powf(b) }),
        Arithmetic::SquaredDifference => combined(a, b, |a, b| (a - b) * (a - b)),
    }
}

/// A tensor broadcast to a map with channels innermost.
fn beside(tensor: Arc<Tensor>) -> Arc<Tensor> {
    if (2..4).contains(&tensor.shape.len()) || tensor.shape.len() == 1 && tensor.data.len() > 1 {
        let mut grown = Arc::unwrap_or_clone(tensor);
        grown.shape.splice(0..0, vec![1; 4 - grown.shape.len()]);
        return Arc::new(grown).laid(true);
    }
    tensor.by_pixels()
}

fn combined(a: Arc<Tensor>, b: Arc<Tensor>, f: impl Fn(f32, f32) -> f32) -> Checked<Arc<Tensor>> {
    // The larger one is reused for the result if nothing else reads it.
    if elements(&a.shape)? < elements(&b.shape)? { combined_into(b, a, |b, a| f(a, b)) } else { combined_into(a, b, f) }
}

fn combined_into(a: Arc<Tensor>, b: Arc<Tensor>, f: impl Fn(f32, f32) -> f32) -> Checked<Arc<Tensor>> {
    let shape = together(&a.shape, &b.shape)?;
    let count = elements(&shape)?;
    let channels_last = shape.len() == 4 && (a.channels_last || b.channels_last);
    let (a, b) = if channels_last { (beside(a), beside(b)) } else { (a.plain(), b.plain()) };
    if a.shape == shape && b.shape == shape {
        let b = if channels_last { b.stepped(a.step()) } else { b };
        let mut a = Arc::unwrap_or_clone(a);
        let padded = a.is_padded();
        a.data.iter_mut().zip(&b.data).for_each(|(a, b)| *a = f(*a, *b));
        if padded {
            let (step, channels) = (a.step(), a.shape[1]);
            a.data.chunks_exact_mut(step).for_each(|pixel| pixel[channels..].fill(0.0));
        }
        return Ok(Arc::new(a));
    }
    let out = lying(&shape, channels_last);
    let b = b.unpadded();
    let [of_a, of_b] = [&a, &b].map(|tensor| {
        let mut axes = tensor.lying();
        axes.splice(0..0, vec![1; out.len() - axes.len()]);
        axes
    });
    if of_a == out {
        let row: Vec<usize> = of_b.iter().skip_while(|&&axis| axis == 1).copied().collect();
        // A scalar, or a row along the last axes of the other.
        if out.ends_with(&row) {
            // A row along the channels lies beside each pixel, a longer one beside whole maps.
            let a = if row.len() > 1 { a.unpadded() } else { a };
            let mut a = Arc::unwrap_or_clone(a);
            for run in a.runs() {
                match b.data.as_slice() {
                    &[b] => run.iter_mut().for_each(|v| *v = f(*v, b)),
                    row => {
                        for part in run.chunks_exact_mut(row.len()) {
                            part.iter_mut().zip(row).for_each(|(v, b)| *v = f(*v, *b));
                        }
                    }
                }
            }
            a.shape = shape;
            return Ok(Arc::new(a));
        }
    }
    let a = a.unpadded();
    let strides = |axes: &[usize]| -> Vec<usize> {
        let mut step = 1;
        let mut strides: Vec<usize> = axes
            .iter()
            .rev()
            .map(|&axis| {
                let stride = if axis == 1 { 0 } else { step };
                step *= axis;
                stride
            })
            .collect();
        strides.reverse();
        strides
    };
    let (of_a, of_b) = (strides(&of_a), strides(&of_b));
    let mut data = Vec::with_capacity(count);
    let mut at = vec![0; out.len()];
    let last = out.len().saturating_sub(1);
    let row = out.last().copied().unwrap_or(1);
    let steps = |strides: &[usize]| strides.last().copied().unwrap_or(0);
    while data.len() < count {
        let from = |strides: &[usize]| at.iter().zip(strides).map(|(at, stride)| at * stride).sum::<usize>();
        let (i, j, p, q) = (from(&of_a), from(&of_b), steps(&of_a), steps(&of_b));
        match (p, q) {
            (1, 1) => data.extend(a.data[i..][..row].iter().zip(&b.data[j..][..row]).map(|(a, b)| f(*a, *b))),
            (1, 0) => data.extend(a.data[i..][..row].iter().map(|a| f(*a, b.data[j]))),
            (0, 1) => data.extend(b.data[j..][..row].iter().map(|b| f(a.data[i], *b))),
            _ => data.extend((0..row).map(|k| f(a.data[i + k * p], b.data[j + k * q]))),
        }
        for axis in (0..last).rev() {
            at[axis] += 1;
            if at[axis] < out[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
    Ok(Arc::new(Tensor { shape, channels_last, data }))
}

/// The mean over some axes, or over the pixels of maps. Axes that stay have length 1.
pub(super) fn mean(x: Arc<Tensor>, axes: Option<&[i64]>, keeps: bool) -> Checked<Arc<Tensor>> {
    let rank = x.shape.len();
    let axes = match axes {
        Some(axes) => axes_of(axes, rank)?,
        None => (2..rank).collect(),
    };
    let count: usize = axes.iter().map(|&axis| x.shape[axis]).product();
    let mut means = Arc::unwrap_or_clone(sums(x, axes, keeps)?);
    means.data.iter_mut().for_each(|sum| *sum /= count as f32);
    Ok(Arc::new(means))
}

pub(super) fn sum(x: Arc<Tensor>, axes: &[i64], keeps: bool) -> Checked<Arc<Tensor>> {
    let axes = axes_of(axes, x.shape.len())?;
    sums(x, axes, keeps)
}

fn sums(x: Arc<Tensor>, mut axes: Vec<usize>, keeps: bool) -> Checked<Arc<Tensor>> {
    axes.sort_unstable();
    let rank = x.shape.len();
    let count: usize = axes.iter().map(|&axis| x.shape[axis]).product();
    require(!axes.is_empty() && count > 0, "a sum of nothing")?;
    let is_summed = |axis: &usize| axes.contains(axis);
    let stays: Vec<usize> = (0..rank).filter(|axis| !is_summed(axis)).collect();
    let shape = (0..rank).filter(|axis| keeps || !is_summed(axis));
    let shape: Vec<usize> = shape.map(|axis| if is_summed(&axis) { 1 } else { x.shape[axis] }).collect();
    let data = if x.channels_last && axes == [2, 3] {
        let channels = x.shape[1];
        let mut sums = vec![0.0f32; x.shape[0] * channels];
        for (sums, image) in sums.chunks_exact_mut(channels).zip(x.data.chunks_exact(count * channels)) {
            // Summed row by row to keep precision for many pixels.
            for line in image.chunks(channels * 64) {
                let mut part = vec![0.0f32; channels];
                line.chunks_exact(channels).for_each(|pixel| part.iter_mut().zip(pixel).for_each(|(s, v)| *s += v));
                sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
        }
        sums
    } else {
        // The axes to sum become the last.
        let order: Vec<i64> = stays.iter().chain(&axes).map(|&axis| axis as i64).collect();
        let x = if order.is_sorted() { x.plain() } else { transposed(x, &order)?.plain() };
        x.data.chunks_exact(count).map(|row| row.iter().sum()).collect()
    };
    Ok(Arc::new(Tensor { shape, channels_last: false, data }))
}

pub(super) fn softmax(cpu: Cpu, x: Arc<Tensor>, axis: i64) -> Checked<Arc<Tensor>> {
    let rank = x.shape.len();
    require(axis_of(axis, rank)? + 1 == rank, "a softmax over another axis than the last")?;
    let mut x = Arc::unwrap_or_clone(x.plain());
    let width = x.shape[rank - 1];
    if width > 0 {
        kernels::softmax(cpu, &mut x.data, width);
    }
    Ok(Arc::new(x))
}

/// Scale and shift of each channel.
pub(super) fn normalised(x: Arc<Tensor>, parts: &[Arc<Tensor>; 4], eps: f32) -> Checked<Arc<Tensor>> {
    let channels = *x.shape.get(1).ok_or("no channels")?;
    require(parts.iter().all(|part| part.data.len() == channels), "not a number for each channel")?;
    let mut shape = vec![1; x.shape.len()];
    shape[1] = channels;
    let [scale, shift, mean, variance] = parts;
    let factors: Vec<f32> = scale.data.iter().zip(&variance.data).map(|(s, v)| s / (v + eps).sqrt()).collect();
    let offsets = shift.data.iter().zip(&mean.data).zip(&factors).map(|((b, m), f)| b - m * f).collect();
    let row = |data| Arc::new(Tensor { shape: shape.clone(), channels_last: false, data });
    let offsets = row(offsets);
    binary(Arithmetic::Add, binary(Arithmetic::Mul, x, row(factors))?, offsets)
}
