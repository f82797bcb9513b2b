//! Axis arithmetic: resolving axis numbers, and the output shapes of reductions, transpositions and slices.

use super::Operator;
pub use crate::axes::axis_of;
pub(super) use crate::axes::{Checked, axes_of, require, together};

/// The output shape of an operator on axes; `constant` returns its integer inputs.
pub(super) fn of_output<'a>(
    operator: &Operator,
    shape: &[usize],
    constant: impl Fn(usize) -> Checked<&'a [i32]>,
) -> Checked<Vec<usize>> {
    match operator {
        Operator::Reduce { keeps_axes, .. } => {
            let (mut whole, gone) = (shape.to_vec(), axes_of(constant(1)?, shape.len())?);
            gone.iter().for_each(|&axis| whole[axis] = 1);
            let mut axis = 0..;
            if !keeps_axes {
                whole.retain(|_| axis.next().is_some_and(|axis| !gone.contains(&axis)));
            }
            Ok(whole)
        }
        Operator::Transpose => {
            let order = axes_of(constant(1)?, shape.len())?;
            require(order.len() == shape.len(), "an order of other axes")?;
            Ok(order.iter().map(|&axis| shape[axis]).collect())
        }
        slice => {
            let parts = slice_of(slice, shape, [constant(1)?, constant(2)?, constant(3)?])?;
            Ok(parts.iter().filter(|part| !part.drops).map(|part| part.length).collect())
        }
    }
}

/// The part of an axis that a slice takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxisRange {
    pub begin: usize,
    pub length: usize,
    /// Whether the axis is removed.
    pub drops: bool,
}

/// The part of each axis, from the constants of a STRIDED_SLICE (begins, ends, steps).
pub fn slice_of(slice: &Operator, shape: &[usize], constants: [&[i32]; 3]) -> Checked<Vec<AxisRange>> {
    let &Operator::Slice { from_start, to_end, drops } = slice else { return Err("no slice".into()) };
    let [begins, ends, steps] = constants;
    require(constants.iter().all(|numbers| numbers.len() == shape.len()), "a number for each axis")?;
    require(steps.iter().all(|&step| step == 1), "steps other than 1")?;
    let part = |axis: usize| {
        let size = shape[axis] as i64;
        let inside = |at: i32| (i64::from(at) + if at < 0 { size } else { 0 }).clamp(0, size) as usize;
        let is_set = |mask: i32| mask >> axis & 1 == 1;
        let drops = is_set(drops);
        let begin = if is_set(from_start) { 0 } else { inside(begins[axis]) };
        let end = match drops {
            true => (begin + 1).min(shape[axis]),
            false if is_set(to_end) => shape[axis],
            false => inside(ends[axis]),
        };
        let length = end.checked_sub(begin).filter(|&length| length > 0).ok_or("takes nothing")?;
        Ok(AxisRange { begin, length, drops })
    };
    (0..shape.len()).map(part).collect()
}
