//! The supported TensorFlow operators, and the graph that is built of them.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Node, Nodes, Result, constant, problem};
use crate::graph::{
    self, Arithmetic, Function, Graph, GraphError, NamedTensors, Operator, Sliding, Tensor, Value, short,
};

/// The order of the axes of weights in a graph, of the axes in a file.
const DENSE: [usize; 4] = [3, 2, 0, 1];
const DEPTHWISE: [usize; 4] = [2, 3, 0, 1];

/// Whether the second input are weights of a convolution.
pub(super) fn has_weights(operator: &str) -> bool {
    matches!(operator, "Conv2D" | "DepthwiseConv2dNative")
}

/// Builds a graph from nodes, each after those that it reads.
pub(super) struct Builder<'a> {
    nodes: &'a Nodes<'a>,
    tensors: NamedTensors<'a>,
    built: Vec<graph::Node>,
    input: usize,
    /// What is computed from the picture; all else are constants and what is computed from them.
    maps: HashSet<usize>,
}

impl<'a> Builder<'a> {
    pub fn new(nodes: &'a Nodes<'a>, input: &'a str) -> Self {
        let mut tensors = NamedTensors::default();
        let input = tensors.number(input);
        Self { nodes, tensors, built: Vec::new(), input, maps: HashSet::from([input]) }
    }

    pub fn add(&mut self, node: &Node<'a>) -> Result<()> {
        let refused = |why: &str| GraphError::Operator { name: format!("{} with {why}", node.operator) };
        let inputs: Vec<usize> = node.computed().iter().map(|input| self.tensors.number(input)).collect();
        let is_map = inputs.iter().any(|input| self.maps.contains(input));
        let (operator, inputs) = match (node.operator, inputs.as_slice()) {
            ("Const", []) => {
                let value = node.attributes.tensor("value").ok_or_else(|| problem(node.name, "has no value"))?;
                self.tensors.set(node.name, floats(constant::read(node.name, value)?));
                return Ok(());
            }
            ("Identity", &[x]) => (Operator::Identity, vec![x]),
            ("Relu", &[x]) => (Operator::Unary(Function::Relu), vec![x]),
            ("Relu6", &[x]) => (Operator::Unary(Function::Relu6), vec![x]),
            ("Sigmoid", &[x]) => (Operator::Unary(Function::Sigmoid), vec![x]),
            ("Rsqrt", &[x]) => {
                let exponent = self.tensors.unnamed(Tensor::new(Vec::new(), vec![-0.5]).map(floats));
                (Operator::Binary(Arithmetic::Pow), vec![x, exponent])
            }
            ("Add" | "AddV2" | "BiasAdd" | "Sub" | "Mul" | "RealDiv", &[a, b]) => {
                let arithmetic = match node.operator {
                    "Sub" => Arithmetic::Sub,
                    "Mul" => Arithmetic::Mul,
                    "RealDiv" => Arithmetic::Div,
                    _ => Arithmetic::Add,
                };
                (Operator::Binary(arithmetic), vec![self.beside(a, is_map)?, self.beside(b, is_map)?])
            }
            ("FusedBatchNorm" | "FusedBatchNormV2" | "FusedBatchNormV3", &[x, a, b, c, d]) => {
                if node.attributes.flag("is_training") {
                    return Err(refused("is_training"));
                }
                (Operator::BatchNormalization(node.attributes.float("epsilon", 1e-4)), vec![x, a, b, c, d])
            }
            ("Conv2D" | "DepthwiseConv2dNative", &[x]) => {
                let sliding = sliding(node).map_err(|why| refused(&why))?;
                let depthwise = node.operator == "DepthwiseConv2dNative";
                let weights = self.weights(node, if depthwise { DEPTHWISE } else { DENSE })?;
                let [outputs, inputs, ..] = weights.shape[..] else { return Err(refused("weights of other axes")) };
                if depthwise && inputs != 1 {
                    return Err(refused("several filters for each channel"));
                }
                let weights = self.tensors.unnamed(Some(floats(weights)));
                (Operator::Conv(sliding, if depthwise { outputs } else { 1 }), vec![x, weights])
            }
            (
                "Const"
                | "Identity"
                | "Relu"
                | "Relu6"
                | "Sigmoid"
                | "Rsqrt"
                | "Add"
                | "AddV2"
                | "BiasAdd"
                | "Sub"
                | "Mul"
                | "RealDiv"
                | "FusedBatchNorm"
                | "FusedBatchNormV2"
                | "FusedBatchNormV3"
                | "Conv2D"
                | "DepthwiseConv2dNative",
                inputs,
            ) => return Err(refused(&format!("{} inputs", inputs.len()))),
            (other, _) => return Err(GraphError::Operator { name: short(other) }),
        };
        if !matches!(node.attributes.text("data_format"), None | Some("NHWC")) {
            return Err(refused("channels before pixels"));
        }
        let output = self.tensors.number(node.name);
        self.push(operator, node.name, inputs, output);
        if is_map {
            self.maps.insert(output);
        }
        Ok(())
    }

