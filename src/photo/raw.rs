//! Reads camera raw files by their embedded JPEG previews; sensor data are not developed.

use super::container::{bmff, jpeg};
use super::file_format::{FileFormat, Raw};
use super::ifd::{Ifd, Tiff};

#[derive(Clone, Copy, Debug)]
pub struct Preview<'a> {
    pub data: &'a [u8],
    pub width: u32,
    pub height: u32,
}

const IMAGE_WIDTH: u16 = 0x0100;
const IMAGE_HEIGHT: u16 = 0x0101;
const STRIP_OFFSETS: u16 = 0x0111;
const STRIP_LENGTHS: u16 = 0x0117;
const JPEG_OFFSET: u16 = 0x0201;
const JPEG_LENGTH: u16 = 0x0202;
/// Panasonic stores its preview as the value of this tag.
const JPEG_FROM_RAW: u16 = 0x002e;
const DNG_CROP_SIZE: u16 = 0xc620;

/// The embedded JPEG previews, largest first.
pub fn previews(bytes: &[u8], format: FileFormat) -> Vec<Preview<'_>> {
    let mut found: Vec<Preview> = match format {
        FileFormat::Raw(Raw::Cr3) => bmff::canon_previews(bytes).into_iter().filter_map(preview).collect(),
        FileFormat::Raw(Raw::Raf) => fujifilm(bytes).into_iter().filter_map(preview).collect(),
        FileFormat::Raw(Raw::X3f | Raw::Mrw | Raw::Crw) => Vec::new(),
        _ => in_directories(bytes).into_iter().filter_map(preview).collect(),
    };
    // Olympus stores its large preview in a maker note, and some formats have no directories that lead to theirs.
    if found.is_empty() || format == FileFormat::Raw(Raw::Orf) {
        found.extend(searched(bytes).into_iter().filter_map(preview));
    }
    found.sort_by_key(|preview| std::cmp::Reverse(u64::from(preview.width) * u64::from(preview.height)));
    found.dedup_by_key(|preview| preview.data.as_ptr());
    found
}

/// A JPEG as a preview; `None` for lossless ones (process 3), which hold sensor data.
fn preview(data: &[u8]) -> Option<Preview<'_>> {
    let frame = data.starts_with(&[0xff, 0xd8, 0xff]).then(|| jpeg::header(data).frame)??;
    let pictures = matches!(frame.process, 0..=2) && frame.width > 0 && frame.height > 0;
    pictures.then_some(Preview { data, width: frame.width, height: frame.height })
}

fn in_directories(bytes: &[u8]) -> Vec<&[u8]> {
    let slice = |ifd: &Ifd, offset, length| {
        let (at, length) = (ifd.number(offset)? as usize, ifd.number(length)? as usize);
        bytes.get(at..at.saturating_add(length).min(bytes.len()))
    };
    let mut found = Vec::new();
    for ifd in Tiff::new(bytes).map(|tiff| tiff.directories()).unwrap_or_default() {
        found.extend(slice(&ifd, JPEG_OFFSET, JPEG_LENGTH));
        found.extend(slice(&ifd, STRIP_OFFSETS, STRIP_LENGTHS));
        found.extend(ifd.bytes(JPEG_FROM_RAW));
    }
    found
}

/// The JPEG at the offset and length given in the header of a RAF file.
fn fujifilm(bytes: &[u8]) -> Option<&[u8]> {
    let number = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    let (at, length) = (number(84)?, number(88)?);
    bytes.get(at..at.saturating_add(length).min(bytes.len()))
}

/// The first places at which a JPEG may begin.
fn searched(bytes: &[u8]) -> Vec<&[u8]> {
    const MAX_PLACES: usize = 24;
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = bytes[at..].windows(4).position(|it| it[..3] == [0xff, 0xd8, 0xff] && it[3] >= 0xc0) {
        at += next;
        found.push(&bytes[at..]);
        at += 2;
        if found.len() == MAX_PLACES {
            break;
        }
    }
    found
}

/// The size of the developed photo if the file states it, else that of the preview. Some makers state the sensor size
/// with its dark borders, so a size at most a tenth larger than the preview is ignored.
pub fn full_size(bytes: &[u8], format: FileFormat, width: u32, height: u32) -> (u32, u32) {
    let directories = match format {
        FileFormat::Raw(Raw::Cr3 | Raw::Raf | Raw::X3f | Raw::Mrw | Raw::Crw) => Vec::new(),
        _ => Tiff::new(bytes).map(|tiff| tiff.directories()).unwrap_or_default(),
    };
    let cropped = |ifd: &Ifd| {
        let mut size = ifd.numbers(ifd.entry(DNG_CROP_SIZE)?);
        Some((size.next()?, size.next()?))
    };
    let stated = |ifd: &Ifd| cropped(ifd).or_else(|| Some((ifd.number(IMAGE_WIDTH)?, ifd.number(IMAGE_HEIGHT)?)));
    let largest = directories.iter().filter_map(stated).max_by_key(|(w, h)| u64::from(*w) * u64::from(*h));
    match largest {
        Some((w, h)) if w > width + width / 10 && h > height + height / 10 => (w, h),
        _ => (width, height),
    }
}
