//! The analyses of a photo, each an [`Analysis`] of the pipeline: pure measures and networks of the hub.

mod description;
mod faces;
mod features;
mod hashing;
mod kind;
mod network;
mod objects;
mod one_pass;
mod people;
mod quality;
mod sketches;
mod text;
mod thumbnails;

use crate::pipeline::Analysis;

pub use description::DescriptionAnalysis;
pub use faces::FaceAnalysis;
pub use features::{Features, SceneLayoutAnalysis};
pub use hashing::PerceptualHashAnalysis;
pub use kind::KindAnalysis;
pub use network::{
    ClassificationAnalysis, ComparisonAnalysis, DegradationAnalysis, EmbeddingAnalysis, NetworkAnalysis,
    RatingAnalysis, ReportedNetwork,
};
pub use objects::ObjectAnalysis;
pub use one_pass::OnePassAnalysis;
pub use people::PeopleAnalysis;
pub use quality::QualityAnalysis;
pub use sketches::SketchAnalysis;
pub use text::TextAnalysis;
pub use thumbnails::Thumbnails;

/// Collects the analyses that are present.
pub fn present<const N: usize>(analyses: [Option<&dyn Analysis>; N]) -> Vec<&dyn Analysis> {
    analyses.into_iter().flatten().collect()
}
