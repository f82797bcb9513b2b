//! One model as the commands see it: a manifest, a file, and a network that is loaded when the first photo needs it.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use candle_core::Device;

use super::cache::stamp_of;
use super::device;
use super::digest::Digest;
use super::loaded_networks::{Key, Weight};
use super::manifest::{Architecture, Manifest, Task};
use super::prepare;
use super::registry::{self, BuildError, Built, OnTrunk};
use super::{Held, HubError, Shared};
use base::pixels::Pixels;
use judge::cluster::scene_layout;
use networks::checkpoint::WeightsError;
use networks::mini::views::{self, Answers, Views};
use networks::mini::{KINDS, answer, comparison_features, details_of};
use networks::preference;
use networks::weights::WeightsFile;

/// What a face holds on to.
#[derive(Clone, Debug)]
pub(super) struct Model {
    shared: Arc<Shared>,
    manifest: Arc<Manifest>,
    file: Held,
    /// Of a file that was verified by it.
    sha256: Option<Digest>,
    device: Device,
    key: Key,
    identity: Arc<OnceLock<String>>,
    dim: Arc<OnceLock<usize>>,
}

/// A kind of network: what it is for decides which models it can be.
#[expect(private_bounds, reason = "only the hub makes models")]
pub trait Network: From<Model> + Clone + std::fmt::Debug + Send + Sync {
    const TASK: Task;

    /// `name@version`.
    fn reference(&self) -> String;

    fn manifest(&self) -> &Manifest;

    /// For cache keys: changes whenever a result could.
    fn identity(&self) -> Result<String, HubError>;

    /// Whether whoever asks it waits for a card.
    fn runs_on_card(&self) -> bool;

    /// Loads it now, if it is not in memory yet. It stays there as long as what is returned lives.
    fn load(&self) -> Result<Loaded, HubError>;
}

