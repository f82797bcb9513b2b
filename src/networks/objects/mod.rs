//! Objects in pictures: what they are, where, and how sure a network is.

mod ssd;
mod suppression;

use std::sync::Arc;

use base::pixels::Pixels;
use serde::{Deserialize, Serialize};

pub use ssd::Ssd;

use self::suppression::Candidate;

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

/// The names of classes, by their numbers; numbers without a class have an empty name.
pub type Labels = Arc<[String]>;

/// Gives what a network found its names, with boxes that end at the edges of the picture; the surest first.
fn named(found: Vec<Candidate>, labels: &Labels) -> Vec<Object> {
    let object = |found: Candidate| {
        let [left, top, right, bottom] = found.edges.map(|edge| edge.clamp(0.0, 1.0));
        let label = labels.get(found.class as usize).filter(|label| !label.is_empty())?;
        let bbox = [left, top, right - left, bottom - top];
        let shown = bbox[2] > 0.0 && bbox[3] > 0.0;
        shown.then(|| Object { label: label.clone(), class_id: found.class, score: found.score, bbox })
    };
    found.into_iter().filter_map(object).collect()
}

/// Finds objects.
#[derive(Debug)]
pub enum ObjectFinder {
    Ssd(Ssd),
}

impl ObjectFinder {
    /// The approximate memory of the weights.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Ssd(ssd) => ssd.bytes(),
        }
    }

    /// The objects of a picture, the surest first, with scores of at least [`LEAST_SCORE`].
    pub fn find(&self, picture: &Pixels) -> Result<Vec<Object>, crate::graph::GraphError> {
        match self {
            Self::Ssd(ssd) => ssd.find(picture),
        }
    }
}
