//! Copies or links of photos in a folder, planned before anything is written.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::photos::{Tally, counted};
use crate::context::Context;
use crate::error::CommandError;
use crate::failure::{Failure, Stage};
use crate::report::export::{self, AtTarget, ExportedPhoto, FileExport, Placement};
use crate::report::records::select::Written;
use crate::report::xmp::{self, NotEmbedded, SidecarValues};
use base::atomic::Folders;
use photo::companions::Companions;

/// The options for a folder of copies or links.
#[derive(Debug, clap::Args)]
pub struct FolderArgs {
    /// Copy the picks into this folder, whose photos are left out; nothing is overwritten
    #[arg(long, value_name = "DIR", conflicts_with = "link_to")]
    pub copy_to: Option<PathBuf>,

    /// Link the picks into this folder, whose photos are left out
    #[arg(long, value_name = "DIR")]
    pub link_to: Option<PathBuf>,

    /// The kind of links that --link-to makes
    #[arg(long, value_enum, value_name = "KIND", default_value = "soft", requires = "link_to")]
    pub link: LinkKind,

    /// What is exported with a photo: all files that belong to it (its film, RAW file and sidecars), or nothing
    #[arg(long, value_enum, value_name = "WHICH", default_value = "all")]
    pub companions: Along,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Along {
    All,
    Photo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LinkKind {
    Soft,
    Hard,
}

impl FolderArgs {
    fn folder(&self) -> Option<(&Path, Placement)> {
        let link = match self.link {
            LinkKind::Soft => Placement::SoftLink,
            LinkKind::Hard => Placement::HardLink,
        };
        let copies = self.copy_to.as_deref().map(|folder| (folder, Placement::Copy));
        copies.or_else(|| self.link_to.as_deref().map(|folder| (folder, link)))
    }

    /// The folder that is written to.
    pub fn place(&self) -> Option<&Path> {
        self.folder().map(|(folder, _)| folder)
    }

    pub fn is_asked(&self) -> bool {
        self.folder().is_some()
    }

    /// The photos to deliver, with their groups and companions.
    pub fn items(&self, photos: impl Iterator<Item = (PathBuf, Option<usize>)>) -> Vec<ExportedPhoto> {
        let mut beside = Companions::default();
        let item = |(path, group): (PathBuf, Option<usize>)| {
            let companions = if self.companions == Along::All { beside.of(&path) } else { Vec::new() };
            ExportedPhoto { path, group, companions }
        };
        photos.map(item).collect()
    }

    /// Plans where each photo goes; nothing is written yet.
    pub fn plan(&self, items: &[ExportedPhoto], group_folders: bool, dry_run: bool) -> Result<Delivery, CommandError> {
        let (steps, placement) = match self.folder() {
            Some((folder, placement)) => {
                (export::plan(items, folder, placement, group_folders).map_err(CommandError::failed)?, placement)
            }
            None => (Vec::new(), Placement::Copy),
        };
        let (all, steps) = (steps.len(), steps.into_iter());
        let (skipped, unrated) = (Vec::new(), Vec::new());
        Ok(Delivery { steps, placement, dry_run, all, placed: 0, skipped, unrated, folders: Folders::default() })
    }
}

/// A delivery into a folder, photo by photo in the planned order.
#[derive(Debug)]
pub struct Delivery {
    steps: std::vec::IntoIter<Vec<FileExport>>,
    placement: Placement,
    dry_run: bool,
    all: usize,
    placed: usize,
    /// Companions that were skipped because another version exists at the target.
    skipped: Vec<PathBuf>,
    /// Photos whose copies could not be given a rating.
    unrated: Vec<(PathBuf, NotEmbedded)>,
    folders: Folders,
}

impl Delivery {
    /// Places the next photo and its companions, or in a dry run returns where they would go. Returns nothing for a photo
    /// that could not be placed, which is reported, and at the end. The values are written into a copy.
    pub fn next(
        &mut self,
        values: Option<&SidecarValues>,
        tally: &mut Tally,
        context: &Context,
    ) -> Result<Vec<Written>, CommandError> {
        if context.stopped() && !self.dry_run && self.steps.len() > 0 {
            self.folders.sync().context("cannot keep what was put into the folder")?;
            let done = if self.placement == Placement::Copy { "copied" } else { "linked" };
            return Err(interrupted(&format!("{} of {} were {done}", self.placed, counted(self.all, "photo"))));
        }
        let mut written = Vec::new();
        for (at, step) in self.steps.next().unwrap_or_default().into_iter().enumerate() {
            let is_companion = at > 0;
            if is_companion && step.at_target == AtTarget::Other {
                self.skipped.push(step.target);
                continue;
            }
            // The paths may come from an untrusted file.
            let checked = if is_companion { Ok(()) } else { export::check(&step.source, None) };
            let content =
                values.filter(|_| !is_companion && checked.is_ok()).and_then(|values| self.rated(&step, values));
            let placed = checked.and_then(|()| {
                let folders = &mut self.folders;
                if self.dry_run {
                    Ok(step.target.clone())
                } else {
                    export::apply_with(&step, content.as_deref(), folders)
                }
            });
            match placed {
                Ok(target) => {
                    self.placed += usize::from(!is_companion);
                    let entry = Written::new(way_name(self.placement), &target, !self.dry_run);
                    written.push(Written { companion: is_companion, ..entry });
                    if content.is_some() {
                        written.push(Written::new("xmp_embed", &target, !self.dry_run));
                    }
                }
                Err(error) => {
                    tally.fail(&not_written(&step.source, &error), context)?;
                    if !is_companion {
                        break;
                    }
                }
            }
        }
        Ok(written)
    }

    /// The content of a copy with a rating inside; `None`, which is told at the end, for one that cannot have it. A copy of
    /// an earlier run stays as it is.
    fn rated(&mut self, step: &FileExport, values: &SidecarValues) -> Option<Vec<u8>> {
        let length = |path: &Path| path.metadata().map(|metadata| metadata.len()).ok();
        if step.at_target == AtTarget::Same && length(&step.target) == length(&step.source) {
            return None;
        }
        match xmp::embedded(&step.source, values) {
            Ok(content) => Some(content),
            Err(cause) => {
                self.unrated.push((step.source.clone(), cause));
                None
            }
        }
    }

    /// Syncs what was placed to disk, and reports skipped companions and copies without a rating.
    pub fn finish(mut self, context: &Context) -> Result<(), CommandError> {
        if let Some((first, cause)) = self.unrated.first() {
            let (copies, first) = (counted(self.unrated.len(), "photo"), first.display());
            context.ui.note(&format!("{copies} copied without a rating inside, the first {first}: {cause}"));
        }
        if let Some(first) = self.skipped.first() {
            let (files, first) = (counted(self.skipped.len(), "file"), first.display());
            let lie = if self.skipped.len() == 1 {
                "exists there in another version, which is kept"
            } else {
                "exist there in other versions, which are kept"
            };
            context.ui.note(&format!("{files} beside the photos {lie}, the first {first}"));
        }
        self.folders.sync().context("cannot keep what was put into the folder").map_err(CommandError::failed)
    }
}

/// The error for an interrupted delivery. Files delivered so far are complete; lists and pages are not written, as they
/// would describe a finished album.
pub fn interrupted(done: &str) -> CommandError {
    let cause = anyhow::anyhow!("interrupted: {done}, and nothing after that; the same command does the rest");
    CommandError::interrupted(cause)
}

fn way_name(placement: Placement) -> &'static str {
    match placement {
        Placement::Copy => "copy",
        Placement::HardLink => "hard_link",
        Placement::SoftLink => "soft_link",
    }
}

pub fn not_written(path: &Path, error: &dyn std::error::Error) -> Failure {
    let mut cause = error.to_string();
    let mut below = error.source();
    while let Some(source) = below {
        cause = format!("{cause}: {source}");
        below = source.source();
    }
    Failure { path: path.to_owned(), stage: Stage::Write, code: "not_written", cause }
}
