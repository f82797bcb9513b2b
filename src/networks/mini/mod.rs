//! The small network of our own: opinion of quality, preference, degradations, kind and an embedding from one pass.
//!
//! A trunk that has seen ImageNet (EfficientNet-Lite0 without its last convolution) is pooled: mean and deviation of every
//! channel of every stage. Heads read them, beside measures of the picture that pooling loses.

mod comparison_head;
mod detail;
mod heads;
mod measures;
mod trained;
mod trunk;
pub mod views;

pub use comparison_head::{COMPARISON_FEATURES, ComparisonHead, FAR, HIDDEN, comparison_features};
pub use detail::{DETAILS, details};
pub use heads::{Heads, scaled};
pub use measures::{MEASURES, measures};
pub use trained::{Mini, Outputs};
pub use trunk::{FAMILY, TRUNK, folded, preprocess};
pub use views::details_of;

/// Mean and deviation of every channel of the trunk's seven stages.
pub const POOLED: usize = 2 * (16 + 24 + 40 + 80 + 112 + 192 + 320);
/// What the heads read of a picture.
pub const SEEN: usize = POOLED + MEASURES;
/// Width of the layer that the judging heads share.
pub const LAYER: usize = 256;
pub const EMBEDDING: usize = 256;
/// What the degradation head tells, each 0 (none) to 1.
pub const DEGRADATIONS: [&str; 5] = ["blur", "noise", "color_cast", "exposure", "jpeg"];
/// What a picture may be; the first is what all photos are.
pub const KINDS: [&str; 7] = ["photograph", "screenshot", "document", "receipt", "chart", "drawing", "meme"];
/// Side of the square picture that is judged.
pub const SIDE: usize = 224;

/// Where things stand in the numbers of one photo.
pub mod answer {
    use super::{DEGRADATIONS, EMBEDDING, KINDS};
    use std::ops::Range;

    /// Opinion of quality, 0 to 1.
    pub const OPINION: usize = 0;
    /// Strength in a comparison, as far as one view tells; only differences mean something.
    pub const PREFERENCE: usize = 1;
    pub const DEGRADED: Range<usize> = 2..2 + DEGRADATIONS.len();
    /// How likely each kind is.
    pub const KIND: Range<usize> = DEGRADED.end..DEGRADED.end + KINDS.len();
    /// Of length 1.
    pub const EMBEDDED: Range<usize> = KIND.end..KIND.end + EMBEDDING;
    pub const LEN: usize = EMBEDDED.end;
}
