//! Thresholds of the portrait analysis. Defaults are those of the original, where it had them.

use serde::Deserialize;

/// The rounding of landmarks before distances are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LandmarkRounding {
    /// Unrounded.
    #[default]
    Float,
    /// Truncated to whole pixels, like the original. On small faces a pixel changes an eye's aspect ratio by up to
    /// 0.18.
    Pixel,
}

/// The method that decides whether eyes are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EyesBy {
    /// The expression network.
    States,
    /// The eye aspect ratio, like the original.
    #[default]
    Ear,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// The smallest score of a face by the full-range detector. MediaPipe's own interface ignores the value it is
    /// given, so the original always used 0.6, whatever its configuration.
    pub face_detection_confidence: f32,
    /// The smallest score of a box by the short-range detector in which landmarks are searched.
    pub landmark_detection_confidence: f32,
    /// The face presence that the mesh network must exceed for its landmarks to be used.
    pub landmark_presence_confidence: f32,
    /// The share of the picture's area that the face of a portrait must exceed.
    pub portrait_face_ratio_threshold: f64,
    /// The distance from the middle, as a share of the width, that the centre of a portrait's face must stay below.
    pub portrait_center_offset_threshold: f64,
    /// The smallest aspect ratio (height over width) of an open eye.
    pub eye_open_ear_threshold: f64,
    /// The share of the face's width that a smiling mouth must exceed.
    pub smile_width_threshold: f64,
    /// The height of a smile's corners above its middle, as a share of the picture's height, that must be exceeded.
    pub smile_elevation_threshold: f64,
    pub landmark_rounding: LandmarkRounding,
    /// The smallest longer side, in pixels, of the box of a face that is judged. At 32, an eye is about seven pixels
    /// wide and one pixel decides whether it is open.
    pub smallest_face: f64,
    /// The largest turn of a face that is judged, because the network guesses the hidden eye. The turn is the
    /// difference of the nose's distances from the two cheeks over their sum: 0 from the front, 1 in full profile.
    pub farthest_turn: f64,
    pub eyes: EyesBy,
    /// Whether a photo with several prominent faces gets a portrait score. The original scored single faces only.
    pub groups: bool,
    /// The share of a face's score that its sharpness and exposure make, from 0 to 1.
    pub quality_weight: f64,
}

impl Thresholds {
    /// The key of stored results: all values that influence them.
    pub fn key(&self) -> String {
        let Self {
            face_detection_confidence,
            landmark_detection_confidence,
            landmark_presence_confidence,
            portrait_face_ratio_threshold,
            portrait_center_offset_threshold,
            eye_open_ear_threshold,
            smile_width_threshold,
            smile_elevation_threshold,
            landmark_rounding,
            smallest_face,
            farthest_turn,
            eyes,
            groups,
            quality_weight,
        } = *self;
        let eyes = match eyes {
            EyesBy::States => "states",
            EyesBy::Ear => "ear",
        };
        let groups = if groups { "groups" } else { "single" };
        let rounding = match landmark_rounding {
            LandmarkRounding::Float => "float",
            LandmarkRounding::Pixel => "pixel",
        };
        let confidences = [face_detection_confidence, landmark_detection_confidence, landmark_presence_confidence];
        let lines = [
            portrait_face_ratio_threshold,
            portrait_center_offset_threshold,
            eye_open_ear_threshold,
            smile_width_threshold,
            smile_elevation_threshold,
            smallest_face,
            farthest_turn,
            quality_weight,
        ];
        let numbers = confidences.iter().map(f32::to_string).chain(lines.iter().map(f64::to_string));
        numbers.chain([rounding, eyes, groups].map(str::to_owned)).collect::<Vec<_>>().join(" ")
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            face_detection_confidence: 0.6,
            landmark_detection_confidence: 0.5,
            landmark_presence_confidence: 0.5,
            portrait_face_ratio_threshold: 0.0005,
            portrait_center_offset_threshold: 0.3,
            eye_open_ear_threshold: 0.2,
            smile_width_threshold: 0.15,
            smile_elevation_threshold: 0.005,
            landmark_rounding: LandmarkRounding::Float,
            smallest_face: 32.0,
            farthest_turn: 0.8,
            eyes: EyesBy::Ear,
            groups: false,
            quality_weight: 0.0,
        }
    }
}
