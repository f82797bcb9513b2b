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
use super::file_format::{self, FileFormat};
use super::ifd::Tiff;
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
    packet_of(bytes, file_format::sniff(bytes)?)
}

pub(crate) fn packet_of(bytes: &[u8], format: FileFormat) -> Option<Cow<'_, [u8]>> {
    match format {
        FileFormat::Jpeg => container::jpeg::header(bytes).xmp.map(Cow::Borrowed),
        FileFormat::Png => container::png::chunks(bytes).xmp.map(Cow::Borrowed),
        FileFormat::Webp => container::webp::chunks(bytes).xmp.map(Cow::Borrowed),
        FileFormat::Avif | FileFormat::Heic => container::bmff::Meta::read(bytes).ok()?.xmp(bytes),
        FileFormat::Tiff | FileFormat::Raw(_) => Tiff::new(bytes)?.first()?.bytes(TAG).map(Cow::Borrowed),
        FileFormat::JpegXl => {
            let xmp = container::bmff::jxl_parts(bytes).xmp;
            xmp.filter(|xmp| xmp.len() <= container::bmff::MAX_EXIF).map(Cow::Borrowed)
        }
        FileFormat::Gif | FileFormat::Bmp => None,
    }
}

/// The bytes of a copy with this packet in the place of the one it has, or beside its other metadata.
pub fn with_packet(bytes: &[u8], packet: &[u8]) -> Result<Vec<u8>, NoPlace> {
    let format = file_format::sniff(bytes).ok_or(NoPlace::Format)?;
    let copy = match format {
        FileFormat::Jpeg => jpeg::with_packet(bytes, packet),
        FileFormat::Png => png::with_packet(bytes, packet),
        FileFormat::Webp => riff::with_packet(bytes, packet),
        FileFormat::Tiff => tiff::with_packet(bytes, packet),
        FileFormat::Avif | FileFormat::Heic => bmff::with_packet(bytes, packet),
        FileFormat::JpegXl => bmff::jxl_with_packet(bytes, packet),
        FileFormat::Gif | FileFormat::Bmp | FileFormat::Raw(_) => Err(NoPlace::Format),
    }?;
    let is_sound = file_format::sniff(&copy) == Some(format)
        && of_stream(&copy, format) == of_stream(bytes, format)
        && packet_of(&copy, format).as_deref() == Some(packet);
    if is_sound { Ok(copy) } else { Err(NoPlace::Damaged) }
}
