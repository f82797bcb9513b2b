//! Picking photos, and comparing two photos.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::groups::Groups;
use super::model_selection::{AlbumModels, SkipMissing};
use super::photos::named;
use super::{ModelHub, ModelHubError, PhotoInput};
use crate::analyses::ComparisonAnalysis;
use crate::photo_report::PhotoReport;
use crate::pipeline::Analysis;
use crate::telemetry::TIE_BREAK;
use hub::{Pairs, TaskNetwork as _};
use judge::cluster::{Embeddings, cosine};
use judge::portrait::Face;
use judge::select::{
    Comparator, Decision, DecisionSource, MissingReason, Photo, Portrait, Rules, SeenEyes, Selection, SequencePart,
    Verdict,
};
use photo::scan;

/// The result of comparing two photos.
#[derive(Debug, Clone, PartialEq)]
pub struct Preference {
    /// The probability that the first is the better one; 0.5 is a tie.
    pub first_is_better: f64,
    /// `name@version` of the network.
    pub model: String,
}

/// Provides the comparison network when photos are too close for their scores to decide.
pub trait TieBreakSource {
    type Error: From<ModelHubError>;

    /// The comparison network, if one is to be used.
    fn comparison(&mut self) -> Result<Option<ComparisonAnalysis>, Self::Error>;

    /// Runs the analysis on photos. Failed photos are left out of the result; reporting them is up to the implementation.
    fn analyse(&mut self, photos: &[scan::Photo], analysis: &dyn Analysis) -> Result<Vec<PhotoReport>, Self::Error>;
}

/// A person's decision about a photo, and where it is stored.
pub type FoundDecision = (Decision, DecisionSource);

/// The photos as input of the selection, each with a person's decision about it.
pub fn candidates(photos: &[PhotoReport], groups: &Groups, decisions: &[Option<FoundDecision>]) -> Vec<Photo> {
    let grouped = photos.iter().zip(&groups.clustering.labels).zip(decisions);
    let mut numbers: HashMap<&[PathBuf], usize> = HashMap::new();
    let candidates = grouped.map(|((photo, &label), decision)| {
        let sequence = photo.sequence.as_ref().map(|sequence| {
            let next = numbers.len();
            SequencePart {
                number: *numbers.entry(&sequence.frames).or_insert(next),
                kind: sequence.kind,
                from_middle: sequence.frames.iter().position(|frame| *frame == photo.path).unwrap_or(usize::MAX),
                frames: sequence.frames.len(),
            }
        });
        Photo { sequence, ..candidate(photo, usize::try_from(label).ok(), *decision) }
    });
    candidates.collect()
}

/// Replaces the decisions about the candidates.
pub fn decide(candidates: &mut [Photo], decisions: &[Option<FoundDecision>]) {
    for (candidate, found) in candidates.iter_mut().zip(decisions) {
        (candidate.decision, candidate.decision_source) = found.unzip();
    }
}

/// One photo as input of the selection, with its group and a person's decision where there are any.
pub fn candidate(photo: &PhotoReport, group: Option<usize>, decision: Option<FoundDecision>) -> Photo {
    Photo {
        path: photo.path.clone(),
        group,
        aesthetic: photo.aesthetic.as_ref().map(|rated| rated.score).ok_or(MissingReason::ModelMissing),
        iqa: photo.quality.as_ref().map(|quality| quality.overall).ok_or(MissingReason::NotMeasured),
        portrait: photo.portrait.as_deref().map(faces).ok_or(MissingReason::ModelMissing),
        sharpness: photo.quality.as_ref().map(|quality| quality.sharpness),
        face_sharpness: photo.portrait.as_deref().and_then(face_sharpness).unwrap_or_default(),
        eyes: photo.portrait.as_deref().map(eyes).unwrap_or_default(),
        taken_ms: photo.taken_ms(),
        decision: decision.map(|(decision, _)| decision),
        decision_source: decision.map(|(_, source)| source),
        kind: photo.kind,
        subject: photo.classified.as_ref().and_then(|classified| classified.subject().map(str::to_owned)),
        size: (photo.width > 0 && photo.height > 0).then_some((photo.width, photo.height)),
        day: photo.taken_at_text().and_then(|text| text.get(..DAY).map(str::to_owned)),
        people: photo.who(),
        content: photo.content.map(|content| content.0),
        sequence: None,
        taste: None,
        relevance: None,
        unwanted: None,
    }
}

