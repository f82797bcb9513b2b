//! Typed settings, resolved from layers, each with its origin.

mod layers;
mod places;
mod settings;
mod suggest;

pub use layers::{ConfigError, Origin, Resolved, Sources, resolve};
pub use places::{UserFolder, own_manifests, user_file};
pub use settings::*;
pub use suggest::nearest;
