//! The choice during a review, made again with every decision.

use std::mem;

use crate::commands::human_decisions;
use crate::commands::learning::{self, AlbumTaste, TasteChoice};
use crate::commands::select::{ChoiceArgs, TieBreak};
use crate::error::CommandError;
use crate::journal::{Decisions, TasteMemory};
use crate::library::Groups;
use crate::library::choice::{self, FoundDecision};
use crate::library::model_selection::AlbumModels;
use crate::photo_report::PhotoReport;
use judge::select::{Decision, Photo, Rules, Verdict};

/// The parts of the album that stay the same during a review.
#[derive(Debug, Clone, Copy)]
pub struct ReviewedAlbum<'a> {
    pub reports: &'a [PhotoReport],
    pub groups: &'a Groups,
    pub models: &'a AlbumModels,
    pub rules: &'a Rules,
}

#[derive(Debug)]
pub struct Choosing<'a> {
    album: ReviewedAlbum<'a>,
    decisions: Decisions,
    /// The decisions that other programs stored in sidecars or photos.
    elsewhere: Vec<Option<FoundDecision>>,
    memory: TasteMemory,
    /// Whether the choice does not include the decisions yet.
    stale: bool,
    taste_choice: TasteChoice,
    pub tie_breaks: TieBreak<'a>,
    pub photos: Vec<Photo>,
    pub verdicts: Vec<Verdict>,
    pub taste: AlbumTaste,
}

impl<'a> Choosing<'a> {
    pub fn begin(
        album: ReviewedAlbum<'a>,
        args: &ChoiceArgs,
        memory: TasteMemory,
        tie_breaks: TieBreak<'a>,
    ) -> Result<Self, CommandError> {
        let ReviewedAlbum { reports, groups, models, .. } = album;
        let context = tie_breaks.context;
        let mut photos = choice::candidates(reports, groups, &vec![None; reports.len()]);
        args.query.apply(&mut photos, reports, models.description.as_ref(), context)?;
        let mut choosing = Self {
            album,
            decisions: human_decisions::in_journal(reports, false, context)?,
            elsewhere: human_decisions::elsewhere(reports, args.ratings),
            memory,
            stale: true,
            taste_choice: args.taste,
            tie_breaks,
            photos,
            verdicts: Vec::new(),
            taste: AlbumTaste::default(),
        };
        choosing.settle()?;
        Ok(choosing)
    }

    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// Returns the decisions that were in force before, if others are now.
    pub fn set_decisions(&mut self, decisions: Decisions) -> Option<Decisions> {
        if self.decisions == decisions {
            return None;
        }
        self.stale = true;
        Some(mem::replace(&mut self.decisions, decisions))
    }

    pub fn set_memory(&mut self, memory: TasteMemory) {
        (self.memory, self.stale) = (memory, true);
    }

    /// Makes the choice again if it does not include all decisions. Returns the photos whose verdict or decision changed.
    pub fn settle(&mut self) -> Result<Vec<usize>, CommandError> {
        if !self.stale {
            return Ok(Vec::new());
        }
        let ReviewedAlbum { reports, groups, models, rules } = self.album;
        let before: Vec<Option<Decision>> = self.photos.iter().map(|photo| photo.decision).collect();
        choice::decide(&mut self.photos, &human_decisions::before(reports, &self.decisions, &self.elsewhere));
        let album = learning::ScoredAlbum { reports, photos: &self.photos, weights: &rules.weights };
        self.taste = AlbumTaste::of(self.taste_choice, album, &self.memory, &self.decisions);
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
}
