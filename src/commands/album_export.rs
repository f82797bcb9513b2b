//! Delivering the picks: copies, links, a zip, sidecars, a report page.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::album_ratings::{RatingArgs, SidecarNaming, models};
use super::folder_delivery::{Along, FolderArgs, interrupted, not_written};
use super::photos::{Tally, counted};
use crate::context::Context;
use crate::error::CommandError;
use crate::library::relevance;
use crate::photo_report::PhotoReport;
use crate::report::export;
use crate::report::html::{self, Entry, Face as FaceMark, Judgement, Met, Page};
use crate::report::output::whole_file;
use crate::report::place::{Content, Outputs, PlaceError};
use crate::report::records::DecisionWord;
use crate::report::records::select::Written;
use crate::report::xmp;
use crate::thumbnail::{self, Thumbnail};
use base::atomic::Folders;
use judge::portrait::Face;
use judge::query::Vocabulary;
use judge::select::{Photo, Verdict};
use photo::Scale;
use photo::identity::{self, ContentId};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What to do with the picks")]
pub struct DeliverArgs {
    #[command(flatten)]
    pub folder: FolderArgs,

    /// Put each group into a folder of its own
    #[arg(long)]
    pub cluster_folders: bool,

    /// Put the picks into a zip, which must not exist yet
    #[arg(long, value_name = "FILE")]
    pub zip: Option<PathBuf>,

    #[command(flatten)]
    pub ratings: RatingArgs,

    /// Write an HTML page of all photos, with the picks marked
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,

    /// Include the picks in the page at 1,200 pixels, about 200 KB each
    #[arg(long, requires = "report")]
    pub preview: bool,

    /// Write nothing, and print what would be written
    #[arg(long)]
    pub dry_run: bool,
}

impl DeliverArgs {
    /// Registers the files it names, to be checked before any work.
    pub fn claim(&self, outputs: &mut Outputs) -> Result<(), PlaceError> {
        if let Some(file) = &self.zip {
            outputs.add("--zip", file, Content::New)?;
        }
        self.report.as_ref().map_or(Ok(()), |file| outputs.add("--report", file, Content::Text))
    }

    /// Whether it tells who is on photos, where that is known.
    pub fn tells_people(&self) -> bool {
        self.ratings.xmp_keywords || self.report.is_some()
    }

    /// Whether anything is written besides the results.
    pub fn writes(&self) -> bool {
        self.folder.is_asked() || self.zip.is_some() || self.ratings.xmp.is_some() || self.report.is_some()
    }
}

/// A finished selection; verdicts refer to photos by index.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    pub reports: &'a [PhotoReport],
    /// Whether the reports were read from a file, so that this run has not read the photos themselves.
    pub from_file: bool,
    pub photos: &'a [Photo],
    pub verdicts: &'a [Verdict],
    /// Whether the other frames of a sequence are delivered with the one that stands for it.
    pub is_whole: bool,
}

/// Writes the requested files, and returns for each photo what was written, or would be in a dry run.
pub fn deliver(
    args: &DeliverArgs,
    album: Selection,
    tally: &mut Tally,
    context: &Context,
) -> Result<Vec<Vec<Written>>, CommandError> {
    let Selection { reports, from_file, photos, verdicts, .. } = album;
    let mut picks = with_frames(args, album);
    let mut content_check = ContentCheck { reports, from_file, passed: vec![None; reports.len()] };
    if args.folder.is_asked() || args.zip.is_some() {
        picks = picks
            .into_iter()
            .filter_map(|(photo, pick)| {
                content_check.passes(photo, tally, context).map(|passes| passes.then_some((photo, pick))).transpose()
            })
            .collect::<Result<_, _>>()?;
    }
    let place = |&(photo, pick): &(usize, usize)| (photos[photo].path.clone(), photos[pick].group);
    let items = args.folder.items(picks.iter().map(place));
    let along = |written: Written, is_first: bool| Written { companion: written.companion || !is_first, ..written };
    let mut written = vec![Vec::new(); photos.len()];
    if args.folder.is_asked() {
        let mut delivery = args.folder.plan(&items, args.cluster_folders, args.dry_run)?;
        let verdict_of: HashMap<usize, &Verdict> = verdicts.iter().map(|verdict| (verdict.photo, verdict)).collect();
        let picked = picks.iter().filter(|(photo, pick)| photo == pick);
        let picked = picked.map(|(_, pick)| (&reports[*pick], &photos[*pick], verdict_of[pick]));
        let mut embedded = args.ratings.embedded_values(picked, context).into_iter();
        for &(photo, pick) in &picks {
            // The frames that go along are no picks.
            let values = if photo == pick { embedded.next().flatten() } else { None };
            let placed = delivery.next(values.as_ref(), tally, context)?;
            written[pick].extend(placed.into_iter().map(|it| along(it, photo == pick)));
        }
        delivery.finish(context)?;
    }
    if let Some(file) = &args.zip {
        let entries = export::zip::plan(&items, args.cluster_folders).map_err(CommandError::failed)?;
        if !args.dry_run {
            let whole =
                export::zip::write(entries.iter().flatten(), file, context.stop()).map_err(CommandError::failed)?;
            if !whole {
                return Err(interrupted("no zip was written"));
            }
        }
        for (&(photo, pick), entries) in picks.iter().zip(&entries) {
            written[pick].extend(entries.iter().enumerate().map(|(at, entry)| {
                let entry = Written::new("zip", &file.join(&entry.name), !args.dry_run);
                along(entry, at == 0 && photo == pick)
            }));
        }
    }
    if let Some(naming) = args.ratings.xmp {
        sidecars(args, naming, album, &mut content_check, &mut written, tally, context)?;
    }
    Ok(written)
}

