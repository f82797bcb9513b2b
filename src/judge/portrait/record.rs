//! The portrait record of a photo: its faces, their eyes and smiles, and the portrait score.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crop::Crop;
use super::detection::Detection;
use super::expression::Expression;
use super::face_quality::FaceQuality;
use super::landmarks::Point;
use super::state::{self, ExpressionOutput, Eyes, Pose};
use super::thresholds::{EyesBy, Thresholds};

/// The result for a photo, with fields in output order. `None` means that it cannot be determined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Portrait {
    pub has_face: bool,
    pub num_faces: usize,
    /// True for exactly one face, large enough and near the middle.
    pub is_portrait: bool,
    /// Whether all eyes that can be judged are open; of prominent faces only, if there are any.
    pub eyes_open: Option<bool>,
    /// Whether more than half of the same faces smile.
    pub is_smiling: Option<bool>,
    /// The mean over the same faces.
    pub smile_score: Option<f64>,
    /// The mean of a face's two eyes; of several faces, the smallest.
    pub eye_aspect_ratio: Option<f64>,
    /// The share of the picture that the face covers; only for exactly one face.
    pub face_ratio: Option<f64>,
    /// The face's horizontal distance from the middle, as a share of the width; only for exactly one face.
    pub center_offset: Option<f64>,
    /// The mean over prominent faces, each of which starts at 0.5 and gains for open eyes and a smile; 0.5 without any.
    pub portrait_score: f64,
    /// Best first.
    pub faces: Vec<Face>,
    /// The networks, as `name@version`.
    pub portrait_model: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Face {
    /// Left, top, width and height as shares of the picture's; may reach outside.
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
    /// The reason why eyes and smile cannot be judged; with dark glasses, only the eyes.
    pub unclear: Option<Unclear>,
    /// The state by the expression network, like all following fields; null without that network.
    pub eyes: Option<Eyes>,
    /// From 0.5, at the threshold to another state, to 1.
    pub eyes_confidence: Option<f64>,
    /// How far the lids are down: near 0 for wide open eyes, closed from 0.42.
    #[serde(default)]
    pub lids: Option<f64>,
    /// The smile score, from 0 to 1.
    pub smile: Option<f64>,
    pub smile_confidence: Option<f64>,
    pub pose: Option<Pose>,
    pub pose_confidence: Option<f64>,
    /// Whether the face counts for the photo: it is large compared with the largest face, and the large faces lie
    /// around the middle.
    #[serde(default)]
    pub is_prominent: bool,
    /// How sharp the face is as large as the file has it, from 0 to 1; only of prominent faces, like the next two.
    #[serde(default)]
    pub sharpness: Option<f64>,
    /// Lower for small faces and for those without detail.
    #[serde(default)]
    pub sharpness_confidence: Option<f64>,
    /// How well the face is exposed, from 0 to 1.
    #[serde(default)]
    pub exposure: Option<f64>,
    /// The mesh, for drawing.
    #[serde(skip)]
    pub landmarks: Option<Vec<Point>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unclear {
    /// Smaller than [`Thresholds::smallest_face`].
    TooSmall,
    /// Not found by the short-range detector, in whose boxes landmarks are searched.
    NotFoundClose,
    /// The presence score of the mesh network is too low.
    LowPresence,
    /// Turned beyond [`Thresholds::farthest_turn`].
    Profile,
    /// The eye regions are dark and of uniform brightness.
    DarkGlasses,
}

/// The output of the mesh network for a crop.
#[derive(Clone, Debug)]
pub struct Mesh {
    pub presence: f32,
    pub landmarks: Vec<Point>,
    /// The output of the expression network for the same crop, if it was run.
    pub expressed: Option<ExpressionOutput>,
}

/// Returns for each face the crop in which to search landmarks, or the reason why there is none.
///
/// The crop lies around the short-range detector's box, like in the original. Faces of a group, which the original does
/// not judge, fall back to the full-range detector's box.
pub fn crops(
    faces: &[Detection],
    close: &[Detection],
    width: u32,
    height: u32,
    thresholds: &Thresholds,
) -> Vec<Result<Crop, Unclear>> {
    let around = |face: &Detection| {
        // The best score comes first, and the original takes the first. Boxes elsewhere belong to other faces.
        let same = close.iter().find(|close| is_same_face(face, close));
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

/// The required overlap is smaller than within one detector, because the two detectors' boxes differ in size.
fn is_same_face(far: &Detection, close: &Detection) -> bool {
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
            lids: None,
            smile: None,
            smile_confidence: None,
            pose: None,
            pose_confidence: None,
            is_prominent: false,
            sharpness: None,
            sharpness_confidence: None,
            exposure: None,
            landmarks: mesh.ok(),
        };
        match thresholds.eyes {
            EyesBy::Ear => measured,
            EyesBy::States => measured.with_states(expressed.as_ref(), width, height),
        }
    }

    /// Replaces the judgements by those of the expression network.
    fn with_states(mut self, expressed: Option<&ExpressionOutput>, width: u32, height: u32) -> Self {
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
            // The farther a face is turned, the less of its mouth is visible.
            self.smile = Some(state::smile(&expressed.blendshapes));
            self.smile_confidence = Some(f64::from(expressed.presence) * pose.yaw.to_radians().cos().max(0.0));
            if expressed.dark_glasses {
                self.unclear = Some(Unclear::DarkGlasses);
            } else {
                let lids = state::lids(&expressed.blendshapes, ears, &pose);
                let (eyes, confidence) = state::eyes(&expressed.blendshapes, lids, &pose);
                (self.eyes, self.eyes_confidence, self.lids) = (Some(eyes), Some(confidence), Some(lids));
            }
        }
        self.eyes_open = self.eyes.and_then(Eyes::are_open);
        self.is_smiling = self.smile.map(|smile| smile >= state::SMILES);
        self
    }

    /// The smile score, by the expression network if it was run.
    fn smile(&self) -> Option<f64> {
        if self.eyes.is_some() { self.smile } else { self.smile_score }
    }

    /// The portrait score of this face alone.
    fn score(&self, thresholds: &Thresholds) -> f64 {
        // The smile score from landmarks is above zero without a smile, too.
        let is_smiling = self.is_smiling.map(|smiles| smiles || self.eyes.is_some());
        self.with_quality(score(true, self.eyes_open, is_smiling, self.smile()), thresholds)
    }

    /// A score of eyes and smile together with sharpness and exposure, where these were measured and have a weight.
    fn with_quality(&self, score: f64, thresholds: &Thresholds) -> f64 {
        let weight = thresholds.quality_weight.clamp(0.0, 1.0);
        match self.sharpness.zip(self.exposure) {
            Some((sharpness, exposure)) => {
                (1.0 - weight) * score + weight * (sharpness / SHARP_FACE).min(1.0) * exposure
            }
            None => score,
        }
    }

    fn eye_aspect_ratio(&self) -> Option<f64> {
        Some(f64::midpoint(self.left_ear?, self.right_ear?))
    }

    fn area(&self) -> f64 {
        self.bbox[2] * self.bbox[3]
    }

    /// The horizontal distance from the middle; faces are rarely at the middle of a picture's height.
    fn center_offset(&self) -> f64 {
        (self.bbox[0] + self.bbox[2] / 2.0 - 0.5).abs()
    }
}

