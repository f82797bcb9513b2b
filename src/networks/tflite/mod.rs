//! TensorFlow Lite files: read, checked, and run on the CPU without TensorFlow.
//!
//! A [`Graph`] is the file as it stands: tensors, constants unpacked, and operators from an allow-list; whatever else a
//! file asks for is refused by name. A [`Network`] is a graph made ready to run: operators fused, weights packed,
//! memory laid out. Files come from anywhere, so nothing in them is trusted: every offset, shape and size is checked
//! before it is used, and what a file may make us allocate or compute is bounded.

mod axes;
mod constant;
mod convolution;
mod flatbuffer;
mod flexbuffer;
mod graph;
mod layer;
mod network;
mod operator;
mod plan;
mod rearrange;
mod region;
mod shape;
mod strided;

pub use axes::{axis_of, slice_of};
pub use constant::Value;
pub use graph::{Graph, Node, Tensor};
pub use network::Network;
pub use operator::{Activation, Arithmetic, Function, Operator, Padding, RegionOfLandmarks};

/// Why a file is not accepted.
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
}
