//! The album during a review. A decision is in the journal before its effect is reported.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::path::PathBuf;

use serde::Serialize;

use crate::commands::album_export::{self, Album as Chosen};
use crate::commands::decide;
use crate::commands::human_decisions;
use crate::commands::learning::{self, AlbumTaste, TasteChoice};
use crate::commands::open_models::Networks;
use crate::commands::photos::Tally;
use crate::commands::select::{ChoiceArgs, TieBreak};
use crate::context::{Context, journal_failed};
use crate::error::CommandError;
use crate::journal::{self, Decisions, Journal, PhotoId, TasteMemory};
use crate::library::Groups;
use crate::library::choice::{self, FoundDecision};
use crate::library::model_selection::AlbumModels;
use crate::photo_report::PhotoReport;
use crate::report::html::{Entry, Judgement, Met, Page};
use judge::select::{Decision, Photo, Rules, Verdict};
use judge::taste::question::{Candidate, next_question};
use photo::scan;

/// The parts of the album that stay the same during a review.
#[derive(Debug, Clone, Copy)]
pub struct Album<'a> {
    pub reports: &'a [PhotoReport],
    pub groups: &'a Groups,
    pub models: &'a AlbumModels,
    pub rules: &'a Rules,
}

/// An action of this review, for undo.
#[derive(Debug, Clone, Copy)]
enum Step {
    Decided { photo: usize, before: Option<Decision> },
    Preferred { better: usize, worse: usize },
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
    undo_stack: Vec<Step>,
    /// Pairs that were asked about or compared in this review; none is asked about again.
    asked: Vec<(usize, usize)>,
    /// The RAW files of each photo. Folders are listed once: a large one takes longer than the answer to a key press may.
    partners: Vec<Vec<PathBuf>>,
    /// Whether the journal has a decision that the choice does not include yet.
    stale: bool,
    tie_breaks: TieBreak<'a>,
    choice: TasteChoice,
    memory: TasteMemory,
    taste: AlbumTaste,
}

/// The number of decided photos that a new question keeps away from.
const MOST_KNOWN: usize = 100;

/// The effect of a decision, for the page.
#[derive(Debug, Serialize)]
struct Change<'a> {
    /// The decided photo; null if there was nothing to undo.
    photo: Option<usize>,
    /// The photos of which more than the reason changed, with that.
    changed: Vec<(usize, Update<'a>)>,
    /// New reasons, each with the photos that it is true of: often all others of a large scene have the same.
    reasons: Vec<(&'a str, Vec<usize>)>,
    /// The number of decisions that can be undone.
    undo: usize,
}

/// The changed parts of what the page tells of the choice about a photo.
#[derive(Debug, PartialEq, Serialize)]
#[expect(clippy::option_option, reason = "null is a value, and what did not change is left out")]
struct Update<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<Option<usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    composite: Option<Option<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<&'a [Met]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_call: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Option<&'static str>>,
}

impl<'a> Update<'a> {
    const NONE: Self = Self { rank: None, composite: None, met: None, close_call: None, decision: None };

    fn of(now: &'a Judgement, before: &Judgement) -> Self {
        Self {
            rank: (now.rank != before.rank).then_some(now.rank),
            composite: (now.composite != before.composite).then_some(now.composite),
            met: (now.met != before.met).then_some(now.met.as_slice()),
            close_call: (now.close_call != before.close_call).then_some(now.close_call),
            decision: (now.decision != before.decision).then_some(now.decision),
        }
    }
}

