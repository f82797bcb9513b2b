//! Writes what some outputs of a file need as a graph of the common operators.
//!
//! Tensors of four axes have their channels last in files; in graphs they are maps (images, channels, height, width).
//! Operators that name axes or reorder numbers therefore read such tensors through a transposition, which costs nothing
//! while the channels lie innermost.

use std::collections::HashMap;
use std::sync::Arc;

use super::axes::{axes_of, slice_of};
use super::operator::{Activation, Arithmetic, Function, Operator, Padding};
use super::shape::pairs;
use super::{Graph, Node, TfliteError};
use crate::axes::{Checked, axis_of};
use crate::graph::{self, Sliding, Tensor, Value};

/// The order of the axes of a map in a file, and back.
const CHANNELS_SECOND: [i64; 4] = [0, 3, 1, 2];
const CHANNELS_LAST: [i64; 4] = [0, 2, 3, 1];

/// The nodes that the outputs numbered `wanted` depend on.
pub(super) fn needed(file: &Graph, wanted: &[usize]) -> Vec<bool> {
    let mut read = vec![false; file.tensors.len()];
    wanted.iter().for_each(|&output| read[output] = true);
    let mut needed = vec![false; file.nodes.len()];
    for (needed, node) in needed.iter_mut().zip(&file.nodes).rev() {
        *needed = read[node.output];
        if *needed {
            node.inputs.iter().for_each(|&input| read[input] = true);
        }
    }
    needed
}

/// The graph of the nodes that are `needed` for the `wanted` tensors, which it gives in row-major order.
pub(super) fn lowered(
    file: &Graph,
    input: usize,
    wanted: &[usize],
    needed: &[bool],
) -> Result<graph::Graph, TfliteError> {
    let mut lowering = Lowering { file, nodes: Vec::new(), constants: vec![None; file.tensors.len()] };
    for (number, (node, _)) in file.nodes.iter().zip(needed).enumerate().filter(|(_, (_, needed))| **needed) {
        let name = node.operator.name();
        lowering.add(node).map_err(|problem| TfliteError::Use { number, name, problem })?;
    }
    let outputs = wanted.iter().map(|&output| lowering.rows(output, "output")).collect();
    let Lowering { nodes, constants, .. } = lowering;
    Ok(graph::Graph { nodes, constants, input, outputs, metadata: HashMap::new() })
}

struct Lowering<'a> {
    file: &'a Graph,
    nodes: Vec<graph::Node>,
    /// The constants among the tensors, first those of the file, then others.
    constants: Vec<Option<Value>>,
}

