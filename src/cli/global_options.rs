//! The global options that have an effect in each command. The others are accepted, but hidden from help, manual and
//! completions.

use clap::Command;

const STORE: &[&str] = &["cache_dir", "no_cache"];
const MODELS: &[&str] = &["device", "models_dir", "pull", "license_policy", "offline"];
const PHOTOS: &[&str] = &["strict", "threads", "isolate", "progress"];
const RECORDS: &[&str] = &["format", "json"];
const TEXT_ONLY: &[&[&str]] = &[STORE, MODELS, PHOTOS, RECORDS, &["config", "set", "quiet", "verbose", "telemetry"]];
const NO_PHOTOS: &[&[&str]] = &[STORE, MODELS, PHOTOS, &["telemetry"]];
const MODEL_LIST: &[&[&str]] = &[STORE, PHOTOS, &["device", "pull", "license_policy", "offline", "telemetry"]];
const MODEL_FILES: &[&[&str]] = &[STORE, &["device", "pull", "threads", "isolate"]];

/// The options without effect, by command; also for its subcommands.
const INEFFECTIVE: &[(&str, &[&[&str]])] = &[
    ("decide list", NO_PHOTOS),
    ("decide log", NO_PHOTOS),
    ("decide", &[MODELS]),
    ("models list", MODEL_LIST),
    ("models info", MODEL_LIST),
    ("models path", MODEL_LIST),
    ("models", MODEL_FILES),
    ("kmeans", &[STORE, &["device", "models_dir", "pull", "license_policy", "isolate"]]),
    ("dedup", &[&["device", "models_dir", "pull", "license_policy", "offline"]]),
    ("node", &[RECORDS, STORE, &["output", "isolate", "progress"]]),
    ("taste", NO_PHOTOS),
    ("device", &[STORE, PHOTOS, &["models_dir", "pull", "license_policy", "offline", "telemetry"]]),
    ("config", &[&["no_cache", "pull", "offline", "strict", "progress", "telemetry"]]),
    ("schema", TEXT_ONLY),
    ("completions", TEXT_ONLY),
    ("man", TEXT_ONLY),
];

/// Hides the options without effect in a command and its subcommands.
pub fn hide_ineffective(mut root: Command) -> Command {
    let globals: Vec<clap::Arg> = root.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    let names: Vec<String> = root.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    for name in names {
        root = root.mut_subcommand(&name, |command| hide_ineffective_in(command, &name, &globals));
    }
    root
}

fn hide_ineffective_in(mut command: Command, path: &str, globals: &[clap::Arg]) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(&name, |below| hide_ineffective_in(below, &format!("{path} {name}"), globals));
    }
    let is_here = |of: &str| path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    let ineffective =
        INEFFECTIVE.iter().find(|(of, _)| is_here(of)).map_or(&[][..], |(_, ineffective)| ineffective).concat();
    let hidden = globals.iter().filter(|arg| ineffective.contains(&arg.get_id().as_str()));
    // A command's own option of the same name replaces the global one.
    command.args(hidden.map(|arg| arg.clone().hide(true)))
}
