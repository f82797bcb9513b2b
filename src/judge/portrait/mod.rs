//! Portrait analysis: turns the output of the face networks into eyes, smile and portrait score. All functions are
//! pure.

mod blendshapes;
mod crop;
mod detection;
mod expression;
mod face_quality;
pub mod glasses;
pub mod landmarks;
mod perspective;
mod record;
mod state;
mod thresholds;

pub use blendshapes::{BLENDSHAPES, Blendshapes};
pub use crop::{Crop, Outside};
pub use detection::{Detection, Detector, ROW, decode};
pub use expression::Expression;
pub use face_quality::FaceQuality;
pub use record::{Face, Mesh, Portrait, Unclear, crops, score};
pub use state::{ExpressionOutput, Eyes, LIDS_DOWN, Pose};
pub use thresholds::{EyesBy, LandmarkRounding, Thresholds};
