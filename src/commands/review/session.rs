//! The album during a review. A decision is in the journal before its effect is reported.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread;

use serde::Serialize;

use super::choosing::{Choosing, ReviewedAlbum};
use crate::commands::album_export::{self, Selection};
use crate::commands::decide;
use crate::commands::open_models::Networks;
use crate::commands::photos::Tally;
use crate::commands::select::{ChoiceArgs, TieBreak};
use crate::context::{Context, journal_failed};
use crate::error::CommandError;
use crate::journal::{Journal, NewDecision, PhotoId};
use crate::report::html::{Entry, Judgement, Met, Page};
use judge::select::{Decision, Photo, Verdict};
use judge::taste::question::{Candidate, next_question};
use photo::scan;

/// An action of this review, for undo.
#[derive(Debug, Clone, Copy)]
enum Step {
    Decided { photo: usize, before: Option<Decision> },
    Preferred { better: usize, worse: usize },
}

#[derive(Debug)]
pub struct Session<'a> {
    album: ReviewedAlbum<'a>,
    journal: Journal,
    choosing: Choosing<'a>,
    page: Page,
    undo_stack: Vec<Step>,
    /// Pairs that were asked about or compared in this review; none is asked about again.
    asked: Vec<(usize, usize)>,
    /// The RAW files of each photo. Folders are listed once: a large one takes longer than the answer to a key press may.
    partners: Vec<Vec<PathBuf>>,
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
        album: ReviewedAlbum<'a>,
        choice: &ChoiceArgs,
        journal: Journal,
        networks: &'a Networks<'a>,
        tally: &'a mut Tally,
        context: &'a Context,
    ) -> Result<Self, CommandError> {
        let memory = journal.taste_memory().map_err(journal_failed)?;
        let tie_breaks = TieBreak { networks, tally, context, seen: HashMap::new() };
        let choosing = Choosing::begin(album, choice, memory, tie_breaks)?;
        let ReviewedAlbum { reports, .. } = album;
        let chosen = Selection {
            reports,
            from_file: false,
            photos: &choosing.photos,
            verdicts: &choosing.verdicts,
            is_whole: false,
        };
        let mut page = Page { served: true, ..album_export::page(chosen) };
        page.photos.iter_mut().for_each(served);
        let partners = scan::partners_of(reports.iter().map(|report| report.path.as_path()));
        Ok(Self { album, journal, choosing, page, undo_stack: Vec::new(), asked: Vec::new(), partners })
    }

    /// Makes the choice again if a decision is not included yet.
    pub fn settle(&mut self) -> Result<(), CommandError> {
        self.choosing.settle().map(drop)
    }

    pub fn page(&self) -> Result<String, CommandError> {
        json(&self.page)
    }

    pub fn decide(&mut self, photo: usize, decision: Option<Decision>) -> Result<String, CommandError> {
        let Some(report) = self.album.reports.get(photo) else {
            return Err(CommandError::usage(anyhow::anyhow!("the album has no such photo")));
        };
        let before = self.choosing.decisions().of(report.content, report.picture);
        if before == decision {
            return self.changes(Some(photo), Vec::new());
        }
        let changed = self.store(photo, decision)?;
        self.undo_stack.push(Step::Decided { photo, before });
        self.changes(Some(photo), changed)
    }

    /// Undoes the last decision of this review.
    pub fn undo(&mut self) -> Result<String, CommandError> {
        let (photo, changed) = match self.undo_stack.last() {
            None => return self.changes(None, Vec::new()),
            Some(&Step::Decided { photo, before }) => (photo, self.store(photo, before)?),
            Some(&Step::Preferred { better, worse }) => (better, self.store_preference(better, worse, true)?),
        };
        self.undo_stack.pop();
        self.changes(Some(photo), changed)
    }

    /// Stores that one of two photos is better.
    pub fn prefer(&mut self, better: usize, worse: usize) -> Result<String, CommandError> {
        let count = self.album.reports.len();
        if better == worse || better >= count || worse >= count {
            return Err(CommandError::usage(anyhow::anyhow!("two photos of the album are expected")));
        }
        let changed = self.store_preference(better, worse, false)?;
        self.undo_stack.push(Step::Preferred { better, worse });
        self.asked.push((better, worse));
        self.changes(Some(better), changed)
    }

    /// Returns the photos that changed, as `store` does.
    fn store_preference(
        &mut self,
        better: usize,
        worse: usize,
        is_withdrawn: bool,
    ) -> Result<Vec<usize>, CommandError> {
        let id = |photo: usize| self.album.reports[photo].id();
        let unknown = || anyhow::anyhow!("the content of a photo is not known, so nothing can be stored about it");
        let pair = id(better).zip(id(worse)).ok_or_else(unknown)?;
        let telemetry = &self.context().telemetry;
        telemetry.time("journal", || self.journal.prefer(pair, is_withdrawn)).map_err(journal_failed)?;
        self.choosing.set_memory(self.journal.taste_memory().map_err(journal_failed)?);
        self.choosing.settle()
    }

    /// The two photos to compare next; null if no question is left.
    pub fn question(&mut self) -> Result<String, CommandError> {
        let Some(embeddings) = &self.album.groups.embeddings else { return json(&None::<(usize, usize)>) };
        let Choosing { photos, verdicts, .. } = &self.choosing;
        let mut scores = vec![None; photos.len()];
        verdicts.iter().for_each(|verdict| scores[verdict.photo] = verdict.composite);
        let candidates: Vec<Candidate> = photos
            .iter()
            .enumerate()
            .map(|(at, photo)| Candidate {
                score: scores[at],
                scene: photo.group.unwrap_or(photos.len() + at),
                is_open: photo.decision.is_none(),
            })
            .collect();
        let mut known: Vec<usize> = (0..photos.len()).filter(|&at| photos[at].decision.is_some()).collect();
        // This many show which parts of the album have no decisions; using all photos of a large album would be slow.
        known.truncate(MOST_KNOWN);
        let distance = |a: usize, b: usize| 1.0 - embeddings.cosine(a, b);
        let pair = next_question(&candidates, &self.asked, &known, &distance);
        self.asked.extend(pair);
        json(&pair)
    }

    fn context(&self) -> &'a Context {
        self.choosing.tie_breaks.context
    }

    /// Stores a decision, and makes the choice with it while the disk is waited for. The decision is on disk when this
    /// returns. Returns the photos whose verdict or decision changed.
    fn store(&mut self, photo: usize, decision: Option<Decision>) -> Result<Vec<usize>, CommandError> {
        let report = &self.album.reports[photo];
        let ids = self.ids(photo)?;
        let new_decision = |id: &PhotoId| NewDecision { photo: *id, decision, path: &report.path };
        let new: Vec<NewDecision> = ids.iter().map(new_decision).collect();
        let mut expected = self.choosing.decisions().clone();
        new.iter().for_each(|new| _ = expected.take(new.photo, decision));
        let before = self.choosing.set_decisions(expected);
        let Self { journal, choosing, .. } = self;
        let telemetry = &choosing.tie_breaks.context.telemetry;
        let (stored, changed) = thread::scope(|scope| {
            let storing = scope.spawn(|| telemetry.time("journal", || journal.decide(&new)));
            let changed = choosing.settle();
            (storing.join(), changed)
        });
        match stored.unwrap_or_else(|panic| resume_unwind(panic)) {
            // Others than expected, where another process decided something meanwhile.
            Ok(stored) => choosing.set_decisions(stored),
            Err(error) => {
                before.and_then(|before| choosing.set_decisions(before));
                choosing.settle()?;
                return Err(journal_failed(error));
            }
        };
        let mut changed = changed?;
        changed.extend(choosing.settle()?);
        Ok(changed)
    }

    /// The identities of the photo and of its RAW files.
    fn ids(&self, photo: usize) -> Result<Vec<PhotoId>, CommandError> {
        let report = &self.album.reports[photo];
        let gone =
            || anyhow::anyhow!("{}: its content is not known, so no decision can be stored", report.path.display());
        let mut ids = vec![report.id().ok_or_else(gone)?];
        let raws = self.partners[photo].iter().filter(|raw| raw.is_file());
        ids.extend(decide::raw_ids(raws, self.context())?);
        Ok(ids)
    }

    /// Reports what changed about these photos.
    fn changes(&mut self, photo: Option<usize>, changed: Vec<usize>) -> Result<String, CommandError> {
        let Choosing { photos, verdicts, .. } = &self.choosing;
        let mut is_new = vec![false; photos.len()];
        changed.into_iter().for_each(|photo| is_new[photo] = true);
        let mut before = Vec::new();
        for verdict in verdicts.iter().filter(|verdict| is_new[verdict.photo]) {
            let now = album_export::judgement(photos, verdict);
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
        let context = self.context();
        let Choosing { photos, verdicts, taste, .. } = self.choosing;
        taste.report(context);
        taste.keep(context);
        (photos, verdicts)
    }
}

/// The server shows originals and stores decisions. A browser opens no local file for a page from a server.
fn served(entry: &mut Entry) {
    (entry.link, entry.content, entry.picture) = (None, None, None);
}

fn json(value: &impl Serialize) -> Result<String, CommandError> {
    Ok(serde_json::to_string(value).map_err(anyhow::Error::from)?)
}