    fn push(&mut self, operator: Operator, name: &str, inputs: Vec<usize>, output: usize) {
        let inputs = inputs.into_iter().map(Some).collect();
        self.built.push(graph::Node { operator, name: short(name), inputs, output });
    }

    /// A number for each channel in the form in which it stands beside a map.
    fn beside(&mut self, tensor: usize, is_map: bool) -> Result<usize> {
        if !is_map || self.maps.contains(&tensor) {
            return Ok(tensor);
        }
        if let Some(value) = &self.tensors.constants[tensor]
            && let Some((_, outer)) = value.shape().split_last()
            && outer.iter().any(|&axis| axis != 1)
        {
            return Err(GraphError::Operator { name: "sums with constants of several axes".into() });
        }
        let shape = self.tensors.unnamed(Some(Value::Integers(vec![4], vec![1, -1, 1, 1])));
        let beside = self.tensors.unnamed(None);
        self.push(Operator::Reshape, "a number for each channel", vec![tensor, shape], beside);
        Ok(beside)
    }

    /// The constant that is the second input, its axes in this order.
    fn weights(&self, node: &Node<'a>, order: [usize; 4]) -> Result<Tensor> {
        let mut name = *node.inputs.get(1).ok_or_else(|| problem(node.name, "has no weights"))?;
        // Exporters put a few identities between.
        for _ in 0..8 {
            let from = Node::read(self.nodes, name)?;
            match (from.operator, from.inputs.as_slice(), from.attributes.tensor("value")) {
                ("Identity", &[next], _) => name = next,
                ("Const", _, Some(value)) => return turned(from.name, &constant::read(from.name, value)?, order),
                _ => break,
            }
        }
        Err(problem(name, "weights that are no constants"))
    }

    pub fn finish(mut self, outputs: &[&'a str]) -> Result<Graph> {
        let mut numbers = Vec::with_capacity(outputs.len());
        for &name in outputs {
            let tensor = self.tensors.number(name);
            if !self.maps.contains(&tensor) {
                return Err(problem(name, "is not computed from the picture"));
            }
            let output = self.tensors.unnamed(None);
            self.push(Operator::Transpose(vec![0, 2, 3, 1]), name, vec![tensor], output);
            numbers.push(output);
        }
        let metadata = std::collections::HashMap::new();
        Ok(Graph {
            nodes: self.built,
            constants: self.tensors.constants,
            input: self.input,
            outputs: numbers,
            metadata,
        })
    }
}

fn floats(tensor: Tensor) -> Value {
    Value::Floats(Arc::new(tensor))
}

/// The same numbers with the axes in another order.
fn turned(name: &str, weights: &Tensor, order: [usize; 4]) -> Result<Tensor> {
    let axes = <[usize; 4]>::try_from(weights.shape.as_slice()).map_err(|_| problem(name, "is not of four axes"))?;
    let strides: [usize; 4] = std::array::from_fn(|axis| axes[axis + 1..].iter().product());
    let (shape, steps) = (order.map(|axis| axes[axis]), order.map(|axis| strides[axis]));
    let mut data = Vec::with_capacity(weights.data.len());
    for a in 0..shape[0] {
        for b in 0..shape[1] {
            for c in 0..shape[2] {
                let begin = a * steps[0] + b * steps[1] + c * steps[2];
                data.extend((0..shape[3]).map(|d| weights.data[begin + d * steps[3]]));
            }
        }
    }
    Tensor::new(shape.to_vec(), data).ok_or_else(|| problem(name, "has no numbers"))
}

/// The parameters of a sliding window; the file gives them for all four axes.
fn sliding(node: &Node) -> std::result::Result<Sliding, String> {
    let &[1, down, across, 1] = node.attributes.numbers("strides") else { return Err("strides of other axes".into()) };
    let stride = |stride: i64| usize::try_from(stride).ok().filter(|stride| (1..=64).contains(stride));
    let strides = stride(down).zip(stride(across)).ok_or_else(|| format!("strides {down} and {across}"))?;
    if node.attributes.numbers("dilations").iter().any(|&dilation| dilation != 1) {
        return Err("dilations".into());
    }
    let same = match node.attributes.text("padding") {
        Some("SAME") => true,
        Some("VALID") => false,
        other => return Err(format!("padding {}", short(other.unwrap_or("of no kind")))),
    };
    Ok(Sliding { strides: strides.into(), same, ..Sliding::default() })
}
