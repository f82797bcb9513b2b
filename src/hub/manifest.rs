//! What a model is: a YAML file each, those of `models/` built into the binary.

use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::device;
use super::sources::Source;
use networks::preference::Class1;
use networks::preprocess::{Preprocess, Resize};

/// A figure means nothing without the data it was measured on and who measured it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QualityFigure {
    pub metric: String,
    pub value: f64,
    pub data: String,
    pub source: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{origin}: {why}")]
    Invalid { origin: String, why: String },
}

/// All of a manifest that a network can be built by; [`super::catalogue`] reads those of other models too.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub name: String,
    #[serde(deserialize_with = "super::catalogue::text_or_number")]
    pub version: String,
    #[serde(default, alias = "description")]
    pub title: String,
    pub task: Task,
    /// What else it does.
    #[serde(default)]
    pub also: Vec<Task>,
    pub architecture: Architecture,
    /// Other names it answers to.
    #[serde(default)]
    pub aliases: Vec<String>,
    #[serde(default)]
    pub trained_on: Option<String>,
    /// What the outputs of a classifier stand for, in their order: names, or the word of a list that every binary carries.
    #[serde(default, deserialize_with = "classes")]
    pub classes: Arc<[String]>,
    pub license: String,
    #[serde(default)]
    pub origin: Option<String>,
    /// Where it may run; empty: everywhere.
    #[serde(default)]
    pub devices: Vec<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub quality: Vec<QualityFigure>,
    #[serde(default)]
    pub dependencies: Vec<String>,
    #[serde(default)]
    pub last_updated: Option<String>,
    #[serde(default)]
    pub runs: Option<bool>,
    #[serde(alias = "files", deserialize_with = "the_one")]
    pub file: File,
    /// Where the file can be had, tried in turn.
    #[serde(default)]
    pub sources: Vec<Source>,
    pub preprocess: Preprocess,
    /// For comparisons: which photo of a pair the second class of the head stands for.
    #[serde(default)]
    pub class_1_prefers: Class1,
}

/// A weights file; what is not known must be pinned by the user when it is first pulled.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub name: String,
    #[serde(default)]
    pub size: Option<u64>,
    #[serde(default)]
    pub sha256: Option<String>,
    #[serde(default)]
    pub sources: Vec<Source>,
}

/// A network comes in one file, written as `file` or as `files` with one entry.
fn the_one<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<File, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(File),
        Several(Vec<File>),
    }
    match Either::deserialize(deserializer)? {
        Either::One(file) => Ok(file),
        Either::Several(mut files) if files.len() == 1 => Ok(files.remove(0)),
        Either::Several(files) => {
            Err(serde::de::Error::custom(format!("{} files; a network comes in one", files.len())))
        }
    }
}

