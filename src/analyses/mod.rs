//! What is asked of a photo: an [`Analysis`] each, made of pure measures and the hub's networks.

mod faces;
mod features;
mod hashing;
mod network;
mod one_pass;
mod quality;
mod thumbnails;

use crate::pipeline::Analysis;

pub use faces::FaceFinding;
pub use features::{Features, Layout};
pub use hashing::Hashing;
pub use network::{Asked, Classifying, Comparing, Degrading, Embedding, Question, Rating};
pub use one_pass::OnePass;
pub use quality::Scoring;
pub use thumbnails::Thumbnails;

/// Those that are there, for the pipeline.
pub fn asked<const N: usize>(analyses: [Option<&dyn Analysis>; N]) -> Vec<&dyn Analysis> {
    analyses.into_iter().flatten().collect()
}