/// Keeps a network in memory.
#[derive(Clone, Debug)]
pub struct Loaded(#[expect(dead_code, reason = "held")] Arc<dyn std::fmt::Debug + Send + Sync>);

impl Loaded {
    pub(super) fn of(network: Arc<dyn std::fmt::Debug + Send + Sync>) -> Self {
        Self(network)
    }
}

impl Weight for Built {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Model {
    pub fn new(shared: Arc<Shared>, manifest: Manifest, file: Held, sha256: Option<Digest>, device: Device) -> Self {
        let reference = manifest.reference();
        let preprocess = preprocessing(&manifest);
        let place = device.location();
        let lies = stamp_of(&file.path);
        let by = by_candle(&shared, &device);
        let built = format!("{} {lies} {preprocess} {:?} {place:?}{by}", file.path.display(), shared.engine);
        let key = Key { reference, built };
        Self {
            shared,
            manifest: Arc::new(manifest),
            file,
            sha256,
            device,
            key,
            identity: Arc::default(),
            dim: Arc::default(),
        }
    }

    /// Everything that shapes the numbers: name, version, weights, preprocessing, precision.
    ///
    /// A file that was verified goes by its hash; any other is hashed.
    pub fn identity(&self) -> Result<String, HubError> {
        if let Some(identity) = self.identity.get() {
            return Ok(identity.clone());
        }
        let weights = match &self.sha256 {
            Some(sha256) => format!("sha256:{sha256}"),
            None => format!("blake3:{}", self.file.open()?.blake3()?),
        };
        let preprocess = preprocessing(&self.manifest);
        let precision = self.shared.engine.precision.name();
        let shown = if self.is_mini() { views::REVISION } else { "" };
        let by = by_candle(&self.shared, &self.device);
        let identity = format!("{} {weights} {preprocess} {precision}{shown}{by}", self.manifest.reference());
        Ok(self.identity.get_or_init(|| identity).clone())
    }

    /// The file of its weights, as it is.
    pub fn weights(&self) -> Result<WeightsFile, HubError> {
        self.file.open()
    }

    /// Features of a photo. The network need not be in memory to tell.
    fn dim(&self) -> Result<usize, HubError> {
        if let Some(dim) = self.dim.get() {
            return Ok(*dim);
        }
        let dim = registry::dim(&self.manifest, &self.file.open()?)?;
        Ok(*self.dim.get_or_init(|| dim))
    }

    /// Whether it is the small network, whose numbers are the answers themselves.
    fn is_mini(&self) -> bool {
        self.manifest.architecture == Architecture::AlbumMini
    }

    fn built(&self) -> Result<Arc<Built>, HubError> {
        let shared = &self.shared;
        let built =
            shared.loaded.photos.get(&self.key, shared.memory, || Arc::new(self.file.clone()), || self.load())?;
        let _ = self.dim.set(built.dim);
        Ok(built)
    }

    fn load(&self) -> Result<Built, HubError> {
        let started = Instant::now();
        let file = self.file.open()?;
        let built = registry::build(&self.manifest, &file, self.shared.engine, &self.device, self.shared.by_candle)?;
        let (megabytes, milliseconds) = (file.bytes() as f64 / 1e6, started.elapsed().as_millis());
        let on_card = || format!(" on {}", device::kind(&self.device));
        let place = if self.device.is_cpu() { by_candle(&self.shared, &self.device).to_owned() } else { on_card() };
        let role = role(&self.manifest);
        (self.shared.note)(&format!(
            "Loaded {role} {}{place} ({megabytes:.0} MB, {milliseconds} ms)",
            self.manifest.name
        ));
        Ok(built)
    }

    fn features(&self, built: &Built, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let failed = |source| HubError::Run { model: self.manifest.name.clone(), source };
        let batch = prepare::batch(&built.preprocess, photos);
        built.features(&batch).map_err(failed)
    }

    /// What the small network says of each photo.
    fn answers(&self, built: &Built, mini: &OnTrunk, photos: &[Pixels]) -> Result<Vec<Answers>, HubError> {
        let failed = |source| HubError::Run { model: self.manifest.name.clone(), source };
        let views: Vec<Views> = photos.iter().map(views::of).collect();
        let whole: Vec<&Pixels> = views.iter().map(|views| &views.whole).collect();
        let pooled = built.features(&prepare::as_they_are(&built.preprocess, &whole)).map_err(failed)?;
        Ok(pooled.iter().zip(&views).map(|(row, views)| Answers::of(&mini.heads, row, &views.measured())).collect())
    }

    /// Of a file without the layer behind the features, or with one for other classes.
    fn no_classes(&self) -> HubError {
        let (file, classes) = (self.file.path.clone(), self.manifest.classes.len());
        HubError::Weights(WeightsError::Config { file, why: format!("no layer that tells {classes} classes") })
    }

    fn no_head(&self) -> HubError {
        HubError::WrongTask { name: self.manifest.name.clone(), task: self.manifest.task.name().to_owned() }
    }
}

/// What a network is for, in the words of the original's log where it has some.
fn role(manifest: &Manifest) -> &'static str {
    match manifest.architecture {
        Architecture::RatedResnet if manifest.trained_on.as_deref() == Some("ava") => "AVA model",
        Architecture::RatedResnet => "aesthetic model",
        Architecture::Siamese => "Siamese comparison model",
        Architecture::Classifier => "classifier",
        Architecture::MultiHead | Architecture::SingleHead => "quality model",
        Architecture::AlbumMini => "built-in model",
        Architecture::Resnet | Architecture::Dinov2 | Architecture::EfficientnetLite | Architecture::MobilenetV2 => {
            "feature extractor"
        }
    }
}

/// What is added to names where candle takes the place of the processor's own kernels, whose last digits differ.
fn by_candle(shared: &Shared, device: &Device) -> &'static str {
    if shared.by_candle && device.is_cpu() { " by candle" } else { "" }
}

fn preprocessing(manifest: &Manifest) -> serde_json::Value {
    serde_json::json!([manifest.preprocess, manifest.class_1_prefers])
}

/// Where things lie in the photo, and what the small network recognises, half of the cosine each: together they tell scenes
/// apart better than either. Both are whitened. Of length 1.
fn joined(recognised: &[f32], photo: &Pixels) -> Vec<f32> {
    let mut whole: Vec<f32> = scene_layout::describe(photo).into_iter().chain(recognised.iter().copied()).collect();
    to_unit(&mut whole);
    whole
}

fn to_unit(vector: &mut [f32]) {
    let length = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
    vector.iter_mut().for_each(|v| *v = (f64::from(*v) / (length + 1e-12)) as f32);
}

fn judgement(mini: &OnTrunk, answers: &Answers, photo: &Pixels) -> Judgement {
    Judgement { score: rating_of_opinion(answers.opinion()), strength: Some(strength(mini, answers, photo)) }
}

/// What a photo brings into a comparison.
fn strength(mini: &OnTrunk, answers: &Answers, photo: &Pixels) -> f32 {
    mini.referee.strength(&comparison_features(answers, &details_of(photo)))
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::MIN, f32::max);
    let shares: Vec<f64> = logits.iter().map(|logit| f64::from(logit - most).exp()).collect();
    let total: f64 = shares.iter().sum();
    shares.iter().map(|share| (share / total) as f32).collect()
}

