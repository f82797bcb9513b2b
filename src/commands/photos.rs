//! The steps that all commands about photos share: scan, run the pipeline, report failures, summarise.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::addresses::here_only;
use super::failures::Failures;
use crate::arguments::{PhotoArgs, WalkArgs};
use crate::context::Context;
use crate::error::{CommandError, CommandErrorKind, Ending};
use crate::failure::{Failure, Stage};
use crate::library::ModelHub;
use crate::photo_report::PhotoReport;
use crate::pipeline::Analysis;
use crate::report::Record;
use crate::report::output::Output;
use base::reading::{self, Stream};
use photo::scan::{self, Photo, Scan};

/// The counts of a run over photos.
#[derive(Debug, Default)]
pub struct Tally {
    pub done: usize,
    pub from_store: usize,
    pub failed: usize,
    /// Photos that will fail again until they are changed.
    pub broken: Vec<PathBuf>,
    /// Whether the user stopped the run before all photos were processed.
    pub interrupted: bool,
}

/// Finds the photos of the arguments. Unreadable folders are reported and counted by [`analyse`].
pub fn find(args: &PhotoArgs, context: &Context) -> Result<Scan, CommandError> {
    find_beside(args, None, context)
}

/// Finds the photos for a run that writes pictures into a folder, leaving out that folder's pictures.
pub fn find_beside(args: &PhotoArgs, written_to: Option<&Path>, context: &Context) -> Result<Scan, CommandError> {
    found(&named(args, context)?, args, written_to, context)
}

fn found(
    named: &[PathBuf],
    args: &PhotoArgs,
    written_to: Option<&Path>,
    context: &Context,
) -> Result<Scan, CommandError> {
    for path in named {
        here_only(Some(path), "what is looked at", "mount the bucket and give a path; `embed` alone reads addresses")?;
    }
    if let Some(written_to) = written_to
        && let Some(both) = named.iter().find(|path| path.is_dir() && is_same_folder(path, written_to))
    {
        let cause = anyhow::anyhow!("{} is to be looked at and written to", both.display());
        return Err(CommandError::usage(cause).hint("write into another folder, which may lie inside this one"));
    }
    scan_beside(named, args, written_to, context)
}

fn is_same_folder(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The paths of the arguments, with `-` replaced by the list on standard input.
pub fn named(args: &PhotoArgs, context: &Context) -> Result<Vec<PathBuf>, CommandError> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for path in &args.paths {
        if path == Path::new("-") {
            context.reads_stdin()?;
            let list = Stream::standard_input(context.stop()).bytes(reading::LIST);
            let list = list.context("cannot read the list of photos from standard input")?;
            paths.extend(scan::listed(&list, args.walk.null));
        } else {
            paths.push(path.clone());
        }
    }
    Ok(paths)
}

/// The photos of a command that also accepts one on standard input.
#[derive(Debug)]
pub enum PhotoSet {
    /// The bytes of one photo from standard input.
    Bytes(Vec<u8>),
    Files(Scan),
}

/// Finds the photos of the arguments. With `-` alone, standard input may be a list or a photo itself.
pub fn find_or_read(args: &PhotoArgs, context: &Context) -> Result<PhotoSet, CommandError> {
    if !matches!(args.paths.as_slice(), [only] if only == Path::new("-")) {
        return find(args, context).map(PhotoSet::Files);
    }
    context.reads_stdin()?;
    let most = context.settings().photo_limits().max_file_bytes.max(reading::LIST);
    let bytes = Stream::standard_input(context.stop()).bytes(most);
    let bytes = bytes.context("cannot read standard input")?;
    if photo::sniff(&bytes).is_some() {
        return Ok(PhotoSet::Bytes(bytes));
    }
    found(&scan::listed(&bytes, args.walk.null), args, None, context).map(PhotoSet::Files)
}

pub fn scan(paths: &[PathBuf], args: &PhotoArgs, context: &Context) -> Result<Scan, CommandError> {
    scan_beside(paths, args, None, context)
}

fn scan_beside(
    paths: &[PathBuf],
    args: &PhotoArgs,
    written_to: Option<&Path>,
    context: &Context,
) -> Result<Scan, CommandError> {
    let written_to = written_to.into_iter().map(Path::to_owned).collect();
    let WalkArgs { hidden, follow, exclude, .. } = args.walk.clone();
    let options = scan::Options { hidden, follow, exclude, written_to };
    let scan =
        context.telemetry.time("discover_images", || scan::scan(paths, &options)).map_err(CommandError::usage)?;
    if scan.passed_over > 0 {
        context.ui.detail(&format!("{} passed over: no photos", counted(scan.passed_over, "file")));
    }
    if scan.hidden > 0 {
        // If no photos were found, this may be the reason.
        let message = format!("hidden files and folders passed over: {} (--hidden looks at them)", scan.hidden);
        if scan.photos.is_empty() { context.ui.note(&message) } else { context.ui.detail(&message) }
    }
    for folder in &scan.left_out {
        context.ui.detail(&format!("{}: passed over, for this run writes there", folder.display()));
    }
    let files = scan.photos.iter().flat_map(|photo| std::iter::once(&photo.path).chain(&photo.raws));
    files.into_iter().try_for_each(|file| context.reads(file))?;
    Ok(scan)
}

