//! Faces as numbers: from what the networks say to eyes, smile and portrait. Pure: pixels and numbers in, records out.

mod crop;
mod detection;
mod expression;
pub mod landmarks;
mod record;
mod thresholds;

pub use crop::{Crop, Outside};
pub use detection::{Detection, Detector, ROW, decode};
pub use expression::Expression;
pub use record::{Face, Mesh, Portrait, Unclear, crops, score};
pub use thresholds::{LandmarkRounding, Thresholds};
