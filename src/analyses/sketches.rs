//! Sketches of photos, by which frames of a sequence are recognised.

use crate::photo_report::PhotoReport;
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use judge::sequences::FrameSketch;

/// The sketch of a frame as an analysis of the pipeline.
#[derive(Debug, Clone, Copy)]
pub struct SketchAnalysis;

impl Analysis for SketchAnalysis {
    fn name(&self) -> &'static str {
        "sketch_frames"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(["frame_sketch/1"])
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        report.sketch = FrameSketch::of(picture.medium());
        Ok(())
    }

    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        Ok(report.sketch.as_ref().map(FrameSketch::to_bytes).unwrap_or_default())
    }

    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        // Nothing is stored for a photo too small for a sketch.
        report.sketch = if finding.is_empty() { None } else { Some(FrameSketch::from_bytes(finding)?) };
        Some(())
    }
}
