//! Recognises the format of a file by its first bytes, since its extension may be wrong.

use std::ffi::OsStr;
use std::fmt;

use super::ifd::{Ifd, Tiff};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileFormat {
    Jpeg,
    Png,
    Webp,
    Tiff,
    Gif,
    Bmp,
    Avif,
    Heic,
    Raw(Raw),
    JpegXl,
}

/// Formats of camera raw files; `Other` is a TIFF with sensor data of a maker not listed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Raw {
    Cr2,
    Cr3,
    Crw,
    Nef,
    Arw,
    Dng,
    Orf,
    Rw2,
    Raf,
    Pef,
    Srw,
    Mrw,
    X3f,
    Other,
}

impl FileFormat {
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Webp => "WebP",
            Self::Tiff => "TIFF",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Avif => "AVIF",
            Self::Heic => "HEIC",
            Self::JpegXl => "JPEG XL",
            Self::Raw(raw) => raw.name(),
        }
    }
}

impl Raw {
    fn name(self) -> &'static str {
        match self {
            Self::Cr2 => "Canon CR2",
            Self::Cr3 => "Canon CR3",
            Self::Crw => "Canon CRW",
            Self::Nef => "Nikon NEF",
            Self::Arw => "Sony ARW",
            Self::Dng => "DNG",
            Self::Orf => "Olympus ORF",
            Self::Rw2 => "Panasonic RW2",
            Self::Raf => "Fujifilm RAF",
            Self::Pef => "Pentax PEF",
            Self::Srw => "Samsung SRW",
            Self::Mrw => "Minolta MRW",
            Self::X3f => "Sigma X3F",
            Self::Other => "camera raw",
        }
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The format of a file, from its bytes or the beginning of them. TIFF-based raw files are distinguished from plain
/// TIFF by their directories, which may follow later in the file; the first 64 KiB are enough for every camera known
/// here.
pub fn sniff(bytes: &[u8]) -> Option<FileFormat> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    match bytes {
        _ if starts(b"\xff\xd8\xff") => Some(FileFormat::Jpeg),
        _ if starts(b"\x89PNG\r\n\x1a\n") => Some(FileFormat::Png),
        _ if starts(b"GIF87a") || starts(b"GIF89a") => Some(FileFormat::Gif),
        _ if starts(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => Some(FileFormat::Webp),
        _ if starts(b"BM") && bitmap_header(bytes) => Some(FileFormat::Bmp),
        _ if starts(b"FUJIFILMCCD-RAW") => Some(FileFormat::Raw(Raw::Raf)),
        _ if starts(b"FOVb") => Some(FileFormat::Raw(Raw::X3f)),
        _ if starts(b"\0MRM") => Some(FileFormat::Raw(Raw::Mrw)),
        _ if starts(b"II\x1a\0\0\0HEAPCCDR") => Some(FileFormat::Raw(Raw::Crw)),
        _ if starts(b"IIRO") || starts(b"IIRS") || starts(b"MMOR") => Some(FileFormat::Raw(Raw::Orf)),
        _ if starts(b"IIU\0") => Some(FileFormat::Raw(Raw::Rw2)),
        _ if starts(b"\xff\x0a") || starts(b"\0\0\0\x0cJXL \r\n\x87\n") => Some(FileFormat::JpegXl),
        _ if starts(b"II*\0") || starts(b"MM\0*") => Some(tiff_family(bytes)),
        _ if starts(b"II+\0") || starts(b"MM\0+") => Some(FileFormat::Tiff),
        _ => brands(bytes),
    }
}

/// `BM` begins many texts too, so the size of the next header must be a valid one.
fn bitmap_header(bytes: &[u8]) -> bool {
    matches!(bytes.get(14..18), Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

fn brands(bytes: &[u8]) -> Option<FileFormat> {
    let size = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    if bytes.get(4..8)? != b"ftyp" || size < 16 {
        return None;
    }
    let listed = bytes.get(8..size.min(bytes.len()).min(1024))?;
    // The four bytes after the major brand are its version.
    let brands = || listed.chunks_exact(4).enumerate().filter(|(at, _)| *at != 1).map(|(_, brand)| brand);
    let any = |known: &[&[u8; 4]]| brands().any(|brand| known.iter().any(|k| brand == *k));
    if any(&[b"crx "]) {
        Some(FileFormat::Raw(Raw::Cr3))
    } else if any(&[b"avif", b"avis"]) {
        Some(FileFormat::Avif)
    } else if any(&[b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"]) {
        Some(FileFormat::Heic)
    } else {
        None
    }
}

const MAKE: u16 = 0x010f;
const COMPRESSION: u16 = 0x0103;
const PHOTOMETRIC: u16 = 0x0106;
const DNG_VERSION: u16 = 0xc612;
const COLOR_FILTER_ARRAY: u32 = 32803;
/// Compression schemes of sensor data: Sony, Samsung (two), Nikon, Pentax.
const RAW_COMPRESSIONS: [u32; 5] = [32767, 32769, 32770, 34713, 65535];

/// A TIFF is a raw file if one of its directories holds sensor data. The maker's name is no evidence, because programs
/// keep it in the plain TIFF that they export.
fn tiff_family(bytes: &[u8]) -> FileFormat {
    if bytes.get(8..10) == Some(b"CR") {
        return FileFormat::Raw(Raw::Cr2);
    }
    let Some(tiff) = Tiff::new(bytes) else { return FileFormat::Tiff };
    let directories = tiff.directories();
    if directories.iter().any(|ifd| ifd.entry(DNG_VERSION).is_some()) {
        return FileFormat::Raw(Raw::Dng);
    }
    let holds_sensor_data = |ifd: &Ifd| {
        ifd.number(PHOTOMETRIC) == Some(COLOR_FILTER_ARRAY)
            || ifd.number(COMPRESSION).is_some_and(|it| RAW_COMPRESSIONS.contains(&it))
    };
    if !directories.iter().any(holds_sensor_data) {
        return FileFormat::Tiff;
    }
    let make = directories.iter().find_map(|ifd| ifd.text(MAKE)).unwrap_or_default().to_ascii_uppercase();
    let makers = [
        ("NIKON", Raw::Nef),
        ("SONY", Raw::Arw),
        ("PENTAX", Raw::Pef),
        ("RICOH", Raw::Pef),
        ("SAMSUNG", Raw::Srw),
        ("CANON", Raw::Cr2),
        ("PANASONIC", Raw::Rw2),
        ("OLYMPUS", Raw::Orf),
    ];
    FileFormat::Raw(makers.iter().find(|(name, _)| make.starts_with(name)).map_or(Raw::Other, |(_, raw)| *raw))
}

/// File name extensions of photos, in lower case.
const JPEG_EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "jpe", "jfif"];
const OTHER_EXTENSIONS: [&str; 17] = [
    "mpo", "png", "apng", "webp", "tif", "tiff", "gif", "bmp", "dib", "avif", "avifs", "heic", "heif", "heics",
    "heifs", "hif", "jxl",
];
const RAW_EXTENSIONS: [&str; 31] = [
    "cr2", "cr3", "crw", "nef", "nrw", "arw", "srf", "sr2", "dng", "orf", "ori", "rw2", "raw", "rwl", "raf", "pef",
    "ptx", "srw", "mrw", "x3f", "3fr", "fff", "erf", "kdc", "dcr", "k25", "mef", "mos", "iiq", "gpr", "cap",
];

/// Whether a file name has the extension of a photo.
pub fn is_photo_name(name: &OsStr) -> bool {
    is_jpeg_name(name) || is_raw_name(name) || has_extension(name, &OTHER_EXTENSIONS)
}

pub fn is_jpeg_name(name: &OsStr) -> bool {
    has_extension(name, &JPEG_EXTENSIONS)
}

pub fn is_heic_name(name: &OsStr) -> bool {
    has_extension(name, &["heic", "heif", "hif"])
}

pub fn is_raw_name(name: &OsStr) -> bool {
    has_extension(name, &RAW_EXTENSIONS)
}

fn has_extension(name: &OsStr, known: &[&str]) -> bool {
    let extension = std::path::Path::new(name).extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| known.contains(&extension.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides_not_the_name() {
        assert_eq!(sniff(b"\xff\xd8\xff\xd9"), Some(FileFormat::Jpeg));
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n"), Some(FileFormat::Png));
        assert_eq!(sniff(b"RIFF\0\0\0\0WEBPVP8 "), Some(FileFormat::Webp));
        assert_eq!(sniff(b"RIFF\0\0\0\0WAVEfmt "), None);
        assert_eq!(sniff(b"BMW is a maker of cars, this is prose"), None);
        assert_eq!(sniff(b"\0\0\0\x18ftypmif1\0\0\0\0avifmif1"), Some(FileFormat::Avif));
        assert_eq!(sniff(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"), Some(FileFormat::Heic));
        assert_eq!(sniff(b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom"), Some(FileFormat::Raw(Raw::Cr3)));
        assert_eq!(sniff(b"\0\0\0\x18ftypisom\0\0\0\0mp41isom"), None);
        assert_eq!(sniff(b"II*\0\x10\0\0\0CR\x02\0"), Some(FileFormat::Raw(Raw::Cr2)));
        assert_eq!(sniff(b"II*\0\x08\0\0\0"), Some(FileFormat::Tiff));
        assert_eq!(sniff(b""), None);
        assert_eq!(sniff(b"\xff\xd8"), None);
    }

    #[test]
    fn names_of_photos_are_known_in_any_case() {
        for name in ["a.JPG", "b.jpeg", "c.tar.HeIC", "d.cr3", ".hidden.png"] {
            assert!(is_photo_name(OsStr::new(name)), "{name}");
        }
        for name in ["a.txt", "jpg", ".jpg", "a.jpg.zip", "clip.mov", "a."] {
            assert!(!is_photo_name(OsStr::new(name)), "{name}");
        }
    }
}
