//! The tasks of models, with a type for each.

use std::sync::Arc;

use super::HubError;
use super::manifest::{Architecture, Task};
use super::model::{LoadedGuard, Model};
use super::registry::{Head, LoadedNetwork, MiniHeads};
use base::pixels::Pixels;
use judge::cluster::scene_layout;
use networks::mini::views::Answers;
use networks::mini::{KINDS, answer, comparison_features, details_of};
use networks::preference;

/// A kind of network; its task decides which models qualify.
#[expect(private_bounds, reason = "only the hub makes models")]
pub trait TaskNetwork: From<Model> + Clone + std::fmt::Debug + Send + Sync {
    const TASK: Task;

    /// `name@version`.
    fn reference(&self) -> String;

    /// The identity for cache keys; changes whenever a result could.
    fn identity(&self) -> Result<String, HubError>;

    /// Whether it runs on a GPU, so that callers wait instead of computing.
    fn runs_on_card(&self) -> bool;

    /// Loads it now. It stays in memory while the guard lives.
    fn load(&self) -> Result<LoadedGuard, HubError>;
}

/// The layout of the photo and the embedding of the built-in network as one unit vector, each with half of the cosine.
/// Together they separate scenes better than either. Both are whitened.
fn joined(recognised: &[f32], photo: &Pixels) -> Vec<f32> {
    let mut whole: Vec<f32> = scene_layout::describe(photo).into_iter().chain(recognised.iter().copied()).collect();
    to_unit(&mut whole);
    whole
}

fn to_unit(vector: &mut [f32]) {
    let length = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
    vector.iter_mut().for_each(|v| *v = (f64::from(*v) / (length + 1e-12)) as f32);
}

fn judgement(mini: &MiniHeads, answers: &Answers, photo: &Pixels) -> Judgement {
    Judgement { score: rating_of_opinion(answers.opinion()), strength: Some(strength(mini, answers, photo)) }
}

/// The strength of a photo in a comparison.
fn strength(mini: &MiniHeads, answers: &Answers, photo: &Pixels) -> f32 {
    mini.comparison.strength(&comparison_features(answers, &details_of(photo)))
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::MIN, f32::max);
    let shares: Vec<f64> = logits.iter().map(|logit| f64::from(logit - most).exp()).collect();
    let total: f64 = shares.iter().sum();
    shares.iter().map(|share| (share / total) as f32).collect()
}

/// Maps an opinion of quality in 0 to 1 to a rating in 1 to 10.
fn rating_of_opinion(opinion: f32) -> f32 {
    1.0 + 9.0 * opinion.clamp(0.0, 1.0)
}

/// The judgement of a rating network about a photo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// The rating, 1 to 10.
    pub score: f32,
    /// The strength in comparisons, if the network compares, too.
    pub strength: Option<f32>,
}

/// What one pass of the small network says of a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct OnePass {
    pub judgement: Judgement,
    /// How likely each of [`KINDS`] is.
    pub kind: Vec<f32>,
    pub embedding: Vec<f32>,
}

/// Rates photos.
#[derive(Clone, Debug)]
pub struct Aesthetic(Arc<Model>);

impl Aesthetic {
    /// A rating on 1–10 for each photo.
    pub fn score(&self, photos: &[Pixels]) -> Result<Vec<f32>, HubError> {
        Ok(self.judge(photos)?.into_iter().map(|judgement| judgement.score).collect())
    }

    /// The judgement of each photo, from one pass of the network.
    pub fn judge(&self, photos: &[Pixels]) -> Result<Vec<Judgement>, HubError> {
        let network = self.0.network()?;
        match &network.head {
            Head::Mini(mini) => {
                let answers = self.0.answers(&network, mini, photos)?;
                Ok(answers.iter().zip(photos).map(|(answers, photo)| judgement(mini, answers, photo)).collect())
            }
            Head::Rating { layers, output } => {
                let features = self.0.features(&network, photos)?;
                let score = |features: &Vec<f32>| output.rating(&layers.apply(features));
                Ok(features.iter().map(|features| Judgement { score: score(features), strength: None }).collect())
            }
            _ => Err(self.0.no_head()),
        }
    }

