//! The technical measures.

use anyhow::Context as _;

use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use judge::quality::{self, Quality, Weights};

/// The technical measures as an analysis of the pipeline.
#[derive(Debug, Clone, Copy)]
pub struct Scoring {
    pub weights: Weights,
}

impl Scoring {
    /// Raised when the measures change.
    const REVISION: &'static str = "quality/1";

    pub fn read(finding: &[u8]) -> anyhow::Result<Quality> {
        serde_json::from_slice(finding).context("a stored quality cannot be read")
    }
}

impl Analysis for Scoring {
    fn name(&self) -> &'static str {
        "score_quality"
    }

    fn fingerprint(&self) -> Fingerprint {
        let Weights { sharpness, exposure, colorfulness, contrast } = self.weights;
        let weights = [sharpness, exposure, colorfulness, contrast].map(|weight| weight.to_string());
        Fingerprint::of([Self::REVISION].into_iter().chain(weights.iter().map(String::as_str)))
    }

    fn analyse(&self, picture: &Picture) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&quality::measure(picture.medium_as_stored(), &self.weights))?)
    }

    fn can_read(&self, finding: &[u8]) -> bool {
        Self::read(finding).is_ok()
    }
}
