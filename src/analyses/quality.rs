//! Technical quality: sharpness, exposure, colourfulness, contrast.

use crate::photo_report::PhotoReport;
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use judge::quality::{self, Weights};

/// The measures of technical quality as an analysis of the pipeline.
#[derive(Debug, Clone, Copy)]
pub struct QualityAnalysis {
    pub weights: Weights,
}

impl QualityAnalysis {
    /// Raised when the measures change.
    const REVISION: &'static str = "quality/1";
}

impl Analysis for QualityAnalysis {
    fn name(&self) -> &'static str {
        "score_quality"
    }

    fn fingerprint(&self) -> Fingerprint {
        let Weights { sharpness, exposure, colorfulness, contrast } = self.weights;
        let weights = [sharpness, exposure, colorfulness, contrast].map(|weight| weight.to_string());
        Fingerprint::of([Self::REVISION].into_iter().chain(weights.iter().map(String::as_str)))
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        report.quality = Some(quality::measure(picture.medium_as_stored(), &self.weights));
        Ok(())
    }

    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&report.quality)?)
    }

    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        report.quality = Some(serde_json::from_slice(finding).ok()?);
        Some(())
    }
}
