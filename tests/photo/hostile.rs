//! Files made to hurt: each is refused, or read, at once; none costs memory that it does not hold, none panics.

use std::time::Instant;

use image::{DynamicImage, ImageFormat};
use photo::{DecodeError, Limits, Scale, decode};
use proptest::prelude::*;

use crate::shared::{deflated, drawn, encoded, fixture, full, jpeg, png_chunk, quarters, with_chunk, with_segment};

fn code(bytes: &[u8]) -> &'static str {
    let begun = Instant::now();
    let outcome = full(bytes);
    assert!(begun.elapsed().as_secs_f64() < 5.0, "took {:?}", begun.elapsed());
    outcome.as_ref().map_or_else(DecodeError::code, |_| "read")
}

/// Bytes this process ever held at once, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

fn png_header(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n", &png_chunk(*b"IHDR", &header)[..]].concat()
}

#[test]
fn nothing_and_next_to_nothing() {
    assert_eq!(code(b""), "empty");
    assert_eq!(code(b"\xff\xd8\xff\xd9"), "corrupt");
    assert_eq!(code(b"\xff\xd8\xff"), "truncated");
    assert_eq!(code(&[0; 5000]), "not_a_photo");
    assert_eq!(code(b"<html><body>404</body></html>"), "not_a_photo");
    let error = full(&[0; 5000]).expect_err("zeros");
    assert!(error.to_string().contains("nothing but zeros"), "{error}");
}

