//! Learning a person's taste from decisions: which photos and pairs teach it, and whether it counts.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::photos::counted;
use crate::context::Context;
use crate::error::CommandError;
use crate::journal::{Decisions, Facts, PhotoId, TasteExample, TasteMemory};
use crate::photo_report::PhotoReport;
use judge::select::{Decision, Photo, ScoreParts, Weights};
use judge::taste::{self, Example, Features, Learned, Pair, SCORES, Validation};
use photo::identity::ContentId;

/// Whether the learned taste counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TasteChoice {
    /// It counts if it orders photos measurably better than the scores alone
    #[default]
    Auto,
    /// It always counts
    On,
    /// It never counts
    Off,
}

/// The training data: examples from this and other albums, and pairs of them.
#[derive(Debug, Default)]
pub struct Lessons {
    pub examples: Vec<TasteExample>,
    pub pairs: Vec<Pair>,
    /// The contents of the photos of this album among the examples.
    pub of_album: HashSet<ContentId>,
}

/// A taste for the photos of an album.
#[derive(Debug, Default)]
pub struct AlbumTaste {
    /// The taste's contribution to the score of each photo; empty if it does not count.
    pub adds: Vec<f64>,
    /// Examples that are not in the journal yet.
    pub new: Vec<TasteExample>,
    /// Whether it counts, and why.
    pub told: Option<String>,
}

/// The parts of a run that a taste is learned from.
#[derive(Debug, Clone, Copy)]
pub struct ScoredAlbum<'a> {
    pub reports: &'a [PhotoReport],
    pub photos: &'a [Photo],
    pub weights: &'a Weights,
}

impl AlbumTaste {
    /// Learns from the decisions in the journal.
    pub fn of(choice: TasteChoice, album: ScoredAlbum, memory: &TasteMemory, decisions: &Decisions) -> Self {
        if choice == TasteChoice::Off {
            return Self::default();
        }
        let lessons = Lessons::of(album, memory, decisions);
        let model = album.reports.iter().find_map(model_of).unwrap_or_default();
        let Some(learned) = lessons.learn(model) else { return Self::default() };
        let counts = choice == TasteChoice::On || learned.helps();
        let adds = |report| learned.taste.adds(&features_of(report, model));
        let is_of_album = |example: &&TasteExample| lessons.of_album.contains(&example.photo.content);
        let of_album: Vec<TasteExample> = lessons.examples.iter().filter(is_of_album).cloned().collect();
        Self {
            adds: if counts { album.reports.iter().map(adds).collect() } else { Vec::new() },
            new: memory.without_known(&of_album).into_iter().cloned().collect(),
            told: Some(told(&learned, counts)),
        }
    }

    /// Applies the taste to the choice.
    pub fn apply(&self, photos: &mut [Photo]) {
        for (at, photo) in photos.iter_mut().enumerate() {
            photo.taste = self.adds.get(at).copied();
        }
    }

    /// Reports whether the taste counts: in a line if it does, with `-v` if it does not.
    pub fn report(&self, context: &Context) {
        if let Some(told) = &self.told {
            if self.adds.is_empty() { context.ui.detail(told) } else { context.ui.note(told) }
        }
    }

    /// Stores the examples, so that the taste outlives this album.
    pub fn keep(&self, context: &Context) {
        if self.new.is_empty() {
            return;
        }
        let stored = context.journal().and_then(|mut journal| {
            journal.remember(&self.new).map_err(|error| CommandError::failed(anyhow::Error::new(error)))
        });
        if let Err(error) = stored {
            let photos = counted(self.new.len(), "photo");
            context.ui.warn(&format!("what your decisions about {photos} say of your taste was not kept: {error}"));
        }
    }
}

impl Lessons {
    pub fn of(album: ScoredAlbum, memory: &TasteMemory, decisions: &Decisions) -> Self {
        let mut examples = of_album(album, memory, decisions);
        let of_album = examples.iter().map(|example| example.photo.content).collect();
        let known: HashSet<[u8; 32]> = memory.examples.iter().map(|example| key(example.photo)).collect();
        let is_known = |key: &[u8; 32]| known.contains(key);
        let here: HashSet<[u8; 32]> =
            album.reports.iter().filter_map(|report| Some(key(report.id()?))).filter(is_known).collect();
        for example in memory.examples.iter().filter(|example| !here.contains(&key(example.photo))) {
            // A newer decision here takes precedence over the example; imported examples have no other.
            let decision = decisions.lesson(example.photo).unwrap_or(example.decision);
            examples.push(TasteExample { decision, ..example.clone() });
        }
        // The order of the album must not affect the sums.
        examples.sort_by_key(|example| example.photo.content);
        let pairs = pairs(&examples, memory);
        Self { examples, pairs, of_album }
    }

