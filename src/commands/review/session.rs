//! The album during a review. A decision is in the journal before its effect is reported.

use std::collections::HashMap;

use serde::Serialize;

use crate::commands::album_export::{self, Album as Chosen};
use crate::commands::decide;
use crate::commands::human_decisions::{self, Ratings};
use crate::commands::open_models::Networks;
use crate::commands::photos::Tally;
use crate::commands::select::TieBreak;
use crate::context::{Context, journal_failed};
use crate::error::CommandError;
use crate::journal::{self, Decisions, Journal, PhotoId};
use crate::library::Groups;
use crate::library::choice::{self, FoundDecision};
use crate::library::model_selection::AlbumModels;
use crate::photo_report::PhotoReport;
use crate::report::html::{Entry, Page};
use judge::select::{Decision, Photo, Rules, Verdict};

/// The parts of the album that stay the same during a review.
#[derive(Debug, Clone, Copy)]
pub struct Album<'a> {
    pub reports: &'a [PhotoReport],
    pub groups: &'a Groups,
    pub models: &'a AlbumModels,
    pub rules: &'a Rules,
}

#[derive(Debug)]
pub struct Session<'a> {
    album: Album<'a>,
    journal: Journal,
    decisions: Decisions,
    /// The decisions that other programs stored in sidecars or photos.
    elsewhere: Vec<Option<FoundDecision>>,
    photos: Vec<Photo>,
    verdicts: Vec<Verdict>,
    page: Page,
    /// The decisions of this review, for undo: the photo, and the decision before.
    undo_stack: Vec<(usize, Option<Decision>)>,
    /// Whether the journal has a decision that the choice does not include yet.
    stale: bool,
    tie_breaks: TieBreak<'a>,
}

/// The effect of a decision, for the page.
#[derive(Debug, Serialize)]
struct Change<'a> {
    /// The photo that was decided about; null where there was nothing to undo.
    photo: Option<usize>,
    /// The photos whose entries changed, with their new entries.
    changed: Vec<(usize, &'a Entry)>,
    /// The number of decisions that can be undone.
    undo: usize,
}

impl<'a> Session<'a> {
    pub fn begin(
        album: Album<'a>,
        ratings: Ratings,
        journal: Journal,
        networks: &'a Networks<'a>,
        tally: &'a mut Tally,
        context: &'a Context,
    ) -> Result<Self, CommandError> {
        let decisions = human_decisions::in_journal(album.reports, false, context)?;
        let elsewhere = human_decisions::elsewhere(album.reports, ratings);
        let mut session = Self {
            album,
            journal,
            decisions,
            elsewhere,
            photos: Vec::new(),
            verdicts: Vec::new(),
            page: Page::default(),
            undo_stack: Vec::new(),
            stale: true,
            tie_breaks: TieBreak { networks, tally, context, seen: HashMap::new() },
        };
        session.choose()?;
        Ok(session)
    }

    /// Makes the choice under the decisions in force.
    fn choose(&mut self) -> Result<(), CommandError> {
        let Album { reports, groups, models, rules } = self.album;
        let decisions = human_decisions::before(reports, &self.decisions, &self.elsewhere);
        let photos = choice::candidates(reports, groups, &decisions);
        let hub = &self.tie_breaks.networks.hub;
        let verdicts = hub.choose(reports, &photos, rules, groups, models, &mut self.tie_breaks)?;
        (self.photos, self.verdicts) = (photos, verdicts);
        let chosen =
            Chosen { reports, from_file: false, photos: &self.photos, verdicts: &self.verdicts, is_whole: false };
        self.page = Page { served: true, ..album_export::page(chosen) };
        // The server shows originals and stores decisions. A browser opens no local file for a page from a server.
        for photo in &mut self.page.photos {
            (photo.link, photo.content, photo.picture) = (None, None, None);
        }
        self.stale = false;
        Ok(())
    }

    /// Makes the choice again if a decision is not included yet.
    pub fn settle(&mut self) -> Result<(), CommandError> {
        if self.stale { self.choose() } else { Ok(()) }
    }

    pub fn page(&self) -> Result<String, CommandError> {
        json(&self.page)
    }

    pub fn decide(&mut self, photo: usize, decision: Option<Decision>) -> Result<String, CommandError> {
        let Some(report) = self.album.reports.get(photo) else {
            return Err(CommandError::usage(anyhow::anyhow!("the album has no such photo")));
        };
        let before = self.decisions.of(report.content, report.picture);
        if before != decision {
            self.store(photo, decision)?;
            self.undo_stack.push((photo, before));
        }
        self.changes(Some(photo))
    }

    /// Undoes the last decision of this review.
    pub fn undo(&mut self) -> Result<String, CommandError> {
        let Some(&(photo, before)) = self.undo_stack.last() else { return self.changes(None) };
        self.store(photo, before)?;
        self.undo_stack.pop();
        self.changes(Some(photo))
    }

    /// Stores a decision; it is on disk when this returns.
    fn store(&mut self, photo: usize, decision: Option<Decision>) -> Result<(), CommandError> {
        let report = &self.album.reports[photo];
        let ids = self.ids(report)?;
        let new_decision = |id: &PhotoId| journal::NewDecision { photo: *id, decision, path: &report.path };
        let decisions: Vec<journal::NewDecision> = ids.iter().map(new_decision).collect();
        self.tie_breaks
            .context
            .telemetry
            .time("journal", || self.journal.decide(&decisions))
            .map_err(journal_failed)?;
        self.stale = true;
        // Read again, because another albumctl may have stored decisions, too.
        self.decisions = self.journal.decisions().map_err(journal_failed)?;
        Ok(())
    }

    /// The identities of the photo and of its RAW files.
    fn ids(&self, report: &PhotoReport) -> Result<Vec<PhotoId>, CommandError> {
        let context = self.tie_breaks.context;
        let gone =
            || anyhow::anyhow!("{}: its content is not known, so no decision can be stored", report.path.display());
        let mut ids = vec![report.id().ok_or_else(gone)?];
        ids.extend(decide::raw_ids(&report.path, context)?);
        Ok(ids)
    }

    /// Makes the choice again and reports what changed.
    fn changes(&mut self, photo: Option<usize>) -> Result<String, CommandError> {
        let before = self.page.photos.clone();
        self.settle()?;
        let now = self.page.photos.iter().enumerate();
        let changed = now.zip(&before).filter(|((_, now), before)| now != before).map(|(now, _)| now).collect();
        json(&Change { photo, changed, undo: self.undo_stack.len() })
    }

    /// The album as last shown.
    pub fn end(self) -> (Vec<Photo>, Vec<Verdict>) {
        (self.photos, self.verdicts)
    }
}

fn json(value: &impl Serialize) -> Result<String, CommandError> {
    Ok(serde_json::to_string(value).map_err(anyhow::Error::from)?)
}