/// Characters of `2026-05-04`.
const DAY: usize = 10;
/// The prominent faces from left to right.
fn people(portrait: &judge::portrait::Portrait) -> Vec<&Face> {
    let mut people: Vec<&Face> = portrait.faces.iter().filter(|face| face.is_prominent).collect();
    people.sort_by(|a, b| a.bbox[0].total_cmp(&b.bbox[0]));
    people
}

/// The sharpness of each prominent face; `None` unless all were measured reliably.
fn face_sharpness(portrait: &judge::portrait::Portrait) -> Option<Vec<f64>> {
    let is_sure = |face: &&Face| face.sharpness_confidence.is_some_and(|confidence| confidence >= SURE_SHARPNESS);
    people(portrait).into_iter().map(|face| Some(face).filter(is_sure)?.sharpness).collect()
}

fn eyes(portrait: &judge::portrait::Portrait) -> Vec<SeenEyes> {
    let of_face = |face: &Face| SeenEyes { bbox: face.bbox, lids: face.lids, smile: face.smile };
    people(portrait).into_iter().map(of_face).collect()
}

/// The smallest confidence at which faces of different photos are compared: about 64 pixels.
const SURE_SHARPNESS: f64 = 0.5;

/// The part of a portrait analysis that the selection needs.
fn faces(portrait: &judge::portrait::Portrait) -> Portrait {
    let people = people(portrait);
    let are_judged = people.iter().all(|face| face.eyes_open.is_some());
    let blinks = people.iter().position(|face| face.eyes_open == Some(false));
    Portrait {
        score: portrait.portrait_score,
        is_portrait: portrait.is_portrait || !people.is_empty(),
        eyes_open: portrait.eyes_open,
        is_smiling: portrait.is_smiling,
        people: if are_judged { people.len() } else { 0 },
        blinks: blinks.map(|index| index + 1),
    }
}

impl ModelHub {
    /// Compares two photos with the comparison model, or with the built-in model where that is missing.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let preference = hub.compare("fixtures/album/DSC_0102.jpg", "fixtures/album/DSC_0101.jpg")?;
    /// assert!(preference.first_is_better > 0.5 && preference.model.starts_with("album-mini@"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compare<'a>(
        &self,
        first: impl Into<PhotoInput<'a>>,
        second: impl Into<PhotoInput<'a>>,
    ) -> Result<Preference, ModelHubError> {
        let comparing = self.comparing(&mut SkipMissing::default())?;
        let features =
            |photo| self.ask_one(photo, self.medium(), &[&comparing])?.comparison.ok_or(ModelHubError::Unanswered);
        let (first, second) = (features(first.into())?, features(second.into())?);
        let first_is_better = comparing.network.prefer(&first, &second)?.into();
        Ok(Preference { first_is_better, model: comparing.network.reference() })
    }

    /// Ranks the photos and gives the reason why each was picked or not.
    pub fn choose<R: TieBreakSource>(
        &self,
        photos: &[PhotoReport],
        candidates: &[Photo],
        rules: &Rules,
        groups: &Groups,
        models: &AlbumModels,
        tie_breaks: &mut R,
    ) -> Result<Vec<Verdict>, R::Error> {
        let selection = Selection::of(candidates, rules).map_err(ModelHubError::from)?;
        let close = selection.needs_comparison();
        let begun = Instant::now();
        let tiebreaker = if close.is_empty() { None } else { Tiebreaker::new(photos, &close, models, tie_breaks)? };
        if tiebreaker.is_some() {
            self.telemetry().add(TIE_BREAK, begun.elapsed(), close.len() as u64);
        }
        self.unless_stopped()?;
        let likeness = Likeness::of(photos, &selection, groups, models, tie_breaks)?;
        let distance = |a: usize, b: usize| likeness.distance(a, b);
        let prefer = tiebreaker.as_ref().map(|tiebreaker| move |a: usize, b: usize| tiebreaker.prefer(a, b));
        let better = prefer.as_ref().map(|prefer| prefer as &dyn Fn(usize, usize) -> Option<f64>);
        let comparator = Comparator { better, distance: &distance };
        Ok(self.telemetry().time("select_best", || selection.verdicts(comparator)))
    }
}

