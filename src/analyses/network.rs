//! Networks of the hub: numbers for each photo.

use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use base::pixels::Pixels;
use hub::{Aesthetic, Classifier, Comparator, Degradations, Embedder, HubError, Judgement, Network};

/// What a kind of network is asked.
pub trait Question: Network {
    /// The operation's name in telemetry.
    const NAME: &'static str;
    /// Raised when the same answers come to be kept differently.
    const REVISION: &'static str;

    fn answer(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError>;

    /// Whether as many numbers can be an answer.
    fn answers_with(&self, count: usize) -> bool {
        count > 0
    }
}

impl Question for Aesthetic {
    const NAME: &'static str = "score_aesthetics";
    const REVISION: &'static str = "rating/2";

    /// The score, and behind it the strength in pairs where the network tells it.
    fn answer(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let judged = self.judge(photos)?.into_iter();
        Ok(judged.map(|judgement| [judgement.score].into_iter().chain(judgement.strength).collect()).collect())
    }

    fn answers_with(&self, count: usize) -> bool {
        matches!(count, 1 | 2)
    }
}

impl Question for Embedder {
    const NAME: &'static str = "extract_features";
    const REVISION: &'static str = "embedding/1";

    fn answer(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        self.embed(photos)
    }
}

impl Question for Comparator {
    const NAME: &'static str = "compare_features";
    const REVISION: &'static str = "comparing/1";

    fn answer(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        self.features(photos)
    }
}

impl Question for Degradations {
    const NAME: &'static str = "find_degradations";
    const REVISION: &'static str = "degradations/1";

    fn answer(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        self.strengths(photos)
    }

    fn answers_with(&self, count: usize) -> bool {
        count == 5
    }
}

impl Question for Classifier {
    const NAME: &'static str = "classify";
    const REVISION: &'static str = "classes/1";

    fn answer(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        self.probabilities(photos)
    }

    fn answers_with(&self, count: usize) -> bool {
        self.classes().is_ok_and(|classes| classes.len() == count)
    }
}

/// A network as an analysis of the pipeline.
#[derive(Debug)]
pub struct Asked<N> {
    pub network: N,
    identity: String,
}

/// How beautiful people would find it.
pub type Rating = Asked<Aesthetic>;
/// A vector of length 1.
pub type Embedding = Asked<Embedder>;
/// What pairs are compared by.
pub type Comparing = Asked<Comparator>;
/// What is wrong with it.
pub type Degrading = Asked<Degradations>;
/// What kind of photo it is.
pub type Classifying = Asked<Classifier>;

impl<N: Question> Asked<N> {
    pub fn new(network: N) -> Result<Self, HubError> {
        let identity = network.identity()?;
        Ok(Self { network, identity })
    }

    pub fn read(finding: &[u8]) -> Vec<f32> {
        finding.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }
}

impl Rating {
    pub fn read_judgement(finding: &[u8]) -> anyhow::Result<Judgement> {
        match *Self::read(finding) {
            [score] if finding.len() == 4 => Ok(Judgement { score, strength: None }),
            [score, strength] if finding.len() == 8 => Ok(Judgement { score, strength: Some(strength) }),
            _ => Err(anyhow::anyhow!("a stored rating cannot be read")),
        }
    }
}

impl<N: Question> Analysis for Asked<N> {
    fn name(&self) -> &'static str {
        N::NAME
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([N::REVISION, &self.identity])
    }

    fn analyse(&self, picture: &Picture) -> anyhow::Result<Vec<u8>> {
        let numbers = self.network.answer(std::slice::from_ref(picture.medium()))?;
        Ok(numbers.concat().iter().flat_map(|number| number.to_le_bytes()).collect())
    }

    fn can_read(&self, finding: &[u8]) -> bool {
        numbers(finding).is_some_and(|numbers| self.network.answers_with(numbers.len()))
    }
}

/// The numbers of a finding; `None` where it is none of numbers, or one is not a number.
pub fn numbers(finding: &[u8]) -> Option<Vec<f32>> {
    let (whole, rest) = finding.as_chunks::<4>();
    let numbers: Vec<f32> = whole.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    (rest.is_empty() && numbers.iter().all(|number| number.is_finite())).then_some(numbers)
}
