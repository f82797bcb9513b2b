//! Model manifests: YAML files, those of `models/` built into the binary, others of the user.
//!
//! A model can be listed, fetched and verified even if it cannot run here. So a mistake in the keys of its network only
//! prevents the network from being built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::device;
use super::digest::Digest;
use super::sources::Source;
use base::reading;
use networks::preference::Class1;
use networks::preprocess::Preprocess;

/// Words accepted in place of a model's name: for all models of a task, or for the default of several alternatives.
pub const WORDS: [(&str, &str); 5] = [
    ("faces", "face"),
    ("people", "people"),
    ("classes", models::CLASSIFIER),
    ("objects", models::OBJECT_FINDER),
    ("text", models::TEXT_READER),
];

/// Maximum bytes, a thousand times the largest existing models.
const LARGEST: u64 = 1 << 44;

/// A quality figure, with its dataset and who measured it.
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
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    pub name: String,
    #[serde(deserialize_with = "text_or_number")]
    pub version: String,
    #[serde(default, alias = "description")]
    pub title: String,
    pub task: String,
    /// Further tasks.
    #[serde(default)]
    pub also: Vec<String>,
    #[serde(default)]
    pub architecture: String,
    /// Aliases.
    #[serde(default)]
    pub aliases: Vec<String>,
    pub license: String,
    /// The origin, for people.
    #[serde(default)]
    pub origin: Option<String>,
    /// The devices it may run on; empty means all.
    #[serde(default)]
    pub devices: Vec<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub quality: Vec<QualityFigure>,
    /// Software that the publisher requires; not needed here.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// The date of the publisher's last change.
    #[serde(default)]
    pub last_updated: Option<String>,
    /// False if it can be kept but not run: the manifest says so, or its architecture is not supported.
    #[serde(default = "yes")]
    pub runs: bool,
    #[serde(default)]
    pub files: Vec<ManifestFile>,
    /// Short form of `files` for a single file.
    #[serde(default)]
    file: Option<ManifestFile>,
    /// Sources of files that have none of their own.
    #[serde(default)]
    sources: Vec<Source>,
    /// The user's file it was read from; `None` if built in.
    #[serde(skip)]
    pub own: Option<PathBuf>,
    /// All other keys: those of the network, and unknown ones.
    #[serde(flatten)]
    rest: BTreeMap<String, Anything>,
    /// Parsed from the other keys; the error says why no network can be built.
    #[serde(skip, default = "unread")]
    network: Result<NetworkSpec, String>,
    /// Its origin, for errors.
    #[serde(skip)]
    read_from: String,
}

/// The parameters for building a network from its file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    pub architecture: Architecture,
    pub preprocess: Preprocess,
    /// The training dataset, where that decides the meaning of its outputs: `ava`.
    #[serde(default)]
    pub trained_on: Option<String>,
    /// The class names of a classifier in output order, or the word for a built-in list.
    #[serde(default, deserialize_with = "classes")]
    pub classes: Arc<[String]>,
    /// For comparisons: the photo of a pair that the head's second class stands for.
    #[serde(default)]
    pub class_1_prefers: Class1,
}

/// The value of an optional key.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Anything {
    Json(Value),
    /// Anything else, such as a map with numeric keys, which no network has.
    Other(IgnoredAny),
}

/// A weight file. If its hash is unknown, the user accepts one at the first pull.
#[derive(Debug, Clone, Deserialize)]
pub struct ManifestFile {
    pub name: String,
    #[serde(default)]
    pub size: Option<u64>,
    #[serde(default)]
    pub sha256: Option<Digest>,
    #[serde(default)]
    pub sources: Vec<Source>,
    /// Unknown keys.
    #[serde(flatten)]
    rest: BTreeMap<String, Anything>,
}

/// The tasks of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Aesthetics,
    Comparison,
    Embedding,
    Degradations,
    Classification,
}

/// The architecture of a network; [`super::registry`] has an arm for each.
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
    /// The built-in network, with a head for every task.
    AlbumMini,
    /// `backbone.*`, `channel_attention.*` and a head per degradation: the quality network of the original's later hub.
    MultiHead,
    /// `conv1`, `conv2`, `conv3` and `fc`: the quality network of the original's first hub.
    SingleHead,
    /// `backbone.*` and `head.*`, with class names in the configuration.
    Classifier,
}

/// Networks that the hub loads without the registry: for faces, for people, for text, for objects, and for comparing pictures
/// with words.
const WORK_TOGETHER: [&str; 7] = ["tflite", "dlib-faces", "pp-ocr", "tesseract", "ssd", "yolov8", "siglip"];

impl Architecture {
    /// Parses the word of a manifest.
    fn named(word: &str) -> Option<Self> {
        Self::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(word)).ok()
    }
}

