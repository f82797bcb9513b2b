//! Rating and embedding by the built-in network, which answers both in one pass.

use super::network::{Embedding, Question as _, Rating, numbers, to_bytes};
use crate::photo_report::PhotoReport;
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use hub::{Aesthetic, Embedder, HubError, Network as _};

#[derive(Debug)]
pub struct OnePass {
    rating: Aesthetic,
    embedding: Embedder,
    identity: String,
}

/// Numbers of the rating, before those of the embedding.
const RATED: usize = 2;

impl OnePass {
    /// `None` where two networks are asked.
    pub fn of(rating: &Rating, embedding: &Embedding) -> Result<Option<Self>, HubError> {
        let (rating, embedding) = (rating.network.clone(), embedding.network.clone());
        let one = rating.embeds_as(&embedding)?;
        let identity = rating.identity()?;
        Ok(one.then_some(Self { rating, embedding, identity }))
    }

    fn tell(&self, row: &[f32], report: &mut PhotoReport) -> Option<()> {
        let (rated, embedded) = row.split_at_checked(RATED)?;
        self.rating.tell(rated.to_vec(), report)?;
        self.embedding.tell(embedded.to_vec(), report)
    }
}

impl Analysis for OnePass {
    fn name(&self) -> &'static str {
        Aesthetic::NAME
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(["one pass/1", Aesthetic::REVISION, Embedder::REVISION, &self.identity])
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        let (judged, embedded) = self.rating.judge_and_embed(picture.medium())?;
        let row: Vec<f32> = [judged.score].into_iter().chain(judged.strength).chain(embedded).collect();
        self.tell(&row, report).ok_or_else(|| anyhow::anyhow!("{}: an answer of another form", self.rating.reference()))
    }

    fn keep(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        let rated = Aesthetic::told(report).unwrap_or_default();
        let embedded = Embedder::told(report).unwrap_or_default();
        Ok(to_bytes(&[rated, embedded].concat()))
    }

    fn recall(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        self.tell(&numbers(finding)?, report)
    }
}
