//! The output shape of each operator and the requirements on its inputs. Checked once, so that running cannot fail.

use super::axes::{self, Checked, require};
use super::{Activation, Graph, Node, Operator, Padding, TfliteError};
use crate::graph::RegionOfLandmarks;

pub(super) fn check(graph: &Graph) -> Result<(), TfliteError> {
    for (number, node) in graph.nodes.iter().enumerate() {
        let declared = &graph.tensors[node.output].shape;
        let verdict = of_output(graph, node).and_then(|shape| {
            let same = &shape == declared;
            if same { Ok(()) } else { Err(format!("gives {shape:?} where the file says {declared:?}")) }
        });
        verdict.map_err(|problem| TfliteError::Use { number, name: node.operator.name(), problem })?;
    }
    Ok(())
}

fn of_output(graph: &Graph, node: &Node) -> Checked<Vec<usize>> {
    let at = |k: usize| node.inputs.get(k).map(|&i| &graph.tensors[i]).ok_or_else(|| format!("input {k} is missing"));
    let shape = |k: usize| at(k).map(|t| t.shape.as_slice());
    let computed = |k: usize| require(at(k)?.value.is_none(), "an input that should be computed is a constant");
    let constant = |k: usize| at(k)?.floats().ok_or_else(|| format!("input {k} must be a constant"));
    let integers = |k: usize| at(k)?.integers().ok_or_else(|| format!("input {k} must be whole numbers"));
    let map = |k: usize| match shape(k)? {
        &[1, height, width, channels] => Ok([height, width, channels]),
        other => Err(format!("{other:?} where one image belongs")),
    };
    let declared = graph.tensors[node.output].shape.as_slice();
    match &node.operator {
        // The inputs of these may be constants.
        Operator::Add(_) | Operator::Combine(_) | Operator::Concat { .. } => {
            let numbers = |k: usize| Ok::<_, String>(at(k)?.value.is_none() || at(k)?.floats().is_some());
            for k in 0..node.inputs.len() {
                require(numbers(k)?, "whole numbers where numbers belong")?;
            }
        }
        _ => computed(0)?,
    }
    match &node.operator {
        Operator::Conv { stride, padding, .. } => {
            constant(1).and(constant(2))?;
            let &[outputs, kernel_height, kernel_width, inputs] = shape(1)? else { return Err("four axes".into()) };
            let [height, width] = of_window(map(0)?, [kernel_height, kernel_width, inputs], *stride, *padding)?;
            require(shape(2)? == [outputs], "a bias for each output")?;
            Ok(vec![1, height, width, outputs])
        }
        Operator::Depthwise { stride, padding, .. } => {
            constant(1).and(constant(2))?;
            let &[1, kernel_height, kernel_width, channels] = shape(1)? else { return Err("one filter each".into()) };
            let [height, width] = of_window(map(0)?, [kernel_height, kernel_width, channels], *stride, *padding)?;
            require(shape(2)? == [channels], "a bias for each channel")?;
            Ok(vec![1, height, width, channels])
        }
        Operator::Relu | Operator::Map(_) => Ok(shape(0)?.to_vec()),
        Operator::Prelu => {
            let [.., channels] = map(0)?;
            require(constant(1)?.len() == channels && shape(1)?.last() == Some(&channels), "a slope for each channel")?;
            Ok(shape(0)?.to_vec())
        }
        Operator::Add(activation) => {
            let same = shape(0)? == shape(1)?;
            require(same || *activation == Activation::None, "the two differ in shape")?;
            axes::together(shape(0)?, shape(1)?)
        }
        Operator::Combine(_) => axes::together(shape(0)?, shape(1)?),
        Operator::Reduce { .. } | Operator::Transpose | Operator::Slice { .. } => {
            axes::of_output(&node.operator, shape(0)?, integers)
        }
        Operator::Pad => {
            let (shape, pads) = (shape(0)?, pairs(integers(1)?)?);
            require(shape.len() == 4 && pads.len() == 4 && pads[0] == [0, 0], "pads an image")?;
            Ok(shape.iter().zip(pads).map(|(axis, [before, after])| before + axis + after).collect())
        }
        Operator::MaxPool => {
            let [height, width, channels] = map(0)?;
            require(height % 2 == 0 && width % 2 == 0, "an odd side")?;
            Ok(vec![1, height / 2, width / 2, channels])
        }
        Operator::Resize => {
            let [.., channels] = map(0)?;
            let &[height, width] = integers(1)? else { return Err("two sides".into()) };
            let [height, width] = [height, width].map(|v| usize::try_from(v).unwrap_or(0));
            Ok(vec![1, height, width, channels])
        }
        Operator::DepthToSpace(block) => {
            let [height, width, channels] = map(0)?;
            require(channels % (block * block) == 0, "channels that do not fill the block")?;
            Ok(vec![1, height * block, width * block, channels / (block * block)])
        }
        Operator::Reshape => {
            let elements = at(0)?.elements();
            require(declared.iter().product::<usize>() == elements, "another number of elements")?;
            Ok(declared.to_vec())
        }
        Operator::Concat { axis } => {
            let mut whole = shape(0)?.to_vec();
            let axis = &axes::axis_of(*axis, whole.len())?;
            for k in 1..node.inputs.len() {
                let mut part = shape(k)?.to_vec();
                require(part.len() == whole.len(), "parts differ in rank")?;
                whole[*axis] += part[*axis];
                part[*axis] = whole[*axis];
                require(part == whole, "parts differ on another axis")?;
            }
            Ok(whole)
        }
        Operator::RegionMatrix(_) | Operator::Crop | Operator::MoveLandmarks => of_landmarks(graph, node),
    }
}

