//! Settings: typed, resolved from layers, each value knowing where it came from.

mod layers;
mod settings;
mod suggest;

pub use layers::{ConfigError, Origin, Resolved, Sources, resolve, user_file};
pub use settings::*;
pub use suggest::nearest;