impl Task {
    const ALL: [Self; 5] =
        [Self::Aesthetics, Self::Comparison, Self::Embedding, Self::Degradations, Self::Classification];

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
    /// Parses a manifest; errors name `origin`.
    pub fn parse(origin: &str, yaml: &str) -> Result<Self, ManifestError> {
        let invalid = |why: String| ManifestError::Invalid { origin: origin.to_owned(), why };
        let mut manifest: Self = serde_yaml::from_str(yaml).map_err(|error| invalid(error.to_string()))?;
        manifest.files.extend(manifest.file.take());
        let sources = std::mem::take(&mut manifest.sources);
        for file in manifest.files.iter_mut().filter(|file| file.sources.is_empty()) {
            file.sources.clone_from(&sources);
        }
        manifest.check().map_err(invalid)?;
        manifest.runs &= manifest.is_run_here();
        manifest.network = manifest.read_network();
        origin.clone_into(&mut manifest.read_from);
        Ok(manifest)
    }

    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = reading::read_text(path, reading::TEXT);
        let text = text.map_err(|source| ManifestError::Io { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Checks the names: they become file names and terminal output, so they must be plain.
    fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
        for (what, text) in [("name", &self.name), ("version", &self.version)] {
            if text.is_empty() || text.len() > 100 || !text.chars().all(plain) || text.starts_with(['.', '-']) {
                return Err(format!("{what}: `{text}` is not made of letters, digits, and -_.+ within"));
            }
        }
        if self.files.is_empty() {
            return Err("it names no file".into());
        }
        for (index, file) in self.files.iter().enumerate() {
            if file.name.is_empty() || file.name.contains(['/', '\\']) || file.name.chars().any(char::is_control) {
                return Err(format!(
                    "file: `{}` is a path or has control characters; a plain name belongs here",
                    file.name
                ));
            }
            if let Some(size) = file.size.filter(|size| *size > LARGEST) {
                return Err(format!("file: {} of {size} bytes is larger than any model", file.name));
            }
            if self.files[..index].iter().any(|other| other.name == file.name) {
                return Err(format!("file: `{}` is named twice", file.name));
            }
        }
        Ok(())
    }

    /// Whether its architecture is supported.
    pub fn is_run_here(&self) -> bool {
        WORK_TOGETHER.contains(&self.architecture.as_str()) || self.is_built_here()
    }

    /// Whether its architecture is built by the registry.
    pub fn is_built_here(&self) -> bool {
        Architecture::named(&self.architecture).is_some()
    }

    fn read_network(&mut self) -> Result<NetworkSpec, String> {
        let architecture = ("architecture".to_owned(), self.architecture.clone().into());
        let rest = std::mem::take(&mut self.rest).into_iter().map(|(key, value)| match value {
            Anything::Json(value) => (key, value),
            Anything::Other(_) => (key, Value::Null),
        });
        let network = NetworkSpec::deserialize(rest.chain([architecture]).collect::<Value>());
        let network = network.map_err(|error| error.to_string())?;
        network.preprocess.check().map_err(|why| format!("preprocess: {why}"))?;
        let known_task = |word: &&String| Task::ALL.iter().all(|task| task.name() != *word);
        if let Some(odd) = [&self.task].into_iter().chain(&self.also).find(known_task) {
            return Err(format!("task: `{odd}` is none of {}", Task::ALL.map(Task::name).join(", ")));
        }
        if let Some(odd) = self.devices.iter().find(|device| !device::KINDS.contains(&device.as_str())) {
            return Err(format!("devices: `{odd}` is none of {}", device::KINDS.join(", ")));
        }
        let [file] = self.files.as_slice() else {
            return Err(format!("{} files; a network comes in one", self.files.len()));
        };
        match file.rest.keys().next() {
            Some(odd) => Err(format!("file: `{odd}` is none of name, size, sha256, sources")),
            None => Ok(network),
        }
    }

    /// The parameters of its network, or why it has none.
    pub fn network(&self) -> Result<&NetworkSpec, ManifestError> {
        let invalid = |why: &String| ManifestError::Invalid { origin: self.read_from.clone(), why: why.clone() };
        self.network.as_ref().map_err(invalid)
    }

    /// Templates for networks that users trained and that have no manifest.
    pub fn of_trained() -> Result<[Self; 2], ManifestError> {
        const CLASSIFIER: &str = "{name: classifier, version: file, task: classification, architecture: classifier, \
            license: its owner's, file: {name: classifier}, \
            preprocess: {resize: {short_side: 256}, filter: bilinear, crop: 224, \
            mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}}";
        const QUALITY: &str = "{name: quality, version: file, task: degradations, architecture: single-head, \
            license: its owner's, file: {name: quality}, \
            preprocess: {resize: {square: 224}, filter: lanczos, mean: [0, 0, 0], std: [1, 1, 1]}}";
        Ok([Self::parse("classifiers", CLASSIFIER)?, Self::parse("quality models", QUALITY)?])
    }

    pub fn does(&self, task: &str) -> bool {
        self.task == task || self.also.iter().any(|also| also == task)
    }

    /// Whether it runs, can be fetched, and has this task or name.
    pub(super) fn goes_with(&self, what: &str) -> bool {
        self.runs && (self.does(what) || self.name == what) && self.is_reachable()
    }

    /// Whether every file has a source.
    pub fn is_reachable(&self) -> bool {
        self.files.iter().all(|file| !file.sources.is_empty())
    }

    /// The word that pulls it with everything that belongs with it, else its name.
    pub fn pulled_by(&self) -> &str {
        WORDS.iter().find(|(_, what)| self.goes_with(what)).map_or(&self.name, |(word, _)| word)
    }

    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// `name@version`, as results quote it.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// The total size, if known.
    pub fn bytes(&self) -> Option<u64> {
        self.files.iter().map(|file| file.size).sum()
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

fn yes() -> bool {
    true
}

fn unread() -> Result<NetworkSpec, String> {
    Err("it was not read".to_owned())
}

/// Accepts `version: 1` as well as `version: "1"`.
fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Whole(u64),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Text(text) => text,
        Either::Whole(number) => number.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use models::MANIFESTS;

    #[test]
    fn what_the_binary_carries_is_valid_and_has_names_of_its_own() {
        let catalogue = Catalogue::load(MANIFESTS, None, |error| panic!("{error}")).unwrap();
        for (i, one) in catalogue.manifests().iter().enumerate() {
            let mut others = catalogue.manifests()[i + 1..].iter().filter(|other| other.name != one.name);
            assert!(others.all(|other| !other.answers_to(&one.name)), "{}", one.name);
        }
        let built = catalogue.manifests().iter().filter(|manifest| manifest.runs && manifest.is_built_here());
        let all: Vec<(&Manifest, &NetworkSpec)> =
            built.map(|manifest| (manifest, manifest.network().unwrap())).collect();
        assert!(Manifest::of_trained().unwrap().iter().all(|trained| trained.network().is_ok()));
        assert!(all.len() >= 6, "{}", all.len());
        let (ava, _) = all.iter().find(|(manifest, _)| manifest.name == "ava-resnet50").unwrap();
        assert_eq!(ava.files[0].size, Some(96_454_336));
        let (_, siamese) = all.iter().find(|(manifest, _)| manifest.task == Task::Comparison.name()).unwrap();
        assert_eq!(siamese.class_1_prefers, Class1::Second);
    }

    #[test]
    fn a_manifest_that_cannot_work_says_why() {
        let (origin, good) = MANIFESTS.iter().find(|(origin, _)| origin.ends_with("ava-resnet50.yaml")).unwrap();
        for (from, to, why) in [
            ("crop: 224", "crop: 300", "the crop must lie inside"),
            ("resize: { short_side: 256 }", "resize: { short: 256 }", "unknown variant `short`"),
            ("crop: 224", "", "a crop must make the picture square"),
            ("name: ava_resnet50.pt", "name: ../ava_resnet50.pt", "is a path"),
            ("size: 96454336", "bytes: 96454336", "`bytes` is none of name, size"),
            ("1f07083d", "xyz", "64 hexadecimal digits"),
            ("license:", "lisence:", "license"),
            ("license:", "classes: imagenet-9\nlicense:", "`imagenet-9` is none of imagenet-1k"),
            ("trained_on:", "trained:", "unknown field `trained`"),
            ("task: aesthetics", "task: aesthetic", "`aesthetic` is none of aesthetics, comparison"),
            ("devices: [cpu, cuda]", "devices: [tpu]", "`tpu` is none of cpu, cuda"),
            ("file:", "files: []\nfail:", "no file"),
        ] {
            let read = Manifest::parse(origin, &good.replacen(from, to, 1));
            let error = read.and_then(|manifest| manifest.network().cloned()).unwrap_err().to_string();
            assert!(error.starts_with("models/ava-resnet50.yaml: ") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_model_that_nothing_here_runs_may_say_more_than_we_know() {
        let yaml = "name: net\nversion: 2\ntask: detection\narchitecture: detr\nlicense: MIT\nanchors: [1, 2.5]\n\
                    file: {name: a.bin, md5: 12}\npreprocess: {letterbox: 640, 7: x}\nclass_1_prefers: ~\n";
        let manifest = Manifest::parse("net.yaml", yaml).unwrap();
        assert!(!manifest.runs && manifest.network().is_err());
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
        assert!(manifest.runs);
        manifest.network().unwrap();
        assert_eq!((manifest.reference().as_str(), manifest.files[0].name.as_str()), ("net@2", "a.pth"));
        let two = yaml.replace("sources:\n-", "- name: b.pth\nsources:\n-");
        assert!(Manifest::parse("net.yaml", &two).unwrap().network().is_err());
    }

    #[test]
    fn manifests_that_could_do_harm_are_refused() {
        let good = "name: net\nversion: 1\ntask: face\nlicense: MIT\nfile: {name: a.bin}\n";
        assert!(Manifest::parse("x", good).is_ok());
        for (from, to) in [
            ("a.bin", "../a.bin"),
            ("name: net", "name: ../net"),
            ("version: 1", "version: 1/2"),
            ("file: {name: a.bin}", "files: []"),
            ("file: {name: a.bin}", "files: [{name: a}, {name: a}]"),
            ("{name: a.bin}", "{name: a.bin, sha256: 12}"),
            ("license: MIT", ""),
        ] {
            assert!(Manifest::parse("x", &good.replace(from, to)).is_err(), "{to}");
        }
    }
}