/// The photos to deliver, each with the pick that it belongs to: the picks, and after each the other frames of its sequence,
/// unless a person decided about them.
fn with_frames(
    args: &DeliverArgs,
    Selection { reports, photos, verdicts, is_whole, .. }: Selection,
) -> Vec<(usize, usize)> {
    let index: HashMap<&Path, usize> = reports.iter().enumerate().map(|(at, it)| (it.path.as_path(), at)).collect();
    let go_along = is_whole && args.folder.companions == Along::All;
    let beside = |pick: usize| {
        let frames = reports[pick].sequence.iter().filter(|_| go_along).flat_map(|sequence| sequence.frames.iter());
        let known = frames.filter_map(|frame| index.get(frame.as_path()).copied());
        known.filter(move |&frame| frame != pick && photos[frame].decision.is_none())
    };
    let selected = verdicts.iter().filter(|verdict| verdict.selected()).map(|verdict| verdict.photo);
    selected.flat_map(|pick| std::iter::once(pick).chain(beside(pick)).map(move |photo| (photo, pick))).collect()
}

/// Checks that photos read from an untrusted file still have the content that the file names.
struct ContentCheck<'a> {
    reports: &'a [PhotoReport],
    from_file: bool,
    passed: Vec<Option<bool>>,
}

impl ContentCheck<'_> {
    /// Returns whether the photo may be delivered. Each photo is checked, and its failure reported, only once.
    fn passes(&mut self, photo: usize, tally: &mut Tally, context: &Context) -> Result<bool, CommandError> {
        if let Some(passed) = self.passed[photo] {
            return Ok(passed);
        }
        let report = &self.reports[photo];
        let checked = if self.from_file { export::check(&report.path, report.content) } else { Ok(()) };
        self.passed[photo] = Some(checked.is_ok());
        match checked {
            Ok(()) => Ok(true),
            Err(error) => tally.fail(&not_written(&report.path, &error), context).map(|()| false),
        }
    }
}

/// Writes the sidecars. Picks get stars, and photos that a person rejected the rating for that. A pick of an earlier run
/// that is no longer picked loses its stars, but never a person's.
fn sidecars(
    args: &DeliverArgs,
    naming: SidecarNaming,
    Selection { reports, photos, verdicts, .. }: Selection,
    content_check: &mut ContentCheck,
    written: &mut [Vec<Written>],
    tally: &mut Tally,
    context: &Context,
) -> Result<(), CommandError> {
    let mut verdict_of: Vec<Option<&Verdict>> = vec![None; photos.len()];
    for verdict in verdicts {
        verdict_of[verdict.photo] = Some(verdict);
    }
    let paths: Vec<PathBuf> = photos.iter().map(|photo| photo.path.clone()).collect();
    let (mut folders, mut rated_inside) = (Folders::default(), 0);
    for (photo, places) in xmp::sidecars(&paths, naming.into()).into_iter().enumerate() {
        let Some(verdict) = verdict_of[photo] else { continue };
        if context.stopped() && !args.dry_run {
            folders.sync().context("cannot keep the sidecars")?;
            let marked = written.iter().flatten().filter(|written| written.action == "xmp").count();
            return Err(interrupted(&format!("{} were written", counted(marked, "sidecar"))));
        }
        // A sidecar must not contradict a person's rating inside the photo.
        if reports[photo].rating.is_some() {
            rated_inside += usize::from(verdict.selected());
            continue;
        }
        let decision = photos[photo].decision;
        let values = args.ratings.sidecar_values(&reports[photo], &photos[photo], verdict, context);
        for place in places {
            // For a photo that is not picked, only a sidecar written by an earlier run is changed.
            let is_due = if verdict.selected() || decision.is_some() { Ok(true) } else { xmp::is_marked(&place) };
            if matches!(is_due, Ok(false)) {
                continue;
            }
            if !content_check.passes(photo, tally, context)? {
                break;
            }
            match is_due.and_then(|_| xmp::write(&place, &values, args.dry_run, &mut folders)) {
                Ok(_) => written[photo].push(Written::new("xmp", &place, !args.dry_run)),
                Err(error) => tally.fail(&not_written(&photos[photo].path, &error), context)?,
            }
        }
    }
    if rated_inside > 0 {
        let photos = counted(rated_inside, "picked photo");
        context.ui.note(&format!("no sidecar for {photos} with a rating of a person inside"));
    }
    folders.sync().context("cannot keep the sidecars").map_err(CommandError::failed)
}

