//! The 52 scores of MediaPipe's expression network, each from 0 to 1. Left and right are the person's.

/// The names of the scores, in the order of the network.
pub const BLENDSHAPES: [&str; 52] = [
    "_neutral",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
];

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blendshapes(pub [f32; BLENDSHAPES.len()]);

impl Blendshapes {
    /// The scores of the left and right side, which are adjacent, by the index of the left one.
    fn pair(&self, left: usize) -> [f64; 2] {
        [left, left + 1].map(|index| f64::from(self.0[index]))
    }

    pub fn blink(&self) -> [f64; 2] {
        self.pair(9)
    }

    pub fn look_down(&self) -> [f64; 2] {
        self.pair(11)
    }

    pub fn squint(&self) -> [f64; 2] {
        self.pair(19)
    }

    pub fn smile(&self) -> [f64; 2] {
        self.pair(44)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_match_their_names() {
        let numbered = Blendshapes(std::array::from_fn(|index| index as f32));
        for (pair, name) in [
            (numbered.blink(), "eyeBlink"),
            (numbered.look_down(), "eyeLookDown"),
            (numbered.squint(), "eyeSquint"),
            (numbered.smile(), "mouthSmile"),
        ] {
            let names = pair.map(|index| BLENDSHAPES[index as usize]);
            assert_eq!(names, [format!("{name}Left"), format!("{name}Right")]);
        }
    }
}
