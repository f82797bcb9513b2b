//! Finding the sequences among photos that were analysed: exposure brackets, focus stacks, sweeps.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use super::ModelHub;
use super::photos::named;
use crate::analyses::SketchAnalysis;
use crate::photo_report::{PhotoReport, PhotoSequence};
use crate::pipeline::AnalysedPhoto;
use judge::sequences::{self, Frame};

/// Adds the sketches of the photos that may be frames of a sequence, by what the camera wrote. A photo that cannot be
/// sketched, or has changed since, stays without one.
pub fn sketch(photos: &mut [PhotoReport], hub: &ModelHub) {
    let may_be = sequences::may_be_frames(&photos.iter().map(frame).collect::<Vec<_>>());
    let paths: Vec<_> = may_be.iter().map(|&index| photos[index].path.as_path()).collect();
    let (named, mut next) = (named(&paths), may_be.iter());
    hub.look_at(&named, &[&SketchAnalysis], hub.medium(), |_, outcome| {
        if let (Some(&index), Ok(AnalysedPhoto { report, .. })) = (next.next(), outcome)
            && report.content == photos[index].content
        {
            photos[index].sketch = report.sketch;
        }
        ControlFlow::Continue(())
    });
}

fn frame(photo: &PhotoReport) -> Frame<'_> {
    let PhotoReport { path, width, height, exposure, sketch, .. } = photo;
    Frame {
        path: path.clone(),
        taken_ms: photo.taken_ms(),
        width: *width,
        height: *height,
        exposure: *exposure,
        sketch: sketch.as_ref(),
    }
}

/// Notes in each report the sequence of the photo. What the reports say already, read from a file, stays.
pub fn mark(photos: &mut [PhotoReport]) {
    if photos.iter().any(|photo| photo.sequence.is_some()) {
        return;
    }
    let found = sequences::find(&photos.iter().map(frame).collect::<Vec<_>>());
    for sequence in found {
        let frames: Arc<[PathBuf]> = sequence.frames.iter().map(|&index| photos[index].path.clone()).collect();
        for &index in &sequence.frames {
            photos[index].sequence = Some(PhotoSequence { kind: sequence.kind, frames: Arc::clone(&frames) });
        }
    }
}
