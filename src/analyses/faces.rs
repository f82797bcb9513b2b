//! Faces, open eyes and smiles.

use crate::config::Settings;
use crate::photo_report::PhotoReport;
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use base::pixels::Pixels;
use hub::Faces;
use judge::portrait::Thresholds;
use photo::Region;

/// The face networks as an analysis of the pipeline.
#[derive(Debug)]
pub struct FaceAnalysis {
    pub faces: Faces,
}

impl FaceAnalysis {
    /// Raised when the same pixels give another result.
    const REVISION: &'static str = "portrait/4";
}

impl Analysis for FaceAnalysis {
    fn name(&self) -> &'static str {
        "find_faces"
    }

    fn fingerprint(&self) -> Fingerprint {
        let identity = self.faces.identity();
        Fingerprint::of([Self::REVISION].into_iter().chain(identity.iter().map(String::as_str)))
    }

    fn needs_decoded_size(&self) -> bool {
        true
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        report.portrait = Some(Box::new(self.faces.analyse(&picture.decoded)?));
        Ok(())
    }

    fn regions(&self, report: &PhotoReport) -> Vec<Region> {
        let faces = report.portrait.iter().flat_map(|portrait| &portrait.faces);
        faces.filter(|face| face.is_prominent).map(|face| face.bbox).collect()
    }

    fn look_closer(&self, boxes: &[Option<Pixels>], report: &mut PhotoReport) {
        if let Some(portrait) = &mut report.portrait {
            self.faces.look_closer(portrait, boxes);
        }
    }

    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&report.portrait)?)
    }

    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        // Landmarks are not stored.
        report.portrait = Some(Box::new(serde_json::from_slice(finding).ok()?));
        Some(())
    }
}

impl From<&Settings> for Thresholds {
    fn from(all: &Settings) -> Self {
        let settings = &all.portrait_analysis;
        Self {
            face_detection_confidence: settings.face_detection_confidence as f32,
            portrait_face_ratio_threshold: settings.portrait_face_ratio_threshold,
            portrait_center_offset_threshold: settings.portrait_center_offset_threshold,
            eye_open_ear_threshold: settings.eye_open_ear_threshold,
            smile_width_threshold: settings.smile_width_threshold,
            smile_elevation_threshold: settings.smile_elevation_threshold,
            landmark_rounding: settings.landmark_rounding,
            eyes: settings.eyes,
            groups: all.album.portrait.groups,
            quality_weight: all.album.portrait.face_quality_weight,
            ..Self::default()
        }
    }
}
