//! The album while it is looked at: each word of a person is in the journal before its effect is told.

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

/// What does not change while it is looked at.
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
    /// What other programs wrote about the photos.
    elsewhere: Vec<Option<FoundDecision>>,
    photos: Vec<Photo>,
    verdicts: Vec<Verdict>,
    page: Page,
    /// What was decided here, last first to be taken back: the photo, and what the journal said of it before.
    said: Vec<(usize, Option<Decision>)>,
    /// Whether the journal holds a word that the choice has not seen.
    stale: bool,
    tie_breaks: TieBreak<'a>,
}

/// What a word changed, for the page.
#[derive(Debug, Serialize)]
struct Change<'a> {
    /// The photo it was about; null where there was nothing to take back.
    photo: Option<usize>,
    /// Each photo of which something else holds now, with all that holds.
    changed: Vec<(usize, &'a Entry)>,
    /// Words that can be taken back.
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
            said: Vec::new(),
            stale: true,
            tie_breaks: TieBreak { networks, tally, context, seen: HashMap::new() },
        };
        session.choose()?;
        Ok(session)
    }

    /// The choice under the decisions that hold now.
    fn choose(&mut self) -> Result<(), CommandError> {
        let Album { reports, groups, models, rules } = self.album;
        let decisions = human_decisions::before(reports, &self.decisions, &self.elsewhere);
        let photos = choice::candidates(reports, groups, &decisions);
        let hub = &self.tie_breaks.networks.hub;
        let verdicts = hub.choose(reports, &photos, rules, groups, models, &mut self.tie_breaks)?;
        (self.photos, self.verdicts) = (photos, verdicts);
        let chosen = Chosen { reports, from_file: false, photos: &self.photos, verdicts: &self.verdicts };
        self.page = Page { served: true, ..album_export::page(chosen) };
        // The server shows the originals and takes the decisions: a browser opens no file for a page that a server sent.
        for photo in &mut self.page.photos {
            (photo.link, photo.content, photo.picture) = (None, None, None);
        }
        self.stale = false;
        Ok(())
    }

    /// Sees to it that the choice knows every word.
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
            self.write_down(photo, decision)?;
            self.said.push((photo, before));
        }
        self.changes(Some(photo))
    }

    /// Takes back the last word that was said here.
    pub fn undo(&mut self) -> Result<String, CommandError> {
        let Some(&(photo, before)) = self.said.last() else { return self.changes(None) };
        self.write_down(photo, before)?;
        self.said.pop();
        self.changes(Some(photo))
    }

    /// On disk when this returns.
    fn write_down(&mut self, photo: usize, decision: Option<Decision>) -> Result<(), CommandError> {
        let report = &self.album.reports[photo];
        let ids = self.ids(report)?;
        let entry = |id: &PhotoId| journal::NewDecision { photo: *id, decision, path: &report.path };
        let entries: Vec<journal::NewDecision> = ids.iter().map(entry).collect();
        self.tie_breaks.context.telemetry.time("journal", || self.journal.decide(&entries)).map_err(journal_failed)?;
        self.stale = true;
        // Read again: another albumctl may have written, too.
        self.decisions = self.journal.decisions().map_err(journal_failed)?;
        Ok(())
    }

    /// The photo's own, and those of the RAW files that are the same photo.
    fn ids(&self, report: &PhotoReport) -> Result<Vec<PhotoId>, CommandError> {
        let context = self.tie_breaks.context;
        let gone = || anyhow::anyhow!("{}: nothing tells by what it is known again", report.path.display());
        let mut ids = vec![report.id().ok_or_else(gone)?];
        ids.extend(decide::raw_ids(&report.path, context)?);
        Ok(ids)
    }

    /// Chooses anew, and tells what is different.
    fn changes(&mut self, photo: Option<usize>) -> Result<String, CommandError> {
        let before = self.page.photos.clone();
        self.settle()?;
        let now = self.page.photos.iter().enumerate();
        let changed = now.zip(&before).filter(|((_, now), before)| now != before).map(|(now, _)| now).collect();
        json(&Change { photo, changed, undo: self.said.len() })
    }

    /// The album as it was shown last.
    pub fn end(self) -> (Vec<Photo>, Vec<Verdict>) {
        (self.photos, self.verdicts)
    }
}

fn json(value: &impl Serialize) -> Result<String, CommandError> {
    Ok(serde_json::to_string(value).map_err(anyhow::Error::from)?)
}
