//! What is said about a photo: faces, portrait or not, eyes, smile.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crop::Crop;
use super::detection::Detection;
use super::expression::Expression;
use super::landmarks::Point;
use super::state::{self, Expressed, Eyes, Pose};
use super::thresholds::{EyesBy, Thresholds};

/// Fields in the order in which they are written. `None` is "can't tell".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Portrait {
    pub has_face: bool,
    pub num_faces: usize,
    /// Exactly one face, large enough and near the middle.
    pub is_portrait: bool,
    /// All eyes that can be judged are open, of prominent faces where there are any.
    pub eyes_open: Option<bool>,
    /// More than half of the same faces smile.
    pub is_smiling: Option<bool>,
    /// Mean over the same faces.
    pub smile_score: Option<f64>,
    /// Mean of a face's two eyes; of several faces the least.
    pub eye_aspect_ratio: Option<f64>,
    /// Share of the picture the face covers; only where there is exactly one.
    pub face_ratio: Option<f64>,
    /// How far the face is from the middle, in shares of the width; only where there is exactly one.
    pub center_offset: Option<f64>,
    /// Mean over prominent faces, each from 0.5, more for open eyes and a smile; 0.5 without any.
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
    /// Why eyes and smile can't be told; behind dark glasses only the eyes.
    pub unclear: Option<Unclear>,
    /// By the expression network, like all that follows; null without it.
    pub eyes: Option<Eyes>,
    /// From 0.5, on the line to another state, to 1.
    pub eyes_confidence: Option<f64>,
    /// How much it smiles, 0 to 1.
    pub smile: Option<f64>,
    pub smile_confidence: Option<f64>,
    pub pose: Option<Pose>,
    pub pose_confidence: Option<f64>,
    /// Large beside the largest face, in a photo whose faces lie around its middle: who counts for the photo.
    #[serde(default)]
    pub is_prominent: bool,
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
    /// Where the eyes should be it is dark and flat.
    DarkGlasses,
}

/// What the mesh network says about a crop.
#[derive(Clone, Debug)]
pub struct Mesh {
    pub presence: f32,
    pub landmarks: Vec<Point>,
    /// What the expression network says about the same crop, where it was asked.
    pub expressed: Option<Expressed>,
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
        let sure = |presence: f32| presence > thresholds.landmark_presence_confidence;
        let mut expressed = None;
        let mesh = mesh.and_then(|mesh| {
            expressed = mesh.expressed.filter(|expressed| sure(expressed.presence));
            if sure(mesh.presence) { Ok(mesh.landmarks) } else { Err(Unclear::LowPresence) }
        });
        let judged = mesh.as_ref().map_err(|&unclear| unclear).and_then(|points| {
            let expression = Expression::measure(points, width, height, thresholds.landmark_rounding);
            if expression.turn <= thresholds.farthest_turn { Ok(expression) } else { Err(Unclear::Profile) }
        });
        let of = |f: fn(&Expression) -> f64| judged.as_ref().ok().map(f);
        let measured = Self {
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
            eyes: None,
            eyes_confidence: None,
            smile: None,
            smile_confidence: None,
            pose: None,
            pose_confidence: None,
            is_prominent: false,
            landmarks: mesh.ok(),
        };
        match thresholds.eyes {
            EyesBy::Ear => measured,
            EyesBy::States => measured.with_states(expressed.as_ref(), width, height),
        }
    }

    /// The same, judged by the expression network.
    fn with_states(mut self, expressed: Option<&Expressed>, width: u32, height: u32) -> Self {
        let pose = expressed.map(|expressed| Pose::of(&expressed.landmarks, width, height));
        self.pose = pose;
        self.pose_confidence = expressed.map(|expressed| f64::from(expressed.presence));
        let ears = self.left_ear.zip(self.right_ear).map(<[f64; 2]>::from);
        let judged = match (self.unclear, expressed.zip(pose).zip(ears)) {
            (None, None) => Err(Unclear::LowPresence),
            (None, Some(found)) => Ok(found),
            (Some(unclear), _) => Err(unclear),
        };
        self.unclear = judged.err();
        self.eyes = Some(Eyes::CannotTell);
        if let Ok(((expressed, pose), ears)) = judged {
            // The farther a face is turned, the less of its mouth is seen.
            self.smile = Some(state::smile(&expressed.blendshapes));
            self.smile_confidence = Some(f64::from(expressed.presence) * pose.yaw.to_radians().cos().max(0.0));
            if expressed.dark_glasses {
                self.unclear = Some(Unclear::DarkGlasses);
            } else {
                let (eyes, confidence) = state::eyes(&expressed.blendshapes, ears, &pose);
                (self.eyes, self.eyes_confidence) = (Some(eyes), Some(confidence));
            }
        }
        self.eyes_open = self.eyes.and_then(Eyes::are_open);
        self.is_smiling = self.smile.map(|smile| smile >= state::SMILES);
        self
    }

    /// How much it smiles, by the expression network where it was asked.
    fn smile(&self) -> Option<f64> {
        if self.eyes.is_some() { self.smile } else { self.smile_score }
    }

    /// What it brings into the portrait score of a photo.
    fn score(&self) -> f64 {
        // The score of landmarks alone is above zero without a smile, too.
        let is_smiling = self.is_smiling.map(|smiles| smiles || self.eyes.is_some());
        score(true, self.eyes_open, is_smiling, self.smile())
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
        let mut faces: Vec<Face> =
            faces.iter().zip(meshes).map(|(face, mesh)| Face::new(face, mesh, width, height, thresholds)).collect();
        let prominent = prominent(&faces, thresholds);
        faces.iter_mut().zip(&prominent).for_each(|(face, is_prominent)| face.is_prominent = *is_prominent);
        let single = if let [face] = faces.as_slice() { Some(face) } else { None };
        let is_portrait = single.is_some_and(|face| face.is_prominent);
        // Who stands in the background of a group does not speak for it.
        let of_group = thresholds.groups && prominent.contains(&true);
        let counting = || faces.iter().filter(|face| face.is_prominent || !of_group);
        let eyes: Vec<bool> = counting().filter_map(|face| face.eyes_open).collect();
        let smiles: Vec<bool> = counting().filter_map(|face| face.is_smiling).collect();
        let scores: Vec<f64> = counting().filter_map(Face::smile).collect();
        let eyes_open = (!eyes.is_empty()).then(|| eyes.iter().all(|&open| open));
        let smiling = smiles.iter().filter(|&&smiles| smiles).count();
        let is_smiling = (!smiles.is_empty()).then_some(2 * smiling > smiles.len());
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let smile_score = (!scores.is_empty()).then(|| mean(&scores));
        let portrait_score = if of_group {
            mean(&counting().map(Face::score).collect::<Vec<_>>())
        } else {
            score(is_portrait, eyes_open, is_smiling, smile_score)
        };
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
            portrait_score,
            faces,
            portrait_model: model.to_owned(),
        }
    }
}