impl Lowering<'_> {
    fn shape(&self, tensor: usize) -> &[usize] {
        &self.file.tensors[tensor].shape
    }

    fn is_map(&self, tensor: usize) -> bool {
        self.shape(tensor).len() == 4
    }

    fn floats(&self, tensor: usize) -> Checked<Vec<f32>> {
        self.file.tensors[tensor].floats().map(|floats| floats.to_vec()).ok_or_else(|| "no constant".to_owned())
    }

    fn integers(&self, tensor: usize) -> Checked<&[i32]> {
        self.file.tensors[tensor].integers().ok_or_else(|| "no constant of whole numbers".to_owned())
    }

    /// A new tensor.
    fn unnamed(&mut self, value: Option<Value>) -> usize {
        self.constants.push(value);
        self.constants.len() - 1
    }

    fn numbers(&mut self, numbers: Vec<i64>) -> usize {
        self.unnamed(Some(Value::Integers(vec![numbers.len()], numbers)))
    }

    fn row(&mut self, tensor: usize) -> Checked<usize> {
        let row = Tensor::row(self.floats(tensor)?);
        Ok(self.unnamed(Some(Value::Floats(Arc::new(row)))))
    }

    /// An input, whose value is copied from the file if it is a constant.
    fn read(&mut self, tensor: usize) -> usize {
        if self.constants[tensor].is_none()
            && let Some(floats) = self.file.tensors[tensor].floats()
        {
            let value = Tensor::of_file(self.shape(tensor), floats.to_vec());
            self.constants[tensor] = Some(Value::Floats(Arc::new(value)));
        }
        tensor
    }

    fn push(&mut self, operator: graph::Operator, name: &str, inputs: &[usize], output: usize) {
        let inputs = inputs.iter().map(|&input| Some(input)).collect();
        self.nodes.push(graph::Node { operator, name: name.to_owned(), inputs, output });
    }

    /// The same with a new tensor as output.
    fn made(&mut self, operator: graph::Operator, name: &str, inputs: &[usize]) -> usize {
        let output = self.unnamed(None);
        self.push(operator, name, inputs, output);
        output
    }

    /// A tensor with its axes in the order of the file.
    fn rows(&mut self, tensor: usize, name: &str) -> usize {
        let read = self.read(tensor);
        if !self.is_map(tensor) {
            return read;
        }
        self.made(graph::Operator::Transpose(CHANNELS_LAST.to_vec()), name, &[read])
    }

    /// Writes an output from a tensor with its axes in the order of the file.
    fn write_rows(&mut self, rows: usize, name: &str, output: usize) {
        let operator = if self.is_map(output) {
            graph::Operator::Transpose(CHANNELS_SECOND.to_vec())
        } else {
            graph::Operator::Identity
        };
        self.push(operator, name, &[rows], output);
    }

    /// A tensor that is combined with others into one of `rank` axes.
    fn beside(&mut self, tensor: usize, rank: usize, name: &str) -> usize {
        let shape = self.shape(tensor);
        if shape.len() == rank || shape.iter().product::<usize>() == 1 && shape.len() < 4 {
            return self.read(tensor);
        }
        let missing = rank.saturating_sub(shape.len());
        let whole = vec![1; missing].into_iter().chain(shape.iter().map(|&axis| axis as i64)).collect();
        let rows = self.rows(tensor, name);
        let whole = self.numbers(whole);
        let rows = self.made(graph::Operator::Reshape, name, &[rows, whole]);
        if rank != 4 {
            return rows;
        }
        self.made(graph::Operator::Transpose(CHANNELS_SECOND.to_vec()), name, &[rows])
    }

    fn activated(&mut self, operator: graph::Operator, inputs: &[usize], node: &Node, activation: Activation) {
        let name = node.operator.name();
        match activation {
            Activation::None => self.push(operator, name, inputs, node.output),
            Activation::Relu => {
                let sums = self.made(operator, name, inputs);
                self.push(graph::Operator::Unary(graph::Function::Relu), name, &[sums], node.output);
            }
        }
    }

    fn add(&mut self, node: &Node) -> Checked<()> {
        use graph::Operator as Common;
        let (name, output) = (node.operator.name(), node.output);
        let first = node.inputs[0];
        match &node.operator {
            Operator::Conv { stride, padding, activation } => {
                let (weights, bias) = (self.read(node.inputs[1]), self.row(node.inputs[2])?);
                let operator = Common::Conv(sliding(*stride, *padding), 1);
                self.activated(operator, &[first, weights, bias], node, *activation);
            }
            Operator::Depthwise { stride, padding, activation } => {
                let &[_, rows, columns, channels] = self.shape(node.inputs[1]) else { return Err("four axes".into()) };
                let filters =
                    Tensor::of_file(&[1, rows, columns, channels], self.floats(node.inputs[1])?).into_filters();
                let weights = self.unnamed(Some(Value::Floats(Arc::new(filters))));
                let bias = self.row(node.inputs[2])?;
                let operator = Common::Conv(sliding(*stride, *padding), channels);
                self.activated(operator, &[first, weights, bias], node, *activation);
            }
            Operator::Relu => self.push(Common::Unary(graph::Function::Relu), name, &[first], output),
            Operator::Prelu => {
                let slopes = self.row(node.inputs[1])?;
                self.push(Common::Prelu, name, &[first, slopes], output);
            }
            Operator::Add(activation) => {
                let inputs = self.both(node, name);
                self.activated(Common::Binary(graph::Arithmetic::Add), &inputs, node, *activation);
            }
            Operator::Combine(arithmetic) => {
                let inputs = self.both(node, name);
                self.push(Common::Binary(common_arithmetic(*arithmetic)), name, &inputs, output);
            }
            Operator::Map(function) => self.push(Common::Unary(common_function(*function)), name, &[first], output),
            Operator::Reduce { mean, keeps_axes } => {
                let rows = self.rows(first, name);
                let axes = axes_of(self.integers(node.inputs[1])?, self.shape(first).len())?;
                let axes = axes.into_iter().map(|axis| axis as i64).collect();
                let operator =
                    if *mean { Common::Mean(Some(axes), *keeps_axes) } else { Common::Sum(axes, *keeps_axes) };
                let rows = self.made(operator, name, &[rows]);
                self.write_rows(rows, name, output);
            }
            Operator::Transpose => {
                let rows = self.rows(first, name);
                let order = self.integers(node.inputs[1])?.iter().map(|&axis| i64::from(axis)).collect();
                let rows = self.made(Common::Transpose(order), name, &[rows]);
                self.write_rows(rows, name, output);
            }
            Operator::Slice { .. } => self.slice(node)?,
            Operator::Pad => {
                let pads = pairs(self.integers(node.inputs[1])?)?;
                let &[_, rows, columns, channels] = pads.as_slice() else { return Err("pads an image".into()) };
                self.push(Common::Pad([channels, rows, columns]), name, &[first], output);
            }
            Operator::MaxPool => {
                let sliding = Sliding { window: Some([2, 2]), strides: [2, 2], ..Sliding::default() };
                self.push(Common::MaxPool(sliding), name, &[first], output);
            }
            Operator::Resize => {
                let &[_, rows, columns, _] = self.shape(output) else { return Err("gives an image".into()) };
                self.push(Common::Bilinear([rows, columns]), name, &[first], output);
            }
            Operator::DepthToSpace(block) => self.push(Common::DepthToSpace(*block), name, &[first], output),
            Operator::Reshape => {
                let rows = self.rows(first, name);
                let shape = self.shape(output).iter().map(|&axis| axis as i64).collect();
                let shape = self.numbers(shape);
                let rows = self.made(Common::Reshape, name, &[rows, shape]);
                self.write_rows(rows, name, output);
            }
            Operator::Concat { axis } => {
                let rank = self.shape(output).len();
                let axis = axis_of(*axis, rank)?;
                let axis = if rank == 4 { [0, 2, 3, 1][axis] } else { axis };
                let inputs: Vec<usize> = node.inputs.iter().map(|&input| self.read(input)).collect();
                self.push(Common::Concat(axis as i64), name, &inputs, output);
            }
            Operator::RegionMatrix(region) => {
                self.push(Common::RegionMatrix(region.clone()), name, &[first], output);
            }
            Operator::Crop => {
                let &[_, rows, columns, _] = self.shape(output) else { return Err("gives an image".into()) };
                self.push(Common::Crop([rows, columns]), name, &[first, node.inputs[1]], output);
            }
            Operator::MoveLandmarks => self.push(Common::MoveLandmarks, name, &[first, node.inputs[1]], output),
        }
        Ok(())
    }

    /// The two inputs of a combination.
    fn both(&mut self, node: &Node, name: &str) -> [usize; 2] {
        let rank = self.shape(node.output).len();
        [0, 1].map(|at| self.beside(node.inputs[at], rank, name))
    }

    fn slice(&mut self, node: &Node) -> Checked<()> {
        let (name, first) = (node.operator.name(), node.inputs[0]);
        let constants =
            [self.integers(node.inputs[1])?, self.integers(node.inputs[2])?, self.integers(node.inputs[3])?];
        let parts = slice_of(&node.operator, self.shape(first), constants)?;
        let rows = self.rows(first, name);
        let begins = self.numbers(parts.iter().map(|part| part.begin as i64).collect());
        let ends = self.numbers(parts.iter().map(|part| (part.begin + part.length) as i64).collect());
        let rows = self.made(graph::Operator::Slice, name, &[rows, begins, ends]);
        let gone = parts.iter().zip(0..).filter(|(part, _)| part.drops).map(|(_, axis)| axis).collect();
        let rows = self.made(graph::Operator::Squeeze(gone), name, &[rows]);
        self.write_rows(rows, name, node.output);
        Ok(())
    }
}

fn sliding(stride: usize, padding: Padding) -> Sliding {
    Sliding { strides: [stride; 2], same: padding == Padding::Same, ..Sliding::default() }
}

fn common_arithmetic(arithmetic: Arithmetic) -> graph::Arithmetic {
    match arithmetic {
        Arithmetic::Add => graph::Arithmetic::Add,
        Arithmetic::Subtract => graph::Arithmetic::Sub,
        Arithmetic::Multiply => graph::Arithmetic::Mul,
        Arithmetic::Divide => graph::Arithmetic::Div,
        Arithmetic::SquaredDifference => graph::Arithmetic::SquaredDifference,
    }
}

fn common_function(function: Function) -> graph::Function {
    match function {
        Function::Logistic => graph::Function::Sigmoid,
        Function::Negate => graph::Function::Negate,
        Function::Root => graph::Function::Sqrt,
        Function::InverseRoot => graph::Function::InverseSqrt,
    }
}