    /// Embeddings count only if `model` made them.
    pub fn learn(&self, model: &str) -> Option<Learned> {
        let example = |example: &TasteExample| Example {
            features: Features {
                scores: SCORES.map(|name| example.facts.scores.get(name).copied()),
                kind: example.facts.kind.clone(),
                embedding: seen(&example.model, &example.embedding, model),
            },
            composite: example.facts.composite,
            scene: u64::from_le_bytes(std::array::from_fn(|at| example.scene[at])),
            kept: example.decision.map(|decision| decision == Decision::Keep),
        };
        let examples: Vec<Example> = self.examples.iter().map(example).collect();
        taste::learn(&examples, &self.pairs)
    }
}

/// The inputs of a taste for a photo. Its embedding counts only if `model` made it.
pub fn features_of(report: &PhotoReport, model: &str) -> Features {
    let embedding = seen(model_of(report).unwrap_or_default(), vector_of(report), model);
    Features { scores: scores(report), kind: kind_of(report), embedding }
}

/// An embedding as a taste sees it; empty if another model made it.
fn seen(made_by: &str, embedding: &[f32], model: &str) -> Vec<f32> {
    if made_by == model { taste::unwhitened(embedding, model) } else { Vec::new() }
}

/// The identity of a photo, independent of its metadata.
fn key(photo: PhotoId) -> [u8; 32] {
    photo.picture.map_or(photo.content.0, |picture| picture.0)
}

/// The photos of the album to learn from: decided ones, the best by score of scenes where another was kept, and those of
/// pairs.
fn of_album(album: ScoredAlbum, memory: &TasteMemory, decisions: &Decisions) -> Vec<TasteExample> {
    let ScoredAlbum { reports, photos, weights } = album;
    // A taste is about photos, whatever was asked for when it was learned.
    let weights = Weights { relevance: 0.0, ..*weights };
    let composite = |photo: usize| ScoreParts::of(&photos[photo], &weights).composite();
    let mut scenes: HashMap<usize, Vec<usize>> = HashMap::new();
    for (at, photo) in photos.iter().enumerate() {
        scenes.entry(photo.group.unwrap_or(photos.len() + at)).or_default().push(at);
    }
    let in_pairs: HashSet<[u8; 32]> = memory.pairs.iter().flat_map(|&(a, b)| [key(a), key(b)]).collect();
    let mut seen = HashSet::new();
    let mut examples = Vec::new();
    for members in scenes.values() {
        let lessons: Vec<Option<Decision>> =
            members.iter().map(|&photo| reports[photo].id().and_then(|id| decisions.lesson(id)).flatten()).collect();
        // Most scenes of a large album teach nothing, and `review` learns after every decision.
        if in_pairs.is_empty() && lessons.iter().all(Option::is_none) {
            continue;
        }
        let scene = scene_of(members, reports);
        let score = |&at: &usize| composite(members[at]).unwrap_or(f64::NEG_INFINITY);
        let best = (0..members.len()).max_by(|a, b| {
            score(a).total_cmp(&score(b)).then_with(|| photos[members[*b]].path.cmp(&photos[members[*a]].path))
        });
        let was_replaced = lessons.contains(&Some(Decision::Keep));
        for (at, (&photo, &decision)) in members.iter().zip(&lessons).enumerate() {
            let Some(id) = reports[photo].id() else { continue };
            let teaches = decision.is_some() || (was_replaced && best == Some(at)) || in_pairs.contains(&key(id));
            // Further files of a picture add nothing.
            if teaches && seen.insert(key(id)) {
                let described = described(id, &reports[photo], composite(photo));
                examples.push(TasteExample { scene, decision, ..described });
            }
        }
    }
    examples
}

