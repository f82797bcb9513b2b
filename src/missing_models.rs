//! The note about missing models at the end of a run: one line if there are results, and for each set of models only once
//! per results store.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::library::model_selection::{AESTHETIC_MODEL, COMPARISON_MODEL, Fallback};
use crate::ui::Ui;
use hub::Missing;

/// A file in the folder of the results store with one line for each set of models the user has been told about.
const REPORTED_FILE: &str = "told-of-models";
/// The longest note in characters, with its heading.
const MAX_NOTE_LENGTH: usize = 114;

/// The missing models of a run that can be obtained.
#[derive(Debug, Default)]
pub struct MissingModels {
    collected: Mutex<Collected>,
}

#[derive(Debug, Default)]
struct Collected {
    models: BTreeSet<String>,
    /// The arguments of `albumctl models` that fetch them or say where to get them.
    remedies: BTreeSet<String>,
    fallbacks: Vec<Fallback>,
}

impl MissingModels {
    /// Adds missing models. A model of the original system that cannot be downloaded is left out: there is no remedy.
    pub fn add(&self, models: &[Missing], fallback: &Fallback) {
        let cannot_be_had = |one: &Missing| !one.reachable && [AESTHETIC_MODEL, COMPARISON_MODEL].contains(&&*one.name);
        if models.iter().any(cannot_be_had) {
            return;
        }
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        for one in models {
            collected.models.insert(one.reference.clone());
            let pull = || format!("pull {}", one.pulled_by);
            collected.remedies.insert(if one.reachable { pull() } else { format!("info {}", one.name) });
        }
        if !collected.fallbacks.contains(fallback) {
            collected.fallbacks.push(fallback.clone());
        }
    }

    /// Reports the models collected so far and clears them. `folder` holds the file of earlier reports, if there is one.
    /// With `--quiet` only a missing part of the score is reported, and then in every run.
    pub fn report(&self, ui: &Ui, folder: Option<&Path>) {
        let collected = std::mem::take(&mut *self.collected.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(line) = collected.line() else { return };
        if ui.is_quiet() {
            if collected.fallbacks.iter().any(|fallback| matches!(fallback, Fallback::PartMissing(_))) {
                ui.loss(&line);
            }
            return;
        }
        let reported = folder.map(|folder| folder.join(REPORTED_FILE));
        let models = Vec::from_iter(collected.models).join(" ");
        let before = reported.as_deref().and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        if before.lines().any(|line| line == models) {
            return;
        }
        ui.note(&line);
        if let Some(reported) = reported {
            // If the file cannot be written, the next run reports the models again.
            let file = fs::OpenOptions::new().create(true).append(true).open(reported);
            let _ = file.and_then(|mut file| writeln!(file, "{models}"));
        }
    }
}

impl Collected {
    fn line(&self) -> Option<String> {
        let command = |verb: &str| {
            let models: Vec<&str> = self.remedies.iter().filter_map(|one| one.strip_prefix(verb)).collect();
            (!models.is_empty()).then(|| format!("`albumctl models {verb}{}`", models.join(" ")))
        };
        let remedy = match (command("pull "), command("info ")) {
            (Some(pull), _) => format!("{pull} fixes that"),
            (None, Some(info)) => format!("{info} says where to get it"),
            (None, None) => return None,
        };
        let part_missing = self.fallbacks.iter().find(|fallback| matches!(fallback, Fallback::PartMissing(_)));
        let fallback = part_missing.or(self.fallbacks.first())?;
        let line = format!("{fallback}; {remedy}");
        Some(if line.chars().count() <= MAX_NOTE_LENGTH { line } else { remedy })
    }
}