impl Portrait {
    /// Builds the record from `faces` and the output of the mesh network for each, in the same order.
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
        // People in the background of a group do not count.
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
        let mut portrait = Self {
            has_face: !faces.is_empty(),
            num_faces: faces.len(),
            is_portrait,
            eyes_open,
            is_smiling,
            smile_score,
            eye_aspect_ratio: faces.iter().filter_map(Face::eye_aspect_ratio).min_by(f64::total_cmp),
            face_ratio: single.map(Face::area),
            center_offset: single.map(Face::center_offset),
            portrait_score: 0.0,
            faces,
            portrait_model: model.to_owned(),
        };
        portrait.rate(thresholds);
        portrait
    }

    /// Adds the quality of the prominent faces, in their order, and rates the photo again.
    pub fn add_quality(&mut self, of_prominent: &[Option<FaceQuality>], thresholds: &Thresholds) {
        let prominent = self.faces.iter_mut().filter(|face| face.is_prominent);
        for (face, quality) in prominent.zip(of_prominent) {
            face.sharpness = quality.map(|quality| quality.sharpness);
            face.sharpness_confidence = quality.map(|quality| quality.sharpness_confidence);
            face.exposure = quality.map(|quality| quality.exposure);
        }
        self.rate(thresholds);
    }

    fn rate(&mut self, thresholds: &Thresholds) {
        let prominent: Vec<&Face> = self.faces.iter().filter(|face| face.is_prominent).collect();
        let of_photo = score(self.is_portrait, self.eyes_open, self.is_smiling, self.smile_score);
        self.portrait_score = match prominent.as_slice() {
            [] => of_photo,
            [only] if !thresholds.groups => only.with_quality(of_photo, thresholds),
            all => all.iter().map(|face| face.score(thresholds)).sum::<f64>() / all.len() as f64,
        };
    }
}

/// The sharpness from which a face has all that sharpness can give.
const SHARP_FACE: f64 = 0.5;

