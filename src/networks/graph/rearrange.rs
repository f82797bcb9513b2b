//! Operators that move numbers without changing them.

use std::ops::Range;
use std::sync::Arc;

use super::tensor::{Memory, Tensor, Value, elements, lies_at, lying};
use crate::axes::{Checked, axes_of, axis_of, require};

pub(super) fn concat(parts: Vec<Value>, axis: i64, memory: &mut Memory) -> Checked<Value> {
    if parts.iter().all(|part| matches!(part, Value::Integers(shape, _) if shape.len() == 1)) {
        let numbers: Vec<i64> = parts.iter().flat_map(|part| part.integers().unwrap_or_default()).copied().collect();
        return Ok(Value::Integers(vec![numbers.len()], numbers));
    }
    let parts = parts.into_iter().map(Value::floats).collect::<Checked<Vec<_>>>()?;
    let first = parts.first().ok_or("nothing to join")?;
    let mut shape = first.shape.clone();
    let axis = axis_of(axis, shape.len())?;
    let channels_last = parts.iter().any(|part| part.channels_last);
    let fits = |part: &Arc<Tensor>| {
        let mut others = part.shape.clone();
        if let Some(size) = others.get_mut(axis) {
            *size = shape[axis];
        }
        others == shape
    };
    require(parts.iter().all(fits), "parts of other shapes")?;
    shape[axis] = parts.iter().try_fold(0usize, |sum, part| sum.checked_add(part.shape[axis])).ok_or("too large")?;
    let count = elements(&shape)?;
    let parts: Vec<_> = parts.into_iter().map(|part| part.laid(channels_last)).collect();
    let lies = lies_at(axis, channels_last);
    let outer: usize = lying(&shape, channels_last)[..lies].iter().product();
    let mut joined = memory.tensor(shape, channels_last)?;
    let whole = count / outer.max(1);
    let mut begin = 0;
    for part in parts {
        let run = part.data.len() / outer.max(1);
        if run > 0 {
            for (to, from) in joined.data.chunks_exact_mut(whole).zip(part.data.chunks_exact(run)) {
                to[begin..][..run].copy_from_slice(from);
            }
        }
        begin += run;
        memory.give(part);
    }
    Ok(Value::Floats(Arc::new(joined)))
}

/// Reshapes, see [`shape_of`].
pub(super) fn reshaped(value: Value, to: &[i64]) -> Checked<Value> {
    let shape = shape_of(value.shape(), to)?;
    Ok(with_shape(value, shape))
}

/// The shape after reshaping; −1 in `to` stands for the remaining elements, 0 for the size of the input.
pub(super) fn shape_of(there: &[usize], to: &[i64]) -> Checked<Vec<usize>> {
    require(to.len() <= 8 && to.iter().filter(|&&axis| axis == -1).count() <= 1, "no shape")?;
    let axis = |(at, &axis): (usize, &i64)| match axis {
        -1 => Ok(1),
        0 => there.get(at).copied().ok_or_else(|| "keeps an axis that was not there".to_owned()),
        axis => usize::try_from(axis).map_err(|_| "an axis below zero".to_owned()),
    };
    let mut shape = to.iter().enumerate().map(axis).collect::<Checked<Vec<_>>>()?;
    let (known, all) = (elements(&shape)?, elements(there)?);
    if let Some(open) = to.iter().position(|&axis| axis == -1) {
        require(known > 0 && all.is_multiple_of(known), "numbers that do not fit")?;
        shape[open] = all / known;
    }
    require(elements(&shape)? == all, "numbers that do not fit")?;
    Ok(shape)
}

fn with_shape(value: Value, shape: Vec<usize>) -> Value {
    match value {
        Value::Integers(_, numbers) => Value::Integers(shape, numbers),
        Value::Floats(tensor) => {
            let mut tensor = Arc::unwrap_or_clone(tensor.plain());
            tensor.shape = shape;
            Value::Floats(Arc::new(tensor))
        }
    }
}

pub(super) fn squeezed(value: Value, axes: &[i64]) -> Checked<Value> {
    let shape = squeezed_shape(value.shape(), axes)?;
    Ok(with_shape(value, shape))
}

pub(super) fn squeezed_shape(there: &[usize], axes: &[i64]) -> Checked<Vec<usize>> {
    let mut shape = there.to_vec();
    let mut gone = axes.iter().map(|&axis| axis_of(axis, shape.len())).collect::<Checked<Vec<_>>>()?;
    gone.sort_unstable();
    gone.dedup();
    for axis in gone.into_iter().rev() {
        require(shape.remove(axis) == 1, "leaves out an axis that is no one")?;
    }
    Ok(shape)
}

pub(super) fn unsqueezed(value: Value, axes: &[i64]) -> Checked<Value> {
    let shape = unsqueezed_shape(value.shape(), axes)?;
    Ok(with_shape(value, shape))
}