    /// Whether both come from one pass of the same network.
    pub fn embeds_as(&self, embedder: &Embedder) -> Result<bool, HubError> {
        let one = self.0.spec.architecture == Architecture::AlbumMini;
        Ok(one && self.0.identity()? == embedder.0.identity()?)
    }

    /// The results of [`Self::judge`], and of the [`Embedder`] and the [`Classifier`] of the same network, in one pass.
    pub fn judge_and_embed(&self, photo: &Pixels) -> Result<OnePass, HubError> {
        let network = self.0.network()?;
        let Head::Mini(mini) = &network.head else { return Err(self.0.no_head()) };
        let answers = self.0.answers(&network, mini, std::slice::from_ref(photo))?;
        let all = |answers: &Answers| OnePass {
            judgement: judgement(mini, answers, photo),
            kind: answers.kind().to_vec(),
            embedding: joined(answers.embedded(), photo),
        };
        answers.first().map(all).ok_or_else(|| self.0.no_head())
    }

    /// Whether [`Judgement::strength`] is the strength that this comparator uses.
    pub fn is_also(&self, comparator: &Comparator) -> Result<bool, HubError> {
        Ok(self.0.identity()? == comparator.0.identity()?)
    }

    /// Whether [`Judgement::strength`] is present.
    pub fn tells_strength(&self) -> bool {
        self.0.is_mini()
    }

    /// Whether the network was trained on AVA's ratings.
    pub fn trained_on_ava(&self) -> bool {
        self.0.spec.trained_on.as_deref() == Some("ava")
    }
}

/// Computes embeddings of photos.
#[derive(Clone, Debug)]
pub struct Embedder(Arc<Model>);

impl Embedder {
    /// A unit vector for each photo.
    pub fn embed(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let network = self.0.network()?;
        let mut features: Vec<Vec<f32>> = match &network.head {
            Head::Mini(mini) => {
                let answers = self.0.answers(&network, mini, photos)?;
                answers.iter().zip(photos).map(|(answers, photo)| joined(answers.embedded(), photo)).collect()
            }
            _ => self.0.features(&network, photos)?,
        };
        features.iter_mut().for_each(|vector| to_unit(vector));
        Ok(features)
    }

    /// The dimension of the vectors.
    pub fn dim(&self) -> Result<usize, HubError> {
        if self.0.is_mini() { Ok(scene_layout::DIM + answer::EMBEDDED.len()) } else { self.0.dim() }
    }
}

/// Compares two photos.
#[derive(Clone, Debug)]
pub struct Comparator(Arc<Model>);

impl Comparator {
    /// The features for comparisons: the costly part, computed once per photo.
    pub fn features(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let network = self.0.network()?;
        let Head::Mini(mini) = &network.head else { return self.0.features(&network, photos) };
        let answers = self.0.answers(&network, mini, photos)?;
        Ok(answers.iter().zip(photos).map(|(answers, photo)| vec![strength(mini, answers, photo)]).collect())
    }

    /// The number of features for comparisons.
    pub fn dim(&self) -> Result<usize, HubError> {
        if self.0.is_mini() { Ok(1) } else { self.0.dim() }
    }

    /// The probability that the first photo is the better one. Swapping the photos mirrors it; a photo against itself gives
    /// one half.
    pub fn prefer(&self, first: &[f32], second: &[f32]) -> Result<f32, HubError> {
        self.pairs()?.prefer(first, second)
    }

    /// The comparison with its network at hand, for many pairs: looking the network up takes longer than one pair.
    pub fn pairs(&self) -> Result<Pairs, HubError> {
        Ok(Pairs { model: Arc::clone(&self.0), network: self.0.network()? })
    }
}

/// Compares pairs of photos by their features.
#[derive(Debug)]
pub struct Pairs {
    model: Arc<Model>,
    network: Arc<LoadedNetwork>,
}