/// The smallest area of a prominent face as a share of the largest face's: two fifths of its height.
const MIN_SHARE_OF_LARGEST: f64 = 0.16;

/// Marks the prominent faces. A single face must be large enough and near the middle, like in the original. Of several,
/// the largest and those not much smaller are prominent, if together they lie around the middle.
fn prominent(faces: &[Face], thresholds: &Thresholds) -> Vec<bool> {
    let largest = faces.iter().map(Face::area).fold(0.0, f64::max);
    let is_large = |face: &Face| {
        let area = face.area();
        area > thresholds.portrait_face_ratio_threshold && area >= MIN_SHARE_OF_LARGEST * largest
    };
    let large: Vec<bool> = faces.iter().map(is_large).collect();
    let large_faces = || faces.iter().zip(&large).filter(|(_, is_large)| **is_large).map(|(face, _)| face);
    let area: f64 = large_faces().map(Face::area).sum();
    let middle: f64 = large_faces().map(|face| face.area() / area * (face.bbox[0] + face.bbox[2] / 2.0)).sum();
    let are_central = (middle - 0.5).abs() < thresholds.portrait_center_offset_threshold;
    let may_be_prominent = faces.len() == 1 || thresholds.groups;
    large.into_iter().map(|is_large| is_large && are_central && may_be_prominent).collect()
}

/// The portrait score: 0.5 without a portrait; a portrait starts at 0.5 and can only gain.
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

    /// A mesh whose eyes have the aspect ratio `ear`.
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
    fn without_a_face_there_is_no_portrait_and_no_answer_about_eyes() {
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
        assert_eq!(blink.faces[1].eyes_open, Some(false), "and the face that blinks is marked");
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
    fn all_prominent_faces_count_in_a_group() {
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
        // A small face in the background does not count, nor does a group at the side.
        let behind = of_all(&[three[0].clone(), three[1].clone(), detection(0.85, 0.05)], &[0.3, 0.3, 0.1]);
        assert_eq!((behind.portrait_score, behind.eyes_open), (0.75, Some(true)));
        assert_eq!(behind.faces.iter().map(|face| face.is_prominent).collect::<Vec<_>>(), [true, true, false]);
        let aside = of_all(&[detection(0.75, 0.1), detection(0.9, 0.1)], &[0.3, 0.1]);
        assert_eq!((aside.portrait_score, aside.eyes_open), (0.5, Some(false)));
        // A single face is judged as without groups.
        for (x, ear) in [(0.4, 0.3), (0.4, 0.1), (0.75, 0.3)] {
            let (new, old) = (of_all(&[detection(x, 0.2)], &[ear]), judge(&[detection(x, 0.2)], vec![Ok(mesh(ear))]));
            assert_eq!(new, old);
        }
        assert_eq!(judge(&three, vec![Ok(mesh(0.3)), Ok(mesh(0.3)), Ok(mesh(0.3))]).portrait_score, 0.5);
    }

    #[test]
    fn quality_counts_in_a_score_as_far_as_it_has_a_weight() {
        let quality = |sharpness| Some(FaceQuality { sharpness, sharpness_confidence: 1.0, exposure: 0.8 });
        let faces = [detection(0.2, 0.2), detection(0.6, 0.2)];
        let of = |groups, quality_weight, faces: &[Detection], measured: &[Option<FaceQuality>]| {
            let thresholds = Thresholds { groups, quality_weight, ..Thresholds::default() };
            let meshes = faces.iter().map(|_| Ok(mesh(0.3))).collect();
            let mut portrait = Portrait::judge(faces, meshes, 100, 100, &thresholds, "faces@1");
            portrait.add_quality(measured, &thresholds);
            portrait
        };
        let both = of(true, 0.0, &faces, &[quality(0.25), None]);
        assert_eq!((both.portrait_score, both.faces[0].sharpness, both.faces[1].sharpness), (0.75, Some(0.25), None));
        // Half as sharp as is enough and exposed at 0.8; the other face could not be measured.
        let both = of(true, 0.5, &faces, &[quality(0.25), None]);
        assert!((both.portrait_score - f64::midpoint(f64::midpoint(0.75, 0.4), 0.75)).abs() < 1e-12, "{both:?}");
        let alone = of(false, 0.5, &[detection(0.4, 0.2)], &[quality(0.9)]);
        assert!((alone.portrait_score - f64::midpoint(0.75, 0.8)).abs() < 1e-12, "{alone:?}");
        let aside = of(false, 0.5, &faces, &[]);
        assert_eq!((aside.portrait_score, aside.faces[0].sharpness), (0.5, None), "no portrait");
    }

    #[test]
    fn crops_come_from_the_short_range_detector_or_for_groups_from_the_full_range_one() {
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
