//! Embeddings as a taste sees them. The built-in models whiten theirs: every component varies alike, which tells scenes
//! apart. What people like shows more in the components in which photos differ most, which come first; so each counts as
//! much less as it comes later.

use std::sync::LazyLock;

use crate::cluster::scene_layout;

/// About how much photos differ in each component before whitening.
static SPREADS: LazyLock<[f32; scene_layout::DIM]> =
    LazyLock::new(|| std::array::from_fn(|component| 1.0 / (1.0 + component as f32).sqrt()));

/// An embedding with the spreads that whitening took from it; that of another model as it is. `model` is `name@version`.
pub fn unwhitened(embedding: &[f32], model: &str) -> Vec<f32> {
    // The parts of the built-in models, layout and recognised things, are equally long.
    match model.split_once('@') {
        Some(("album-mini" | scene_layout::NAME, _)) => {
            let parts = embedding.chunks(scene_layout::DIM);
            parts.flat_map(|part| part.iter().zip(&*SPREADS).map(|(value, spread)| value * spread)).collect()
        }
        _ => embedding.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_of_the_built_in_embedding_count_less_and_less_and_others_are_left_alone() {
        let ones = vec![1.0; 2 * scene_layout::DIM];
        let seen = unwhitened(&ones, "album-mini@5");
        assert_eq!(seen.len(), ones.len());
        assert_eq!((seen[0], seen[3]), (1.0, 0.5));
        assert_eq!(seen[..scene_layout::DIM], seen[scene_layout::DIM..]);
        assert_eq!(unwhitened(&ones, "dinov2-s@1"), ones);
    }
}
