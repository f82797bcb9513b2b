//! What a run says of the models that it goes without: one line when it has results, and once a machine where nothing
//! but comfort asks for it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::library::model_selection::{AESTHETIC_MODEL, COMPARISON_MODEL, Fallback};
use crate::ui::Ui;
use hub::Missing;

/// In the folder of the results store, a line a set of models that a person was told of.
const TOLD: &str = "told-of-models";
/// With the heading before it.
const LONGEST: usize = 114;

/// Models that were asked for in this run, are not here, and can be had.
#[derive(Debug, Default)]
pub struct Lacking {
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    models: BTreeSet<String>,
    /// What brings them.
    ways: BTreeSet<String>,
    instead: Vec<Fallback>,
}

impl Lacking {
    /// A model of the original that nobody offers is not spoken of: there is nothing to be done about it.
    pub fn add(&self, models: &[Missing], instead: &Fallback) {
        let cannot_be_had = |one: &Missing| !one.reachable && [AESTHETIC_MODEL, COMPARISON_MODEL].contains(&&*one.name);
        if models.iter().any(cannot_be_had) {
            return;
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        for one in models {
            found.models.insert(one.reference.clone());
            let pull = || format!("pull {}", one.pulled_by);
            found.ways.insert(if one.reachable { pull() } else { format!("info {}", one.name) });
        }
        if !found.instead.contains(instead) {
            found.instead.push(instead.clone());
        }
    }

    /// Says it, and forgets it. `folder` is where what was told is remembered, if anywhere; with `--quiet` a part of the
    /// score that is missing is said in every run, and nothing else is.
    pub fn tell(&self, ui: &Ui, folder: Option<&Path>) {
        let found = std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(line) = found.line() else { return };
        if ui.is_quiet() {
            if found.instead.iter().any(|instead| matches!(instead, Fallback::PartMissing(_))) {
                ui.loss(&line);
            }
            return;
        }
        let told = folder.map(|folder| folder.join(TOLD));
        let models = Vec::from_iter(found.models).join(" ");
        let before = told.as_deref().and_then(|told| fs::read_to_string(told).ok()).unwrap_or_default();
        if before.lines().any(|line| line == models) {
            return;
        }
        ui.note(&line);
        if let Some(told) = told {
            // Where it cannot be remembered, the next run says it again.
            let file = fs::OpenOptions::new().create(true).append(true).open(told);
            let _ = file.and_then(|mut file| writeln!(file, "{models}"));
        }
    }
}

impl Found {
    fn line(&self) -> Option<String> {
        let words = |way: &str| {
            let words: Vec<&str> = self.ways.iter().filter_map(|one| one.strip_prefix(way)).collect();
            (!words.is_empty()).then(|| format!("`albumctl models {way}{}`", words.join(" ")))
        };
        let way_out = match (words("pull "), words("info ")) {
            (Some(pull), _) => format!("{pull} mends that"),
            (None, Some(info)) => format!("{info} says where to get it"),
            (None, None) => return None,
        };
        let losses = self.instead.iter().find(|instead| matches!(instead, Fallback::PartMissing(_)));
        let instead = losses.or(self.instead.first())?;
        let line = format!("{instead}; {way_out}");
        Some(if line.chars().count() <= LONGEST { line } else { way_out })
    }
}
