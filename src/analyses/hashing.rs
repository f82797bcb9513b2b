//! Perceptual hashes, by which near-duplicates are found.

use crate::photo_report::PhotoReport;
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use scale::phash;

#[derive(Debug, Clone, Copy)]
pub struct PerceptualHashAnalysis;

impl Analysis for PerceptualHashAnalysis {
    fn name(&self) -> &'static str {
        "perceptual_hash"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(["phash/2"])
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        report.perceptual_hash = Some(phash::phash(picture.medium()));
        Ok(())
    }

    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        Ok(report.perceptual_hash.map(|hash| hash.to_le_bytes().to_vec()).unwrap_or_default())
    }

    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        report.perceptual_hash = Some(u64::from_le_bytes(finding.try_into().ok()?));
        Some(())
    }
}
