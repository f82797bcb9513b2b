//! Half-closed eyes, found by the same face in other photos of the group. On a photo alone they cannot be told from
//! eyes that are always narrow.

use super::Photo;
use crate::portrait::LIDS_DOWN;

/// The eyes of a prominent face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeenEyes {
    /// The box of the face: left, top, width and height as shares of the picture's.
    pub bbox: [f64; 4],
    /// How far the lids are down; `None` where that cannot be judged.
    pub lids: Option<f64>,
    /// From 0 to 1.
    pub smile: Option<f64>,
}

/// The smallest value of lids that may be half down: half of that from which they are down in any photo.
const HALF_DOWN: f64 = LIDS_DOWN / 2.0;
/// By how much lids must be lower than those of the same face in another photo. In drawn takes light, noise and place
/// move open ones by up to 0.14, and lids drawn over eyes are lower by 0.17 and more.
const LOWER: f64 = 0.16;
/// By how much less the face may smile in the other photo: a laugh narrows eyes, too.
const LESS_SMILE: f64 = 0.15;
/// The largest distance of a face's middle from its middle in another photo, as a share of its size.
const MOVED: f64 = 0.5;
/// The largest ratio of the sizes of one face in two photos.
const RESIZED: f64 = 1.5;

/// The first face of a photo, counted from the left, from 1, whose eyes are half closed compared with one of the others.
pub(super) fn half_closed(photo: &Photo, others: &[&Photo]) -> Option<usize> {
    let is_half_closed = |face: &SeenEyes| {
        let Some((lids, smile)) = face.lids.zip(face.smile).filter(|(lids, _)| *lids >= HALF_DOWN) else {
            return false;
        };
        others.iter().filter_map(|other| same_face(face, &other.eyes)).any(|other| {
            let seen = other.lids.zip(other.smile);
            seen.is_some_and(|(open, smiled)| lids - open >= LOWER && smiled >= smile - LESS_SMILE)
        })
    };
    photo.eyes.iter().position(is_half_closed).map(|index| index + 1)
}

/// The nearest face, if it is near enough and of about the same size.
fn same_face<'a>(face: &SeenEyes, others: &'a [SeenEyes]) -> Option<&'a SeenEyes> {
    let middle = |[left, top, width, height]: [f64; 4]| [left + width / 2.0, top + height / 2.0];
    let [own_x, own_y] = middle(face.bbox);
    let [_, _, width, height] = face.bbox;
    let distance = |other: &SeenEyes| {
        let [x, y] = middle(other.bbox);
        ((x - own_x) / width).hypot((y - own_y) / height)
    };
    let nearest = others.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    let ratio = nearest.bbox[3] / height;
    (distance(nearest) <= MOVED && (1.0 / RESIZED..=RESIZED).contains(&ratio)).then_some(nearest)
}