/// Opinions of quality lie in 0 to 1, ratings in 1 to 10.
fn rating_of_opinion(opinion: f32) -> f32 {
    1.0 + 9.0 * opinion.clamp(0.0, 1.0)
}

/// What a rating network says of a photo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// On 1–10.
    pub score: f32,
    /// What pairs are compared by, where the same network compares, too.
    pub strength: Option<f32>,
}

/// Rates photos.
#[derive(Clone, Debug)]
pub struct Aesthetic(pub(super) Model);

impl Aesthetic {
    /// A rating on 1–10 for each photo.
    pub fn score(&self, photos: &[Pixels]) -> Result<Vec<f32>, HubError> {
        Ok(self.judge(photos)?.into_iter().map(|judgement| judgement.score).collect())
    }

    /// All that one pass of the network says of each photo.
    pub fn judge(&self, photos: &[Pixels]) -> Result<Vec<Judgement>, HubError> {
        let built = self.0.built()?;
        if let Some(mini) = &built.mini {
            let answers = self.0.answers(&built, mini, photos)?;
            return Ok(answers.iter().zip(photos).map(|(answers, photo)| judgement(mini, answers, photo)).collect());
        }
        let features = self.0.features(&built, photos)?;
        let head = built.head.as_ref().ok_or_else(|| self.0.no_head())?;
        let score = |features: &Vec<f32>| built.output.rating(&head.apply(features));
        Ok(features.iter().map(|features| Judgement { score: score(features), strength: None }).collect())
    }

    /// Whether one pass of the network answers both.
    pub fn embeds_as(&self, embedder: &Embedder) -> Result<bool, HubError> {
        let one = self.0.manifest.architecture == Architecture::AlbumMini;
        Ok(one && self.0.identity()? == embedder.0.identity()?)
    }

    /// What [`Self::judge`] says of a photo, and what the [`Embedder`] of the same network does.
    pub fn judge_and_embed(&self, photo: &Pixels) -> Result<(Judgement, Vec<f32>), HubError> {
        let built = self.0.built()?;
        let mini = built.mini.as_ref().ok_or_else(|| self.0.no_head())?;
        let answers = self.0.answers(&built, mini, std::slice::from_ref(photo))?;
        let whole = |answers: &Answers| (judgement(mini, answers, photo), joined(answers.embedded(), photo));
        answers.first().map(whole).ok_or_else(|| self.0.no_head())
    }

    /// Whether [`Judgement::strength`] is what this one compares by.
    pub fn is_also(&self, comparator: &Comparator) -> Result<bool, HubError> {
        Ok(self.0.identity()? == comparator.0.identity()?)
    }

    /// Whether [`Judgement::strength`] is there.
    pub fn tells_strength(&self) -> bool {
        self.0.is_mini()
    }

    /// Whether the ratings are those that AVA's photographers gave.
    pub fn trained_on_ava(&self) -> bool {
        self.0.manifest.trained_on.as_deref() == Some("ava")
    }
}

/// Describes photos by vectors.
#[derive(Clone, Debug)]
pub struct Embedder(pub(super) Model);

impl Embedder {
    /// A vector of length 1 for each photo.
    pub fn embed(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let built = self.0.built()?;
        let mut features: Vec<Vec<f32>> = if let Some(mini) = &built.mini {
            let answers = self.0.answers(&built, mini, photos)?;
            answers.iter().zip(photos).map(|(answers, photo)| joined(answers.embedded(), photo)).collect()
        } else {
            self.0.features(&built, photos)?
        };
        features.iter_mut().for_each(|vector| to_unit(vector));
        Ok(features)
    }

    /// Numbers in a vector.
    pub fn dim(&self) -> Result<usize, HubError> {
        if self.0.is_mini() { Ok(scene_layout::DIM + answer::EMBEDDED.len()) } else { self.0.dim() }
    }
}

/// Says which of two photos is better.
#[derive(Clone, Debug)]
pub struct Comparator(pub(super) Model);

impl Comparator {
    /// What pairs are compared by: the costly part, once a photo.
    pub fn features(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let built = self.0.built()?;
        let Some(mini) = &built.mini else { return self.0.features(&built, photos) };
        let answers = self.0.answers(&built, mini, photos)?;
        Ok(answers.iter().zip(photos).map(|(answers, photo)| vec![strength(mini, answers, photo)]).collect())
    }

