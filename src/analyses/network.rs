//! Networks of the hub as analyses: each gives a vector of numbers for a photo.

use crate::photo_report::{AestheticRating, Classified, PhotoEmbedding, PhotoReport};
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use base::pixels::Pixels;
use hub::{Aesthetic, Classifier, Comparator, Degradations, DegradationsKind, Embedder, HubError, TaskNetwork};

/// A kind of network with the part of the report that holds its output.
pub trait ReportedNetwork: TaskNetwork {
    /// The operation's name in telemetry.
    const NAME: &'static str;
    /// Raised when the stored form of the output changes.
    const REVISION: &'static str;

    fn outputs(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError>;

    /// Puts an output into the report; `None` where its length is wrong.
    fn fill(&self, output: &[f32], report: &mut PhotoReport) -> Option<()>;

    /// Returns the output as the report holds it.
    fn reported(report: &PhotoReport) -> Option<Vec<f32>>;
}

impl ReportedNetwork for Aesthetic {
    const NAME: &'static str = "score_aesthetics";
    const REVISION: &'static str = "rating/2";

    /// The score, followed by the strength for comparisons where the network has that output.
    fn outputs(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        let judgements = self.judge(photos)?.into_iter();
        Ok(judgements.map(|judgement| [judgement.score].into_iter().chain(judgement.strength).collect()).collect())
    }

    fn fill(&self, output: &[f32], report: &mut PhotoReport) -> Option<()> {
        if output.len() != 1 + usize::from(self.tells_strength()) {
            return None;
        }
        let (score, strength) = match *output {
            [score] => (score, None),
            [score, strength] => (score, Some(strength)),
            _ => return None,
        };
        // Converted through its decimal form, so that every command prints the digits of the 32-bit number.
        let score = score.to_string().parse().ok()?;
        let (model, trained_on_ava) = (self.reference(), self.trained_on_ava());
        report.aesthetic = Some(AestheticRating { score, model, trained_on_ava, strength });
        Some(())
    }

    fn reported(report: &PhotoReport) -> Option<Vec<f32>> {
        let rating = report.aesthetic.as_ref()?;
        Some([rating.score as f32].into_iter().chain(rating.strength).collect())
    }
}

impl ReportedNetwork for Embedder {
    const NAME: &'static str = "extract_features";
    const REVISION: &'static str = "embedding/2";

    fn outputs(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        self.embed(photos)
    }

    fn fill(&self, output: &[f32], report: &mut PhotoReport) -> Option<()> {
        if output.len() != self.dim().ok()? {
            return None;
        }
        report.embedding = Some(PhotoEmbedding { vector: output.into(), model: self.reference() });
        Some(())
    }

    fn reported(report: &PhotoReport) -> Option<Vec<f32>> {
        report.embedding.as_ref().map(|embedding| embedding.vector.to_vec())
    }
}

impl ReportedNetwork for Comparator {
    const NAME: &'static str = "compare_features";
    const REVISION: &'static str = "comparing/1";

    fn outputs(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        self.features(photos)
    }

    fn fill(&self, output: &[f32], report: &mut PhotoReport) -> Option<()> {
        if output.len() != self.dim().ok()? {
            return None;
        }
        report.comparison = Some(output.to_vec());
        Some(())
    }

    fn reported(report: &PhotoReport) -> Option<Vec<f32>> {
        report.comparison.clone()
    }
}

impl ReportedNetwork for Degradations {
    const NAME: &'static str = "find_degradations";
    const REVISION: &'static str = "degradations/1";

    fn outputs(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        self.strengths(photos)
    }

    fn fill(&self, output: &[f32], report: &mut PhotoReport) -> Option<()> {
        let expected = if self.kind() == DegradationsKind::SingleHead { 1 } else { 5 };
        report.degradations = (output.len() == expected).then(|| output.to_vec());
        report.degradations.as_ref().map(drop)
    }

    fn reported(report: &PhotoReport) -> Option<Vec<f32>> {
        report.degradations.clone()
    }
}

impl ReportedNetwork for Classifier {
    const NAME: &'static str = "classify";
    const REVISION: &'static str = "classes/1";

    fn outputs(&self, photos: &[Pixels]) -> Result<Vec<Vec<f32>>, HubError> {
        self.probabilities(photos)
    }

    fn fill(&self, output: &[f32], report: &mut PhotoReport) -> Option<()> {
        let (classes, own, model) = (self.classes().ok()?, self.has_own_classes(), self.reference());
        let whole = classes.len() == output.len() && !classes.is_empty();
        report.classified = whole.then(|| Box::new(Classified { classes, likely: output.to_vec(), own, model }));
        report.classified.as_ref().map(drop)
    }

    fn reported(report: &PhotoReport) -> Option<Vec<f32>> {
        report.classified.as_ref().map(|classified| classified.likely.clone())
    }
}

/// A network as an analysis of the pipeline.
#[derive(Debug)]
pub struct NetworkAnalysis<N> {
    pub network: N,
    identity: String,
}

/// The aesthetic score.
pub type RatingAnalysis = NetworkAnalysis<Aesthetic>;
/// An embedding vector of length 1.
pub type EmbeddingAnalysis = NetworkAnalysis<Embedder>;
/// The feature vector by which pairs are compared.
pub type ComparisonAnalysis = NetworkAnalysis<Comparator>;
/// The strength of each technical flaw.
pub type DegradationAnalysis = NetworkAnalysis<Degradations>;
/// The probability of each class.
pub type ClassificationAnalysis = NetworkAnalysis<Classifier>;

impl<N: ReportedNetwork> NetworkAnalysis<N> {
    pub fn new(network: N) -> Result<Self, HubError> {
        let identity = network.identity()?;
        Ok(Self { network, identity })
    }
}

impl<N: ReportedNetwork> Analysis for NetworkAnalysis<N> {
    fn name(&self) -> &'static str {
        N::NAME
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([N::REVISION, &self.identity])
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        let output = self.network.outputs(std::slice::from_ref(picture.medium()))?.concat();
        self.network
            .fill(&output, report)
            .ok_or_else(|| anyhow::anyhow!("{}: its output has an unexpected length", self.network.reference()))
    }

    fn is_filled(&self, report: &PhotoReport) -> bool {
        N::reported(report).is_some()
    }

    fn runs_on_card(&self) -> bool {
        self.network.runs_on_card()
    }

    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        Ok(to_bytes(&N::reported(report).unwrap_or_default()))
    }

    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        self.network.fill(&numbers(finding)?, report)
    }
}

/// Numbers in the form in which they are stored.
pub fn to_bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The numbers of a stored finding; `None` where its length is wrong or a number is not finite.
pub fn numbers(finding: &[u8]) -> Option<Vec<f32>> {
    let (whole, rest) = finding.as_chunks::<4>();
    let numbers: Vec<f32> = whole.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    (rest.is_empty() && numbers.iter().all(|number| number.is_finite())).then_some(numbers)
}
