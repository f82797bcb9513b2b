//! Networks as graphs of operators, read from files of several formats and run on the processor's kernels, whatever the
//! size of the picture.
//!
//! A [`Graph`] is what a reader ([`crate::onnx`]) made of a file: constants, and operators of an allow-list; whatever
//! else a file asks for is refused by name. A [`Network`] is a graph made ready to run: what constants alone decide is
//! worked out, operators are fused, weights are packed. Files come from anywhere: lengths are checked before memory is
//! taken, and what a run may take or compute is bounded.

mod activation;
mod apply;
mod arithmetic;
mod convolution;
mod fusion;
mod matrix;
mod network;
pub(crate) mod operator;
pub(crate) mod protobuf;
mod rearrange;
mod tensor;
mod window;

pub use network::Network;
pub(crate) use operator::{Arithmetic, Function, Operator, Sliding};
pub use tensor::Tensor;
pub(crate) use tensor::{Value, elements};

use std::collections::HashMap;

/// Bounds on what a file may ask for; the networks for text stay under a tenth of each.
pub(crate) const MOST_NODES: usize = 1 << 13;
pub(crate) const MOST_LINKS: usize = 64;
pub(crate) const HIGHEST_RANK: usize = 6;

/// Why a file is not accepted, or a picture not taken.
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

/// What a file holds: operators in order, each after what it reads.
#[derive(Clone, Debug)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
    /// By tensor: the value of those that the file gives.
    pub(crate) constants: Vec<Option<Value>>,
    pub(crate) input: usize,
    pub(crate) outputs: Vec<usize>,
    /// What its makers wrote beside it.
    pub metadata: HashMap<String, String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub operator: Operator,
    pub name: String,
    /// `None` for an input that is left out.
    pub inputs: Vec<Option<usize>>,
    pub output: usize,
}

impl Node {
    /// The tensor of an input, where it is there.
    pub fn input(&self, at: usize) -> Option<usize> {
        self.inputs.get(at).copied().flatten()
    }
}

impl Graph {
    /// Checks that operators read constants, the input, and what earlier operators wrote, and that nothing is written
    /// twice.
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