/// Runs the analyses over the photos and hands the report of each success to `each`, in scan order.
pub fn analyse(
    scan: &Scan,
    analyses: &[&dyn Analysis],
    medium: Option<u32>,
    hub: &ModelHub,
    context: &Context,
    mut each: impl FnMut(&Photo, PhotoReport) -> Result<(), CommandError>,
) -> Result<Tally, CommandError> {
    let mut tally = Tally::default();
    let mut ended = Ok(());
    let mut failures = Failures::default();
    for unreadable in &scan.unreadable {
        let (path, cause) = (unreadable.path.clone(), unreadable.cause.to_string());
        let failure = Failure { path, stage: Stage::Scan, code: unreadable.cause.code(), cause };
        tally.count(&failure, context, |failure| failures.add(failure, context))?;
    }
    let progress = context.ui.progress(scan.photos.len() as u64);
    let mut processed = 0;
    hub.look_at(&scan.photos, analyses, medium, |photo, outcome| {
        progress.step();
        processed += 1;
        let handled = match outcome {
            Ok(analysed) => {
                tally.done += 1;
                tally.from_store += usize::from(analysed.from_store);
                each(photo, analysed.report)
            }
            Err(failure) => tally.count(&failure, context, |failure| failures.add(failure, context)),
        };
        show_store_warnings(context);
        match handled {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                ended = Err(error);
                ControlFlow::Break(())
            }
        }
    });
    drop(progress);
    failures.finish(context);
    show_store_warnings(context);
    tally.interrupted = processed < scan.photos.len() && context.stopped();
    ended.map(|()| tally)
}

/// Must be called before every step of a selection and its delivery: nothing is selected from a part of the photos.
pub fn unless_interrupted(context: &Context) -> Result<(), CommandError> {
    if context.stopped() { Err(interrupted()) } else { Ok(()) }
}

pub fn interrupted() -> CommandError {
    let cause = "interrupted: nothing was chosen or written, files of earlier runs are as they were; what was measured \
                 is remembered, and the same command goes on from there";
    CommandError::interrupted(anyhow::anyhow!(cause))
}

fn show_store_warnings(context: &Context) {
    for warning in context.store().take_warnings() {
        context.ui.warn(&warning);
    }
}

impl Tally {
    pub fn fail(&mut self, failure: &Failure, context: &Context) -> Result<(), CommandError> {
        self.count(failure, context, |failure| context.ui.warn(&failure.to_string()))
    }

    fn count(&mut self, failure: &Failure, context: &Context, tell: impl FnOnce(&Failure)) -> Result<(), CommandError> {
        self.failed += 1;
        self.broken.extend(failure.is_lasting().then(|| failure.path.clone()));
        tell(failure);
        if context.strict {
            let cause = anyhow::anyhow!("ended at the first failure, as --strict asks");
            return Err(CommandError { kind: CommandErrorKind::Failed, cause, hints: Vec::new() });
        }
        Ok(())
    }

    /// Closes the output. Only a completed run with results replaces an earlier file.
    pub fn close<R: Record>(&self, output: Output<R>, context: &Context) -> Result<(), CommandError> {
        let not_written = if self.interrupted {
            output.finish_part(&context.ui)?
        } else if self.done == 0 {
            output.finish_empty(&context.ui)?
        } else {
            output.finish(&context.ui)?;
            false
        };
        if not_written {
            self.warn_not_written(context);
        }
        Ok(())
    }

    /// Warns that the output file was not written.
    pub fn warn_not_written(&self, context: &Context) {
        let Some(file) = context.output_file() else { return };
        let why = if self.interrupted {
            "not written: the run was interrupted; results so far are stored, and the same command resumes from there"
        } else {
            "left as it was: there are no results to take its place"
        };
        context.ui.warn(&format!("{}: {why}", file.display()));
    }

    /// Shows the summary line and returns the ending of the run.
    pub fn end(&self, command: &str, context: &Context) -> Ending {
        self.report_missing_models(context);
        context.ui.summary(&self.summary(command, context), self.failed > 0);
        self.ending(context)
    }

    /// Ends a run with its own summary line, which is also shown without a terminal if the run `wrote` something.
    pub fn end_with(&self, message: &str, wrote: bool, command: &str, context: &Context) -> Ending {
        self.report_missing_models(context);
        context.ui.detail(&self.summary(command, context));
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        context.ui.summary(&format!("{message}{failed}"), wrote || self.failed > 0);
        self.ending(context)
    }

    /// Reports missing models if there are results.
    fn report_missing_models(&self, context: &Context) {
        if self.done > 0 && !self.interrupted {
            context.report_missing_models();
        }
    }

    fn summary(&self, command: &str, context: &Context) -> String {
        let seconds = context.telemetry.elapsed().as_secs_f64();
        let rate = self.done as f64 / seconds.max(1e-9);
        let stopped = if self.interrupted { ", interrupted" } else { "" };
        format!(
            "{command}: {} in {seconds:.2} s ({rate:.1}/s), {} computed, {} from the store, {} failed{stopped}",
            counted(self.done, "photo"),
            self.done - self.from_store,
            self.from_store,
            self.failed
        )
    }

    fn ending(&self, context: &Context) -> Ending {
        context.telemetry.count("total_images", (self.done + self.failed) as u64);
        context.telemetry.count("from_store", self.from_store as u64);
        context.telemetry.count("failed", self.failed as u64);
        if self.interrupted {
            Ending::Interrupted
        } else if self.failed == 0 && self.done == 0 {
            context.ui.note("no photos found");
            Ending::NothingFound
        } else if self.failed == 0 {
            Ending::AllDone
        } else if self.done == 0 {
            Ending::NoneUsable
        } else {
            Ending::SomeFailed
        }
    }
}

pub fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
