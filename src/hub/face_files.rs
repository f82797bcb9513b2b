//! The four files of the face networks: which bytes they are, and where they lie in the model folder.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// A file known by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaceFile {
    /// The model's name in the hub.
    pub model: &'static str,
    pub name: &'static str,
    pub sha256: &'static str,
}

pub const FULL_RANGE: FaceFile = FaceFile {
    model: "mediapipe-face-full-range",
    name: "face_detection_full_range_sparse.tflite",
    sha256: "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
};

pub const SHORT_RANGE: FaceFile = FaceFile {
    model: "mediapipe-face-short-range",
    name: "face_detection_short_range.tflite",
    sha256: "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
};

pub const MESH: FaceFile = FaceFile {
    model: "mediapipe-face-mesh",
    name: "face_landmark.tflite",
    sha256: "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
};

pub const MESH_WITH_ATTENTION: FaceFile = FaceFile {
    model: "mediapipe-face-mesh-attention",
    name: "face_landmark_with_attention.tflite",
    sha256: "e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
};

/// The version of MediaPipe all four are from.
pub const VERSION: &str = "0.10.21";

#[derive(Debug, thiserror::Error)]
pub enum FaceFileError {
    #[error("model `{}` is not here: {} (sha256 {}) is missing in {}", file.model, file.name, file.sha256, folder.display())]
    Missing { file: FaceFile, folder: PathBuf },
    #[error("{}: has sha256 {found}, should have {expected}", path.display())]
    Corrupt { path: PathBuf, found: String, expected: &'static str },
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
}

impl FaceFile {
    /// The file's bytes, checked: from where the hub keeps it (`blobs/sha256-…`), or put there by hand under its name.
    pub fn read(&self, folder: &Path) -> Result<Vec<u8>, FaceFileError> {
        for path in self.places(folder) {
            match std::fs::read(&path) {
                Ok(bytes) => return self.check(path, bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(FaceFileError::Read { path, source }),
            }
        }
        Err(FaceFileError::Missing { file: *self, folder: folder.to_owned() })
    }

    pub fn is_in(&self, folder: &Path) -> bool {
        self.places(folder).iter().any(|path| path.is_file())
    }

    fn places(&self, folder: &Path) -> [PathBuf; 2] {
        [folder.join("blobs").join(format!("sha256-{}", self.sha256)), folder.join(self.name)]
    }

    fn check(&self, path: PathBuf, bytes: Vec<u8>) -> Result<Vec<u8>, FaceFileError> {
        let found = Sha256::digest(&bytes).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        if found == self.sha256 {
            Ok(bytes)
        } else {
            Err(FaceFileError::Corrupt { path, found, expected: self.sha256 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_other_content_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(MESH.read(folder.path()), Err(FaceFileError::Missing { .. })));
        std::fs::write(folder.path().join(MESH.name), b"something else").unwrap();
        let refused = MESH.read(folder.path()).unwrap_err();
        assert!(matches!(&refused, FaceFileError::Corrupt { .. }), "{refused}");
    }

    #[test]
    fn the_manifests_name_the_same_bytes() {
        for file in [FULL_RANGE, SHORT_RANGE, MESH, MESH_WITH_ATTENTION] {
            let path = format!("{}/models/{}.yaml", env!("CARGO_MANIFEST_DIR"), file.model);
            let manifest = std::fs::read_to_string(path).unwrap();
            for line in
                [format!("name: {}", file.model), format!("name: {}", file.name), format!("sha256: {}", file.sha256)]
            {
                assert!(manifest.contains(&line), "{}: {line}", file.model);
            }
        }
    }
}
