//! Typed settings, resolved from layers, each with its origin.

mod layers;
mod places;
mod settings;
mod suggest;

pub use layers::{ConfigError, Origin, Resolved, Sources, resolve, user_file};
pub use places::{home, own_manifests};
pub use settings::*;
pub use suggest::nearest;
