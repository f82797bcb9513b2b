//! CPU kernels with packed weights and fused layers, chosen at run time. This is the only crate with `unsafe` code.
//!
//! Inputs and outputs are `f32`, channels innermost. A layer is packed once for an [`Engine`] (a processor path and a
//! precision) and applied to any number of photos. The result for a photo does not depend on the others in its batch.
//!
//! This crate must never know files, models or the names of networks.

#![allow(clippy::inline_always, reason = "intrinsics only inline into functions that have their features")]
#![allow(clippy::large_stack_arrays, reason = "a block of sums must lie in the first-level cache: the stack is there")]

pub(crate) mod amx;
mod attention;
pub mod byte_gram;
mod conv;
mod cpu;
mod engine;
pub mod gradient;
pub mod gram;
pub(crate) mod lanes;
mod linear;
mod map;
mod norm;
mod pool;
mod product;
mod sliding;
mod softmax;
#[cfg(test)]
mod test_numbers;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub use attention::Heads;
pub use conv::{Conv, Window};
pub use cpu::{Cpu, CpuError, VARIABLE};
pub use engine::{Engine, Precision, Scratch};
pub use linear::Linear;
pub use map::{Arena, Buffer, Map, Shape};
pub use norm::{LayerNorm, gated};
pub use pool::{max_pool, mean_pool};
pub use product::Activation;
pub use softmax::softmax;

// The small layers of face networks, and the layers of networks of inverted residuals.
pub mod channelwise;
pub mod depthwise;
pub mod pointwise;
