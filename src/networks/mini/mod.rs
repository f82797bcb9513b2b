//! The built-in network: opinion of quality, preference, degradations, kind and embedding in one pass.
//!
//! The trunk is EfficientNet-Lite0, trained on ImageNet, without its last convolution. Heads read the mean and deviation of
//! every channel of every stage, and measures of the picture that pooling loses.

mod comparison_head;
mod detail;
mod framing;
mod heads;
mod measures;
mod trained;
mod trunk;
pub mod views;

pub use comparison_head::{COMPARISON_FEATURES, ComparisonHead, FAR, FRAMING_AT, HIDDEN, comparison_features};
pub use detail::{DETAILS, details};
pub use framing::{FRAMING, framing};
pub use heads::{Heads, scaled};
pub use measures::{MEASURES, measures};
pub use trained::{Mini, Outputs};
pub use trunk::{FAMILY, TRUNK, folded, preprocess, trunk_names};
pub use views::details_of;

/// The mean and deviation of every channel of the trunk's seven stages.
pub const POOLED: usize = 2 * (16 + 24 + 40 + 80 + 112 + 192 + 320);
/// The number of inputs of the heads.
pub const INPUTS: usize = POOLED + MEASURES;
/// Width of the hidden layer that the heads share.
pub const LAYER: usize = 256;
pub const EMBEDDING: usize = 256;
/// The outputs of the degradation head, each from 0 (none) to 1.
pub const DEGRADATIONS: [&str; 5] = ["blur", "noise", "color_cast", "exposure", "jpeg"];
/// The kinds of pictures. Photos are of the first kind.
pub const KINDS: [&str; 7] = ["photograph", "screenshot", "document", "receipt", "chart", "drawing", "meme"];
/// Side of the square input picture.
pub const SIDE: usize = 224;

/// The layout of the outputs for one photo.
pub mod answer {
    use super::{DEGRADATIONS, EMBEDDING, KINDS};
    use std::ops::Range;

    /// The opinion of quality, 0 to 1.
    pub const OPINION: usize = 0;
    /// The strength in a comparison, judged from one view. Only differences are meaningful.
    pub const PREFERENCE: usize = 1;
    pub const DEGRADED: Range<usize> = 2..2 + DEGRADATIONS.len();
    /// The probability of each kind.
    pub const KIND: Range<usize> = DEGRADED.end..DEGRADED.end + KINDS.len();
    /// The embedding, a unit vector.
    pub const EMBEDDED: Range<usize> = KIND.end..KIND.end + EMBEDDING;
    pub const LEN: usize = EMBEDDED.end;
}
