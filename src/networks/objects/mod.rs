//! Objects in pictures: what they are, where, and how sure a network is.

mod ssd;
mod suppression;
mod yolo;

use base::pixels::Pixels;
use serde::{Deserialize, Serialize};

pub use ssd::Ssd;
pub use suppression::Candidate;
pub use yolo::{Yolo, YoloError};

/// The score below which a network's guesses are dropped.
pub const LEAST_SCORE: f32 = 0.05;

/// An object in a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    pub label: String,
    /// The number of its class.
    pub class_id: u32,
    /// 0 to 1.
    pub score: f32,
    /// Left, top, width and height, relative to the picture.
    pub bbox: [f32; 4],
}

/// The number and the name of a class.
pub type Class = (u32, String);

/// Gives what a network found its classes, with boxes that end at the edges of the picture; the surest first. `class` tells
/// the class of an output of the network, if it stands for any.
fn named<'a>(found: Vec<Candidate>, class: impl Fn(u32) -> Option<&'a Class>) -> Vec<Object> {
    let object = |found: Candidate| {
        let [left, top, right, bottom] = found.edges.map(|edge| edge.clamp(0.0, 1.0));
        let (class_id, label) = class(found.class)?.clone();
        let bbox = [left, top, right - left, bottom - top];
        let shown = bbox[2] > 0.0 && bbox[3] > 0.0;
        shown.then_some(Object { label, class_id, score: found.score, bbox })
    };
    found.into_iter().filter_map(object).collect()
}

/// Finds objects.
#[derive(Debug)]
pub enum ObjectFinder {
    Ssd(Ssd),
    Yolo(Yolo),
}

impl ObjectFinder {
    /// The approximate memory of the weights.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Ssd(ssd) => ssd.bytes(),
            Self::Yolo(yolo) => yolo.bytes(),
        }
    }

    /// The objects of a picture, the surest first, with scores of at least [`LEAST_SCORE`].
    pub fn find(&self, picture: &Pixels) -> Result<Vec<Object>, crate::graph::GraphError> {
        match self {
            Self::Ssd(ssd) => ssd.find(picture),
            Self::Yolo(yolo) => yolo.find(picture),
        }
    }
}
