//! Networks: what the names in a checkpoint say, the configuration, the forward pass. No files, no devices chosen.
//!
//! Each network has a form that trains (candle modules) and one that infers on the fused kernels.

pub mod checkpoint;
mod convolution;
pub mod dinov2;
pub mod folded;
pub mod fused;
pub mod head;
pub mod mini;
pub mod mobile;
pub mod multihead;
pub mod preference;
pub mod preprocess;
pub mod rating;
pub mod resnet;
pub mod vgg;
