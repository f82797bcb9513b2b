//! Where the lines are drawn. Defaults are the original's, as far as it had them.

use serde::Deserialize;

/// How landmarks become distances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LandmarkRounding {
    /// As the network gives them.
    #[default]
    Float,
    /// Cut to whole pixels first, as the original did; on small faces a pixel changes an eye's openness by up to 0.18.
    Pixel,
}

/// What says whether eyes are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EyesBy {
    /// The expression network.
    States,
    /// The aspect ratio, as in the original.
    #[default]
    Ear,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// A face counts from this score of the full-range detector on. MediaPipe's own interface takes a number here and
    /// ignores it: whatever the original was configured to, 0.6 was in force.
    pub face_detection_confidence: f32,
    /// From this score of the short-range detector on, its box is where landmarks are looked for.
    pub landmark_detection_confidence: f32,
    /// Landmarks count when the network is surer than this that it sees a face at all.
    pub landmark_presence_confidence: f32,
    /// A portrait's face covers more than this share of the picture's area …
    pub portrait_face_ratio_threshold: f64,
    /// … and its centre is less than this share of the width from the middle.
    pub portrait_center_offset_threshold: f64,
    /// An eye is open from this aspect ratio (height over width) on.
    pub eye_open_ear_threshold: f64,
    /// A smile is wider than this share of the face …
    pub smile_width_threshold: f64,
    /// … and its corners are higher than its middle by more than this share of the picture's height.
    pub smile_elevation_threshold: f64,
    pub landmark_rounding: LandmarkRounding,
    /// Faces whose box is smaller (longer side, pixels) are not judged: at 32 an eye is about seven pixels wide and one
    /// open, one pixel decides.
    pub smallest_face: f64,
    /// Faces turned farther aside are not judged, because one eye is hidden and guessed by the network: the difference
    /// of the nose's distances from the two ears over their sum, 0 from the front, 1 in full profile.
    pub farthest_turn: f64,
    pub eyes: EyesBy,
    /// Whether a photo of several prominent faces has a portrait score; the original knew portraits of one.
    pub groups: bool,
}

impl Thresholds {
    /// As stored findings are kept by: every number that shapes them.
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
        }
    }
}
