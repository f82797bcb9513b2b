//! Pictures that tests need, drawn or found.

use std::fs;
use std::path::{Path, PathBuf};

use photo::{DecodeError, Decoded, Limits, Scale, decode};

/// The folder of real photos beside the repository, where there is one.
pub fn data(folder: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("ALBUMCTL_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from);
    let path = shared.join("data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    say(&format!("skipped: no ../shared/data/{folder}"));
    None
}

#[allow(clippy::print_stderr)]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// Every file below a folder, in the order of their paths.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect();
    found.sort();
    found
}

pub fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn full(bytes: &[u8]) -> Result<Decoded, DecodeError> {
    decode(bytes, Scale::Full, &Limits::default())
}

/// Red, green, blue and white quarters on a slope: no two orientations of it look the same.
pub fn quarters(width: u32, height: u32) -> image::RgbImage {
    image::RgbImage::from_fn(width, height, |x, y| {
        let slope = (x * 60 / width) as u8;
        match (x * 2 < width, y * 2 < height) {
            (true, true) => image::Rgb([195 + slope, slope, 0]),
            (false, true) => image::Rgb([slope, 195 + slope, 0]),
            (true, false) => image::Rgb([0, slope, 195 + slope]),
            (false, false) => image::Rgb([195 + slope, 195 + slope, 195 + slope]),
        }
    })
}

/// Mean absolute difference of two pictures' levels.
pub fn difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len(), "pictures of different sizes");
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

/// What tests compare with: the drawn picture in the size of the files in `fixtures/photo`.
pub const SIZE: (u32, u32) = (96, 64);

pub fn drawn() -> Vec<u8> {
    quarters(SIZE.0, SIZE.1).into_raw()
}

pub fn fixture(name: &str) -> Vec<u8> {
    read(&Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/photo")).join(name))
}

pub fn jpeg(picture: &image::RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95).encode_image(picture).expect("a JPEG");
    bytes
}

pub fn encoded(picture: &image::DynamicImage, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("an encoded picture");
    bytes.into_inner()
}

/// A JPEG with a segment put right after its start.
pub fn with_segment(jpeg: &[u8], marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &length, payload, &jpeg[2..]].concat()
}

pub fn png_chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(&name);
    sum.update(data);
    [&(data.len() as u32).to_be_bytes()[..], &name, data, &sum.sum().to_be_bytes()].concat()
}

/// A PNG with a chunk put right after its header.
pub fn with_chunk(png: &[u8], name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let header_end = 8 + 25;
    [&png[..header_end], &png_chunk(name, data), &png[header_end..]].concat()
}

pub fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, data).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

/// An EXIF block (TIFF) with these fields, written by another hand than the one that reads it here.
pub fn exif_block(fields: &[(exif::Tag, exif::Value)], little_endian: bool) -> Vec<u8> {
    let fields: Vec<exif::Field> = fields
        .iter()
        .map(|(tag, value)| exif::Field { tag: *tag, ifd_num: exif::In::PRIMARY, value: value.clone() })
        .collect();
    let mut writer = exif::experimental::Writer::new();
    for field in &fields {
        writer.push_field(field);
    }
    let mut block = std::io::Cursor::new(Vec::new());
    writer.write(&mut block, little_endian).expect("an EXIF block");
    block.into_inner()
}

pub fn ascii(text: &str) -> exif::Value {
    exif::Value::Ascii(vec![text.as_bytes().to_vec()])
}

pub fn oriented(orientation: u16) -> Vec<u8> {
    exif_block(&[(exif::Tag::Orientation, exif::Value::Short(vec![orientation]))], orientation.is_multiple_of(2))
}
