//! Finding the sequences among photos that were analysed: exposure brackets, focus stacks, sweeps.

use std::path::PathBuf;
use std::sync::Arc;

use crate::photo_report::{PhotoReport, PhotoSequence};
use judge::sequences::{self, Frame};

/// Notes in each report the sequence of the photo. What the reports say already, read from a file, stays.
pub fn mark(photos: &mut [PhotoReport]) {
    if photos.iter().any(|photo| photo.sequence.is_some()) {
        return;
    }
    let frame = |photo| {
        let PhotoReport { path, width, height, exposure, sketch, .. }: &PhotoReport = photo;
        Frame {
            path: path.clone(),
            taken_ms: photo.taken_ms(),
            width: *width,
            height: *height,
            exposure: *exposure,
            sketch: sketch.as_ref(),
        }
    };
    let found = sequences::find(&photos.iter().map(frame).collect::<Vec<_>>());
    for sequence in found {
        let frames: Arc<[PathBuf]> = sequence.frames.iter().map(|&index| photos[index].path.clone()).collect();
        for &index in &sequence.frames {
            photos[index].sequence = Some(PhotoSequence { kind: sequence.kind, frames: Arc::clone(&frames) });
        }
    }
}
