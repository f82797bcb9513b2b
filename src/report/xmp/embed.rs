//! Values inside the copy of a photo.

use std::path::Path;

use thiserror::Error;

use super::SidecarValues;
use super::merge::merge;
use photo::identity::{self, ReadError};
use photo::xmp::{NotXmp, OURS};
use photo::{Limits, NoPlace};

#[derive(Debug, Error)]
pub enum NotEmbedded {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the XMP inside it cannot be merged with: {0}")]
    Packet(#[from] NotXmp),
    #[error("{0}")]
    Place(#[from] NoPlace),
}

/// How a packet inside a file begins and ends.
const HEAD: &str = "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n";
const TAIL: &str = "<?xpacket end=\"w\"?>";

/// The bytes of a copy of the photo with the values in it; what other programs wrote in it stays.
pub fn embedded(photo: &Path, values: &SidecarValues) -> Result<Vec<u8>, NotEmbedded> {
    let bytes = identity::read(photo, Limits::default().max_file_bytes)?.bytes;
    let there = photo::packet(&bytes);
    let merged = merge(there.as_deref(), values)?.bytes;
    let packet = if there.is_some() {
        merged
    } else {
        let body = merged.splitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default();
        [HEAD.as_bytes(), body, TAIL.as_bytes()].concat()
    };
    Ok(photo::with_packet(&bytes, &packet)?)
}

/// Whether `copy` is the photo with values of albumctl's inside: the same picture.
pub fn is_marked_copy(photo: &Path, copy: &Path) -> bool {
    let limits = Limits::default();
    let read = |path: &Path| identity::read(path, limits.max_file_bytes).ok().map(|read| read.bytes);
    let Some(copy) = read(copy) else { return false };
    let marked =
        photo::packet(&copy).is_some_and(|packet| packet.windows(OURS.len()).any(|window| window == OURS.as_bytes()));
    marked && read(photo).is_some_and(|bytes| photo::picture_of(&bytes, &limits) == photo::picture_of(&copy, &limits))
}
