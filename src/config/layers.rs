//! Resolving the configuration from its layers, key by key, with the origin of each value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde_json::{Map, Value};
use thiserror::Error;

use super::suggest::nearest;
use super::{Limits, Settings};
use base::reading::{self, Stream};
use hub::DeviceChoice;

const BUILT_IN: &str = include_str!("../../configs/global_config.yaml");
const ENVIRONMENT_PREFIX: &str = "ALBUMCTL_";
/// Variables with the prefix that are no configuration keys and are read elsewhere.
const OTHER_VARIABLES: [&str; 5] =
    ["ALBUMCTL_COMPLETE", "ALBUMCTL_CONFIG", "ALBUMCTL_CPU", "ALBUMCTL_SHARED", "ALBUMCTL_TOKEN_FILE"];

/// Sections of the original system's file that have no effect here. They are accepted, so that its file can be used
/// unchanged, and reported once.
const WITHOUT_EFFECT: [&str; 15] = [
    "output_dir",
    "log_dir",
    "enable_embedding_cache",
    "enable_thumbnail_cache",
    "enable_quality_cache",
    "thumbnail_quality",
    "thumbnail_format",
    "clip",
    "photo_analysis",
    "clustering",
    "logging",
    "performance",
    "export",
    "album.preprocessing",
    "album.export",
];
const WITHOUT_EFFECT_LEAVES: [&str; 9] = [
    "thumbnail_sizes.tiny",
    "thumbnail_sizes.small",
    "thumbnail_sizes.large",
    "quality_assessment.default_method",
    "quality_assessment.enable_cache",
    "quality_assessment.batch_size",
    "album.portrait.prefer_smiling",
    "album.portrait.smile_importance",
    "album.portrait.eyes_open_importance",
];

#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{origin} is not valid YAML: {message}")]
    Syntax { origin: Origin, message: String },
    #[error("{origin} must contain keys and values at the top level")]
    NotAMap { origin: Origin },
    #[error("unknown key `{key}` in {origin}{}", did_you_mean(nearest.as_deref()))]
    UnknownKey { key: String, origin: Origin, nearest: Option<String> },
    #[error("`{key}` in {origin}: {message}")]
    BadValue { key: String, origin: Origin, message: String },
    #[error("`{0}` is not of the form KEY=VALUE")]
    NotAPair(String),
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// The layer that set a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    BuiltIn,
    UserFile(PathBuf),
    File(PathBuf),
    Environment(String),
    Set,
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => write!(f, "built-in"),
            Self::UserFile(path) | Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Set => write!(f, "--set"),
            Self::Flag(name) => write!(f, "{name}"),
        }
    }
}

/// The layers to resolve. Nothing is read from the process itself, so that tests can supply their own.
#[derive(Debug, Default)]
pub struct Sources {
    pub user_file: Option<PathBuf>,
    pub file: Option<PathBuf>,
    pub environment: Vec<(OsString, OsString)>,
    pub set: Vec<String>,
    pub flags: Vec<(&'static str, &'static str, Value)>,
}

#[derive(Debug)]
pub struct Resolved {
    pub settings: Settings,
    /// Every key in the order of the built-in file, with its value and origin.
    pub leaves: Vec<(String, Value, Origin)>,
    /// Keys that were set but have no effect.
    pub without_effect: Vec<(String, Origin)>,
}

impl Resolved {
    /// The layer that set a key.
    pub fn origin_of(&self, key: &str) -> Option<&Origin> {
        self.leaves.iter().find(|(leaf, ..)| leaf == key).map(|(.., origin)| origin)
    }
}

impl Origin {
    pub fn is_file(&self) -> bool {
        matches!(self, Self::UserFile(_) | Self::File(_))
    }
}

pub fn resolve(sources: &Sources) -> Result<Resolved, ConfigError> {
    let mut stack = Stack::built_in()?;
    if let Some(path) = &sources.user_file {
        match stack.add_file(path, &Origin::UserFile(path.clone())) {
            // A missing user file is fine; one that cannot be read is an error.
            Err(ConfigError::Read { source, .. })
                if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            result => result?,
        }
    }
    if let Some(path) = &sources.file {
        stack.add_file(path, &Origin::File(path.clone()))?;
    }
    for (name, value) in &sources.environment {
        stack.add_variable(name, value)?;
    }
    for pair in &sources.set {
        let (key, value) = pair.split_once('=').ok_or_else(|| ConfigError::NotAPair(pair.clone()))?;
        stack.set(key.trim(), scalar(value, &Origin::Set)?, &Origin::Set)?;
    }
    for (key, flag, value) in &sources.flags {
        stack.set(key, value.clone(), &Origin::Flag(flag))?;
    }
    stack.finish()
}

