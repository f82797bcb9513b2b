//! The RIFF chunks of a WebP with metadata, and those of the picture.

use super::MAX_PROFILE;

#[derive(Debug, Default)]
pub struct Chunks<'a> {
    pub exif: Option<&'a [u8]>,
    pub xmp: Option<&'a [u8]>,
    pub profile: Option<&'a [u8]>,
}

pub fn chunks(bytes: &[u8]) -> Chunks<'_> {
    let mut found = Chunks::default();
    let mut at: usize = 12;
    while let Some(&[a, b, c, d, l0, l1, l2, l3]) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let data = &bytes[at + 8..(at + 8).saturating_add(length).min(bytes.len())];
        match &[a, b, c, d] {
            b"EXIF" => found.exif = found.exif.or(Some(data.strip_prefix(b"Exif\0\0").unwrap_or(data))),
            b"XMP " => found.xmp = found.xmp.or(Some(data)),
            b"ICCP" => found.profile = found.profile.or((data.len() <= MAX_PROFILE).then_some(data)),
            _ => {}
        }
        at = at.saturating_add(8).saturating_add(length).saturating_add(length & 1);
    }
    found
}

/// The chunks of the picture, each with its header.
pub fn picture(bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut at: usize = 12;
    while let Some(&[a, b, c, d, l0, l1, l2, l3]) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let end = (at + 8).saturating_add(length);
        if matches!(&[a, b, c, d], b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" | b"ANMF") {
            found.push(&bytes[at..end.min(bytes.len())]);
        }
        at = end.saturating_add(length & 1);
    }
    found
}
