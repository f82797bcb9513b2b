//! A graph run operator by operator on candle's own operations: slow, plain, and independent of planning, fusing and
//! packing. What the interpreter is compared with.

use candle_core::{Device, Result, Tensor};
use networks::tflite::{Activation, Arithmetic, Function, Graph, Node, Operator, Padding, axis_of, slice_of};

/// Every output, flat.
pub fn run(graph: &Graph, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
    let tensor =
        |index: usize, values: &[f32]| Tensor::from_slice(values, graph.tensors[index].shape.as_slice(), &Device::Cpu);
    let mut values: Vec<Option<Tensor>> = vec![None; graph.tensors.len()];
    for (index, constant) in graph.tensors.iter().enumerate() {
        if let Some(floats) = constant.floats() {
            values[index] = Some(tensor(index, floats)?);
        }
    }
    for (&index, input) in graph.inputs.iter().zip(inputs) {
        values[index] = Some(tensor(index, input)?);
    }
    for node in &graph.nodes {
        let output = apply(graph, node, &values)?;
        assert_eq!(output.dims(), graph.tensors[node.output].shape, "{}", node.operator.name());
        values[node.output] = Some(output);
    }
    graph.outputs.iter().map(|&index| values[index].as_ref().unwrap().flatten_all()?.to_vec1()).collect()
}

fn apply(graph: &Graph, node: &Node, values: &[Option<Tensor>]) -> Result<Tensor> {
    let input = |k: usize| values[node.inputs[k]].clone().unwrap();
    let integers = |k: usize| graph.tensors[node.inputs[k]].integers().unwrap();
    let shape = graph.tensors[node.output].shape.as_slice();
    match &node.operator {
        Operator::Conv { stride, padding, activation } => {
            let weights = input(1).permute((0, 3, 1, 2))?.contiguous()?;
            let x = pad_as_declared(&input(0), input(1).dims(), shape, *stride, *padding)?;
            let y = x.permute((0, 3, 1, 2))?.contiguous()?.conv2d(&weights, 0, *stride, 1, 1)?;
            activate(y.permute((0, 2, 3, 1))?.broadcast_add(&input(2))?, *activation)
        }
        Operator::Depthwise { stride, padding, activation } => {
            let weights = input(1).permute((3, 0, 1, 2))?.contiguous()?;
            let x = pad_as_declared(&input(0), input(1).dims(), shape, *stride, *padding)?;
            let channels = weights.dim(0)?;
            let y = x.permute((0, 3, 1, 2))?.contiguous()?.conv2d(&weights, 0, *stride, 1, channels)?;
            activate(y.permute((0, 2, 3, 1))?.broadcast_add(&input(2))?, *activation)
        }
        Operator::Relu => input(0).relu(),
        Operator::Prelu => {
            let x = input(0);
            x.relu()? - x.neg()?.relu()?.broadcast_mul(&input(1))?
        }
        Operator::Add(activation) => activate(input(0).broadcast_add(&input(1))?, *activation),
        Operator::Combine(arithmetic) => {
            let (a, b) = (input(0), input(1));
            match arithmetic {
                Arithmetic::Add => a.broadcast_add(&b),
                Arithmetic::Subtract => a.broadcast_sub(&b),
                Arithmetic::Multiply => a.broadcast_mul(&b),
                Arithmetic::Divide => a.broadcast_div(&b),
                Arithmetic::SquaredDifference => a.broadcast_sub(&b)?.sqr(),
            }
        }
        Operator::Map(function) => match function {
            Function::Logistic => (input(0).neg()?.exp()? + 1.0)?.recip(),
            Function::Negate => input(0).neg(),
            Function::Root => input(0).sqrt(),
            Function::InverseRoot => input(0).sqrt()?.recip(),
        },
        Operator::Reduce { mean, .. } => {
            let (mut x, mut count) = (input(0), 1);
            for &axis in integers(1) {
                let axis = axis_of(axis, x.rank()).map_err(candle_core::Error::msg)?;
                count *= x.dim(axis)?;
                x = x.sum_keepdim(axis)?;
            }
            let factor = if *mean { 1.0 / count as f64 } else { 1.0 };
            (x * factor)?.reshape(shape)
        }
        Operator::Transpose => {
            let order: Vec<usize> = integers(1).iter().map(|&axis| axis as usize).collect();
            input(0).permute(order)?.contiguous()
        }
        Operator::Slice { .. } => {
            let mut x = input(0);
            let parts = slice_of(&node.operator, x.dims(), [integers(1), integers(2), integers(3)]);
            for (axis, part) in parts.map_err(candle_core::Error::msg)?.into_iter().enumerate() {
                x = x.narrow(axis, part.begin, part.length)?;
            }
            x.contiguous()?.reshape(shape)
        }
        Operator::Pad => {
            let mut x = input(0);
            for (axis, pair) in integers(1).as_chunks::<2>().0.iter().enumerate() {
                x = x.pad_with_zeros(axis, pair[0] as usize, pair[1] as usize)?;
            }
            Ok(x)
        }
        Operator::MaxPool => {
            input(0).permute((0, 3, 1, 2))?.contiguous()?.max_pool2d(2)?.permute((0, 2, 3, 1))?.contiguous()
        }
        Operator::Resize => {
            let x = input(0).permute((0, 3, 1, 2))?.contiguous()?;
            x.upsample_bilinear2d(shape[1], shape[2], false)?.permute((0, 2, 3, 1))?.contiguous()
        }
        Operator::DepthToSpace(block) => {
            let (_, height, width, _) = input(0).dims4()?;
            let x = input(0).reshape(vec![height, width, *block, *block, shape[3]])?;
            x.permute(vec![0, 2, 1, 3, 4])?.reshape(shape)
        }
        Operator::Reshape => input(0).reshape(shape),
        Operator::Concat { axis } => {
            let parts: Vec<Tensor> = (0..node.inputs.len()).map(input).collect();
            Tensor::cat(&parts, axis_of(*axis, shape.len()).map_err(candle_core::Error::msg)?)
        }
        other => candle_core::bail!("{} has no counterpart in candle", other.name()),
    }
}

fn activate(x: Tensor, activation: Activation) -> Result<Tensor> {
    if activation == Activation::Relu { x.relu() } else { Ok(x) }
}

/// The zeros that make the window give as many outputs as the file says, the odd one behind.
fn pad_as_declared(x: &Tensor, kernel: &[usize], output: &[usize], stride: usize, padding: Padding) -> Result<Tensor> {
    let mut x = x.clone();
    if padding == Padding::Same {
        for axis in [1, 2] {
            let zeros = ((output[axis] - 1) * stride + kernel[axis]).saturating_sub(x.dim(axis)?);
            x = x.pad_with_zeros(axis, zeros / 2, zeros - zeros / 2)?;
        }
    }
    Ok(x)
}