struct Stack {
    leaves: Vec<String>,
    values: BTreeMap<String, (Value, Origin)>,
    without_effect: Vec<(String, Origin)>,
}

impl Stack {
    fn built_in() -> Result<Self, ConfigError> {
        let mut flat = Vec::new();
        flatten("", &parse(BUILT_IN, &Origin::BuiltIn)?, &|_| false, &mut flat);
        let leaves = flat.iter().map(|(key, _)| key.clone()).collect();
        let values = flat.into_iter().map(|(key, value)| (key, (value, Origin::BuiltIn))).collect();
        Ok(Self { leaves, values, without_effect: Vec::new() })
    }

    fn add_file(&mut self, path: &Path, origin: &Origin) -> Result<(), ConfigError> {
        let text = match origin {
            // A named file may be a pipe or a device, as in `--config <(…)` and `--config /dev/null`.
            Origin::File(_) => Stream::open(path, &AtomicBool::new(false)).and_then(|file| file.text(reading::TEXT)),
            _ => reading::read_text(path, reading::TEXT),
        };
        let text = text.map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let tree = parse(&text, origin)?;
        let mut flat = Vec::new();
        flatten("", &tree, &|key| self.values.contains_key(key), &mut flat);
        flat.into_iter().try_for_each(|(key, value)| self.set(&key, value, origin))
    }

