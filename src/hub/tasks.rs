//! What models are asked: one type for each task.

use std::sync::Arc;

use super::HubError;
use super::manifest::{Architecture, Task};
use super::model::{LoadedGuard, Model};
use super::registry::{Head, MiniHeads};
use base::pixels::Pixels;
use judge::cluster::scene_layout;
use networks::mini::views::Answers;
use networks::mini::{KINDS, answer, comparison_features, details_of};
use networks::preference;

/// A kind of network: what it is for decides which models it can be.
#[expect(private_bounds, reason = "only the hub makes models")]
pub trait Network: From<Model> + Clone + std::fmt::Debug + Send + Sync {
    const TASK: Task;

    /// `name@version`.
    fn reference(&self) -> String;

    /// For cache keys: changes whenever a result could.
    fn identity(&self) -> Result<String, HubError>;

    /// Whether it runs on a graphics card, so that who asks waits instead of computing.
    fn runs_on_card(&self) -> bool;

    /// Loads it now, if it is not in memory yet. It stays there as long as what is returned lives.
    fn load(&self) -> Result<LoadedGuard, HubError>;
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

fn judgement(mini: &MiniHeads, answers: &Answers, photo: &Pixels) -> Judgement {
    Judgement { score: rating_of_opinion(answers.opinion()), strength: Some(strength(mini, answers, photo)) }
}

/// What a photo brings into a comparison.
fn strength(mini: &MiniHeads, answers: &Answers, photo: &Pixels) -> f32 {
    mini.comparison.strength(&comparison_features(answers, &details_of(photo)))
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

    /// All that one pass of the network says of each photo.
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

    /// Whether one pass of the network answers both.
    pub fn embeds_as(&self, embedder: &Embedder) -> Result<bool, HubError> {
        let one = self.0.spec.architecture == Architecture::AlbumMini;
        Ok(one && self.0.identity()? == embedder.0.identity()?)
    }

    /// What [`Self::judge`] says of a photo, and what [`Embedder`] and [`Classifier`] of the same network do.
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
        self.0.spec.trained_on.as_deref() == Some("ava")
    }
}

/// Describes photos by vectors.
#[derive(Clone, Debug)]
pub struct Embedder(Arc<Model>);

impl Embedder {
    /// A vector of length 1 for each photo.
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

    /// Numbers in a vector.
    pub fn dim(&self) -> Result<usize, HubError> {
        if self.0.is_mini() { Ok(scene_layout::DIM + answer::EMBEDDED.len()) } else { self.0.dim() }
    }
}

/// Says which of two photos is better.
#[derive(Clone, Debug)]
pub struct Comparator(Arc<Model>);

impl Comparator {
    /// What pairs are compared by: the costly part, once a photo.
    pub fn features(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let network = self.0.network()?;
        let Head::Mini(mini) = &network.head else { return self.0.features(&network, photos) };
        let answers = self.0.answers(&network, mini, photos)?;
        Ok(answers.iter().zip(photos).map(|(answers, photo)| vec![strength(mini, answers, photo)]).collect())
    }

    /// Numbers that a photo is compared by.
    pub fn dim(&self) -> Result<usize, HubError> {
        if self.0.is_mini() { Ok(1) } else { self.0.dim() }
    }

    /// The probability that the first photo is the better one; swapping the photos mirrors it, a photo against itself
    /// gives one half.
    pub fn prefer(&self, first: &[f32], second: &[f32]) -> Result<f32, HubError> {
        let wrong = |expected: usize, found: usize| HubError::Features { model: self.0.name.clone(), expected, found };
        let network = self.0.network()?;
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
                Ok(preference::first_is_better(layers, self.0.spec.class_1_prefers, first, second))
            }
            _ => Err(self.0.no_head()),
        }
    }
}

/// Names what is wrong with a photo.
#[derive(Clone, Debug)]
pub struct Degradations(Arc<Model>);

impl Degradations {
    /// For each photo, how strong each of [`networks::mini::DEGRADATIONS`] is, 0 (none) to 1; of a multi-head network
    /// [`networks::multihead::FLAWS`], and behind them the quality over all; of a single-head network the quality alone.
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

/// Whose words a network uses for what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DegradationsKind {
    Mini,
    MultiHead,
    SingleHead,
}

/// Tells classes of photos apart.
#[derive(Clone, Debug)]
pub struct Classifier(Arc<Model>);

impl Classifier {
    pub fn classes(&self) -> Result<Arc<[String]>, HubError> {
        if self.0.is_mini() {
            return Ok(KINDS.map(str::to_owned).into());
        }
        // Published networks are known without being in memory.
        if !self.0.spec.classes.is_empty() {
            return Ok(self.0.spec.classes.clone());
        }
        match &self.0.network()?.head {
            Head::Classes { names, .. } => Ok(names.clone()),
            _ => Err(self.0.no_head()),
        }
    }

    /// Whether its classes are those of the album: kinds of pictures, or what a user trained it for.
    pub fn has_own_classes(&self) -> bool {
        self.0.spec.classes.is_empty()
    }

    /// For each photo, how likely each class is.
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

        impl Network for $network {
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
