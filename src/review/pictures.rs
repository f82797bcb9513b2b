//! The pictures of the page: thumbnails made by the run, and originals on request.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use jpeg_encoder::{ColorType, Encoder};

use super::http::Response;
use crate::journal::PhotoId;
use crate::thumbnail::Thumbnail;
use photo::identity::{self, ContentId};
use photo::{Limits, Scale};

const JPEG: &str = "image/jpeg";
/// JPEG quality of originals that browsers cannot show and that are encoded again.
const QUALITY: u8 = 93;

#[derive(Debug)]
pub struct Picture {
    pub path: PathBuf,
    /// The picture that the page describes; a file with another picture is not shown in its place.
    pub id: Option<PhotoId>,
    pub thumbnail: Option<Thumbnail>,
}

/// The photos of the album by index. Nothing else is served.
#[derive(Debug)]
pub struct Pictures {
    photos: Vec<Picture>,
    limits: Limits,
    /// Only one original is decoded at a time, because large photos take much memory.
    decoding: Mutex<()>,
}

impl Pictures {
    pub fn new(photos: Vec<Picture>, limits: Limits) -> Self {
        Self { photos, limits, decoding: Mutex::default() }
    }

    fn of(&self, place: &str) -> Result<&Picture, Response> {
        let number = place.bytes().all(|byte| byte.is_ascii_digit()).then(|| place.parse::<usize>().ok()).flatten();
        let photo = number.and_then(|number| self.photos.get(number));
        photo.ok_or_else(|| Response::refused(404, "the album has no such photo"))
    }

    pub fn thumbnail(&self, place: &str) -> Result<Response, Response> {
        let thumbnail = self.of(place)?.thumbnail.as_ref();
        let small = thumbnail.ok_or_else(|| Response::refused(404, "there is no small picture of it"))?;
        Ok(Response::new(JPEG, small.jpeg.clone()))
    }

    /// The upright original at full size. A JPEG that every browser can show is sent unchanged.
    pub fn original(&self, place: &str) -> Result<Response, Response> {
        let photo = self.of(place)?;
        let failed = |error: &dyn std::error::Error| Response::refused(404, &error.to_string());
        let bytes = identity::read(&photo.path, self.limits.max_file_bytes).map_err(|error| failed(&error))?.bytes;
        if photo.id.is_some_and(|id| !self.is_same(id, &bytes)) {
            return Err(Response::refused(409, "the file holds another picture than the one that was looked at"));
        }
        if photo::is_for_browsers(&bytes) {
            return Ok(Response::new(JPEG, &bytes[..]));
        }
        let _one = self.decoding.lock().unwrap_or_else(PoisonError::into_inner);
        let pixels = photo::decode(&bytes, Scale::Full, &self.limits).map_err(|error| failed(&error))?.pixels;
        let (Ok(width), Ok(height)) = (u16::try_from(pixels.width()), u16::try_from(pixels.height())) else {
            return Err(Response::refused(404, "it is too wide or too high to be shown whole"));
        };
        let mut jpeg = Vec::new();
        let encoded = Encoder::new(&mut jpeg, QUALITY).encode(pixels.data(), width, height, ColorType::Rgb);
        encoded.map_err(|error| failed(&error))?;
        Ok(Response::new(JPEG, jpeg))
    }

    /// Metadata that other programs write while the page is open changes the bytes but not the picture.
    fn is_same(&self, id: PhotoId, bytes: &[u8]) -> bool {
        ContentId::of(bytes) == id.content || id.picture == Some(photo::picture_of(bytes, &self.limits))
    }
}
