//! The identity of a picture, independent of the metadata in its file.
//!
//! Other programs add ratings, captions, locations and rotation tags to a photo, or remove them. A person's decisions
//! must survive that, so they are stored by the coded picture. For a JPEG that is the mean of every block, with size
//! and quantisation, because programs rewrite the same picture with other tables or scans. For every other format, and
//! for a damaged JPEG, it is the bytes that the decoder needs. A RAW file is identified by its largest preview.

use super::container::{bmff, gif, jpeg, png, webp};
use super::file_format::{self, FileFormat};
use super::identity::PictureId;
use super::ifd::Tiff;
use super::libjpeg;
use super::limits::Limits;
use super::raw;

/// The identity of a photo, without decoding it. A file of an unknown format is identified by all its bytes.
pub fn picture_of(bytes: &[u8], limits: &Limits) -> PictureId {
    match file_format::sniff(bytes) {
        Some(FileFormat::Jpeg) => of_jpeg(bytes, limits),
        Some(format @ FileFormat::Raw(_)) => match raw::previews(bytes, format).first() {
            Some(preview) => of_jpeg(preview.data, limits),
            None => PictureId::of_parts(&[bytes]),
        },
        Some(format) => of_stream(bytes, format),
        None => PictureId::of_parts(&[bytes]),
    }
}

/// Identifies a JPEG by the means of its blocks if it is undamaged and within the limits, else by its coded data.
fn of_jpeg(bytes: &[u8], limits: &Limits) -> PictureId {
    let deadline = limits.deadline();
    let is_within = jpeg::header(bytes).frame.is_some_and(|frame| {
        let coefficients = if frame.progressive() { 2 * frame.component_ids.len() as u64 } else { 1 };
        limits.picture(FileFormat::Jpeg, frame.width.into(), frame.height.into(), coefficients).is_ok()
    });
    let means = is_within.then(|| libjpeg::picture(bytes, || !deadline.passed())).flatten();
    means.unwrap_or_else(|| of_stream(bytes, FileFormat::Jpeg))
}

/// Identifies a picture by the bytes that its decoder needs.
pub fn of_stream(bytes: &[u8], format: FileFormat) -> PictureId {
    let parts = match format {
        FileFormat::Jpeg => jpeg::picture(bytes),
        FileFormat::Png => png::chunks(bytes).picture,
        FileFormat::Webp => webp::picture(bytes),
        FileFormat::Gif => gif::picture(bytes),
        FileFormat::Tiff => tiff_parts(bytes),
        FileFormat::Avif | FileFormat::Heic => {
            let items = bmff::Meta::read(bytes).map(|meta| meta.pictures(bytes)).unwrap_or_default();
            let items: Vec<&[u8]> = items.iter().map(AsRef::as_ref).collect();
            return if items.is_empty() { PictureId::of_parts(&[bytes]) } else { PictureId::of_parts(&items) };
        }
        FileFormat::JpegXl => bmff::jxl_parts(bytes).picture,
        FileFormat::Bmp | FileFormat::Raw(_) => Vec::new(),
    };
    if parts.is_empty() { PictureId::of_parts(&[bytes]) } else { PictureId::of_parts(&parts) }
}

/// The tags of a TIFF's first directory that describe the pixels, and the strips or tiles with their data.
fn tiff_parts(bytes: &[u8]) -> Vec<&[u8]> {
    /// Width, height, bits per sample, compression, photometric interpretation, samples per pixel, planar
    /// configuration, predictor.
    const PIXEL_TAGS: [u16; 8] = [256, 257, 258, 259, 262, 277, 284, 317];
    /// Offsets and lengths of strips, and of tiles.
    const OFFSETS_AND_LENGTHS: [(u16, u16); 2] = [(273, 279), (324, 325)];
    let Some(first) = Tiff::new(bytes).and_then(|tiff| tiff.first()) else { return Vec::new() };
    let mut parts: Vec<&[u8]> = PIXEL_TAGS.iter().filter_map(|&tag| first.bytes(tag)).collect();
    let tag_count = parts.len();
    for (at, length) in OFFSETS_AND_LENGTHS {
        let (Some(at), Some(length)) = (first.entry(at), first.entry(length)) else { continue };
        let data = first.numbers(at).zip(first.numbers(length)).map_while(|(at, length)| {
            let at = at as usize;
            bytes.get(at..at.checked_add(length as usize)?.min(bytes.len()))
        });
        parts.extend(data.take(bytes.len()));
    }
    if parts.len() == tag_count { Vec::new() } else { parts }
}

#[cfg(test)]
mod tests {
    use super::{FileFormat, Limits, PictureId, of_stream};

    fn picture_of(bytes: &[u8]) -> PictureId {
        super::picture_of(bytes, &Limits::default())
    }

    fn of(name: &str) -> PictureId {
        let file = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/jpeg/{}"), name);
        picture_of(&std::fs::read(file).unwrap())
    }

    #[test]
    fn a_jpeg_is_the_same_picture_whatever_scans_it_is_written_in() {
        for other in ["progressive.jpg", "progressive-own.jpg", "scans-apart.jpg"] {
            assert_eq!(of(other), of("420.jpg"), "{other}");
        }
        assert_eq!(of("422.jpg"), of("scans-two.jpg"));
        assert_eq!(of("grey.jpg"), of("progressive-grey.jpg"));
        for other in ["422.jpg", "444.jpg", "grey.jpg", "coarse.jpg", "finest.jpg", "rgb.jpg", "restarts.jpg"] {
            assert_ne!(of(other), of("420.jpg"), "{other}");
        }
    }

    #[test]
    fn a_jpeg_beyond_the_limits_is_not_gone_through() {
        let progressive =
            std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/jpeg/progressive.jpg")).unwrap();
        let stream = of_stream(&progressive, FileFormat::Jpeg);
        for limits in [Limits { max_alloc: 100, ..Limits::default() }, Limits { max_pixels: 100, ..Limits::default() }]
        {
            assert_eq!(super::picture_of(&progressive, &limits), stream);
        }
        assert_ne!(picture_of(&progressive), stream);
    }

    #[test]
    fn the_end_of_a_damaged_jpeg_belongs_to_its_picture_and_what_follows_a_sound_one_does_not() {
        let sound = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/jpeg/420.jpg")).unwrap();
        let cut = |at: usize| picture_of(&sound[..at]);
        assert_ne!(cut(sound.len() - 200), cut(sound.len() - 400));
        assert_eq!(picture_of(&[&sound, &b"a video"[..]].concat()), picture_of(&sound));
    }
}