/// The page of an album.
pub fn page(Selection { reports, photos, verdicts, .. }: Selection) -> Page {
    let vocabulary = relevance::vocabulary().unwrap_or_default();
    let mut entries: Vec<Entry> = reports.iter().map(|_| Entry::default()).collect();
    for verdict in verdicts {
        entries[verdict.photo] = entry(&reports[verdict.photo], photos, verdict, &vocabulary);
    }
    let mut notes = Vec::new();
    if photos.iter().all(|photo| photo.aesthetic.is_err()) {
        notes.push("No aesthetic model took part: the other parts share its weight.".to_owned());
    }
    if photos.iter().all(|photo| photo.portrait.is_err()) {
        notes.push("No face model took part: eyes and smiles do not count.".to_owned());
    }
    Page {
        title: "The album".to_owned(),
        made_by: reports
            .first()
            .map_or_else(String::new, |photo| format!("albumctl {} · {}", env!("CARGO_PKG_VERSION"), models(photo))),
        notes,
        served: false,
        photos: entries,
    }
}

/// What the page tells of one photo.
fn entry(report: &PhotoReport, photos: &[Photo], verdict: &Verdict, vocabulary: &Vocabulary) -> Entry {
    let photo = &photos[verdict.photo];
    Entry {
        path: photo.path.to_string_lossy().into_owned(),
        link: html::file_link(&photo.path),
        width: report.width,
        height: report.height,
        group: photo.group,
        aesthetic: verdict.parts.aesthetic.value,
        technical: verdict.parts.iqa.value,
        portrait: verdict.parts.portrait.value,
        relevance: photo.relevance.as_ref().map(|found| found.score),
        sharpness: report.quality.as_ref().map(|quality| quality.sharpness),
        exposure: report.quality.as_ref().map(|quality| quality.exposure),
        taken_at: report.taken_at_text().map(|text| text.replacen('T', " ", 1).chars().take(19).collect()),
        taken_ms: report.taken_ms(),
        faces: report.portrait.iter().flat_map(|found| &found.faces).map(face_mark).collect(),
        judgement: judgement(photos, verdict),
        kind: photo.kind.map(|kind| kind.what.word().to_owned()),
        people: report.who(),
        shows: relevance::shown(report, vocabulary),
        text: report.text.iter().flat_map(|text| &text.lines).map(|line| line.text.clone()).collect(),
        content: report.content.map(|content| content.to_string()),
        picture: report.picture.map(|picture| picture.to_string()),
    }
}

/// What the page tells of the choice about one photo.
pub fn judgement(photos: &[Photo], verdict: &Verdict) -> Judgement {
    let photo = &photos[verdict.photo];
    let met = verdict.tiebreak.iter().flat_map(|tiebreak| &tiebreak.met);
    Judgement {
        rank: verdict.rank,
        composite: verdict.composite,
        reason: verdict.reason.clone(),
        met: met
            .map(|met| Met {
                path: photos[met.photo].path.to_string_lossy().into_owned(),
                won: met.won,
                confidence: met.confidence,
            })
            .collect(),
        close_call: verdict.close_call,
        decision: photo.decision.map(|decision| DecisionWord::from(decision).word()),
    }
}

/// The face's box, clipped to the picture.
fn face_mark(face: &Face) -> FaceMark {
    let [x, y, width, height] = face.bbox;
    let (left, top) = (x.clamp(0.0, 1.0), y.clamp(0.0, 1.0));
    let (right, bottom) = ((x + width).max(left).min(1.0), (y + height).max(top).min(1.0));
    FaceMark { bbox: [left, top, right - left, bottom - top], eyes_open: face.eyes_open, smiling: face.is_smiling }
}

/// Writes the report page, replacing that of an earlier run.
pub fn write_page(file: &Path, album: Selection, args: &DeliverArgs, context: &Context) -> Result<(), CommandError> {
    if args.dry_run {
        return Ok(());
    }
    let page = page(album);
    context.telemetry.time("write_report", || {
        whole_file(file, Content::Text, |out| {
            let thumbnail = &mut |photo: usize| album.reports[photo].thumbnail.clone();
            let is_larger = |photo: usize| args.preview && page.photos[photo].judgement.rank.is_some();
            let preview =
                &mut |photo: usize| is_larger(photo).then(|| preview(&album.reports[photo], context)).flatten();
            Ok(html::write(out, &page, thumbnail, preview)?)
        })
    })?;
    Ok(())
}

/// The preview of a photo; `None`, so that its thumbnail is shown, if the photo is gone or has changed.
fn preview(report: &PhotoReport, context: &Context) -> Option<Thumbnail> {
    let limits = context.limits();
    let bytes = identity::read(&report.path, limits.max_file_bytes).ok()?.bytes;
    let (long_side, quality) = thumbnail::PREVIEW;
    let decoded = photo::decode(&bytes, Scale::AtLeast(long_side), &limits).ok()?;
    let is_same =
        report.id().is_none_or(|id| id.content == ContentId::of(&bytes) || id.picture == Some(decoded.picture));
    is_same.then(|| thumbnail::within(&decoded.pixels, long_side, quality)).flatten()
}
