//! The XMP packet inside a photo: reading it, and making the bytes of a copy that carries another one. The coded picture
//! stays as it is, byte for byte, which is checked for every copy.

mod bmff;
mod jpeg;
mod png;
mod riff;
mod tiff;

use std::borrow::Cow;

use thiserror::Error;

use super::container;
use super::ifd::Tiff;
use super::kind::{self, Kind};
use super::picture::of_stream;

/// XMP as the value of a TIFF tag.
const TAG: u16 = 0x02bc;

/// Why a copy cannot carry a packet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoPlace {
    #[error("files of this format take none")]
    Format,
    #[error("{0}")]
    Layout(&'static str),
    #[error("it would be too long for its place")]
    TooLong,
    #[error("the file is not laid out as its format says")]
    Damaged,
}

/// The packet inside a file.
pub fn packet(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    packet_of(bytes, kind::sniff(bytes)?)
}

pub(crate) fn packet_of(bytes: &[u8], kind: Kind) -> Option<Cow<'_, [u8]>> {
    match kind {
        Kind::Jpeg => container::jpeg::header(bytes).xmp.map(Cow::Borrowed),
        Kind::Png => container::png::chunks(bytes).xmp.map(Cow::Borrowed),
        Kind::Webp => container::webp::chunks(bytes).xmp.map(Cow::Borrowed),
        Kind::Avif | Kind::Heic => container::bmff::Meta::read(bytes).ok()?.xmp(bytes),
        Kind::Tiff | Kind::Raw(_) => Tiff::new(bytes)?.first()?.bytes(TAG).map(Cow::Borrowed),
        Kind::JpegXl => {
            let xmp = container::bmff::jxl_parts(bytes).xmp;
            xmp.filter(|xmp| xmp.len() <= container::bmff::MAX_EXIF).map(Cow::Borrowed)
        }
        Kind::Gif | Kind::Bmp => None,
    }
}

/// The bytes of a copy with this packet in the place of the one it has, or beside its other metadata.
pub fn with_packet(bytes: &[u8], packet: &[u8]) -> Result<Vec<u8>, NoPlace> {
    let kind = kind::sniff(bytes).ok_or(NoPlace::Format)?;
    let copy = match kind {
        Kind::Jpeg => jpeg::with_packet(bytes, packet),
        Kind::Png => png::with_packet(bytes, packet),
        Kind::Webp => riff::with_packet(bytes, packet),
        Kind::Tiff => tiff::with_packet(bytes, packet),
        Kind::Avif | Kind::Heic => bmff::with_packet(bytes, packet),
        Kind::JpegXl => bmff::jxl_with_packet(bytes, packet),
        Kind::Gif | Kind::Bmp | Kind::Raw(_) => Err(NoPlace::Format),
    }?;
    let is_sound = kind::sniff(&copy) == Some(kind)
        && of_stream(&copy, kind) == of_stream(bytes, kind)
        && packet_of(&copy, kind).as_deref() == Some(packet);
    if is_sound { Ok(copy) } else { Err(NoPlace::Damaged) }
}