/// How alike photos are, by their embeddings.
enum Likeness<'a> {
    OfAll(&'a Embeddings),
    /// By photo, of those whose distances the choice needs.
    OfSome(HashMap<usize, Arc<[f32]>>),
}

impl<'a> Likeness<'a> {
    /// Where grouping did without embeddings, those that the choice needs are read from the store.
    fn of<R: TieBreakSource>(
        photos: &[PhotoReport],
        selection: &Selection,
        groups: &'a Groups,
        models: &AlbumModels,
        tie_breaks: &mut R,
    ) -> Result<Self, R::Error> {
        if let Some(embeddings) = &groups.embeddings {
            return Ok(Self::OfAll(embeddings));
        }
        let needed = selection.needs_distances();
        let Some(features) = models.features.as_ref().filter(|_| !needed.is_empty()) else {
            return Ok(Self::OfSome(HashMap::new()));
        };
        let paths: Vec<&Path> = needed.iter().map(|&photo| photos[photo].path.as_path()).collect();
        let index: HashMap<&Path, usize> = paths.iter().copied().zip(needed).collect();
        let read = tie_breaks.analyse(&named(&paths), features.analysis())?;
        let embedded = |report: PhotoReport| Some((*index.get(report.path.as_path())?, report.embedding?.vector));
        Ok(Self::OfSome(read.into_iter().filter_map(embedded).collect()))
    }

    /// `None` where a photo has become unreadable meanwhile.
    fn distance(&self, a: usize, b: usize) -> Option<f64> {
        let cosine = match self {
            Self::OfAll(embeddings) => embeddings.cosine(a, b),
            Self::OfSome(vectors) => cosine(vectors.get(&a)?, vectors.get(&b)?),
        };
        Some(1.0 - cosine)
    }
}

/// The comparison model with the features of the photos that need a tie-break.
struct Tiebreaker {
    pairs: Pairs,
    /// By photo.
    features: Vec<Option<Vec<f32>>>,
}

impl Tiebreaker {
    /// Computes the features of the photos, except where the rating model is also the comparison model and has computed
    /// them already. A photo without features is not compared.
    fn new<R: TieBreakSource>(
        photos: &[PhotoReport],
        close: &[usize],
        models: &AlbumModels,
        tie_breaks: &mut R,
    ) -> Result<Option<Self>, R::Error> {
        let comparing = match &models.comparing {
            Some(comparing) => Some(Arc::clone(comparing)),
            None => tie_breaks.comparison()?.map(Arc::new),
        };
        let Some(comparing) = comparing else { return Ok(None) };
        let is_also = |rating: &crate::analyses::RatingAnalysis| rating.network.is_also(&comparing.network);
        let rated_by_it = models.rating.as_ref().map_or(Ok(false), is_also).map_err(ModelHubError::from)?;
        let strength = |photo: usize| photos[photo].aesthetic.as_ref()?.strength.filter(|_| rated_by_it);
        let mut features: Vec<Option<Vec<f32>>> = vec![None; photos.len()];
        close.iter().for_each(|&photo| features[photo] = strength(photo).map(|strength| vec![strength]));
        let unseen: Vec<usize> = close.iter().copied().filter(|&photo| features[photo].is_none()).collect();
        if !unseen.is_empty() {
            let paths: Vec<_> = unseen.iter().map(|&photo| photos[photo].path.as_path()).collect();
            let index: HashMap<_, usize> = paths.iter().copied().zip(unseen.iter().copied()).collect();
            for report in tie_breaks.analyse(&named(&paths), &*comparing)? {
                if let Some(&photo) = index.get(report.path.as_path()) {
                    features[photo] = report.comparison;
                }
            }
        }
        let pairs = comparing.network.pairs().map_err(ModelHubError::from)?;
        Ok(Some(Self { pairs, features }))
    }

    fn prefer(&self, a: usize, b: usize) -> Option<f64> {
        let (a, b) = (self.features[a].as_ref()?, self.features[b].as_ref()?);
        self.pairs.prefer(a, b).ok().map(f64::from)
    }
}
