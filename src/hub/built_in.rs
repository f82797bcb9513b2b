//! The manifests every binary carries.

/// Path in the repository, and text.
pub const MANIFESTS: &[(&str, &str)] = &[];