pub(super) fn unsqueezed_shape(there: &[usize], axes: &[i64]) -> Checked<Vec<usize>> {
    let mut shape = there.to_vec();
    require(axes.len() + shape.len() <= 8, "too many axes")?;
    let rank = axes.len() + shape.len();
    let mut added = axes.iter().map(|&axis| axis_of(axis, rank)).collect::<Checked<Vec<_>>>()?;
    added.sort_unstable();
    for axis in added {
        require(axis <= shape.len(), "an axis named twice")?;
        shape.insert(axis, 1);
    }
    Ok(shape)
}

pub(super) fn transposed(x: Arc<Tensor>, order: &[i64]) -> Checked<Arc<Tensor>> {
    let rank = x.shape.len();
    let order = order.iter().map(|&axis| axis_of(axis, rank)).collect::<Checked<Vec<_>>>()?;
    let once = order.len() == rank && (0..rank).all(|axis| order.contains(&axis));
    require(once && rank > 0, "an order of other axes")?;
    // These two change the names of the axes only.
    let from_map = x.channels_last && order == [0, 2, 3, 1];
    if from_map || !x.channels_last && order == [0, 3, 1, 2] {
        let mut x = Arc::unwrap_or_clone(x);
        x.shape = order.iter().map(|&axis| x.shape[axis]).collect();
        x.channels_last = !from_map;
        return Ok(Arc::new(x));
    }
    let x = x.plain();
    let strides: Vec<usize> = (0..rank).map(|axis| x.shape[axis + 1..].iter().product()).collect();
    let shape: Vec<usize> = order.iter().map(|&axis| x.shape[axis]).collect();
    let strides: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
    let mut data = Vec::with_capacity(x.data.len());
    let (mut at, last) = (vec![0; rank], rank - 1);
    while data.len() < x.data.len() {
        let begin: usize = at.iter().zip(&strides).map(|(at, stride)| at * stride).sum();
        data.extend((0..shape[last]).map(|k| x.data[begin + k * strides[last]]));
        for axis in (0..last).rev() {
            at[axis] += 1;
            if at[axis] < shape[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
    Ok(Arc::new(Tensor { shape, channels_last: false, data }))
}

/// The part between begins and ends of some axes, or of the first ones.
pub(super) fn sliced(
    value: Value,
    ends: (&[i64], &[i64]),
    axes: Option<&[i64]>,
    steps: Option<&[i64]>,
) -> Checked<Value> {
    let mut value = value;
    for (axis, part) in slices(value.shape(), ends, axes, steps)? {
        value = cut(value, axis, part.start, part.end);
    }
    Ok(value)
}

/// What [`sliced`] takes of each axis.
pub(super) fn slices(
    shape: &[usize],
    (begins, ends): (&[i64], &[i64]),
    axes: Option<&[i64]>,
    steps: Option<&[i64]>,
) -> Checked<Vec<(usize, Range<usize>)>> {
    require(steps.is_none_or(|steps| steps.iter().all(|&step| step == 1)), "steps other than 1")?;
    let from_first: Vec<i64> = (0..begins.len() as i64).collect();
    let axes = axes_of(axes.unwrap_or(&from_first), shape.len())?;
    require(begins.len() == ends.len() && begins.len() == axes.len(), "begins and ends of other axes")?;
    let part = |((&begin, &end), axis): ((&i64, &i64), usize)| {
        let size = shape[axis] as i64;
        let inside = |at: i64| (if at < 0 { at.saturating_add(size) } else { at }).clamp(0, size) as usize;
        let part = inside(begin)..inside(end);
        require(!part.is_empty(), "takes nothing")?;
        Ok((axis, part))
    };
    begins.iter().zip(ends).zip(axes).map(part).collect()
}

fn cut(value: Value, axis: usize, begin: usize, end: usize) -> Value {
    fn part<T: Copy>(data: &[T], shape: &[usize], axis: usize, begin: usize, end: usize) -> Vec<T> {
        let inner: usize = shape[axis + 1..].iter().product();
        let rows = data.chunks_exact((shape[axis] * inner).max(1));
        rows.flat_map(|row| &row[begin * inner..end * inner]).copied().collect()
    }
    let mut shape = value.shape().to_vec();
    match value {
        Value::Integers(_, numbers) => {
            let numbers = part(&numbers, &shape, axis, begin, end);
            shape[axis] = end - begin;
            Value::Integers(shape, numbers)
        }
        Value::Floats(tensor) => {
            let channels_last = tensor.channels_last;
            let data = part(&tensor.data, &tensor.lying(), lies_at(axis, channels_last), begin, end);
            shape[axis] = end - begin;
            Value::Floats(Arc::new(Tensor { shape, channels_last, data }))
        }
    }
}
