//! Small pictures for the report page.

use anyhow::Context as _;

use crate::photo_report::PhotoReport;
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use crate::thumbnail::{self, Thumbnail};

#[derive(Debug, Clone, Copy)]
pub struct Thumbnails {
    /// The largest size of one thumbnail, in bytes.
    pub budget: usize,
}

impl Analysis for Thumbnails {
    fn name(&self) -> &'static str {
        "thumbnails"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(["thumbnail/1", &self.budget.to_string()])
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        let small = thumbnail::encode(picture.medium(), self.budget).context("no thumbnail can be made of it")?;
        report.thumbnail = Some(small);
        Ok(())
    }

    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        Ok(report.thumbnail.as_ref().map(Thumbnail::to_bytes).unwrap_or_default())
    }

    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        // A JPEG without its end marker is truncated and would show half a picture.
        let complete = Some(finding).filter(|finding| finding.ends_with(&[0xff, 0xd9]))?;
        report.thumbnail = Some(Thumbnail::from_bytes(complete)?);
        Some(())
    }
}