    fn add_variable(&mut self, name: &OsString, value: &OsString) -> Result<(), ConfigError> {
        let Some(name) = name.to_str() else { return Ok(()) };
        let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) else { return Ok(()) };
        if OTHER_VARIABLES.contains(&name) {
            return Ok(());
        }
        let origin = Origin::Environment(name.to_owned());
        let key = key.to_ascii_lowercase().replace("__", ".");
        let value = value.to_str().ok_or_else(|| ConfigError::BadValue {
            key: key.clone(),
            origin: origin.clone(),
            message: "not UTF-8".into(),
        })?;
        self.set(&key, scalar(value, &origin)?, &origin)
    }

    fn set(&mut self, key: &str, value: Value, origin: &Origin) -> Result<(), ConfigError> {
        if let Some(slot) = self.values.get_mut(key) {
            let value = match (key, value) {
                // YAML reads the words `on` and `off` as booleans.
                ("isolate", Value::Bool(boolean)) => if boolean { "on" } else { "off" }.into(),
                (_, value) => value,
            };
            *slot = (value, origin.clone());
            return Ok(());
        }
        let inside = |branch: &str| key == branch || key.strip_prefix(branch).is_some_and(|k| k.starts_with('.'));
        if WITHOUT_EFFECT.iter().any(|branch| inside(branch)) || WITHOUT_EFFECT_LEAVES.contains(&key) {
            self.without_effect.push((key.to_owned(), origin.clone()));
            return Ok(());
        }
        if self.leaves.iter().any(|leaf| leaf.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'))) {
            // An empty section, such as `album:` without keys, changes nothing.
            if value.is_null() {
                return Ok(());
            }
            let message = format!("is a section of keys, not a value (got {value})");
            return Err(ConfigError::BadValue { key: key.to_owned(), origin: origin.clone(), message });
        }
        let nearest = nearest(key, self.leaves.iter().map(String::as_str)).map(str::to_owned);
        Err(ConfigError::UnknownKey { key: key.to_owned(), origin: origin.clone(), nearest })
    }

    fn finish(self) -> Result<Resolved, ConfigError> {
        let mut tree = Value::Object(Map::new());
        for key in &self.leaves {
            insert(&mut tree, key, self.values[key].0.clone());
        }
        let settings = Settings::deserialize_at(&tree).map_err(|(key, message)| {
            let origin = self.values.get(&key).map_or(Origin::BuiltIn, |(_, origin)| origin.clone());
            ConfigError::BadValue { key, origin, message }
        })?;
        self.check(&settings)?;
        let Self { leaves, mut values, without_effect } = self;
        let leaves = leaves
            .into_iter()
            .filter_map(|key| values.remove(&key).map(|(value, origin)| (key, value, origin)))
            .collect();
        Ok(Resolved { settings, leaves, without_effect })
    }

    /// Checks the constraints that the types do not express.
    fn check(&self, settings: &Settings) -> Result<(), ConfigError> {
        let Limits { max_megapixels, max_file_mb, max_seconds, max_decode_mb } = settings.limits;
        let weights = settings.quality_assessment.weights;
        let selection = &settings.album.selection;
        let positive = "must be greater than 0";
        let not_negative = "must not be negative";
        let sum = "at least one of these weights must be greater than 0";
        let device = settings.device.parse::<DeviceChoice>().is_ok();
        let rules = [
            ("device", device, "must be auto, cpu, cuda or cuda:N"),
            ("limits.max_megapixels", max_megapixels > 0.0, positive),
            ("limits.max_file_mb", max_file_mb > 0.0, positive),
            ("limits.max_seconds", max_seconds > 0.0, positive),
            ("limits.max_decode_mb", max_decode_mb > 0.0, positive),
            ("thumbnail_sizes.medium", settings.thumbnail_sizes.medium > 0, positive),
            ("quality_assessment.weights.sharpness", weights.sharpness >= 0.0, not_negative),
            ("quality_assessment.weights.exposure", weights.exposure >= 0.0, not_negative),
            ("quality_assessment.weights.colorfulness", weights.colorfulness >= 0.0, not_negative),
            ("quality_assessment.weights.contrast", weights.contrast >= 0.0, not_negative),
            (
                "quality_assessment.weights.sharpness",
                weights.sharpness + weights.exposure + weights.colorfulness + weights.contrast > 0.0,
                sum,
            ),
            ("album.selection.ava_weight", selection.ava_weight >= 0.0, not_negative),
            ("album.selection.iqa_weight", selection.iqa_weight >= 0.0, not_negative),
            ("album.selection.portrait_weight", selection.portrait_weight >= 0.0, not_negative),
            (
                "album.selection.ava_weight",
                selection.ava_weight + selection.iqa_weight + selection.portrait_weight > 0.0,
                sum,
            ),
        ];
        match rules.iter().find(|(_, is_met, _)| !is_met) {
            None => Ok(()),
            Some((key, _, message)) => Err(ConfigError::BadValue {
                key: (*key).to_owned(),
                origin: self.values[*key].1.clone(),
                message: (*message).to_owned(),
            }),
        }
    }
}

impl Settings {
    /// Deserialises the settings; an error names the invalid key.
    fn deserialize_at(tree: &Value) -> Result<Self, (String, String)> {
        serde_path_to_error::deserialize(tree).map_err(|error| (error.path().to_string(), error.inner().to_string()))
    }
}

fn parse(text: &str, origin: &Origin) -> Result<Value, ConfigError> {
    let tree: Value = serde_yaml::from_str(text)
        .map_err(|error| ConfigError::Syntax { origin: origin.clone(), message: error.to_string() })?;
    match tree {
        Value::Object(_) => Ok(tree),
        Value::Null => Ok(Value::Object(Map::new())),
        _ => Err(ConfigError::NotAMap { origin: origin.clone() }),
    }
}

/// Parses a value as in the file: `0.5` is a number, `true` a boolean, `null` no value.
fn scalar(text: &str, origin: &Origin) -> Result<Value, ConfigError> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_yaml::from_str(text)
        .map_err(|error| ConfigError::Syntax { origin: origin.clone(), message: error.to_string() })
}

fn flatten(prefix: &str, tree: &Value, is_leaf: &dyn Fn(&str) -> bool, into: &mut Vec<(String, Value)>) {
    match tree {
        Value::Object(map) if !is_leaf(prefix) && (prefix.is_empty() || !map.is_empty()) => {
            for (name, value) in map {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&key, value, is_leaf, into);
            }
        }
        value => into.push((prefix.to_owned(), value.clone())),
    }
}

