//! Photos with a film. Apple marks the photo and the film of one Live Photo by a number: a tag of the maker's notes in the
//! photo, a metadata key in the film. Of a film only the boxes on the way to that key are read. Other phones write the film
//! into the photo's own file, and say so in its XMP.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::container::{bmff, jpeg};
use super::file_format::{FileFormat, sniff};
use super::identity::{head, open_untouched};
use super::ifd::{Ifd, Tiff};
use super::packet::packet;
use super::xmp;

/// Metadata of a JPEG lies before its pixels, in segments of 64 KiB at most.
const JPEG_HEAD: usize = 256 << 10;
/// EXIF of a HEIC may lie behind the first of its pixels.
const PHOTO_HEAD: usize = 16 << 20;
/// Films of phones have a few boxes on each level, and metadata of some kilobytes.
const MAX_BOXES: usize = 1024;
const MAX_METADATA: u64 = 1 << 20;
const MAX_LENGTH: usize = 256;
const EXIF_IFD: u16 = 0x8769;
const MAKER_NOTE: u16 = 0x927c;
const IDENTIFIER: u16 = 0x0011;
/// The directory behind it has no header of its own; the letters tell the byte order.
const APPLE: &[u8] = b"Apple iOS\0\0\x01MM";
const KEY: &[u8] = b"com.apple.quicktime.content.identifier";

/// The identifier in a photo; JPEG and HEIC have one.
pub fn of_photo(path: &Path) -> Option<String> {
    in_photo(&metadata(path)?)
}

/// Whether the file of the photo holds its film too, as phones by Google and Samsung write it.
pub fn is_motion_photo(path: &Path) -> bool {
    metadata(path).is_some_and(|bytes| packet(&bytes).is_some_and(|packet| xmp::is_motion_photo(&packet)))
}

/// As much of a JPEG or HEIC as has its metadata.
fn metadata(path: &Path) -> Option<Vec<u8>> {
    let bytes = head(path, JPEG_HEAD).ok()?;
    match sniff(&bytes)? {
        FileFormat::Jpeg => Some(bytes),
        FileFormat::Heic => head(path, PHOTO_HEAD).ok(),
        _ => None,
    }
}

pub fn in_photo(bytes: &[u8]) -> Option<String> {
    match sniff(bytes)? {
        FileFormat::Jpeg => in_exif(jpeg::header(bytes).exif?),
        FileFormat::Heic => in_exif(&bmff::Meta::read(bytes).ok()?.exif(bytes)?),
        _ => None,
    }
}

fn in_exif(block: &[u8]) -> Option<String> {
    let tiff = Tiff::new(block)?;
    let exif: Ifd = tiff.at(tiff.first()?.number(EXIF_IFD)?)?;
    let note = exif.bytes(MAKER_NOTE)?;
    let directory = note.starts_with(APPLE).then(|| Tiff::without_header(note).at(APPLE.len() as u32))??;
    directory.text(IDENTIFIER).filter(|text| !text.is_empty())
}

/// The identifier in a film.
pub fn of_film(path: &Path) -> Option<String> {
    in_film(&mut open_untouched(path).ok()?)
}

fn in_film(film: &mut File) -> Option<String> {
    let length = film.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
    let (start, end) = find(film, 0, length, *b"moov")?;
    let (start, end) = find(film, start, end, *b"meta")?;
    let size = end.checked_sub(start).filter(|size| *size <= MAX_METADATA)?;
    film.seek(SeekFrom::Start(start)).ok()?;
    let mut metadata = Vec::new();
    film.take(size).read_to_end(&mut metadata).ok()?;
    in_metadata(&metadata)
}