fn classes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Arc<[String]>, D::Error> {
    type List = (&'static str, Arc<[String]>);
    static LISTS: LazyLock<Vec<List>> = LazyLock::new(|| {
        let list = |(word, names): &(&'static str, &str)| (*word, names.lines().map(str::to_owned).collect());
        models::CLASSES.iter().map(list).collect()
    });
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Word(String),
        Names(Vec<String>),
    }
    match Either::deserialize(deserializer)? {
        Either::Names(names) => Ok(names.into()),
        Either::Word(word) => {
            let known: Vec<&str> = LISTS.iter().map(|(known, _)| *known).collect();
            let list = LISTS.iter().find(|(known, _)| *known == word).map(|(_, names)| names.clone());
            list.ok_or_else(|| serde::de::Error::custom(format!("classes: `{word}` is none of {}", known.join(", "))))
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    Aesthetics,
    Comparison,
    Embedding,
    Degradations,
    Classification,
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
    EfficientnetLite,
    MobilenetV2,
    /// Our own small network with a head for every task.
    AlbumMini,
    /// `backbone.*`, `channel_attention.*` and a head for each flaw: what the original's later hub judges quality by.
    MultiHead,
    /// `conv1`, `conv2`, `conv3` and `fc`: what the original's first hub judged quality by.
    SingleHead,
    /// `backbone.*` and `head.*`, and the names of classes in the configuration.
    Classifier,
}

/// Architectures that run without the registry: of the face networks, which work together.
const ELSEWHERE: [&str; 1] = ["tflite"];

impl Architecture {
    /// By the word of a manifest.
    fn named(word: &str) -> Option<Self> {
        Self::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(word)).ok()
    }

    /// Whether anything here runs what a manifest calls by this word.
    pub fn is_run(word: &str) -> bool {
        ELSEWHERE.contains(&word) || Self::named(word).is_some()
    }

    /// Whether a manifest of it must say all that a network is built by.
    pub fn is_built(word: &str) -> bool {
        Self::named(word).is_some()
    }
}

impl Task {
    pub fn name(self) -> &'static str {
        match self {
            Self::Aesthetics => "aesthetics",
            Self::Comparison => "comparison",
            Self::Embedding => "embedding",
            Self::Degradations => "degradations",
            Self::Classification => "classification",
        }
    }
}

impl Manifest {
    /// Reads one; `origin` says in errors where the text came from.
    pub fn parse(origin: &str, yaml: &str) -> Result<Self, ManifestError> {
        let invalid = |why: String| ManifestError::Invalid { origin: origin.to_owned(), why };
        let manifest: Self = serde_yaml::from_str(yaml).map_err(|error| invalid(error.to_string()))?;
        manifest.check().map_err(invalid)?;
        Ok(manifest)
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
        if let Some(odd) = self.devices.iter().find(|device| !device::KINDS.contains(&device.as_str())) {
            return Err(format!("devices: `{odd}` is none of {}", device::KINDS.join(", ")));
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

    /// What networks are that somebody trained, and that have no name of their own.
    pub fn of_trained() -> Result<[Self; 2], ManifestError> {
        const QUALITY: &str = "{name: quality, version: file, task: degradations, architecture: single-head, \
            license: its owner's, file: {name: quality}, \
            preprocess: {resize: {square: 224}, filter: lanczos, mean: [0, 0, 0], std: [1, 1, 1]}}";
        Ok([Self::of_classifiers()?, Self::parse("quality models", QUALITY)?])
    }

    fn of_classifiers() -> Result<Self, ManifestError> {
        const TEXT: &str = "{name: classifier, version: file, task: classification, architecture: classifier, \
            license: its owner's, file: {name: classifier}, \
            preprocess: {resize: {short_side: 256}, filter: bilinear, crop: 224, \
            mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}}";
        Self::parse("classifiers", TEXT)
    }

    pub fn does(&self, task: Task) -> bool {
        self.task == task || self.also.contains(&task)
    }

    /// `name@version`, as results quote it.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use models::MANIFESTS;

    #[test]
    fn what_the_binary_carries_is_valid_and_has_names_of_its_own() {
        let catalogue = Catalogue::load(MANIFESTS, None, |error| panic!("{error}")).unwrap();
        for (i, one) in catalogue.entries().iter().enumerate() {
            let mut others = catalogue.entries()[i + 1..].iter().filter(|other| other.name != one.name);
            assert!(others.all(|other| !other.answers_to(&one.name)), "{}", one.name);
        }
        let networks = ["aesthetics", "comparison", "embedding"];
        let runnable = catalogue.entries().iter().filter(|entry| entry.runs && networks.contains(&entry.task.as_str()));
        let all: Vec<Manifest> = runnable.map(|entry| entry.manifest().unwrap()).collect();
        assert!(Manifest::of_trained().unwrap()[0].does(Task::Classification));
        assert!(all.len() >= 6, "{}", all.len());
        let ava = all.iter().find(|manifest| manifest.name == "ava-resnet50").unwrap();
        assert_eq!(ava.file.size, Some(96_454_336));
        let siamese = all.iter().find(|manifest| manifest.task == Task::Comparison).unwrap();
        assert_eq!(siamese.class_1_prefers, Class1::Second);
    }

    #[test]
    fn a_manifest_that_cannot_work_says_why() {
        let (origin, good) = MANIFESTS.iter().find(|(origin, _)| origin.ends_with("ava-resnet50.yaml")).unwrap();
        for (from, to, why) in [
            ("crop: 224", "crop: 300", "the crop must lie inside"),
            ("name: ava_resnet50.pt", "name: ../ava_resnet50.pt", "not a path"),
            ("1f07083d", "xyz", "64 hexadecimal digits"),
            ("license:", "lisence:", "lisence"),
            ("license:", "classes: imagenet-9\nlicense:", "`imagenet-9` is none of imagenet-1k"),
            ("devices: [cpu, cuda]", "devices: [tpu]", "`tpu` is none of cpu, cuda"),
            ("file:", "files: []\nfail:", "one"),
        ] {
            let error = Manifest::parse(origin, &good.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.starts_with("models/ava-resnet50.yaml: ") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn all_that_a_manifest_may_say_is_understood_of_one_that_runs() {
        let yaml = "name: net\nversion: 2\ndescription: A net\ntask: embedding\narchitecture: resnet\nlicense: MIT\n\
                    devices: [cpu]\ntags: [small]\nruns: true\n\
                    quality: [{metric: top-1, value: 76.1, data: ImageNet, source: its authors}]\n\
                    files:\n- name: a.pth\n  sources: [https://example.org/a.pth]\n\
                    sources:\n- wheel: {package: p, version: \"1\", file: p.whl, entry: p/a.pth}\n\
                    preprocess: {resize: {square: 224}, filter: bicubic, mean: [0, 0, 0], std: [1, 1, 1]}\n";
        let manifest = Manifest::parse("net.yaml", yaml).unwrap();
        assert_eq!((manifest.reference().as_str(), manifest.file.name.as_str()), ("net@2", "a.pth"));
        let two = yaml.replace("sources:\n-", "- name: b.pth\nsources:\n-");
        assert!(Manifest::parse("net.yaml", &two).is_err());
    }
}
