//! Rating, kind and embedding by the built-in network, which computes all in one pass.

use super::kind;
use super::network::{EmbeddingAnalysis, RatingAnalysis, ReportedNetwork as _, numbers, to_bytes};
use crate::photo_report::PhotoReport;
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use hub::{Aesthetic, Embedder, HubError, OnePass, TaskNetwork as _};

/// Its finding is rating and kind. It computes the embedding along with them, which [`EmbeddingAnalysis`] stores.
#[derive(Debug)]
pub struct OnePassAnalysis {
    rating: Aesthetic,
    embedding: Embedder,
    identity: String,
}

/// The length of the rating's part of the finding, which comes before the kind.
const RATING_LENGTH: usize = 2;

impl OnePassAnalysis {
    /// `None` where rating and embedding are computed by two different networks.
    pub fn of(rating: &RatingAnalysis, embedding: &EmbeddingAnalysis) -> Result<Option<Self>, HubError> {
        let (rating, embedding) = (rating.network.clone(), embedding.network.clone());
        let one = rating.embeds_as(&embedding)?;
        let identity = rating.identity()?;
        Ok(one.then_some(Self { rating, embedding, identity }))
    }

    fn fill(&self, numbers: &[f32], report: &mut PhotoReport) -> Option<()> {
        let (rating, kind) = numbers.split_at_checked(RATING_LENGTH)?;
        report.kind = Some(kind::restored(kind)?);
        self.rating.fill(rating, report)
    }
}

impl Analysis for OnePassAnalysis {
    fn name(&self) -> &'static str {
        Aesthetic::NAME
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(["one pass/3", kind::REVISION, Aesthetic::REVISION, &self.identity])
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        let OnePass { judgement, kind, embedding } = self.rating.judge_and_embed(picture.medium())?;
        let kind = kind::stored(kind::likeliest(&kind));
        let finding: Vec<f32> = [judgement.score].into_iter().chain(judgement.strength).chain(kind).collect();
        self.fill(&finding, report)
            .and_then(|()| self.embedding.fill(&embedding, report))
            .ok_or_else(|| anyhow::anyhow!("{}: its output has an unexpected length", self.rating.reference()))
    }

    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        let rating = Aesthetic::reported(report).unwrap_or_default();
        Ok(to_bytes(&[rating, kind::stored(report.kind)].concat()))
    }

    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        self.fill(&numbers(finding)?, report)
    }
}
