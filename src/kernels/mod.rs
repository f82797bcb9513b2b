//! CPU kernels: packed, fused and chosen at run time. The only room, with the memory map, that may be `unsafe`.
//!
//! Numbers go in and out as `f32`, channels innermost. A layer is packed once for an [`Engine`] (a processor path and a
//! precision) and applied to any number of photos; what it computes for one photo depends on nothing else.

pub(crate) mod amx;
mod conv;
mod cpu;
mod engine;
pub(crate) mod lanes;
mod linear;
mod map;
mod product;

pub use conv::{Conv, Window};
pub use cpu::{Cpu, CpuError, VARIABLE};
pub use engine::{Engine, Precision, Scratch};
pub use linear::Linear;
pub use map::{Arena, Map, Shape};
pub use product::Activation;

// The small, odd-shaped layers of face networks.
pub mod depthwise;
pub mod pointwise;