    /// Numbers that a photo is compared by.
    pub fn dim(&self) -> Result<usize, HubError> {
        if self.0.is_mini() { Ok(1) } else { self.0.dim() }
    }

    /// The probability that the first photo is the better one; swapping the photos mirrors it, a photo against itself
    /// gives one half.
    pub fn prefer(&self, first: &[f32], second: &[f32]) -> Result<f32, HubError> {
        let built = self.0.built()?;
        if built.mini.is_some() {
            let ([first], [second]) = (first, second) else {
                let (model, found) = (self.0.manifest.name.clone(), first.len().max(second.len()));
                return Err(HubError::Features { model, expected: 1, found });
            };
            return Ok(preference::stronger(f64::from(*first) - f64::from(*second)));
        }
        let head = built.head.as_ref().ok_or_else(|| self.0.no_head())?;
        if first.len() != built.dim || second.len() != built.dim {
            let (model, expected) = (self.0.manifest.name.clone(), built.dim);
            return Err(HubError::Features { model, expected, found: first.len().min(second.len()) });
        }
        Ok(preference::first_is_better(head, self.0.manifest.class_1_prefers, first, second))
    }
}

/// Names what is wrong with a photo.
#[derive(Clone, Debug)]
pub struct Degradations(pub(super) Model);

impl Degradations {
    /// For each photo, how strong each of [`networks::mini::DEGRADATIONS`] is, 0 (none) to 1; of a multi-head network
    /// [`networks::multihead::FLAWS`], and behind them the quality over all; of a single-head network the quality alone.
    pub fn strengths(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let built = self.0.built()?;
        if self.kind() != DegradationsKind::Mini {
            return self.0.features(&built, photos);
        }
        let mini = built.mini.as_ref().ok_or_else(|| self.0.no_head())?;
        Ok(self.0.answers(&built, mini, photos)?.iter().map(Answers::degraded).collect())
    }

    pub fn kind(&self) -> DegradationsKind {
        match self.0.manifest.architecture {
            Architecture::MultiHead => DegradationsKind::MultiHead,
            Architecture::SingleHead => DegradationsKind::SingleHead,
            _ => DegradationsKind::Mini,
        }
    }
}

/// Whose words a network uses for what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DegradationsKind {
    Mini,
    MultiHead,
    SingleHead,
}

/// Tells classes of photos apart.
#[derive(Clone, Debug)]
pub struct Classifier(pub(super) Model);

impl Classifier {
    pub fn classes(&self) -> Result<Arc<[String]>, HubError> {
        if self.0.is_mini() {
            return Ok(KINDS.map(str::to_owned).into());
        }
        // Published networks are known without being in memory.
        let of_manifest = &self.0.manifest.classes;
        if of_manifest.is_empty() { Ok(self.0.built()?.classes.clone()) } else { Ok(of_manifest.clone()) }
    }

    /// Whether its classes are those of the album: kinds of pictures, or what a user trained it for.
    pub fn has_own_classes(&self) -> bool {
        self.0.manifest.classes.is_empty()
    }

    /// For each photo, how likely each class is.
    pub fn probabilities(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let built = self.0.built()?;
        if let Some(mini) = &built.mini {
            return Ok(self.0.answers(&built, mini, photos)?.iter().map(|answers| answers.kind().to_vec()).collect());
        }
        let head = built.head.as_ref().ok_or_else(|| self.0.no_classes())?;
        Ok(self.0.features(&built, photos)?.iter().map(|features| softmax(&head.apply(features))).collect())
    }
}

macro_rules! network {
    ($($network:ident: $task:ident),*) => {$(
        impl From<Model> for $network {
            fn from(model: Model) -> Self {
                Self(model)
            }
        }

        impl Network for $network {
            const TASK: Task = Task::$task;

            fn reference(&self) -> String {
                self.0.manifest.reference()
            }

            fn manifest(&self) -> &Manifest {
                &self.0.manifest
            }

            fn identity(&self) -> Result<String, HubError> {
                self.0.identity()
            }

            fn runs_on_card(&self) -> bool {
                !self.0.device.is_cpu() && !self.0.is_mini()
            }

            fn load(&self) -> Result<Loaded, HubError> {
                Ok(Loaded(self.0.built()?))
            }
        }
    )*};
}
network!(Aesthetic: Aesthetics, Embedder: Embedding, Comparator: Comparison, Degradations: Degradations, Classifier: Classification);

impl From<BuildError> for HubError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Weights(error) => Self::Weights(error),
            BuildError::Device { file, source } => Self::Run { model: file, source },
        }
    }
}
