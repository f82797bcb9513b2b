//! What may stand in the place of a value: models, configuration keys and their values, devices, commands.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use clap::{Arg, Command, ValueHint};
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _,
};
use serde_json::Value;

use crate::config;
use crate::library::groups::NOISE_WORDS;
use hub::cache::Cache;
use hub::manifest::WORDS;
use hub::model_library::ModelLibrary;
use judge::cluster::Method;

const DEVICES: [&str; 4] = ["auto", "cpu", "cuda", "cuda:0"];
const POLICIES: [&str; 5] = ["any", "permissive", "no-agpl", "no-non-commercial", "no-unknown"];

/// The command line with candidates for the values that clap does not know itself. `path` is the name of the command.
pub fn added(command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let commands = names.clone();
    let command = names.into_iter().fold(command, |command, name| {
        let below = format!("{path} {name}");
        command.mut_subcommand(name, |command| added(command, below.trim_start()))
    });
    // The manual and the schemas take the words of any command.
    let command = command.mut_args(|arg| completed(arg, path));
    if !path.is_empty() {
        return command;
    }
    ["man", "schema"].into_iter().fold(command, |command, name| {
        let commands = commands.clone();
        let words = ArgValueCandidates::new(move || commands.iter().map(CompletionCandidate::new).collect());
        command.mut_subcommand(name, |command| command.mut_arg("command", |arg| arg.add(words)))
    })
}

fn completed(arg: Arg, path: &str) -> Arg {
    let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    match (arg.get_id().as_str(), value.as_str()) {
        ("set", _) => arg.add(ArgValueCompleter::new(settings)),
        ("device", _) => arg.add(ArgValueCandidates::new(|| DEVICES.map(CompletionCandidate::new).into())),
        ("license_policy", _) => arg.add(ArgValueCandidates::new(|| POLICIES.map(CompletionCandidate::new).into())),
        ("task", _) => arg.add(ArgValueCandidates::new(tasks)),
        (_, "MODEL") if path.starts_with("models ") => arg.add(ArgValueCandidates::new(models_and_words)),
        (_, "NAME|FILE") => {
            let task = task_of(path);
            arg.add(ArgValueCompleter::new(move |typed: &OsStr| models_and_files(task, typed)))
        }
        ("model", "NAME") => {
            let task = task_of(path);
            arg.add(ArgValueCandidates::new(move || models(task)))
        }
        (_, "DIR") => arg.value_hint(ValueHint::DirPath),
        _ => arg,
    }
}

/// What the models of a command do; `None` where it takes any.
fn task_of(path: &str) -> Option<&'static str> {
    match path {
        "aesthetics" => Some("aesthetics"),
        "classify" => Some("classification"),
        "compare" => Some("comparison"),
        "embed" | "train mini" => Some("embedding"),
        "ocr" => Some("text"),
        "score" => Some("degradations"),
        "search" => Some("describing"),
        _ => None,
    }
}

/// Manifests of the binary and of the user. None of them can be read where a built-in one is broken, which a test sees.
fn library() -> Option<ModelLibrary> {
    ModelLibrary::load(Cache::new(std::path::PathBuf::new(), None), config::own_manifests(), |_| ()).ok()
}

fn models(task: Option<&str>) -> Vec<CompletionCandidate> {
    let library = library();
    let manifests = library.iter().flat_map(|library| library.catalogue.manifests());
    let does = manifests.filter(|manifest| task.is_none_or(|task| manifest.runs && manifest.does(task)));
    let mut found: Vec<(String, String)> =
        does.map(|manifest| (manifest.name.clone(), manifest.task.clone())).collect();
    found.dedup_by(|later, newest| later.0 == newest.0);
    found.into_iter().map(|(name, task)| CompletionCandidate::new(name).help(Some(task.into()))).collect()
}

fn models_and_words() -> Vec<CompletionCandidate> {
    let words = WORDS.map(|(word, _)| CompletionCandidate::new(word).help(Some("all that these need".into())));
    words.into_iter().chain(models(None)).collect()
}

fn models_and_files(task: Option<&str>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let begins = |name: &CompletionCandidate| name.get_value().to_string_lossy().starts_with(&*typed.to_string_lossy());
    models(task).into_iter().filter(begins).chain(PathCompleter::any().complete(typed)).collect()
}

fn tasks() -> Vec<CompletionCandidate> {
    let library = library();
    let manifests = library.iter().flat_map(|library| library.catalogue.manifests());
    let tasks: BTreeSet<&str> = manifests.map(|manifest| manifest.task.as_str()).collect();
    tasks.into_iter().map(CompletionCandidate::new).collect()
}

/// `KEY=`, and after the `=` the values of a key that has few.
fn settings(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let Ok(built_in) = config::resolve(&config::Sources::default()) else { return Vec::new() };
    let Some((key, begun)) = typed.split_once('=') else {
        let keys = built_in.leaves.iter().filter(|(key, ..)| key.starts_with(&*typed));
        return keys
            .map(|(key, value, _)| {
                CompletionCandidate::new(format!("{key}=")).help(Some(format!("{value} by default").into()))
            })
            .collect();
    };
    let values: Vec<&str> = match key {
        "device" => DEVICES.to_vec(),
        "isolate" => vec!["auto", "on", "off"],
        "license_policy" => POLICIES.to_vec(),
        "album.clustering.method" => Method::NAMES.to_vec(),
        "album.clustering.handle_noise" => NOISE_WORDS.to_vec(),
        _ => match built_in.leaves.iter().find(|(leaf, ..)| leaf == key) {
            Some((_, Value::Bool(_), _)) => vec!["true", "false"],
            _ => Vec::new(),
        },
    };
    let begins = values.into_iter().filter(|value| value.starts_with(begun));
    begins.map(|value| CompletionCandidate::new(format!("{key}={value}"))).collect()
}
