//! The manifests every binary carries, and the weights.

use super::catalogue::{Entry, FileEntry};

/// Path in the repository, and text.
pub const MANIFESTS: &[(&str, &str)] = &[
    ("models/album-mini.yaml", include_str!("../../models/album-mini.yaml")),
    ("models/ava-resnet50.yaml", include_str!("../../models/ava-resnet50.yaml")),
    ("models/dinov2-b.yaml", include_str!("../../models/dinov2-b.yaml")),
    ("models/dinov2-l.yaml", include_str!("../../models/dinov2-l.yaml")),
    ("models/dinov2-s.yaml", include_str!("../../models/dinov2-s.yaml")),
    ("models/efficientnet-lite0.yaml", include_str!("../../models/efficientnet-lite0.yaml")),
    ("models/efficientnet-lite2.yaml", include_str!("../../models/efficientnet-lite2.yaml")),
    ("models/face-recognition-dlib.yaml", include_str!("../../models/face-recognition-dlib.yaml")),
    ("models/mediapipe-face-full-range.yaml", include_str!("../../models/mediapipe-face-full-range.yaml")),
    ("models/mediapipe-face-mesh-attention.yaml", include_str!("../../models/mediapipe-face-mesh-attention.yaml")),
    ("models/mediapipe-face-mesh.yaml", include_str!("../../models/mediapipe-face-mesh.yaml")),
    ("models/mediapipe-face-short-range.yaml", include_str!("../../models/mediapipe-face-short-range.yaml")),
    ("models/mobilenet-v2-v1.yaml", include_str!("../../models/mobilenet-v2-v1.yaml")),
    ("models/mobilenet-v2.yaml", include_str!("../../models/mobilenet-v2.yaml")),
    ("models/multihead-quality.yaml", include_str!("../../models/multihead-quality.yaml")),
    ("models/resnet50-v1.yaml", include_str!("../../models/resnet50-v1.yaml")),
    ("models/resnet50.yaml", include_str!("../../models/resnet50.yaml")),
    ("models/siamese-resnet50.yaml", include_str!("../../models/siamese-resnet50.yaml")),
    ("models/ssd-mobilenet-v2.yaml", include_str!("../../models/ssd-mobilenet-v2.yaml")),
    ("models/tesseract-eng.yaml", include_str!("../../models/tesseract-eng.yaml")),
    ("models/yolov8n.yaml", include_str!("../../models/yolov8n.yaml")),
    ("models/yolov8s.yaml", include_str!("../../models/yolov8s.yaml")),
];

/// The model that takes the place of any that is not here.
pub const MINI: &str = "album-mini";

/// File name, and content.
const WEIGHTS: &[(&str, &[u8])] = &[("album-mini.safetensors", include_bytes!("../../models/album-mini.safetensors"))];

/// The content of a model's file that is part of the binary; a model of the user's own has none there.
pub fn weights(entry: &Entry, file: &FileEntry) -> Option<&'static [u8]> {
    let here = WEIGHTS.iter().find(|(name, _)| *name == file.name)?;
    entry.own.is_none().then_some(here.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::catalogue::Catalogue;

    #[test]
    fn every_manifest_of_the_repository_is_carried_and_right() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| format!("models/{}", entry.unwrap().file_name().to_str().unwrap()))
            .filter(|name| std::path::Path::new(name).extension() == Some("yaml".as_ref()))
            .collect();
        files.sort();
        let mut carried: Vec<&str> = MANIFESTS.iter().map(|(path, _)| *path).collect();
        carried.sort_unstable();
        assert_eq!(carried, files);
        let catalogue = Catalogue::load(MANIFESTS, None, |error| panic!("{error}")).unwrap();
        assert_eq!(catalogue.entries().len(), files.len(), "no two are of the same name and version");
        for entry in catalogue.entries() {
            assert!(!entry.title.is_empty() && !entry.license.is_empty(), "{}", entry.reference());
        }
    }
}
