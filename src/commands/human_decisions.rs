//! People's decisions about photos: from `decide`, or from ratings that other programs wrote into photos and sidecars.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::photos;
use crate::context::{Context, journal_failed};
use crate::error::CommandError;
use crate::journal::{Decisions, NewDecision};
use crate::library::choice::FoundDecision;
use crate::photo_report::PhotoReport;
use crate::report::xmp::{self, Naming};
use base::reading;
use judge::select::{Decision, DecisionSource};
use photo::xmp::{PersonsRating, persons_rating};

/// Whether ratings of other programs count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Ratings {
    #[default]
    Obey,
    Ignore,
}

/// Returns the decisions in the journal. Decisions that an older albumctl stored without picture identities are stored
/// again with them, so that they survive edits of the photos' metadata.
pub fn in_journal(reports: &[PhotoReport], dry_run: bool, context: &Context) -> Result<Decisions, CommandError> {
    let decisions = context.decisions()?;
    let old = reports.iter().filter_map(|report| {
        let photo = report.id().filter(|photo| !dry_run && decisions.lacks_picture(*photo))?;
        Some(NewDecision { photo, decision: decisions.of(Some(photo.content), photo.picture), path: &report.path })
    });
    let old: Vec<NewDecision> = old.collect();
    if !old.is_empty()
        && let Err(error) = context.journal().and_then(|mut journal| journal.decide(&old).map_err(journal_failed))
    {
        let photos = photos::counted(old.len(), "photo");
        context.ui.warn(&format!("decisions about {photos} would be lost when their files are edited: {error}"));
    }
    Ok(decisions)
}

/// Returns the decision about each photo. The journal takes precedence over a sidecar, and a sidecar over the photo itself.
pub fn of(reports: &[PhotoReport], ratings: Ratings, decisions: &Decisions) -> Vec<Option<FoundDecision>> {
    before(reports, decisions, &elsewhere(reports, ratings))
}

/// Decisions of `decide`, before those found `elsewhere`.
pub fn before(
    reports: &[PhotoReport],
    decisions: &Decisions,
    elsewhere: &[Option<FoundDecision>],
) -> Vec<Option<FoundDecision>> {
    let by_journal =
        |report: &PhotoReport| Some((decisions.of(report.content, report.picture)?, DecisionSource::Journal));
    reports.iter().zip(elsewhere).map(|(report, found)| by_journal(report).or(*found)).collect()
}

/// The decisions that other programs stored in sidecars or in the photos themselves.
pub fn elsewhere(reports: &[PhotoReport], ratings: Ratings) -> Vec<Option<FoundDecision>> {
    if ratings == Ratings::Ignore {
        return vec![None; reports.len()];
    }
    let by_file = |report: &PhotoReport| Some((decision(report.rating?)?, DecisionSource::File));
    let mut folders = Folders::default();
    // Checking the spelling of each sidecar's name is slow in a large album, so it is skipped where there are none.
    if !reports.iter().any(|report| folders.holds_sidecars(&report.path)) {
        return reports.iter().map(by_file).collect();
    }
    let paths: Vec<PathBuf> = reports.iter().map(|report| report.path.clone()).collect();
    let found = |(report, sidecars): (&PhotoReport, Vec<PathBuf>)| {
        let mut here = sidecars.iter().filter(|sidecar| folders.has(sidecar));
        let by_sidecar = here.find_map(|sidecar| decision(read(sidecar)?));
        by_sidecar.map(|decision| (decision, DecisionSource::Sidecar)).or_else(|| by_file(report))
    };
    reports.iter().zip(xmp::sidecars(&paths, Naming::Both)).map(found).collect()
}

/// Fewer than five stars rate a photo without deciding that it belongs in the album.
fn decision(rating: PersonsRating) -> Option<Decision> {
    match rating {
        PersonsRating::Rejected => Some(Decision::Reject),
        PersonsRating::Picked | PersonsRating::Stars(5..) => Some(Decision::Keep),
        PersonsRating::Stars(_) => None,
    }
}

/// An unreadable sidecar gives no rating here; it is reported where a sidecar is written.
fn read(sidecar: &Path) -> Option<PersonsRating> {
    persons_rating(&reading::read(sidecar, reading::SIDECAR).ok()?)
}

/// The names of the sidecars in each folder. A folder is listed once, as most photos have no sidecar.
#[derive(Default)]
struct Folders(HashMap<PathBuf, HashSet<OsString>>);

impl Folders {
    fn has(&mut self, sidecar: &Path) -> bool {
        sidecar.file_name().is_some_and(|name| self.beside(sidecar).contains(name))
    }

    fn holds_sidecars(&mut self, photo: &Path) -> bool {
        !self.beside(photo).is_empty()
    }

    fn beside(&mut self, file: &Path) -> &HashSet<OsString> {
        let folder = file.parent().unwrap_or(Path::new(""));
        if !self.0.contains_key(folder) {
            let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let names = std::fs::read_dir(listed).into_iter().flatten().flatten().map(|entry| entry.file_name());
            let is_sidecar =
                |name: &OsString| Path::new(name).extension().is_some_and(|it| it.eq_ignore_ascii_case("xmp"));
            self.0.insert(folder.to_owned(), names.filter(is_sidecar).collect());
        }
        &self.0[folder]
    }
}