#[test]
fn small_files_that_declare_gigabytes() {
    let before = peak();
    // 65 bytes that declare a gigabyte of pixels.
    let png = [png_header(18_500, 18_500), png_chunk(*b"IDAT", b""), b"\0\0\0\0IEND".to_vec()].concat();
    assert_eq!(png.len(), 53);
    assert_eq!(code(&png), "too_large");
    assert_eq!(code(&[png_header(15_000, 15_000), png_chunk(*b"IDAT", &[0x78, 0xda])].concat()), "truncated");
    assert_eq!(code(&png_header(u32::MAX, u32::MAX)), "too_large");
    let gif = [b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;".as_slice()].concat();
    assert_eq!(code(&gif), "too_large");
    let mut large = jpeg(&quarters(32, 24));
    let frame = large.windows(2).position(|it| it == [0xff, 0xc0]).expect("a frame header");
    large[frame + 5..frame + 9].copy_from_slice(&[0x3f, 0xff, 0x3f, 0xff]);
    assert_eq!(code(&large), "truncated");
    large[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    assert_eq!(code(&large), "too_large");
    let bmp =
        [b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\xff\xff\0\0\xff\xff\0\0\x01\0\x18\0".as_slice(), &[0; 24]].concat();
    assert_eq!(code(&bmp), "too_large");
    assert!(peak() < before + 50_000, "{} KiB were needed", peak() - before);
}

#[test]
fn text_and_profile_that_inflate_without_end_are_not_inflated() {
    let png = encoded(&quarters(32, 24).into(), ImageFormat::Png);
    let zeros = deflated(&vec![0; 256 << 20]);
    let before = peak();
    let text = [b"XML:com.adobe.xmp\0\x01\0\0\0", &zeros[..]].concat();
    assert_eq!(code(&with_chunk(&png, *b"iTXt", &text)), "read");
    assert_eq!(code(&with_chunk(&png, *b"zTXt", &[b"Raw profile\0\0", &zeros[..]].concat())), "read");
    assert_eq!(code(&with_chunk(&png, *b"iCCP", &[b"bomb\0\0", &zeros[..]].concat())), "read");
    assert!(peak() < before + 50_000, "{} KiB were needed", peak() - before);
}

#[test]
fn limits_hold_before_anything_is_allocated() {
    let bytes = jpeg(&quarters(640, 480));
    let with = |limits: Limits| decode(&bytes, Scale::Full, &limits).expect_err("a limit").code();
    assert_eq!(with(Limits { max_pixels: 640 * 480 - 1, ..Limits::default() }), "too_large");
    assert_eq!(with(Limits { max_file_bytes: 100, ..Limits::default() }), "too_large");
    assert_eq!(with(Limits { max_alloc: 640 * 480, ..Limits::default() }), "too_large");
    assert_eq!(with(Limits { max_seconds: 0.0, ..Limits::default() }), "timeout");
    for name in [
        "interlaced.png",
        "lossy.webp",
        "animated.gif",
        "lzw.tif",
        "sampling-420.avif",
        "grid-turned.heic",
        "lossy.jxl",
    ] {
        let over = Limits { max_seconds: 0.0, ..Limits::default() };
        assert_eq!(decode(&fixture(name), Scale::Full, &over).expect_err(name).code(), "timeout", "{name}");
    }
}

#[test]
fn a_jpeg_cut_anywhere_is_truncated_and_says_where() {
    for (name, bytes) in [("baseline", jpeg(&quarters(400, 300))), ("progressive", fixture("progressive.jpg"))] {
        for eighth in 1..8 {
            let cut = &bytes[..bytes.len() * eighth / 8];
            let error = full(cut).expect_err("a part is missing");
            assert_eq!(error.code(), "truncated", "{name} cut at {eighth}/8: {error}");
        }
    }
    let bytes = jpeg(&quarters(400, 300));
    let error = full(&bytes[..bytes.len() * 3 / 4]).expect_err("a part is missing").to_string();
    assert!(error.starts_with("truncated JPEG: ") && error.contains("of about"), "{error}");
}

#[test]
fn a_missing_end_marker_alone_costs_nothing() {
    for bytes in [jpeg(&quarters(400, 300)), fixture("progressive.jpg"), fixture("restart.jpg")] {
        let whole = full(&bytes).expect("a JPEG").pixels;
        assert_eq!(full(&bytes[..bytes.len() - 2]).expect("all data are there").pixels, whole);
        assert_eq!(
            full(&[&bytes[..bytes.len() - 2], b"trailing words"].concat()).expect("all data are there").pixels,
            whole
        );
    }
}

#[test]
fn scans_without_number_are_refused() {
    let bytes = fixture("progressive.jpg");
    let scan = bytes.windows(2).position(|it| it == [0xff, 0xda]).expect("a scan");
    let length = usize::from(u16::from_be_bytes([bytes[scan + 2], bytes[scan + 3]]));
    let header = &bytes[scan..scan + 2 + length];
    let hostile = [&bytes[..scan], &header.repeat(2000), &bytes[scan..]].concat();
    assert_eq!(code(&hostile), "too_large");
}

/// One small sound file of each kind.
fn sound() -> Vec<Vec<u8>> {
    let picture = DynamicImage::ImageRgb8(quarters(48, 32));
    let mut files: Vec<Vec<u8>> =
        [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff, ImageFormat::Gif, ImageFormat::Bmp]
            .into_iter()
            .map(|format| encoded(&picture, format))
            .collect();
    let block = crate::shared::oriented(6);
    files.push(with_segment(&jpeg(&quarters(48, 32)), 0xe1, &[b"Exif\0\0", &block[..]].concat()));
    let names = [
        "progressive.jpg",
        "cmyk.jpg",
        "palette-transparent.png",
        "animated.png",
        "animated.gif",
        "lossy.webp",
        "lzw.tif",
        "sampling-420.heic",
        "alpha.heic",
        "grid-turned.heic",
        "lossy.jxl",
        "lossless.jxl",
    ];
    files.extend(names.into_iter().map(fixture));
    files
}

/// AV1 lies behind a C interface that would end the process on a panic, so its file is hurt as well.
fn sound_avif() -> Vec<Vec<u8>> {
    ["sampling-420.avif", "alpha.avif", "orientation-6.avif"].into_iter().map(fixture).collect()
}

fn survives(mut bytes: Vec<u8>, hits: &[(prop::sample::Index, u8)], cut: Option<prop::sample::Index>) {
    for (place, value) in hits {
        let at = place.index(bytes.len());
        bytes[at] ^= value;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    let begun = Instant::now();
    let limits = Limits { max_pixels: 4_000_000, max_seconds: 2.0, ..Limits::default() };
    for scale in [Scale::Full, Scale::AtLeast(8)] {
        let _ = decode(&bytes, scale, &limits);
    }
    let _ = photo::facts(&bytes);
    assert!(begun.elapsed().as_secs_f64() < 5.0, "took {:?}", begun.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_cost_only_themselves(
        file in prop::sample::select(sound()),
        hits in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..8),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        survives(file, &hits, cut);
    }

    #[test]
    fn damaged_avif_costs_only_itself(
        file in prop::sample::select(sound_avif()),
        hits in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..8),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        survives(file, &hits, cut);
    }

    #[test]
    fn noise_behind_a_signature_is_refused(
        magic in prop::sample::select(vec![
            b"\xff\xd8\xff".to_vec(), b"\x89PNG\r\n\x1a\n".to_vec(), b"GIF89a".to_vec(), b"II*\0\x08\0\0\0".to_vec(), b"MM\0*\0\0\0\x08".to_vec(),
            b"RIFF\x40\0\0\0WEBP".to_vec(), b"FUJIFILMCCD-RAW".to_vec(), b"\0\0\0\x18ftypcrx \0\0\0\0crx isom".to_vec(), b"\0\0\0\x18ftypavif\0\0\0\0avifmif1".to_vec(),
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(),
            b"\xff\x0a".to_vec(),
        ]),
        noise in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        survives([magic, noise].concat(), &[], None);
    }
}

#[test]
fn a_sound_file_is_read_among_them() {
    for file in sound() {
        assert_eq!(code(&file), "read");
    }
    assert_eq!(full(&fixture("interlaced.png")).expect("a PNG").pixels.data(), drawn());
}