/// The output shape of the attention mesh's custom operators.
fn of_landmarks(graph: &Graph, node: &Node) -> Checked<Vec<usize>> {
    let shape = |k: usize| match node.inputs.get(k).map(|&i| &graph.tensors[i]) {
        Some(tensor) if tensor.value.is_none() => Ok(tensor.shape.as_slice()),
        _ => Err(format!("input {k} must be computed")),
    };
    match &node.operator {
        Operator::RegionMatrix(region) => {
            let &[1, points, 3] = shape(0)? else { return Err("landmarks have three numbers each".into()) };
            check_region(region, points)?;
            Ok(vec![1, 4, 4])
        }
        Operator::Crop => {
            let &[1, _, _, channels] = shape(0)? else { return Err("a crop of one image".into()) };
            require(shape(1)? == [1, 4, 4], "the second input is a matrix")?;
            let &[1, height, width, same] = graph.tensors[node.output].shape.as_slice() else {
                return Err("gives an image".into());
            };
            require(same == channels, "a crop keeps the channels")?;
            Ok(vec![1, height, width, channels])
        }
        _ => {
            require(shape(1)? == [1, 4, 4], "the second input is a matrix")?;
            require(matches!(shape(0)?, [1, _, 2]), "points have two numbers each")?;
            Ok(shape(0)?.to_vec())
        }
    }
}

/// The output shape of a window over a map.
fn of_window(map: [usize; 3], kernel: [usize; 3], stride: usize, padding: Padding) -> Checked<[usize; 2]> {
    require(map[2] == kernel[2], "weights are for another number of channels")?;
    let along = |axis: usize| slide(map[axis], kernel[axis], stride, padding).map(|(outputs, _)| outputs);
    Ok([along(0)?, along(1)?])
}

fn check_region(region: &RegionOfLandmarks, points: usize) -> Checked<()> {
    let inside = region.subset.iter().chain([&region.left, &region.right]).all(|&index| index < points);
    require(inside && !region.subset.is_empty(), "landmarks that do not exist")?;
    require(region.height > 0 && region.width > 0, "an empty crop")
}

/// The number of outputs of a window sliding along one axis, and the zeros before it.
pub(super) fn slide(size: usize, kernel: usize, stride: usize, padding: Padding) -> Checked<(usize, usize)> {
    match padding {
        Padding::Valid => {
            let last = size.checked_sub(kernel).ok_or("a window larger than the image")?;
            Ok((last / stride + 1, 0))
        }
        Padding::Same => {
            let outputs = size.div_ceil(stride);
            let zeros = ((outputs - 1) * stride + kernel).saturating_sub(size);
            Ok((outputs, zeros / 2))
        }
    }
}

/// Parses a padding constant: before and after for each axis.
pub(super) fn pairs(numbers: &[i32]) -> Checked<Vec<[usize; 2]>> {
    let side = |v: i32| match usize::try_from(v) {
        Ok(v) if v <= 1 << 16 => Ok(v),
        _ => Err(format!("a padding of {v}")),
    };
    let (pairs, rest) = numbers.as_chunks();
    require(rest.is_empty(), "paddings come in pairs")?;
    pairs.iter().map(|&[before, after]| Ok([side(before)?, side(after)?])).collect()
}