/// The example of a photo, without scene and decision.
pub fn described(photo: PhotoId, report: &PhotoReport, composite: Option<f64>) -> TasteExample {
    TasteExample {
        photo,
        scene: photo.content.0,
        decision: None,
        facts: facts(report, composite),
        model: model_of(report).unwrap_or_default().to_owned(),
        embedding: vector_of(report).to_vec(),
    }
}

fn scene_of(members: &[usize], reports: &[PhotoReport]) -> [u8; 32] {
    members.iter().filter_map(|&photo| Some(reports[photo].content?.0)).min().unwrap_or_default()
}

/// Pairs that a person compared, and kept photos beside those of the same scene that would have been picked.
fn pairs(examples: &[TasteExample], memory: &TasteMemory) -> Vec<Pair> {
    let places: HashMap<[u8; 32], usize> =
        examples.iter().enumerate().map(|(at, example)| (key(example.photo), at)).collect();
    let place = |photo: PhotoId| places.get(&key(photo)).copied();
    let mut pairs: Vec<Pair> = memory
        .pairs
        .iter()
        .filter_map(|&(better, worse)| Some(Pair { better: place(better)?, worse: place(worse)? }))
        .collect();
    let mut scenes: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    examples.iter().enumerate().for_each(|(at, example)| scenes.entry(example.scene).or_default().push(at));
    for members in scenes.values() {
        let of = |decision| members.iter().copied().filter(move |&at| examples[at].decision == decision);
        for better in of(Some(Decision::Keep)) {
            for worse in of(None) {
                let is_known = |pair: &Pair| [(better, worse), (worse, better)].contains(&(pair.better, pair.worse));
                if !pairs.iter().any(is_known) {
                    pairs.push(Pair { better, worse });
                }
            }
        }
    }
    pairs
}

fn model_of(report: &PhotoReport) -> Option<&str> {
    report.embedding.as_ref().map(|embedding| embedding.model.as_str())
}

fn vector_of(report: &PhotoReport) -> &[f32] {
    report.embedding.as_ref().map_or(&[], |embedding| &embedding.vector)
}

/// The values of [`SCORES`]. Rounded, so that they are the same when they are read back from the journal.
fn scores(report: &PhotoReport) -> [Option<f64>; SCORES.len()] {
    let quality = report.quality.as_ref();
    let faces = report.portrait.as_ref();
    let values = [
        report.aesthetic.as_ref().map(|rated| (rated.score - 1.0) / 9.0),
        quality.map(|quality| quality.overall),
        faces.map(|faces| faces.portrait_score),
        quality.map(|quality| quality.sharpness),
        quality.map(|quality| quality.exposure),
        quality.map(|quality| quality.colorfulness),
        quality.map(|quality| quality.contrast),
        faces.map(|faces| faces.num_faces.min(5) as f64),
        faces.map(|faces| faces.face_ratio.unwrap_or(0.0)),
        (report.width > 0 && report.height > 0).then(|| (f64::from(report.width) / f64::from(report.height)).ln()),
    ];
    values.map(|value| value.filter(|value| value.is_finite()).map(rounded))
}

fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn facts(report: &PhotoReport, composite: Option<f64>) -> Facts {
    let named = SCORES.iter().zip(scores(report)).filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
    Facts { composite: composite.map(rounded), kind: kind_of(report), scores: named.collect() }
}

fn kind_of(report: &PhotoReport) -> Option<String> {
    report.kind.map(|kind| kind.what.word().to_owned())
}

/// Describes whether the taste counts, and the evidence.
pub fn told(learned: &Learned, counts: bool) -> String {
    let Some(validation) = learned.validation else {
        let why = "too little is decided to tell whether it helps";
        return if counts {
            format!("your taste counts as you asked, though {why}")
        } else {
            format!("your taste does not count yet: {why}")
        };
    };
    let Validation { default, taste, .. } = validation;
    let figures = format!(
        "of photos of other scenes it puts the better first in {:.0} %, the scores alone in {:.0} % ({}, {})",
        100.0 * taste,
        100.0 * default,
        counted(learned.decisions, "decision"),
        counted(learned.pairs, "pair"),
    );
    match (counts, learned.helps()) {
        (true, true) => format!("your taste counts: {figures}; --taste off chooses without it"),
        (true, false) => format!("your taste counts as you asked, though it is not shown to help: {figures}"),
        (false, _) => format!("your taste does not count, because it is not shown to help: {figures}"),
    }
}
