//! Rating, kind and embedding by the built-in network, which computes all in one pass.

use super::kind;
use super::network::{EmbeddingAnalysis, RatingAnalysis, ReportedNetwork as _, numbers, to_bytes};
use crate::photo_report::PhotoReport;
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use hub::{Aesthetic, Embedder, HubError, OnePass, TaskNetwork as _};

#[derive(Debug)]
pub struct RatingAndEmbeddingAnalysis {
    rating: Aesthetic,
    embedding: Embedder,
    identity: String,
}

/// The length of the rating's part of the output, which comes before the kind and the embedding.
const RATING_LENGTH: usize = 2;

impl RatingAndEmbeddingAnalysis {
    /// `None` where rating and embedding are computed by two different networks.
    pub fn of(rating: &RatingAnalysis, embedding: &EmbeddingAnalysis) -> Result<Option<Self>, HubError> {
        let (rating, embedding) = (rating.network.clone(), embedding.network.clone());
        let one = rating.embeds_as(&embedding)?;
        let identity = rating.identity()?;
        Ok(one.then_some(Self { rating, embedding, identity }))
    }

    fn fill(&self, row: &[f32], report: &mut PhotoReport) -> Option<()> {
        let (rating, rest) = row.split_at_checked(RATING_LENGTH)?;
        let (kind, embedding) = rest.split_at_checked(kind::LENGTH)?;
        report.kind = Some(kind::restored(kind)?);
        self.rating.fill(rating, report)?;
        self.embedding.fill(embedding, report)
    }
}

impl Analysis for RatingAndEmbeddingAnalysis {
    fn name(&self) -> &'static str {
        Aesthetic::NAME
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(["one pass/2", kind::REVISION, Aesthetic::REVISION, Embedder::REVISION, &self.identity])
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        let OnePass { judgement, kind, embedding } = self.rating.judge_and_embed(picture.medium())?;
        let kind = kind::stored(kind::likeliest(&kind));
        let row: Vec<f32> =
            [judgement.score].into_iter().chain(judgement.strength).chain(kind).chain(embedding).collect();
        self.fill(&row, report)
            .ok_or_else(|| anyhow::anyhow!("{}: its output has an unexpected length", self.rating.reference()))
    }

    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        let rating = Aesthetic::reported(report).unwrap_or_default();
        let embedding = Embedder::reported(report).unwrap_or_default();
        Ok(to_bytes(&[rating, kind::stored(report.kind), embedding].concat()))
    }

    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        self.fill(&numbers(finding)?, report)
    }
}
