//! What is said about a photo: faces, portrait or not, eyes, smile.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crop::Crop;
use super::detection::Detection;
use super::expression::Expression;
use super::landmarks::Point;
use super::thresholds::Thresholds;

/// Fields in the order in which they are written. `None` is "can't tell".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Portrait {
    pub has_face: bool,
    pub num_faces: usize,
    /// Exactly one face, large enough and near the middle.
    pub is_portrait: bool,
    /// All eyes that can be judged are open.
    pub eyes_open: Option<bool>,
    /// More than half of the faces that can be judged smile.
    pub is_smiling: Option<bool>,
    /// Mean over the faces that can be judged.
    pub smile_score: Option<f64>,
    /// Mean of a face's two eyes; of several faces the least.
    pub eye_aspect_ratio: Option<f64>,
    /// Share of the picture the face covers; only where there is exactly one.
    pub face_ratio: Option<f64>,
    /// How far the face is from the middle, in shares of the width; only where there is exactly one.
    pub center_offset: Option<f64>,
    /// 0.5 when this is no portrait, more for open eyes and a smile.
    pub portrait_score: f64,
    /// Best first.
    pub faces: Vec<Face>,
    /// `name@version` of the networks.
    pub portrait_model: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Face {
    /// Left, top, width, height in shares of the picture; may reach outside.
    pub bbox: [f64; 4],
    pub confidence: f64,
    pub keypoints: [[f64; 2]; 6],
    pub left_ear: Option<f64>,
    pub right_ear: Option<f64>,
    pub mouth_width_ratio: Option<f64>,
    pub corner_elevation: Option<f64>,
    pub eyes_open: Option<bool>,
    pub is_smiling: Option<bool>,
    pub smile_score: Option<f64>,
    /// Why eyes and smile can't be told.
    pub unclear: Option<Unclear>,
    /// The mesh, for drawing.
    #[serde(skip)]
    pub landmarks: Option<Vec<Point>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unclear {
    /// Fewer pixels than [`Thresholds::smallest_face`].
    TooSmall,
    /// The detector that landmarks start from does not find it.
    NotFoundClose,
    /// The mesh network does not believe in the face.
    LowPresence,
    /// Turned beyond [`Thresholds::farthest_turn`].
    Profile,
}

/// What the mesh network says about a crop.
#[derive(Clone, Debug)]
pub struct Mesh {
    pub presence: f32,
    pub landmarks: Vec<Point>,
}

/// Where to look for the landmarks of each face: the crops, or why there is none.
///
/// A single face is looked at where the original looks: around the short-range detector's answer. Faces of a group,
/// about which the original says nothing, fall back to the full-range detector's own box.
pub fn crops(
    faces: &[Detection],
    close: &[Detection],
    width: u32,
    height: u32,
    thresholds: &Thresholds,
) -> Vec<Result<Crop, Unclear>> {
    let around = |face: &Detection| {
        // Best score first, as the original takes the first; but an answer elsewhere is not about this face.
        let same = close.iter().find(|close| about_one_face(face, close));
        let source = match same {
            Some(close) => close,
            None if faces.len() == 1 => return Err(Unclear::NotFoundClose),
            None => face,
        };
        let crop = Crop::around(source, width, height);
        if crop.face_side() >= thresholds.smallest_face { Ok(crop) } else { Err(Unclear::TooSmall) }
    };
    faces.iter().map(around).collect()
}

/// The two detectors' boxes of one face differ in size, so their overlap is asked for less than within one.
fn about_one_face(far: &Detection, close: &Detection) -> bool {
    far.overlap(close) > 0.2
}

impl Face {
    fn new(
        detection: &Detection,
        mesh: Result<Mesh, Unclear>,
        width: u32,
        height: u32,
        thresholds: &Thresholds,
    ) -> Self {
        let [left, top, ..] = detection.edges;
        let mesh = mesh.and_then(|mesh| {
            let sure = mesh.presence > thresholds.landmark_presence_confidence;
            if sure { Ok(mesh.landmarks) } else { Err(Unclear::LowPresence) }
        });
        let judged = mesh.as_ref().map_err(|&unclear| unclear).and_then(|points| {
            let expression = Expression::measure(points, width, height, thresholds.landmark_rounding);
            if expression.turn <= thresholds.farthest_turn { Ok(expression) } else { Err(Unclear::Profile) }
        });
        let of = |f: fn(&Expression) -> f64| judged.as_ref().ok().map(f);
        Self {
            bbox: [left, top, detection.width(), detection.height()],
            confidence: f64::from(detection.score),
            keypoints: detection.keypoints,
            left_ear: of(|e| e.left_ear),
            right_ear: of(|e| e.right_ear),
            mouth_width_ratio: of(|e| e.mouth_width_ratio),
            corner_elevation: of(|e| e.corner_elevation),
            eyes_open: judged.as_ref().ok().map(|e| e.eyes_open(thresholds)),
            is_smiling: judged.as_ref().ok().map(|e| e.is_smiling(thresholds)),
            smile_score: of(Expression::smile_score),
            unclear: judged.err(),
            landmarks: mesh.ok(),
        }
    }

    fn eye_aspect_ratio(&self) -> Option<f64> {
        Some(f64::midpoint(self.left_ear?, self.right_ear?))
    }

    fn area(&self) -> f64 {
        self.bbox[2] * self.bbox[3]
    }

    /// Sideways only: faces are rarely in the middle of a picture's height.
    fn center_offset(&self) -> f64 {
        (self.bbox[0] + self.bbox[2] / 2.0 - 0.5).abs()
    }
}

impl Portrait {
    /// `faces` and what the mesh network says about each, in the same order.
    pub fn judge(
        faces: &[Detection],
        meshes: Vec<Result<Mesh, Unclear>>,
        width: u32,
        height: u32,
        thresholds: &Thresholds,
        model: &str,
    ) -> Self {
        let faces: Vec<Face> =
            faces.iter().zip(meshes).map(|(face, mesh)| Face::new(face, mesh, width, height, thresholds)).collect();
        let single = if let [face] = faces.as_slice() { Some(face) } else { None };
        let is_portrait = single.is_some_and(|face| {
            face.area() > thresholds.portrait_face_ratio_threshold
                && face.center_offset() < thresholds.portrait_center_offset_threshold
        });
        let eyes: Vec<bool> = faces.iter().filter_map(|face| face.eyes_open).collect();
        let smiles: Vec<bool> = faces.iter().filter_map(|face| face.is_smiling).collect();
        let scores: Vec<f64> = faces.iter().filter_map(|face| face.smile_score).collect();
        let eyes_open = (!eyes.is_empty()).then(|| eyes.iter().all(|&open| open));
        let smiling = smiles.iter().filter(|&&smiles| smiles).count();
        let is_smiling = (!smiles.is_empty()).then_some(2 * smiling > smiles.len());
        let smile_score = (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64);
        Self {
            has_face: !faces.is_empty(),
            num_faces: faces.len(),
            is_portrait,
            eyes_open,
            is_smiling,
            smile_score,
            eye_aspect_ratio: faces.iter().filter_map(Face::eye_aspect_ratio).min_by(f64::total_cmp),
            face_ratio: single.map(Face::area),
            center_offset: single.map(Face::center_offset),
            portrait_score: score(is_portrait, eyes_open, is_smiling, smile_score),
            faces,
            portrait_model: model.to_owned(),
        }
    }
}

/// A photo without a portrait is in the middle; a portrait starts there and can only gain.
pub fn score(is_portrait: bool, eyes_open: Option<bool>, is_smiling: Option<bool>, smile_score: Option<f64>) -> f64 {
    if !is_portrait {
        return 0.5;
    }
    let eyes = if eyes_open == Some(true) { 0.25 } else { 0.0 };
    let smile = smile_score.filter(|score| score.is_finite() && is_smiling == Some(true));
    (0.5 + eyes + 0.25 * smile.unwrap_or(0.0).max(0.0)).min(1.0)
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact by construction")]
mod tests {
    use super::*;
    use crate::portrait::landmarks::{COUNT, LEFT_EYE, RIGHT_EYE};

    fn detection(x: f64, size: f64) -> Detection {
        let y = 0.3;
        Detection { score: 0.9, edges: [x, y, x + size, y + size], keypoints: [[x, y]; 6] }
    }

    /// Landmarks with eyes open by `ear`.
    fn mesh(ear: f64) -> Mesh {
        let mut landmarks = vec![[0.5, 0.5, 0.0]; COUNT];
        for (eye, x) in [(LEFT_EYE, 0.4), (RIGHT_EYE, 0.55)] {
            landmarks[eye[3]] = [x + 0.1, 0.4, 0.0];
            for (index, dx, dy) in [(0, 0.0, 0.0), (1, 0.03, -0.05), (5, 0.03, 0.05), (2, 0.06, -0.05), (4, 0.06, 0.05)]
            {
                landmarks[eye[index]] = [x + dx, 0.4 + dy * ear, 0.0];
            }
        }
        Mesh { presence: 0.9, landmarks }
    }

    fn judge(faces: &[Detection], meshes: Vec<Result<Mesh, Unclear>>) -> Portrait {
        Portrait::judge(faces, meshes, 100, 100, &Thresholds::default(), "faces@1")
    }

    #[test]
    fn no_face_is_no_portrait_and_says_nothing_about_eyes() {
        let portrait = judge(&[], vec![]);
        assert!(!portrait.has_face && !portrait.is_portrait && portrait.eyes_open.is_none());
        assert!((portrait.portrait_score - 0.5).abs() < 1e-12);
        assert_eq!(portrait.face_ratio, None);
    }

    #[test]
    fn the_score_rewards_eyes_and_smile_up_to_one() {
        assert_eq!(score(false, Some(true), Some(true), Some(0.9)), 0.5);
        assert_eq!(score(true, None, None, None), 0.5);
        assert_eq!(score(true, Some(false), Some(false), Some(0.3)), 0.5);
        assert_eq!(score(true, Some(true), Some(false), Some(0.3)), 0.75);
        assert_eq!(score(true, Some(true), Some(true), Some(0.5)), 0.875);
        assert_eq!(score(true, Some(true), Some(true), Some(9.0)), 1.0);
    }

    #[test]
    fn a_portrait_with_open_eyes_gains_a_quarter() {
        let portrait = judge(&[detection(0.4, 0.2)], vec![Ok(mesh(0.3))]);
        assert!(portrait.is_portrait);
        assert_eq!(portrait.eyes_open, Some(true));
        assert!((portrait.portrait_score - 0.75).abs() < 1e-12, "the mouth is a point, so no smile");
        assert!((portrait.face_ratio.unwrap() - 0.04).abs() < 1e-12);
        assert!((portrait.eye_aspect_ratio.unwrap() - 0.3).abs() < 1e-9);
    }

    #[test]
    fn a_face_at_the_side_is_judged_but_is_no_portrait() {
        let portrait = judge(&[detection(0.75, 0.2)], vec![Ok(mesh(0.1))]);
        assert!(!portrait.is_portrait);
        assert_eq!(portrait.eyes_open, Some(false));
        assert!((portrait.center_offset.unwrap() - 0.35).abs() < 1e-12);
    }

    #[test]
    fn in_a_group_all_visible_eyes_must_be_open() {
        let faces = [detection(0.1, 0.2), detection(0.4, 0.2), detection(0.7, 0.2)];
        let open = judge(&faces, vec![Ok(mesh(0.3)), Err(Unclear::TooSmall), Ok(mesh(0.4))]);
        assert_eq!((open.eyes_open, open.is_portrait), (Some(true), false));
        assert_eq!(open.faces[1].unclear, Some(Unclear::TooSmall));
        assert!((open.eye_aspect_ratio.unwrap() - 0.3).abs() < 1e-9, "the least open");
        let blink = judge(&faces, vec![Ok(mesh(0.3)), Ok(mesh(0.1)), Ok(mesh(0.4))]);
        assert_eq!(blink.eyes_open, Some(false));
        assert_eq!(blink.faces[1].eyes_open, Some(false), "and the face that blinks is named");
    }

    #[test]
    fn weak_evidence_is_no_answer() {
        let face = [detection(0.4, 0.2)];
        let doubtful = judge(&face, vec![Ok(Mesh { presence: 0.5, ..mesh(0.3) })]);
        assert_eq!((doubtful.eyes_open, doubtful.faces[0].unclear), (None, Some(Unclear::LowPresence)));
        assert!((doubtful.portrait_score - 0.5).abs() < 1e-12);
        let mut aside = mesh(0.3);
        aside.landmarks[crate::portrait::landmarks::CHEEKS[0]] = [0.1, 0.5, 0.0];
        let profile = judge(&face, vec![Ok(aside)]);
        assert_eq!((profile.is_smiling, profile.faces[0].unclear), (None, Some(Unclear::Profile)));
    }

    #[test]
    fn landmarks_start_from_the_close_detector_or_for_groups_from_the_far_one() {
        let thresholds = Thresholds::default();
        let (face, elsewhere) = (detection(0.4, 0.2), detection(0.7, 0.2));
        let near = Detection { score: 0.7, ..detection(0.41, 0.2) };
        let look = |faces: &[Detection], close: &[Detection], size| crops(faces, close, size, size, &thresholds);
        let (only_face, only_elsewhere) = (std::slice::from_ref(&face), std::slice::from_ref(&elsewhere));
        let alone = look(only_face, &[elsewhere.clone(), near.clone()], 1000);
        assert_eq!(alone, [Ok(Crop::around(&near, 1000, 1000))]);
        assert_eq!(look(only_face, only_elsewhere, 1000), [Err(Unclear::NotFoundClose)]);
        let group = look(&[face.clone(), elsewhere.clone()], only_elsewhere, 1000);
        assert_eq!(group, [Ok(Crop::around(&face, 1000, 1000)), Ok(Crop::around(&elsewhere, 1000, 1000))]);
        assert_eq!(look(only_face, &[near], 100), [Err(Unclear::TooSmall)], "20 pixels");
    }
}
