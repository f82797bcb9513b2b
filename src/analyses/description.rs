//! The vector of a picture that texts are compared with.

use super::network::{numbers, to_bytes};
use crate::photo_report::{PhotoEmbedding, PhotoReport};
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use hub::Describer;

#[derive(Debug)]
pub struct DescriptionAnalysis {
    pub model: Describer,
}

impl Analysis for DescriptionAnalysis {
    fn name(&self) -> &'static str {
        "describe"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.model.identity().iter().map(String::as_str))
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        let vector = self.model.embed(picture.medium())?;
        report.description =
            Some(Box::new(PhotoEmbedding { vector: vector.into(), model: self.model.reference().to_owned() }));
        Ok(())
    }

    fn runs_on_card(&self) -> bool {
        self.model.runs_on_card()
    }

    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        Ok(report.description.as_ref().map(|described| to_bytes(&described.vector)).unwrap_or_default())
    }

    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        let vector = numbers(finding).filter(|vector| !vector.is_empty())?;
        report.description =
            Some(Box::new(PhotoEmbedding { vector: vector.into(), model: self.model.reference().to_owned() }));
        Some(())
    }
}
