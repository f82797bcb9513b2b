//! Raw files put together as cameras lay them out: the largest preview that decodes stands for the sensor data.

use image::RgbImage;
use photo::{Fact, FileFormat, Raw, sniff};

use crate::shared::{SIZE, ascii, difference, drawn, exif_block, full, jpeg, oriented, quarters, with_segment};

/// One entry of a directory: tag, format, count, value or offset.
type Entry = (u16, u16, u32, u32);

/// A little-endian directory and the offset of the one that follows it.
fn directory(entries: &[Entry], next: u32) -> Vec<u8> {
    let mut bytes = (entries.len() as u16).to_le_bytes().to_vec();
    for (tag, format, count, value) in entries {
        bytes.extend([tag.to_le_bytes(), format.to_le_bytes()].concat());
        bytes.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    bytes.extend(next.to_le_bytes());
    bytes
}

const MAKER_AT: u32 = 400;
const SUB_IFDS_AT: u32 = 440;
const DATA_AT: u32 = 512;

/// A TIFF-based raw file: a main directory, one of sensor data with its compression, one for each preview.
fn tiff_raw(maker: &str, compression: u32, photometric: u32, previews: &[&[u8]]) -> Vec<u8> {
    let sub_at = |index: u32| 100 + index * 60;
    let count = previews.len() as u32 + 1;
    let main = [
        (0x010f, 2, maker.len() as u32 + 1, MAKER_AT),
        (0x0112, 3, 1, 6),
        (0x014a, 4, count, if count == 1 { sub_at(0) } else { SUB_IFDS_AT }),
    ];
    let sensor = [(0x0100, 4, 1, 6000), (0x0101, 4, 1, 4000), (0x0103, 3, 1, compression), (0x0106, 3, 1, photometric)];
    let mut bytes = vec![0; DATA_AT as usize];
    let mut put = |at: u32, part: &[u8]| bytes[at as usize..at as usize + part.len()].copy_from_slice(part);
    put(0, b"II*\0\x08\0\0\0");
    put(8, &directory(&main, 0));
    put(sub_at(0), &directory(&sensor, 0));
    put(MAKER_AT, maker.as_bytes());
    let mut data = Vec::new();
    for (index, preview) in (1..).zip(previews) {
        let at = DATA_AT + data.len() as u32;
        put(sub_at(index), &directory(&[(0x0201, 4, 1, at), (0x0202, 4, 1, preview.len() as u32)], 0));
        data.extend_from_slice(preview);
    }
    let offsets: Vec<u8> = (0..count).flat_map(|index| sub_at(index).to_le_bytes()).collect();
    put(SUB_IFDS_AT, &offsets);
    bytes.extend(data);
    bytes
}

/// The drawn picture as the sensor of an upright-held camera lies: orientation 6 brings it back.
fn on_its_side() -> RgbImage {
    image::imageops::rotate270(&quarters(SIZE.0, SIZE.1))
}

#[test]
fn families_are_told_by_their_sensor_data_and_maker() {
    for (maker, compression, raw) in [
        ("NIKON CORPORATION", 34713, Raw::Nef),
        ("SONY", 32767, Raw::Arw),
        ("PENTAX", 65535, Raw::Pef),
        ("SAMSUNG", 32770, Raw::Srw),
        ("Unheard of", 1, Raw::Other),
    ] {
        assert_eq!(sniff(&tiff_raw(maker, compression, 32803, &[])), Some(FileFormat::Raw(raw)), "{maker}");
    }
    assert_eq!(sniff(&tiff_raw("NIKON CORPORATION", 1, 2, &[])), Some(FileFormat::Tiff), "exported by a program");
}

#[test]
fn the_largest_preview_is_turned_by_the_raw_files_own_orientation() {
    let (large, thumbnail) = (jpeg(&on_its_side()), jpeg(&quarters(16, 16)));
    let photo = full(&tiff_raw("NIKON CORPORATION", 34713, 32803, &[&thumbnail, &large])).expect("a preview");
    assert_eq!(photo.format, FileFormat::Raw(Raw::Nef));
    assert_eq!((photo.pixels.width(), photo.pixels.height()), SIZE);
    assert_eq!((photo.width, photo.height), (4000, 6000), "the sensor's size, upright");
    assert!(difference(photo.pixels.data(), &drawn()) < 4.0);
}

#[test]
fn a_broken_preview_gives_way_to_the_next_and_none_is_said() {
    let (large, small) = (jpeg(&quarters(400, 300)), jpeg(&on_its_side()));
    let photo = full(&tiff_raw("SONY", 32767, 32803, &[&large[..large.len() / 2], &small])).expect("the smaller one");
    assert_eq!((photo.pixels.width(), photo.pixels.height()), SIZE);
    let error = full(&tiff_raw("SONY", 32767, 32803, &[])).expect_err("nothing to show");
    assert_eq!(error.code(), "unsupported");
    assert!(error.to_string().contains("Sony ARW without an embedded JPEG preview"), "{error}");
}

#[test]
fn fujifilm_names_its_jpeg_in_the_header() {
    let preview = with_segment(&jpeg(&on_its_side()), 0xe1, &[b"Exif\0\0", &oriented(6)[..]].concat());
    let mut bytes = b"FUJIFILMCCD-RAW 0201".to_vec();
    bytes.resize(100, 0);
    bytes[84..88].copy_from_slice(&100_u32.to_be_bytes());
    bytes[88..92].copy_from_slice(&(preview.len() as u32).to_be_bytes());
    bytes.extend(preview);
    let photo = full(&bytes).expect("a preview");
    assert_eq!(photo.format, FileFormat::Raw(Raw::Raf));
    assert!(difference(photo.pixels.data(), &drawn()) < 4.0);
}

fn boxed(name: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let payload = parts.concat();
    [&(payload.len() as u32 + 8).to_be_bytes()[..], &name, &payload].concat()
}

#[test]
fn canons_cr3_keeps_a_full_size_jpeg_in_its_first_track() {
    let preview = jpeg(&on_its_side());
    let canon = b"\x85\xc0\xb6\x87\x82\x0f\x11\xe0\x81\x11\xf4\xce\x46\x2b\x6a\x48";
    let facts = boxed(*b"CMT2", &[&exif_block(&[(exif::Tag::DateTime, ascii("2026:05:01 10:12:13"))], true)]);
    let whole = |jpeg_at: u32| {
        let sizes = boxed(*b"stsz", &[&[0; 4], &(preview.len() as u32).to_be_bytes(), &1_u32.to_be_bytes()]);
        let places = boxed(*b"co64", &[&[0; 4], &1_u32.to_be_bytes(), &u64::from(jpeg_at).to_be_bytes()]);
        let table = boxed(*b"stbl", &[&sizes, &places]);
        let track = boxed(*b"trak", &[&boxed(*b"mdia", &[&boxed(*b"minf", &[&table])])]);
        let blocks = boxed(*b"uuid", &[canon, &boxed(*b"CMT1", &[&oriented(6)]), &facts]);
        let head = [boxed(*b"ftyp", &[b"crx \0\0\0\x01crx isom"]), boxed(*b"moov", &[&blocks, &track])].concat();
        (head.len() as u32 + 8, [head, boxed(*b"mdat", &[&preview])].concat())
    };
    let (jpeg_at, _) = whole(0);
    let photo = full(&whole(jpeg_at).1).expect("a preview");
    assert_eq!(photo.format, FileFormat::Raw(Raw::Cr3));
    assert_eq!(photo.facts.orientation, 6);
    assert!(matches!(photo.facts.gps, Fact::Absent));
    assert!(difference(photo.pixels.data(), &drawn()) < 4.0);
}