fn insert(tree: &mut Value, key: &str, value: Value) {
    let mut here = tree;
    for part in key.split('.') {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        let Value::Object(map) = here else { return };
        here = map.entry(part).or_insert(Value::Null);
    }
    *here = value;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Isolate;

    fn with_set(pairs: &[&str]) -> Result<Resolved, ConfigError> {
        resolve(&Sources { set: pairs.iter().map(|&p| p.to_owned()).collect(), ..Sources::default() })
    }

    fn with_file(text: &str) -> Result<Resolved, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        resolve(&Sources { file: Some(file.path().to_owned()), ..Sources::default() })
    }

    #[test]
    fn the_built_in_file_has_every_key() {
        let resolved = resolve(&Sources::default()).unwrap();
        assert_eq!(resolved.settings.quality_assessment.weights, judge::quality::Weights::default());
        assert!(resolved.leaves.iter().all(|(_, _, origin)| *origin == Origin::BuiltIn));
    }

    #[test]
    fn the_file_of_the_original_system_is_accepted() {
        let text = include_str!("../../configs/original.yaml");
        assert!(with_file(text).unwrap().settings.album.portrait.require_eyes_open);
    }

    #[test]
    fn later_layers_win() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "num_workers: 2\nalbum: {selection: {ava_weight: 0.9, iqa_weight: 0.8}}\n")
            .unwrap();
        let resolved = resolve(&Sources {
            file: Some(file.path().to_owned()),
            environment: vec![("ALBUMCTL_ALBUM__SELECTION__IQA_WEIGHT".into(), "0.7".into())],
            set: vec!["num_workers=3".into()],
            flags: vec![("num_workers", "--threads", Value::from(4))],
            ..Sources::default()
        })
        .unwrap();
        let settings = resolved.settings;
        assert_eq!(settings.num_workers, 4);
        assert_eq!((settings.album.selection.ava_weight, settings.album.selection.iqa_weight), (0.9, 0.7));
    }

    #[test]
    fn a_mistyped_key_names_the_nearest() {
        let error = with_set(&["album.selection.ava_wieght=1"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown key `album.selection.ava_wieght` in --set; did you mean `album.selection.ava_weight`?"
        );
    }

    #[test]
    fn a_mistyped_variable_is_an_error_too() {
        let sources = Sources { environment: vec![("ALBUMCTL_DEVISE".into(), "cpu".into())], ..Sources::default() };
        assert!(resolve(&sources).unwrap_err().to_string().contains("did you mean `device`?"));
    }

    #[test]
    fn a_value_of_the_wrong_type_names_its_key_and_origin() {
        let error = with_set(&["limits.max_seconds=soon"]).unwrap_err().to_string();
        assert!(error.starts_with("`limits.max_seconds` in --set: "), "{error}");
    }

    #[test]
    fn on_and_off_are_accepted_though_yaml_reads_them_as_booleans() {
        for (word, isolate) in
            [("on", Isolate::On), ("off", Isolate::Off), ("\"off\"", Isolate::Off), ("auto", Isolate::Auto)]
        {
            let resolved = with_set(&[&format!("isolate={word}")]).unwrap();
            assert_eq!(resolved.settings.isolate, isolate, "{word}");
            let shown = resolved.leaves.into_iter().find(|(key, ..)| key == "isolate").unwrap().1;
            assert_eq!(shown, word.trim_matches('"'));
        }
        let error = with_set(&["isolate=perhaps"]).unwrap_err().to_string();
        assert!(error.starts_with("`isolate` in --set: ") && error.contains("`auto`"), "{error}");
    }

    #[test]
    fn a_section_is_not_a_value() {
        assert!(with_set(&["album.selection=3"]).unwrap_err().to_string().contains("section"));
        assert!(with_file("album:\n").is_ok());
    }

    #[test]
    fn weights_must_not_all_be_zero() {
        let zero = ["ava", "iqa", "portrait"].map(|part| format!("album.selection.{part}_weight=0"));
        assert!(with_set(&zero.each_ref().map(String::as_str)).is_err());
    }

    #[test]
    fn keys_of_the_original_without_effect_are_reported() {
        let resolved = with_file("clip: {model_name: ViT-B-32}\nlogging: {level: INFO}\n").unwrap();
        let keys: Vec<_> = resolved.without_effect.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["clip.model_name", "logging.level"]);
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        assert!(matches!(with_file("device: cpu\ndevice: cuda\n"), Err(ConfigError::Syntax { .. })));
    }
}
