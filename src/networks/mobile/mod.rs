//! Networks of inverted residual blocks: EfficientNet-Lite (0 to 4) and MobileNetV2.
//!
//! A block expands its input by a pointwise convolution, filters each channel by a depthwise one, and projects the result.
//! The input is added where the shapes agree. Batch normalisation is folded into the convolutions; in training it uses the
//! statistics of the file.

mod block;
mod fused;
mod passes;
mod plan;
mod trained;

pub use fused::FusedMobile;
pub use plan::{Family, Plan};
pub use trained::Mobile;
