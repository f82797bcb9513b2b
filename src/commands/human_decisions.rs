//! What people decided about photos: said to `decide`, or to other programs that wrote it into the photo or beside it.

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

/// What a person decided. Where an older albumctl wrote it down by the bytes of these photos, it is written once more by
/// their pictures, so that the next caption does not lose it.
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

/// The decision about each photo. What was said to `decide` goes before what a sidecar says, and that before what the photo
/// says.
pub fn of(reports: &[PhotoReport], ratings: Ratings, decisions: &Decisions) -> Vec<Option<FoundDecision>> {
    let said = |report: &PhotoReport| Some((decisions.of(report.content, report.picture)?, DecisionSource::Journal));
    if ratings == Ratings::Ignore {
        return reports.iter().map(said).collect();
    }
    let paths: Vec<PathBuf> = reports.iter().map(|report| report.path.clone()).collect();
    let mut folders = Folders::default();
    // Asking for the spelling of each takes a while in a large album.
    let sidecars = if paths.iter().any(|path| folders.holds_sidecars(path)) {
        xmp::sidecars(&paths, Naming::Both)
    } else {
        vec![Vec::new(); paths.len()]
    };
    let found = |(report, sidecars): (&PhotoReport, Vec<PathBuf>)| {
        let mut beside =
            || sidecars.iter().filter(|sidecar| folders.has(sidecar)).find_map(|sidecar| decision(read(sidecar)?));
        said(report)
            .or_else(|| beside().map(|decision| (decision, DecisionSource::Sidecar)))
            .or_else(|| Some((decision(report.rating?)?, DecisionSource::File)))
    };
    reports.iter().zip(sidecars).map(found).collect()
}

/// Stars below five say how good a photo is, and not that it belongs in the album.
fn decision(rating: PersonsRating) -> Option<Decision> {
    match rating {
        PersonsRating::Rejected => Some(Decision::Reject),
        PersonsRating::Picked | PersonsRating::Stars(5..) => Some(Decision::Keep),
        PersonsRating::Stars(_) => None,
    }
}

/// A sidecar that cannot be read says nothing here; it is told of where one is to be written.
fn read(sidecar: &Path) -> Option<PersonsRating> {
    persons_rating(&reading::read(sidecar, reading::SIDECAR).ok()?)
}

/// The sidecars in each folder, listed once: most photos have none.
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
        self.0.entry(folder.to_owned()).or_insert_with(|| {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
            names.filter(|name| Path::new(name).extension().is_some_and(|it| it.eq_ignore_ascii_case("xmp"))).collect()
        })
    }
}
