//! TensorFlow Lite files: read, checked, and run on the CPU without TensorFlow.
//!
//! A [`Graph`] is the content of a file: tensors, unpacked constants, and operators from an allow-list; others are refused
//! by name. A [`Network`] is what some of its outputs need, written in the operators of [`crate::graph`], which runs it.
//! Files are not trusted: every offset, shape and size is checked before use, and the memory and time a file can cost are
//! bounded.

mod axes;
mod constant;
mod flatbuffer;
mod flexbuffer;
mod graph;
mod lower;
mod network;
mod operator;
mod shape;

pub use axes::{axis_of, slice_of};
pub use constant::Value;
pub use graph::{Graph, Node, Tensor};
pub use network::Network;
pub use operator::{Activation, Arithmetic, Function, Operator, Padding};

/// The reason why a file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TfliteError {
    #[error("not a TensorFlow Lite file")]
    NotTflite,
    #[error("cut short or damaged: an offset near byte {at} leads outside the file")]
    Truncated { at: usize },
    #[error("damaged: {value} where a count belongs")]
    Negative { value: i32 },
    #[error("{what} asks for more than this reader allows")]
    TooLarge { what: &'static str },
    #[error("damaged: {what} number {index} does not exist")]
    Missing { what: &'static str, index: i64 },
    #[error("tensor {tensor}: {problem}")]
    Tensor { tensor: String, problem: String },
    #[error("operator {name} is not supported")]
    Operator { name: String },
    #[error("operator {number} ({name}): {problem}")]
    Use { number: usize, name: &'static str, problem: String },
    #[error("custom operator attributes: {what}")]
    Attributes { what: &'static str },
    #[error("the file holds {found} graphs; one is expected")]
    Graphs { found: usize },
    #[error("the graph has {found} inputs; one is expected")]
    Inputs { found: usize },
    #[error(transparent)]
    Graph(#[from] crate::graph::GraphError),
}
