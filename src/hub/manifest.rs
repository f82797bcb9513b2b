//! What a model is: a YAML file each, those of `models/` built into the binary.

use serde::{Deserialize, Serialize};

use crate::nn::preference::Class1;
use crate::nn::preprocess::{Preprocess, Resize};

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{origin}: {why}")]
    Invalid { origin: String, why: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    pub title: String,
    pub task: Task,
    pub architecture: Architecture,
    /// Other names it answers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained_on: Option<String>,
    pub license: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    pub file: File,
    /// Addresses the file can be had from, tried in turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    pub preprocess: Preprocess,
    /// For comparisons: which photo of a pair the second class of the head stands for.
    #[serde(default)]
    pub class_1_prefers: Class1,
}

/// A weights file; what is not known must be pinned by the user when it is first pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    Aesthetics,
    Comparison,
    Embedding,
}

/// How the tensors of the file are put together; one arm each in [`super::registry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// `backbone.*` and `head.*`: the original's aesthetic network.
    RatedResnet,
    /// `backbone.*` and `mlp.*`: the original's ranker.
    Siamese,
    Resnet,
    Dinov2,
}

const BUILT_IN: [(&str, &str); 6] = [
    ("models/ava-resnet50.yaml", include_str!("../../models/ava-resnet50.yaml")),
    ("models/dinov2-b.yaml", include_str!("../../models/dinov2-b.yaml")),
    ("models/dinov2-l.yaml", include_str!("../../models/dinov2-l.yaml")),
    ("models/dinov2-s.yaml", include_str!("../../models/dinov2-s.yaml")),
    ("models/resnet50.yaml", include_str!("../../models/resnet50.yaml")),
    ("models/siamese-resnet50.yaml", include_str!("../../models/siamese-resnet50.yaml")),
];

impl Manifest {
    /// Reads one; `origin` says in errors where the text came from.
    pub fn parse(origin: &str, yaml: &str) -> Result<Self, ManifestError> {
        let invalid = |why: String| ManifestError::Invalid { origin: origin.to_owned(), why };
        let manifest: Self = serde_yaml::from_str(yaml).map_err(|error| invalid(error.to_string()))?;
        manifest.check().map_err(invalid)?;
        Ok(manifest)
    }

    /// Those that every binary carries.
    pub fn built_in() -> Result<Vec<Self>, ManifestError> {
        BUILT_IN.iter().map(|(origin, yaml)| Self::parse(origin, yaml)).collect()
    }

    fn check(&self) -> Result<(), String> {
        let (Resize::ShortSide(side) | Resize::Square(side)) = self.preprocess.resize;
        if side == 0 || self.preprocess.crop.is_some_and(|crop| crop == 0 || crop > side) {
            return Err("preprocess: the crop must lie inside the resized picture".into());
        }
        if self.preprocess.crop.is_none() && matches!(self.preprocess.resize, Resize::ShortSide(_)) {
            return Err("preprocess: after a resize of the short side a crop must make the picture square".into());
        }
        if self.preprocess.std.iter().any(|std| *std <= 0.0) {
            return Err("preprocess: `std` must be positive".into());
        }
        if let Some(sha256) = &self.file.sha256
            && (sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            return Err("file: a sha256 has 64 hexadecimal digits".into());
        }
        if self.file.name.is_empty() || self.file.name.contains(['/', '\\']) {
            return Err("file: `name` is a file name, not a path".into());
        }
        Ok(())
    }

    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// `name@version`, as results quote it.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_binary_carries_is_valid_and_has_names_of_its_own() {
        let all = Manifest::built_in().unwrap();
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| !other.answers_to(&one.name)), "{}", one.name);
        }
        let ava = all.iter().find(|manifest| manifest.name == "ava-resnet50").unwrap();
        assert_eq!(ava.file.size, Some(96_454_336));
        assert_eq!(all.iter().filter(|manifest| manifest.answers_to("dinov2")).count(), 1);
        let siamese = all.iter().find(|manifest| manifest.task == Task::Comparison).unwrap();
        assert_eq!(siamese.class_1_prefers, Class1::Second);
    }

    #[test]
    fn a_manifest_that_cannot_work_says_why() {
        let (origin, good) = BUILT_IN[0];
        for (from, to, why) in [
            ("crop: 224", "crop: 300", "the crop must lie inside"),
            ("ava_resnet50.pt", "../ava_resnet50.pt", "not a path"),
            ("1f07083d", "xyz", "64 hexadecimal digits"),
            ("license:", "lisence:", "lisence"),
        ] {
            let error = Manifest::parse(origin, &good.replace(from, to)).unwrap_err().to_string();
            assert!(error.starts_with("models/ava-resnet50.yaml: ") && error.contains(why), "{error}");
        }
    }
}
