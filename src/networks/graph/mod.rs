//! Networks as graphs of operators, read from files of several formats, and run for pictures of any size: on the kernels of
//! processors, or on a card by candle.
//!
//! A [`Graph`] is the content of a file as a reader ([`crate::onnx`], [`crate::tensorflow`]) or the code of a network gives it: constants, and operators from an allow-list;
//! others are refused by name. A [`Network`] is a graph that is ready to run: constants folded, operators fused, weights
//! packed or on the card. Files are not trusted: lengths are checked before memory is allocated, and memory and work of a
//! run are bounded.

mod activation;
mod apply;
mod arithmetic;
mod by_candle;
mod by_kernels;
mod convolution;
mod filter;
mod fusion;
mod geometry;
mod last_uses;
mod limits;
mod matrix;
mod named_tensors;
mod network;
pub(crate) mod operator;
mod pixels;
pub(crate) mod protobuf;
mod ready;
mod rearrange;
mod region;
mod tensor;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use named_tensors::NamedTensors;
pub use network::{Network, Place};
pub use operator::RegionOfLandmarks;
pub(crate) use operator::{Arithmetic, Function, Operator, Sliding};
pub use tensor::Tensor;
pub(crate) use tensor::{Value, elements, in_fours};

use std::collections::HashMap;

/// Limits on the contents of a file; the text networks stay below a tenth of each.
pub(crate) const MOST_NODES: usize = 1 << 13;
pub(crate) const MOST_LINKS: usize = 64;
pub(crate) const HIGHEST_RANK: usize = 6;

/// The reason why a file or a picture is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    #[error("not {format} file")]
    Format { format: &'static str },
    #[error("cut short or damaged near byte {at} of a part")]
    Damaged { at: usize },
    #[error("{what} asks for more than this reader allows")]
    TooLarge { what: &'static str },
    #[error("operator {name} is not supported")]
    Operator { name: String },
    #[error("tensor {name}: {problem}")]
    Tensor { name: String, problem: String },
    #[error("operator {number} ({name}): {problem}")]
    Use { number: usize, name: String, problem: String },
}

/// The content of a file: operators in order, each after its inputs.
#[derive(Clone, Debug)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
    /// The value of each constant tensor.
    pub(crate) constants: Vec<Option<Value>>,
    pub(crate) input: usize,
    pub(crate) outputs: Vec<usize>,
    /// The metadata of the file.
    pub metadata: HashMap<String, String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub operator: Operator,
    pub name: String,
    /// `None` for an omitted input.
    pub inputs: Vec<Option<usize>>,
    pub output: usize,
}

impl Node {
    /// The tensor of an input, if present.
    pub fn input(&self, at: usize) -> Option<usize> {
        self.inputs.get(at).copied().flatten()
    }
}

impl Graph {
    /// Checks that operators read only constants, the input and earlier outputs, and that nothing is written twice.
    pub(crate) fn checked(self) -> Result<Self, GraphError> {
        let mut known: Vec<bool> = self.constants.iter().map(Option::is_some).collect();
        let problem =
            |name: &str, problem: &str| Err(GraphError::Tensor { name: name.to_owned(), problem: problem.to_owned() });
        if std::mem::replace(&mut known[self.input], true) {
            return problem("input", "is a constant");
        }
        for (number, node) in self.nodes.iter().enumerate() {
            let complain = |problem: &str| {
                let (name, problem) = (short(&node.name), problem.to_owned());
                Err(GraphError::Use { number, name, problem })
            };
            if node.inputs.iter().flatten().any(|&input| !known[input]) {
                return complain("reads what nothing wrote before");
            }
            if std::mem::replace(&mut known[node.output], true) {
                return complain("writes what is there already");
            }
        }
        if self.outputs.iter().all(|&output| known[output]) {
            return Ok(self);
        }
        problem("output", "is written by no operator")
    }
}

/// Names in files may be of any length; errors quote their beginning.
pub(crate) fn short(name: &str) -> String {
    name.chars().take(64).collect()
}
