//! The state of the eyes, the smile and the pose of a face, from the output of the expression network.
//!
//! The network's scores are correlated: people squint when they laugh and lower their lids when they look down. A blink
//! score alone therefore does not mean closed eyes; the other scores are taken into account.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blendshapes::Blendshapes;
use super::landmarks::{CHEEKS, CHIN, FOREHEAD, Point};

/// The output of the expression network and its mesh for a crop.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpressionOutput {
    pub presence: f32,
    /// 468 points of the face, followed by five of each iris.
    pub landmarks: Vec<Point>,
    pub blendshapes: Blendshapes,
    pub dark_glasses: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Eyes {
    Open,
    Closed,
    /// Narrowed by a smile; counts as open.
    Laughing,
    LookingDown,
    /// Too small, turned away, covered, or behind dark glasses.
    CannotTell,
}

impl Eyes {
    /// `None` when it cannot be determined.
    pub fn are_open(self) -> Option<bool> {
        match self {
            Self::Open | Self::Laughing => Some(true),
            Self::Closed | Self::LookingDown => Some(false),
            Self::CannotTell => None,
        }
    }
}

/// The direction of a face, in degrees; 0 faces the camera.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pose {
    /// Positive: to the picture's right.
    pub yaw: f64,
    /// Positive: up.
    pub pitch: f64,
    /// Positive: leaning clockwise.
    pub roll: f64,
}

impl Pose {
    pub fn of(points: &[Point], width: u32, height: u32) -> Self {
        let (width, height) = (f64::from(width), f64::from(height));
        let between = |from: usize, to: usize| {
            let ([ax, ay, az], [bx, by, bz]) = (points[from], points[to]);
            [(bx - ax) * width, (by - ay) * height, (bz - az) * width]
        };
        let across = between(CHEEKS[0], CHEEKS[1]);
        let down = between(FOREHEAD, CHIN);
        let depth = |[x, y, z]: [f64; 3]| z.atan2(x.hypot(y)).to_degrees();
        Self { yaw: depth(across), pitch: -depth(down), roll: across[1].atan2(across[0]).to_degrees() }
    }
}

/// The value of `lids` from which they are down. Open eyes in a laugh reach 0.35.
pub const LIDS_DOWN: f64 = 0.42;
/// The aspect ratio from which an eye counts as open.
const OPEN_EAR: f64 = 0.2;
/// The smallest look-down score of eyes that look down rather than being closed …
const LOOKS_DOWN: f64 = 0.65;
/// … and the smallest lead of that score over the lids.
const MORE_THAN_LIDS: f64 = 0.25;
/// The smallest score that counts as a smile.
pub const SMILES: f64 = 0.2;
/// The smallest squint score of laughing eyes …
const SQUINTS: f64 = 0.5;
/// … and the smallest smile score of a laugh.
const LAUGHS: f64 = 0.4;
/// The yaw in degrees beyond which the network guesses the farther eye, so that only the nearer one is used.
const ONE_EYE_HIDDEN: f64 = 35.0;
/// The distance from a threshold at which confidence reaches 1.
const SURE: f64 = 0.15;

/// The values of the person's left and right eye, of which a face that is turned away shows only one.
fn seen([left, right]: [f64; 2], pose: &Pose) -> [f64; 2] {
    // A face turned to the picture's right shows the eye on the picture's left.
    match pose.yaw {
        yaw if yaw > ONE_EYE_HIDDEN => [right; 2],
        yaw if yaw < -ONE_EYE_HIDDEN => [left; 2],
        _ => [left, right],
    }
}

fn mean([left, right]: [f64; 2]) -> f64 {
    f64::midpoint(left, right)
}

/// How far the lids are down: the blink score, and what the aspect ratio lacks of an open eye's. Near 0 for wide open
/// eyes. `ears` holds the aspect ratios of the eye on the picture's left, which is the person's right eye, and of the
/// other one.
pub fn lids(shapes: &Blendshapes, [ear_right, ear_left]: [f64; 2], pose: &Pose) -> f64 {
    let of_eye = |blink: f64, ear: f64| blink + (OPEN_EAR - ear).max(0.0);
    let [left, right] = shapes.blink();
    let both = seen([of_eye(left, ear_left), of_eye(right, ear_right)], pose);
    // A single eye that is clearly closed is a blink, too.
    mean(both).max(both[0].max(both[1]) - SURE)
}