/// A face beside a larger one is prominent from this share of the larger one's area on: two fifths of its height.
const BESIDE_THE_LARGEST: f64 = 0.16;

/// Which faces a photo is about. One alone must be large enough and near the middle, as in the original; of several, the
/// largest and those that are not much smaller, where they lie around the middle.
fn prominent(faces: &[Face], thresholds: &Thresholds) -> Vec<bool> {
    let largest = faces.iter().map(Face::area).fold(0.0, f64::max);
    let is_large = |face: &Face| {
        let area = face.area();
        area > thresholds.portrait_face_ratio_threshold && area >= BESIDE_THE_LARGEST * largest
    };
    let large: Vec<bool> = faces.iter().map(is_large).collect();
    let those = || faces.iter().zip(&large).filter(|(_, is_large)| **is_large).map(|(face, _)| face);
    let area: f64 = those().map(Face::area).sum();
    let middle: f64 = those().map(|face| face.area() / area * (face.bbox[0] + face.bbox[2] / 2.0)).sum();
    let lie_well = (middle - 0.5).abs() < thresholds.portrait_center_offset_threshold;
    let one_is_asked = faces.len() == 1 || thresholds.groups;
    large.into_iter().map(|is_large| is_large && lie_well && one_is_asked).collect()
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
        Mesh { presence: 0.9, landmarks, expressed: None }
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
    fn everyone_prominent_counts_in_a_group() {
        let groups = Thresholds { groups: true, ..Thresholds::default() };
        let of_all = |faces: &[Detection], ears: &[f64]| {
            let meshes = ears.iter().map(|&ear| Ok(mesh(ear))).collect();
            Portrait::judge(faces, meshes, 100, 100, &groups, "faces@1")
        };
        let three = [detection(0.1, 0.2), detection(0.4, 0.2), detection(0.7, 0.2)];
        let open = of_all(&three, &[0.3, 0.3, 0.3]);
        assert_eq!((open.portrait_score, open.eyes_open, open.is_portrait), (0.75, Some(true), false));
        let blink = of_all(&three, &[0.3, 0.1, 0.3]);
        assert!((blink.portrait_score - (0.75 + 0.5 + 0.75) / 3.0).abs() < 1e-12);
        assert_eq!(blink.eyes_open, Some(false));
        // Somebody far behind does not count, nor does a group at the side.
        let behind = of_all(&[three[0].clone(), three[1].clone(), detection(0.85, 0.05)], &[0.3, 0.3, 0.1]);
        assert_eq!((behind.portrait_score, behind.eyes_open), (0.75, Some(true)));
        assert_eq!(behind.faces.iter().map(|face| face.is_prominent).collect::<Vec<_>>(), [true, true, false]);
        let aside = of_all(&[detection(0.75, 0.1), detection(0.9, 0.1)], &[0.3, 0.1]);
        assert_eq!((aside.portrait_score, aside.eyes_open), (0.5, Some(false)));
        // One face alone is what it was.
        for (x, ear) in [(0.4, 0.3), (0.4, 0.1), (0.75, 0.3)] {
            let (new, old) = (of_all(&[detection(x, 0.2)], &[ear]), judge(&[detection(x, 0.2)], vec![Ok(mesh(ear))]));
            assert_eq!(new, old);
        }
        assert_eq!(judge(&three, vec![Ok(mesh(0.3)), Ok(mesh(0.3)), Ok(mesh(0.3))]).portrait_score, 0.5);
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