impl Pairs {
    /// See [`Comparator::prefer`].
    pub fn prefer(&self, first: &[f32], second: &[f32]) -> Result<f32, HubError> {
        let Self { model, network } = self;
        let wrong = |expected: usize, found: usize| HubError::Features { model: model.name.clone(), expected, found };
        match &network.head {
            Head::Mini(_) => {
                let ([first], [second]) = (first, second) else {
                    return Err(wrong(1, first.len().max(second.len())));
                };
                Ok(preference::stronger(f64::from(*first) - f64::from(*second)))
            }
            Head::Comparison(layers) => {
                let dim = network.features.dim;
                if first.len() != dim || second.len() != dim {
                    return Err(wrong(dim, first.len().min(second.len())));
                }
                Ok(preference::first_is_better(layers, model.spec.class_1_prefers, first, second))
            }
            _ => Err(model.no_head()),
        }
    }
}

/// Measures the degradations of a photo.
#[derive(Clone, Debug)]
pub struct Degradations(Arc<Model>);

impl Degradations {
    /// For each photo, the strength of each of [`networks::mini::DEGRADATIONS`], 0 (none) to 1. A multi-head network gives
    /// [`networks::multihead::DEGRADATIONS`] and then the overall quality, a single-head network the quality alone.
    pub fn strengths(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let network = self.0.network()?;
        match (&network.head, self.kind()) {
            (Head::Mini(mini), _) => {
                Ok(self.0.answers(&network, mini, photos)?.iter().map(Answers::degraded).collect())
            }
            (_, DegradationsKind::Mini) => Err(self.0.no_head()),
            _ => self.0.features(&network, photos),
        }
    }

    pub fn kind(&self) -> DegradationsKind {
        match self.0.spec.architecture {
            Architecture::MultiHead => DegradationsKind::MultiHead,
            Architecture::SingleHead => DegradationsKind::SingleHead,
            _ => DegradationsKind::Mini,
        }
    }
}

/// The vocabulary of a network's degradations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DegradationsKind {
    Mini,
    MultiHead,
    SingleHead,
}

/// Classifies photos.
#[derive(Clone, Debug)]
pub struct Classifier(Arc<Model>);

impl Classifier {
    pub fn classes(&self) -> Result<Arc<[String]>, HubError> {
        if self.0.is_mini() {
            return Ok(KINDS.map(str::to_owned).into());
        }
        // The classes of published networks are known without loading them.
        if !self.0.spec.classes.is_empty() {
            return Ok(self.0.spec.classes.clone());
        }
        match &self.0.network()?.head {
            Head::Classes { names, .. } => Ok(names.clone()),
            _ => Err(self.0.no_head()),
        }
    }

    /// Whether its classes are kinds of pictures or classes that a user trained.
    pub fn has_own_classes(&self) -> bool {
        self.0.spec.classes.is_empty()
    }

    /// The probability of each class, for each photo.
    pub fn probabilities(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let network = self.0.network()?;
        match &network.head {
            Head::Mini(mini) => {
                Ok(self.0.answers(&network, mini, photos)?.iter().map(|answers| answers.kind().to_vec()).collect())
            }
            Head::Classes { layers, .. } => {
                let features = self.0.features(&network, photos)?;
                Ok(features.iter().map(|features| softmax(&layers.apply(features))).collect())
            }
            _ => Err(self.0.no_classes()),
        }
    }
}

macro_rules! network {
    ($($network:ident: $task:ident),*) => {$(
        impl From<Model> for $network {
            fn from(model: Model) -> Self {
                Self(Arc::new(model))
            }
        }

        impl TaskNetwork for $network {
            const TASK: Task = Task::$task;

            fn reference(&self) -> String {
                self.0.reference.clone()
            }

            fn identity(&self) -> Result<String, HubError> {
                self.0.identity()
            }

            fn runs_on_card(&self) -> bool {
                !self.0.device.is_cpu() && !self.0.is_mini()
            }

            fn load(&self) -> Result<LoadedGuard, HubError> {
                Ok(LoadedGuard::of(self.0.network()?))
            }
        }
    )*};
}
network!(Aesthetic: Aesthetics, Embedder: Embedding, Comparator: Comparison, Degradations: Degradations, Classifier: Classification);
