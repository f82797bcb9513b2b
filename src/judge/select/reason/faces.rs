//! What a reason tells of faces: open and closed eyes, smiles, sharpness.

use super::GroupContext;
use super::wording::{everybody, from_left};
use crate::select::Portrait;

impl GroupContext<'_> {
    pub fn portrait(&self, photo: usize) -> Option<&Portrait> {
        self.photos[photo].portrait.as_ref().ok().filter(|portrait| portrait.is_portrait)
    }

    /// Whether everybody's eyes are open, compared with the other photos of the group, too.
    pub fn eyes_open(&self, photo: usize) -> Option<bool> {
        Some(self.portrait(photo)?.eyes_open? && self.half_closed[photo].is_none())
    }

    /// Tells who blinks, to follow the name of the photo.
    pub fn blink(&self, photo: usize) -> Option<String> {
        let portrait = self.portrait(photo)?;
        match (portrait.blinks, self.half_closed[photo]) {
            (Some(_), _) if portrait.people == 1 => Some("they are not".into()),
            (Some(place), _) => Some(format!("the {} from the left blinks", from_left(place))),
            (None, Some(_)) if portrait.people == 1 => Some("they are half closed".into()),
            (None, Some(place)) => Some(format!("the eyes of the {} from the left are half closed", from_left(place))),
            (None, None) => None,
        }
    }

    /// Names the next photo with a blink, if nobody blinks in this one.
    pub fn blink_elsewhere(&self, photo: usize) -> Option<String> {
        self.eyes_open(photo).filter(|&open| open)?;
        let mut others = self.order.iter().filter(|&&other| other != photo);
        others.find_map(|&other| Some(format!("in {} {}", self.name(other), self.blink(other)?)))
    }

    /// Whose face is sharper than in the other photo, if the faces decide between the two: of several the one with the
    /// largest lead.
    pub fn sharper_face(&self, photo: usize, other: usize) -> Option<String> {
        let (own, others) = (&self.photos[photo], &self.photos[other]);
        let margin = self.face_sharpness_margin;
        own.sharper_faces_than(others).filter(|&lead| margin > 0.0 && lead > margin)?;
        let leads = own.face_sharpness.iter().zip(&others.face_sharpness).map(|(own, other)| own - other);
        let (place, _) = leads.enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(if own.face_sharpness.len() == 1 {
            "the face".to_owned()
        } else {
            format!("the {} face from the left", from_left(place + 1))
        })
    }

    /// Names the next photo of the group whose faces are less sharp.
    pub fn sharper_than_another(&self, photo: usize) -> Option<String> {
        let mut others = self.order.iter().filter(|&&other| other != photo);
        others.find_map(|&other| {
            Some(format!("{} is sharper than in {}", self.sharper_face(photo, other)?, self.name(other)))
        })
    }

    pub fn faces(&self, photo: usize) -> Option<String> {
        let portrait = self.portrait(photo)?;
        match (self.eyes_open(photo), portrait.is_smiling) {
            (Some(true), _) if portrait.people > 1 => {
                Some(format!("{} have their eyes open", everybody(portrait.people)))
            }
            (Some(true), Some(true)) => Some("eyes open and smiling".into()),
            (Some(true), _) => Some("eyes open".into()),
            (_, Some(true)) => Some("smiling".into()),
            _ => None,
        }
    }
}
