//! The text in a photo.

use crate::photo_report::{PhotoReport, PhotoText};
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use hub::TextModel;

/// The networks for text as an analysis of the pipeline.
#[derive(Debug)]
pub struct TextAnalysis {
    pub model: TextModel,
}

impl Analysis for TextAnalysis {
    fn name(&self) -> &'static str {
        "read_text"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.model.identity().iter().map(String::as_str))
    }

    fn needs_decoded_size(&self) -> bool {
        true
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        let lines = self.model.read(&picture.decoded)?;
        report.text = Some(Box::new(PhotoText { lines, model: self.model.reference().to_owned() }));
        Ok(())
    }

    fn runs_on_card(&self) -> bool {
        self.model.runs_on_card()
    }

    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&report.text.as_ref().map(|text| &text.lines))?)
    }

    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        let lines = serde_json::from_slice::<Option<_>>(finding).ok()??;
        report.text = Some(Box::new(PhotoText { lines, model: self.model.reference().to_owned() }));
        Some(())
    }
}
