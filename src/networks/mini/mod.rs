//! The small network of our own: opinion of quality, preference, degradations and an embedding from one pass.
//!
//! Without normalisation layers: weights are standardised while it trains and stored as plain convolutions, so a photo's
//! numbers depend on nothing but the photo. What the rule-based measures see (the Laplacian, local contrast, clipping)
//! goes in beside the colours: pooled features alone find focus hard.

mod by_candle;
mod comparison_head;
mod detail;
mod fused;
mod input;
mod passes;
mod trained;
pub mod views;

pub use by_candle::CandleMini;
pub use comparison_head::{COMPARISON_FEATURES, ComparisonHead, FAR, HIDDEN, comparison_features};
pub use fused::FusedMini;
pub use input::{MEASURES, Prepared, SIDE_STEP, View};
pub use passes::{Convs, Grad};
pub use trained::{GROUP, Mini, Outputs};

use kernels::Window;

/// Channels after each halving.
pub const WIDTHS: [usize; 4] = [32, 64, 128, 256];
/// Residual blocks after each halving.
const BLOCKS: [usize; 4] = [1, 1, 2, 1];
/// Channels of the input map: four colours' worth of neighbouring pixels, and the Laplacian of each.
pub const INPUTS: usize = 16;
/// Mean and deviation of every channel of every stage.
pub const POOLED: usize = 2 * (WIDTHS[0] + WIDTHS[1] + WIDTHS[2] + WIDTHS[3]);
/// Width of the layer that the judging heads share.
pub const TRUNK: usize = 192;
pub const EMBEDDING: usize = 128;
/// What the degradation head tells, each 0 (none) to 1.
pub const DEGRADATIONS: [&str; 5] = ["blur", "noise", "color_cast", "exposure", "jpeg"];
/// Side of the square picture that is judged.
pub const SIDE: usize = 224;
/// Colours are brought around zero by these.
pub const MEAN: f32 = 0.45;
pub const STD: f32 = 0.25;

/// Where things stand in the numbers of one photo.
pub mod answer {
    use super::{DEGRADATIONS, EMBEDDING};

    /// Opinion of quality, 0 to 1.
    pub const OPINION: usize = 0;
    /// Strength in a comparison, as far as one view tells; only differences mean something.
    pub const PREFERENCE: usize = 1;
    pub const DEGRADED: std::ops::Range<usize> = 2..2 + DEGRADATIONS.len();
    pub const EMBEDDED: std::ops::Range<usize> = DEGRADED.end..DEGRADED.end + EMBEDDING;
    pub const LEN: usize = EMBEDDED.end;
}

/// What a convolution is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 2x2 at stride 2: halves the map.
    Merge,
    /// 3x3, the first half of a block.
    Wide,
    /// 1x1, the second half: what came into the block is added.
    Point,
}

/// One convolution with bias and rectifier. Each takes what the one before it gives.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    pub kind: Kind,
    pub inputs: usize,
    pub outputs: usize,
    /// Whether a stage ends here, so that the output is pooled.
    pub pooled: bool,
}

impl Layer {
    pub fn window(&self) -> Window {
        match self.kind {
            Kind::Merge => Window { side: 2, stride: 2, padding: 0 },
            Kind::Wide => Window { side: 3, stride: 1, padding: 1 },
            Kind::Point => Window { side: 1, stride: 1, padding: 0 },
        }
    }

    pub fn fan_in(&self) -> usize {
        self.window().side.pow(2) * self.inputs
    }

    pub fn weights(&self) -> usize {
        self.fan_in() * self.outputs
    }
}

/// The layers in order, with the names their tensors have in a file.
pub fn layers() -> Vec<(String, Layer)> {
    let mut all = Vec::new();
    let mut inputs = INPUTS;
    for (stage, (&outputs, blocks)) in WIDTHS.iter().zip(BLOCKS).enumerate() {
        all.push((format!("stages.{stage}.merge"), Layer { kind: Kind::Merge, inputs, outputs, pooled: false }));
        for block in 0..blocks {
            let layer = |kind, pooled| Layer { kind, inputs: outputs, outputs, pooled };
            all.push((format!("stages.{stage}.{block}.wide"), layer(Kind::Wide, false)));
            all.push((format!("stages.{stage}.{block}.point"), layer(Kind::Point, block + 1 == blocks)));
        }
        inputs = outputs;
    }
    all
}
