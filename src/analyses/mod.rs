//! What is asked of a photo: an [`Analysis`](crate::pipeline::Analysis) each, made of pure measures and the hub's networks.
//!
//! Commands and the library's face ask the same ones, so that they share results in the store.

mod faces;
mod features;
mod network;
mod panel;
mod quality;

pub use faces::FaceFinding;
pub use features::{Features, Layout};
pub use network::{Asked, Classifying, Comparing, Degrading, Embedding, Question, Rating};
pub use panel::{Found, Panel};
pub use quality::Scoring;