/// The payload of the first box of this name between two places of a film.
fn find(film: &mut File, mut at: u64, end: u64, wanted: [u8; 4]) -> Option<(u64, u64)> {
    for _ in 0..MAX_BOXES {
        film.seek(SeekFrom::Start(at)).ok()?;
        let mut head = [0; 16];
        let known = film.read(&mut head).ok()?;
        let [l3, l2, l1, l0, name @ ..] = *head.first_chunk::<8>().filter(|_| known >= 8)?;
        let (size, length) = match u32::from_be_bytes([l3, l2, l1, l0]) {
            0 => (8, end - at),
            1 if known == 16 => (16, u64::from_be_bytes(*head.last_chunk()?)),
            length => (8, u64::from(length)),
        };
        let behind = at.checked_add(length).filter(|behind| length >= size && *behind <= end)?;
        if name == wanted {
            return Some((at + size, behind));
        }
        at = behind;
        if at >= end {
            break;
        }
    }
    None
}

/// The value of the key in QuickTime's metadata: a list of keys, and values by the number of their key.
pub fn in_metadata(metadata: &[u8]) -> Option<String> {
    // QuickTime writes the box bare, MP4 with a version before its children.
    let children = if metadata.get(4..8) == Some(b"hdlr") { metadata } else { metadata.get(4..)? };
    let mut keys = bmff::child(children, *b"keys")?.get(8..)?;
    let mut index = 0_u32;
    loop {
        index += 1;
        let length = u32::from_be_bytes(*keys.first_chunk()?) as usize;
        let key = keys.get(8..length)?;
        if key == KEY {
            break;
        }
        keys = keys.get(length..)?;
    }
    let value = bmff::child(bmff::child(children, *b"ilst")?, index.to_be_bytes())?;
    let text = std::str::from_utf8(bmff::child(value, *b"data")?.get(8..)?).ok()?;
    let text = text.trim_end_matches('\0');
    (!text.is_empty() && text.len() <= MAX_LENGTH).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn boxed(name: &[u8], payload: &[u8]) -> Vec<u8> {
        [&(payload.len() as u32 + 8).to_be_bytes(), name, payload].concat()
    }

    fn film(identifier: &str, is_bare: bool) -> Vec<u8> {
        let key = |name: &[u8]| boxed(b"mdta", name);
        let keys = boxed(b"keys", &[&[0, 0, 0, 0, 0, 0, 0, 2][..], &key(b"com.apple.x"), &key(KEY)].concat());
        let data = boxed(b"data", &[&[0, 0, 0, 1, 0, 0, 0, 0], identifier.as_bytes()].concat());
        let list = boxed(b"ilst", &boxed(&2_u32.to_be_bytes(), &data));
        let version: &[u8] = if is_bare { &[] } else { &[0; 4] };
        let meta = boxed(b"meta", &[version, &boxed(b"hdlr", &[0; 24]), &keys, &list].concat());
        [boxed(b"ftyp", b"qt  "), boxed(b"mdat", &[7; 999]), boxed(b"moov", &[boxed(b"mvhd", &[0; 4]), meta].concat())]
            .concat()
    }

    fn read(bytes: &[u8]) -> Option<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        in_film(&mut file)
    }

    #[test]
    fn the_identifier_of_a_film_is_read_behind_its_pictures() {
        for is_bare in [true, false] {
            assert_eq!(read(&film("ABC-1", is_bare)).as_deref(), Some("ABC-1"));
        }
        let whole = film("ABC-1", true);
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), None, "cut at {end}");
        }
        assert_eq!(read(&boxed(b"ftyp", b"qt  ").repeat(5000)), None);
    }

    #[test]
    fn the_identifier_of_a_photo_is_in_apples_notes() {
        let note = [APPLE, &[0, 1], &[0, 0x11, 0, 2, 0, 0, 0, 6, 0, 0, 0, 32], &[0; 4], b"ABC-1\0"].concat();
        let mut block = b"MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0".to_vec();
        block.extend([0, 1, 0x92, 0x7c, 0, 7, 0, 0, 0, note.len() as u8, 0, 0, 0, 44, 0, 0, 0, 0]);
        block.extend(&note);
        assert_eq!(in_exif(&block).as_deref(), Some("ABC-1"));
        for end in 0..block.len() {
            assert_eq!(in_exif(&block[..end]), None, "cut at {end}");
        }
    }
}