/// The state of the eyes and its confidence: one half at the threshold between two states, 1 far from it.
pub fn eyes(shapes: &Blendshapes, lids: f64, pose: &Pose) -> (Eyes, f64) {
    let [down, squint] = [shapes.look_down(), shapes.squint()].map(|pair| mean(seen(pair, pose)));
    let sure = |margin: f64| 0.5 + 0.5 * (margin / SURE).clamp(0.0, 1.0);
    if down >= LOOKS_DOWN && down - lids >= MORE_THAN_LIDS {
        return (Eyes::LookingDown, sure((down - LOOKS_DOWN).min(down - lids - MORE_THAN_LIDS)));
    }
    if lids >= LIDS_DOWN {
        return (Eyes::Closed, sure(lids - LIDS_DOWN));
    }
    let is_laughing = smile(shapes) >= LAUGHS && squint >= SQUINTS;
    (if is_laughing { Eyes::Laughing } else { Eyes::Open }, sure(LIDS_DOWN - lids))
}

/// The smile score, from 0 to 1.
pub fn smile(shapes: &Blendshapes) -> f64 {
    let [left, right] = shapes.smile();
    f64::midpoint(left, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRAIGHT: Pose = Pose { yaw: 0.0, pitch: 0.0, roll: 0.0 };

    /// Blendshapes with the same scores on both sides: blink, look down, squint, smile.
    fn shapes([blink, down, squint, smile]: [f32; 4]) -> Blendshapes {
        let mut all = [0.0; 52];
        for (left, score) in [(9, blink), (11, down), (19, squint), (44, smile)] {
            all[left..left + 2].fill(score);
        }
        Blendshapes(all)
    }

    fn state(shapes: &Blendshapes, ears: [f64; 2], pose: &Pose) -> (Eyes, f64) {
        eyes(shapes, lids(shapes, ears, pose), pose)
    }

    #[test]
    fn other_scores_decide_what_lowered_lids_mean() {
        let state = |scores, ear: f64| state(&shapes(scores), [ear; 2], &STRAIGHT).0;
        assert_eq!(state([0.05, 0.1, 0.2, 0.9], 0.3), Eyes::Open, "smiling");
        assert_eq!(state([0.25, 0.1, 0.72, 0.94], 0.16), Eyes::Laughing, "an aspect ratio of closed eyes");
        assert_eq!(state([0.25, 0.1, 0.72, 0.1], 0.16), Eyes::Open, "narrow, as in the sun");
        assert_eq!(state([0.6, 0.6, 0.6, 0.9], 0.05), Eyes::Closed, "also in a laugh");
        assert_eq!(state([0.35, 0.8, 0.3, 0.1], 0.14), Eyes::LookingDown);
        assert_eq!(state([0.55, 0.7, 0.3, 0.1], 0.05), Eyes::Closed, "lids are down farther than eyes could look");
    }

    #[test]
    fn confidence_grows_from_one_half_at_the_threshold() {
        let sure = |blink| state(&shapes([blink, 0.0, 0.0, 0.0]), [0.3; 2], &STRAIGHT).1;
        assert!((sure(0.42) - 0.5).abs() < 1e-6);
        assert!(sure(0.45) > sure(0.43) && sure(0.3) > sure(0.4));
        assert!((sure(0.0) - 1.0).abs() < 1e-9 && (sure(1.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn one_closed_eye_is_a_blink_if_it_is_visible() {
        let mut wink = shapes([0.05, 0.0, 0.0, 0.0]);
        wink.0[10] = 0.8;
        // The person's right eye is the one on the picture's left.
        let state = |yaw| state(&wink, [0.05, 0.3], &Pose { yaw, ..STRAIGHT }).0;
        assert_eq!(state(0.0), Eyes::Closed);
        assert_eq!(state(50.0), Eyes::Closed, "turned to the picture's right: the left half is seen");
        assert_eq!(state(-50.0), Eyes::Open, "the closed eye is hidden");
    }

    #[test]
    fn the_pose_is_computed_from_the_mesh() {
        let mut points = vec![[0.5, 0.5, 0.0]; 478];
        points[CHEEKS[0]] = [0.3, 0.5, -0.1];
        points[CHEEKS[1]] = [0.7, 0.5, 0.1];
        points[FOREHEAD] = [0.5, 0.2, 0.05];
        points[CHIN] = [0.5, 0.8, -0.05];
        let pose = Pose::of(&points, 100, 100);
        assert!((pose.yaw - 26.565).abs() < 0.01, "the cheek on the right is farther away: {pose:?}");
        assert!((pose.pitch - 9.462).abs() < 0.01, "the chin is nearer: {pose:?}");
        assert!(pose.roll.abs() < 1e-9);
    }
}
