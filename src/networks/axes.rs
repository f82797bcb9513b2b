//! Axis arithmetic shared by all graph formats: resolving axis numbers, and broadcasting.

/// The error is a sentence on what does not fit.
pub(crate) type Checked<T> = Result<T, String>;

pub(crate) fn require(condition: bool, otherwise: &str) -> Checked<()> {
    if condition { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// Resolves an axis number; negative ones count from the last axis.
pub fn axis_of(number: impl Into<i64>, rank: usize) -> Result<usize, String> {
    let number = number.into();
    let from_last = if number < 0 { rank as i64 } else { 0 };
    let axis = number.checked_add(from_last).and_then(|axis| usize::try_from(axis).ok()).filter(|&axis| axis < rank);
    axis.ok_or_else(|| format!("no axis {number} among {rank}"))
}

/// Resolves several axis numbers, which must be distinct.
pub(crate) fn axes_of<N: Into<i64> + Copy>(numbers: &[N], rank: usize) -> Checked<Vec<usize>> {
    require(numbers.len() <= rank, "more axes than there are")?;
    let axes = numbers.iter().map(|&number| axis_of(number, rank)).collect::<Checked<Vec<_>>>()?;
    let once = axes.iter().enumerate().all(|(i, axis)| !axes[..i].contains(axis));
    require(once, "an axis that is named twice")?;
    Ok(axes)
}

/// The broadcast shape of two tensors.
pub(crate) fn together(first: &[usize], second: &[usize]) -> Checked<Vec<usize>> {
    let rank = first.len().max(second.len());
    let size = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let both = |axis: usize| match (size(first, axis), size(second, axis)) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        _ => Err("the two differ in shape".to_owned()),
    };
    (0..rank).map(both).collect()
}