impl<'a> Session<'a> {
    pub fn begin(
        album: Album<'a>,
        choice: &ChoiceArgs,
        journal: Journal,
        networks: &'a Networks<'a>,
        tally: &'a mut Tally,
        context: &'a Context,
    ) -> Result<Self, CommandError> {
        let decisions = human_decisions::in_journal(album.reports, false, context)?;
        let elsewhere = human_decisions::elsewhere(album.reports, choice.ratings);
        let memory = journal.taste_memory().map_err(journal_failed)?;
        let mut photos = choice::candidates(album.reports, album.groups, &vec![None; album.reports.len()]);
        choice.query.apply(&mut photos, album.reports, album.models.description.as_ref(), context)?;
        let mut session = Self {
            album,
            journal,
            decisions,
            elsewhere,
            photos,
            verdicts: Vec::new(),
            page: Page::default(),
            undo_stack: Vec::new(),
            asked: Vec::new(),
            partners: scan::partners_of(album.reports.iter().map(|report| report.path.as_path())),
            stale: true,
            tie_breaks: TieBreak { networks, tally, context, seen: HashMap::new() },
            choice: choice.taste,
            memory,
            taste: AlbumTaste::default(),
        };
        session.settle()?;
        let Album { reports, .. } = album;
        let chosen =
            Chosen { reports, from_file: false, photos: &session.photos, verdicts: &session.verdicts, is_whole: false };
        session.page = Page { served: true, ..album_export::page(chosen) };
        session.page.photos.iter_mut().for_each(served);
        Ok(session)
    }

