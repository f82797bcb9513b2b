//! Networks of the hub: numbers for each photo.

use crate::photo_report::{Classified, Embedded, PhotoReport, Rated};
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use base::pixels::Pixels;
use hub::{Aesthetic, Classifier, Comparator, Degradations, DegradationsKind, Embedder, HubError, Network};

/// What a kind of network is asked, and which part of the report its numbers are.
pub trait Question: Network {
    /// The operation's name in telemetry.
    const NAME: &'static str;
    /// Raised when the same answers come to be kept differently.
    const REVISION: &'static str;

    fn answer(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError>;

    /// Puts an answer into the report; `None` where it cannot be one.
    fn tell(&self, answer: Vec<f32>, report: &mut PhotoReport) -> Option<()>;

    /// The answer as it stands in the report.
    fn told(report: &PhotoReport) -> Option<Vec<f32>>;
}

impl Question for Aesthetic {
    const NAME: &'static str = "score_aesthetics";
    const REVISION: &'static str = "rating/2";

    /// The score, and behind it the strength in pairs where the network tells it.
    fn answer(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let judged = self.judge(photos)?.into_iter();
        Ok(judged.map(|judgement| [judgement.score].into_iter().chain(judgement.strength).collect()).collect())
    }

    fn tell(&self, answer: Vec<f32>, report: &mut PhotoReport) -> Option<()> {
        if answer.len() != 1 + usize::from(self.tells_strength()) {
            return None;
        }
        let (score, strength) = match *answer {
            [score] => (score, None),
            [score, strength] => (score, Some(strength)),
            _ => return None,
        };
        // The number that the 32-bit one is written as: every command prints the same digits.
        let score = score.to_string().parse().ok()?;
        let (model, trained_on_ava) = (self.reference(), self.trained_on_ava());
        report.aesthetic = Some(Rated { score, model, trained_on_ava, strength });
        Some(())
    }

    fn told(report: &PhotoReport) -> Option<Vec<f32>> {
        let rated = report.aesthetic.as_ref()?;
        Some([rated.score as f32].into_iter().chain(rated.strength).collect())
    }
}

impl Question for Embedder {
    const NAME: &'static str = "extract_features";
    const REVISION: &'static str = "embedding/2";

    fn answer(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        self.embed(photos)
    }

    fn tell(&self, answer: Vec<f32>, report: &mut PhotoReport) -> Option<()> {
        if answer.len() != self.dim().ok()? {
            return None;
        }
        report.embedding = Some(Embedded { vector: answer, model: self.reference() });
        Some(())
    }

    fn told(report: &PhotoReport) -> Option<Vec<f32>> {
        report.embedding.as_ref().map(|embedded| embedded.vector.clone())
    }
}

impl Question for Comparator {
    const NAME: &'static str = "compare_features";
    const REVISION: &'static str = "comparing/1";

    fn answer(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        self.features(photos)
    }

    fn tell(&self, answer: Vec<f32>, report: &mut PhotoReport) -> Option<()> {
        if answer.len() != self.dim().ok()? {
            return None;
        }
        report.comparison = Some(answer);
        Some(())
    }

    fn told(report: &PhotoReport) -> Option<Vec<f32>> {
        report.comparison.clone()
    }
}

impl Question for Degradations {
    const NAME: &'static str = "find_degradations";
    const REVISION: &'static str = "degradations/1";

    fn answer(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        self.strengths(photos)
    }

    fn tell(&self, answer: Vec<f32>, report: &mut PhotoReport) -> Option<()> {
        let expected = if self.kind() == DegradationsKind::SingleHead { 1 } else { 5 };
        report.degradations = (answer.len() == expected).then_some(answer);
        report.degradations.as_ref().map(drop)
    }

    fn told(report: &PhotoReport) -> Option<Vec<f32>> {
        report.degradations.clone()
    }
}

impl Question for Classifier {
    const NAME: &'static str = "classify";
    const REVISION: &'static str = "classes/1";

    fn answer(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        self.probabilities(photos)
    }

    fn tell(&self, answer: Vec<f32>, report: &mut PhotoReport) -> Option<()> {
        let (classes, own, model) = (self.classes().ok()?, self.has_own_classes(), self.reference());
        let whole = classes.len() == answer.len() && !classes.is_empty();
        report.classified = whole.then_some(Classified { classes, likely: answer, own, model });
        report.classified.as_ref().map(drop)
    }

    fn told(report: &PhotoReport) -> Option<Vec<f32>> {
        report.classified.as_ref().map(|classified| classified.likely.clone())
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
}

impl<N: Question> Analysis for Asked<N> {
    fn name(&self) -> &'static str {
        N::NAME
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([N::REVISION, &self.identity])
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        let answer = self.network.answer(std::slice::from_ref(picture.medium()))?.concat();
        self.network
            .tell(answer, report)
            .ok_or_else(|| anyhow::anyhow!("{}: an answer of another form", self.network.reference()))
    }

    fn runs_on_card(&self) -> bool {
        self.network.runs_on_card()
    }

    fn keep(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        Ok(to_bytes(&N::told(report).unwrap_or_default()))
    }

    fn recall(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        self.network.tell(numbers(finding)?, report)
    }
}

/// Numbers as the store keeps them.
pub fn to_bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The numbers of a finding; `None` where it is none of numbers, or one is not a number.
pub fn numbers(finding: &[u8]) -> Option<Vec<f32>> {
    let (whole, rest) = finding.as_chunks::<4>();
    let numbers: Vec<f32> = whole.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    (rest.is_empty() && numbers.iter().all(|number| number.is_finite())).then_some(numbers)
}
