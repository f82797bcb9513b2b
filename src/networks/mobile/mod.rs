//! Networks of inverted residuals: EfficientNet-Lite (0 to 4) and MobileNetV2, as their files name the layers.
//!
//! A block widens its input by a pointwise convolution, filters each channel by a depthwise one, and narrows it again. What
//! fits in width and size is added to the output. Batch normalisation is folded into the convolutions, or acts by the
//! statistics of the file while a network learns.

mod block;
mod fused;
mod passes;
mod plan;
mod trained;

pub use fused::FusedMobile;
pub use plan::{Family, Plan};
pub use trained::Mobile;