    /// Makes the choice again if a decision is not included yet. Returns the photos whose verdict or decision changed.
    pub fn settle(&mut self) -> Result<Vec<usize>, CommandError> {
        if !self.stale {
            return Ok(Vec::new());
        }
        let Album { reports, groups, models, rules } = self.album;
        let before: Vec<Option<Decision>> = self.photos.iter().map(|photo| photo.decision).collect();
        choice::decide(&mut self.photos, &human_decisions::before(reports, &self.decisions, &self.elsewhere));
        let album = learning::Album { reports, photos: &self.photos, weights: &rules.weights };
        self.taste = AlbumTaste::of(self.choice, album, &self.memory, &self.decisions);
        self.taste.apply(&mut self.photos);
        let hub = &self.tie_breaks.networks.hub;
        let verdicts = hub.choose(reports, &self.photos, rules, groups, models, &mut self.tie_breaks)?;
        let mut old: Vec<Option<&Verdict>> = vec![None; reports.len()];
        for verdict in &self.verdicts {
            old[verdict.photo] = Some(verdict);
        }
        let is_new = |verdict: &&Verdict| {
            let photo = verdict.photo;
            old[photo] != Some(*verdict) || before[photo] != self.photos[photo].decision
        };
        let changed = verdicts.iter().filter(is_new).map(|verdict| verdict.photo).collect();
        (self.verdicts, self.stale) = (verdicts, false);
        Ok(changed)
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
            self.undo_stack.push(Step::Decided { photo, before });
        }
        self.changes(Some(photo))
    }

    /// Undoes the last decision of this review.
    pub fn undo(&mut self) -> Result<String, CommandError> {
        let photo = match self.undo_stack.last() {
            None => return self.changes(None),
            Some(&Step::Decided { photo, before }) => {
                self.store(photo, before)?;
                photo
            }
            Some(&Step::Preferred { better, worse }) => {
                self.store_preference(better, worse, true)?;
                better
            }
        };
        self.undo_stack.pop();
        self.changes(Some(photo))
    }

    /// Stores that one of two photos is better.
    pub fn prefer(&mut self, better: usize, worse: usize) -> Result<String, CommandError> {
        let count = self.album.reports.len();
        if better == worse || better >= count || worse >= count {
            return Err(CommandError::usage(anyhow::anyhow!("two photos of the album are expected")));
        }
        self.store_preference(better, worse, false)?;
        self.undo_stack.push(Step::Preferred { better, worse });
        self.asked.push((better, worse));
        self.changes(Some(better))
    }

    fn store_preference(&mut self, better: usize, worse: usize, is_withdrawn: bool) -> Result<(), CommandError> {
        let id = |photo: usize| self.album.reports[photo].id();
        let unknown = || anyhow::anyhow!("the content of a photo is not known, so nothing can be stored about it");
        let pair = id(better).zip(id(worse)).ok_or_else(unknown)?;
        let telemetry = &self.tie_breaks.context.telemetry;
        telemetry.time("journal", || self.journal.prefer(pair, is_withdrawn)).map_err(journal_failed)?;
        self.memory = self.journal.taste_memory().map_err(journal_failed)?;
        self.stale = true;
        Ok(())
    }

    /// The two photos to compare next; null if no question is left.
    pub fn question(&mut self) -> Result<String, CommandError> {
        let embeddings = &self.album.groups.embeddings;
        let mut scores = vec![None; self.photos.len()];
        self.verdicts.iter().for_each(|verdict| scores[verdict.photo] = verdict.composite);
        let candidates: Vec<Candidate> = self
            .photos
            .iter()
            .enumerate()
            .map(|(at, photo)| Candidate {
                score: scores[at],
                scene: photo.group.unwrap_or(self.photos.len() + at),
                is_open: photo.decision.is_none(),
            })
            .collect();
        let mut known: Vec<usize> = (0..self.photos.len()).filter(|&at| self.photos[at].decision.is_some()).collect();
        // This many show which parts of the album have no decisions; using all photos of a large album would be slow.
        known.truncate(MOST_KNOWN);
        let distance = |a: usize, b: usize| 1.0 - embeddings.cosine(a, b);
        let pair = next_question(&candidates, &self.asked, &known, &distance);
        self.asked.extend(pair);
        json(&pair)
    }

    /// Stores a decision; it is on disk when this returns.
    fn store(&mut self, photo: usize, decision: Option<Decision>) -> Result<(), CommandError> {
        let report = &self.album.reports[photo];
        let ids = self.ids(photo)?;
        let new_decision = |id: &PhotoId| journal::NewDecision { photo: *id, decision, path: &report.path };
        let decisions: Vec<journal::NewDecision> = ids.iter().map(new_decision).collect();
        let telemetry = &self.tie_breaks.context.telemetry;
        self.decisions = telemetry.time("journal", || self.journal.decide(&decisions)).map_err(journal_failed)?;
        self.stale = true;
        Ok(())
    }

    /// The identities of the photo and of its RAW files.
    fn ids(&self, photo: usize) -> Result<Vec<PhotoId>, CommandError> {
        let report = &self.album.reports[photo];
        let gone =
            || anyhow::anyhow!("{}: its content is not known, so no decision can be stored", report.path.display());
        let mut ids = vec![report.id().ok_or_else(gone)?];
        let raws = self.partners[photo].iter().filter(|raw| raw.is_file());
        ids.extend(decide::raw_ids(raws, self.tie_breaks.context)?);
        Ok(ids)
    }

    /// Makes the choice again and reports what changed.
    fn changes(&mut self, photo: Option<usize>) -> Result<String, CommandError> {
        let mut is_new = vec![false; self.photos.len()];
        self.settle()?.into_iter().for_each(|photo| is_new[photo] = true);
        let mut before = Vec::new();
        for verdict in self.verdicts.iter().filter(|verdict| is_new[verdict.photo]) {
            let now = album_export::judgement(&self.photos[verdict.photo], verdict);
            before.push((verdict.photo, mem::replace(&mut self.page.photos[verdict.photo].judgement, now)));
        }
        let mut reasons: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut changed = Vec::new();
        for (photo, before) in &before {
            let now = &self.page.photos[*photo].judgement;
            let update = Update::of(now, before);
            if update != Update::NONE {
                changed.push((*photo, update));
            }
            if now.reason != before.reason {
                reasons.entry(&now.reason).or_default().push(*photo);
            }
        }
        json(&Change { photo, changed, reasons: reasons.into_iter().collect(), undo: self.undo_stack.len() })
    }

    /// The album as last shown.
    pub fn end(self) -> (Vec<Photo>, Vec<Verdict>) {
        let context = self.tie_breaks.context;
        self.taste.report(context);
        self.taste.keep(context);
        (self.photos, self.verdicts)
    }
}

/// The server shows originals and stores decisions. A browser opens no local file for a page from a server.
fn served(entry: &mut Entry) {
    (entry.link, entry.content, entry.picture) = (None, None, None);
}

fn json(value: &impl Serialize) -> Result<String, CommandError> {
    Ok(serde_json::to_string(value).map_err(anyhow::Error::from)?)
}
