//! Every container and coding shows the same drawn picture, upright and in sRGB.

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, imageops};
use photo::{Fact, FileFormat, Limits, Scale, decode, resize};

use crate::shared::{
    SIZE, deflated, difference, drawn, encoded, fixture, full, jpeg, oriented, quarters, with_chunk, with_segment,
};

/// Decodes a file of `fixtures/photo` and says how far it is from the drawn picture.
fn off(name: &str) -> f64 {
    let photo = full(&fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!((photo.width, photo.height), SIZE, "{name}");
    difference(photo.pixels.data(), &drawn())
}

#[test]
fn jpeg_in_all_its_codings() {
    for name in ["progressive.jpg", "restart.jpg", "sampling-411.jpg", "sampling-422.jpg", "cmyk.jpg"] {
        let off = off(name);
        assert!(off < 5.0, "{name} is off by {off:.2} levels");
    }
}

#[test]
fn lossless_containers_come_out_exactly() {
    for name in ["interlaced.png", "animated.png", "lzw.tif", "lossless.jxl"] {
        assert!(off(name) == 0.0, "{name} is off by {:.2} levels", off(name));
    }
    for (name, most) in [("palette.png", 4.0), ("animated.gif", 4.0), ("cmyk.tif", 1.0)] {
        assert!(off(name) < most, "{name} is off by {:.2} levels", off(name));
    }
}

#[test]
fn lossy_webp_jpeg_xl_and_avif_in_all_samplings() {
    for name in
        ["lossy.webp", "animated.webp", "sampling-420.avif", "sampling-422.avif", "sampling-444.avif", "lossy.jxl"]
    {
        let off = off(name);
        assert!(off < 5.0, "{name} is off by {off:.2} levels");
    }
}

fn drawn_at(x: u32, y: u32) -> [u8; 3] {
    let at = 3 * (y * SIZE.0 + x) as usize;
    drawn()[at..at + 3].try_into().expect("a pixel")
}

/// The tiles of the grid say nothing of their range in the container, as on telephones: full range stands in the stream.
#[test]
fn heic_alone_and_in_tiles() {
    for name in ["sampling-420.heic", "grid-turned.heic"] {
        let off = off(name);
        assert!(off < 3.0, "{name} is off by {off:.2} levels");
    }
    // Coded for bright screens: dark parts are as they were, and paper gives up a little to what is brighter.
    let bright = full(&fixture("pq.heic")).expect("a HEIC");
    // Away from the edges, where colours run into each other.
    for (x, y) in [(20, 15), (75, 15), (20, 50), (75, 50)] {
        let (shown, drawn) = (bright.pixels.get(x, y), drawn_at(x, y));
        for (shown, drawn) in shown.into_iter().zip(drawn) {
            let least = if drawn < 200 { drawn.saturating_sub(8) } else { drawn - 20 };
            assert!((least..=drawn.saturating_add(8)).contains(&shown), "{shown} for {drawn}");
        }
    }
    if cfg!(not(feature = "libheif")) {
        let refused = full(&fixture("sampling-444.heic")).unwrap_err().to_string();
        assert!(refused.contains("4:4:4") && refused.contains("--features libheif"), "{refused}");
    }
}

#[test]
fn grey_pictures_have_three_equal_channels() {
    let luma = |pixel: &[u8]| (pixel[0] as f32 * 0.299 + pixel[1] as f32 * 0.587 + pixel[2] as f32 * 0.114) as u8;
    let wanted: Vec<u8> = drawn().chunks(3).flat_map(|pixel| [luma(pixel); 3]).collect();
    for name in ["grey.jpg", "grey.avif", "grey.heic", "grey.jxl"] {
        let photo = full(&fixture(name)).expect(name);
        assert!(photo.pixels.data().chunks(3).all(|pixel| pixel[0].abs_diff(pixel[2]) <= 1), "{name} has colours");
        let off = difference(photo.pixels.data(), &wanted);
        assert!(off < 3.0, "{name} is off by {off:.2} levels");
    }
}

#[test]
fn transparent_parts_are_laid_on_white() {
    let photo = full(&fixture("palette-transparent.png")).expect("a PNG");
    assert_eq!(photo.pixels.get(0, 0), [255; 3]);
    let wanted: Vec<u8> = drawn().iter().map(|level| ((u32::from(*level) * 128 + 255 * 127) / 255) as u8).collect();
    for name in ["alpha.avif", "alpha.heic", "alpha.jxl"] {
        let faded = full(&fixture(name)).expect(name);
        assert!(difference(faded.pixels.data(), &wanted) < 4.0, "{name}");
    }
    let half = image::RgbaImage::from_pixel(3, 2, image::Rgba([200, 0, 100, 51]));
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
        let photo = full(&encoded(&half.clone().into(), format)).expect("a picture");
        assert_eq!(photo.pixels.get(2, 1), [244, 204, 224], "{format:?}");
    }
}

#[test]
fn sixteen_bits_are_rounded_to_eight() {
    let wide = image::ImageBuffer::<Rgb<u16>, _>::from_pixel(2, 2, Rgb([0, 32_896, 65_535]));
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let photo = full(&encoded(&DynamicImage::ImageRgb16(wide.clone()), format)).expect("a picture");
        assert_eq!(photo.pixels.get(1, 1), [0, 128, 255], "{format:?}");
    }
    let grey = image::ImageBuffer::<image::Luma<u16>, _>::from_pixel(2, 2, image::Luma([65_406]));
    let photo = full(&encoded(&DynamicImage::ImageLuma16(grey), ImageFormat::Png)).expect("a PNG");
    assert_eq!(photo.pixels.get(0, 0), [254; 3]);
}

/// The drawn picture as a camera held that way stores it.
fn stored(orientation: u16) -> RgbImage {
    let picture = quarters(SIZE.0, SIZE.1);
    match orientation {
        2 => imageops::flip_horizontal(&picture),
        3 => imageops::rotate180(&picture),
        4 => imageops::flip_vertical(&picture),
        5 => imageops::flip_horizontal(&imageops::rotate90(&picture)),
        6 => imageops::rotate270(&picture),
        7 => imageops::flip_horizontal(&imageops::rotate270(&picture)),
        8 => imageops::rotate90(&picture),
        _ => picture,
    }
}

/// An extended WebP around the one that `image` writes.
fn webp_with_exif(picture: &RgbImage, exif: &[u8]) -> Vec<u8> {
    let simple = encoded(&picture.clone().into(), ImageFormat::WebP);
    let chunk = |name: &[u8; 4], data: &[u8]| {
        let padding = vec![0; data.len() % 2];
        [&name[..], &(data.len() as u32).to_le_bytes(), data, &padding].concat()
    };
    let side = |length: u32| (length - 1).to_le_bytes()[..3].to_vec();
    let header = [&[8, 0, 0, 0][..], &side(picture.width()), &side(picture.height())].concat();
    let body = [b"WEBP", &chunk(b"VP8X", &header)[..], &simple[12..], &chunk(b"EXIF", exif)].concat();
    [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
}

/// Uncompressed RGB, one strip, with an orientation.
fn tiff(picture: &RgbImage, orientation: u16) -> Vec<u8> {
    let data = picture.as_raw();
    let entries: [(u16, u16, u32, u32); 10] = [
        (0x100, 3, 1, picture.width()),
        (0x101, 3, 1, picture.height()),
        (0x102, 3, 3, 134),
        (0x103, 3, 1, 1),
        (0x106, 3, 1, 2),
        (0x111, 4, 1, 140),
        (0x112, 3, 1, u32::from(orientation)),
        (0x115, 3, 1, 3),
        (0x116, 3, 1, picture.height()),
        (0x117, 4, 1, data.len() as u32),
    ];
    let mut bytes = b"II*\0\x08\0\0\0\x0a\0".to_vec();
    for (tag, format, count, value) in entries {
        bytes.extend([tag.to_le_bytes(), format.to_le_bytes()].concat());
        bytes.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    bytes.extend([0; 4]);
    bytes.extend([8, 0, 8, 0, 8, 0]);
    assert_eq!(bytes.len(), 140);
    bytes.extend(data);
    bytes
}

#[test]
fn every_container_is_turned_upright_once() {
    for orientation in 1..=8 {
        let picture = stored(orientation);
        let block = oriented(orientation);
        let png = encoded(&picture.clone().into(), ImageFormat::Png);
        let files = [
            ("JPEG", with_segment(&jpeg(&picture), 0xe1, &[b"Exif\0\0", &block[..]].concat())),
            ("PNG", with_chunk(&png, *b"eXIf", &block)),
            ("WebP", webp_with_exif(&picture, &block)),
            ("TIFF", tiff(&picture, orientation)),
            ("AVIF", fixture(&format!("orientation-{orientation}.avif"))),
        ];
        for (name, bytes) in files {
            let photo = full(&bytes).unwrap_or_else(|error| panic!("{name} {orientation}: {error}"));
            assert_eq!((photo.width, photo.height), SIZE, "{name} {orientation}");
            let off = difference(photo.pixels.data(), &drawn());
            assert!(off < 5.0, "{name} with orientation {orientation} is off by {off:.2} levels");
        }
    }
}

#[test]
fn a_scaled_picture_is_never_smaller_than_asked_and_tells_the_true_size() {
    let bytes = with_segment(&jpeg(&quarters(1000, 701)), 0xe1, &[b"Exif\0\0", &oriented(6)[..]].concat());
    for (asked, comes) in
        [(1, 125), (125, 125), (126, 250), (250, 250), (251, 500), (500, 500), (501, 1000), (5000, 1000)]
    {
        let photo = decode(&bytes, Scale::AtLeast(asked), &Limits::default()).expect("a JPEG");
        assert_eq!(photo.pixels.long_side(), comes, "asked for {asked}");
        assert_eq!((photo.width, photo.height), (701, 1000));
    }
    let whole = full(&bytes).expect("a JPEG");
    let small = decode(&bytes, Scale::AtLeast(100), &Limits::default()).expect("a JPEG");
    let (whole, small) = (resize::within(&whole.pixels, 100), resize::within(&small.pixels, 100));
    assert!(difference(whole.data(), small.data()) < 2.0);
}

/// What sRGB shows for a colour of Display P3, by the definition of both (same curve, other primaries).
fn srgb_of_p3(colour: [u8; 3]) -> [f64; 3] {
    const MATRIX: [[f64; 3]; 3] =
        [[1.224_940, -0.224_940, 0.0], [-0.042_057, 1.042_057, 0.0], [-0.019_638, -0.078_636, 1.098_274]];
    let linear = colour.map(|level| {
        let value = f64::from(level) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    MATRIX.map(|row| {
        let value: f64 = row.iter().zip(linear).map(|(factor, value)| factor * value).sum::<f64>().clamp(0.0, 1.0);
        255.0 * if value <= 0.003_130_8 { value * 12.92 } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 }
    })
}

#[test]
fn display_p3_becomes_srgb() {
    let profile = moxcms::ColorProfile::new_display_p3().encode().expect("a profile");
    let chunk = [b"Display P3\0\0", &deflated(&profile)[..]].concat();
    let segment = [b"ICC_PROFILE\0\x01\x01", &profile[..]].concat();
    for colour in [[200, 100, 50], [60, 160, 90], [128, 128, 128], [20, 40, 200]] {
        let picture = RgbImage::from_pixel(16, 16, Rgb(colour));
        let png = with_chunk(&encoded(&picture.clone().into(), ImageFormat::Png), *b"iCCP", &chunk);
        // A JPEG's own rounding comes on top.
        let files = [("PNG", png, 2.0), ("JPEG", with_segment(&jpeg(&picture), 0xe2, &segment), 3.5)];
        for (name, bytes, most) in files {
            let shown = full(&bytes).expect(name).pixels.get(8, 8);
            for (level, wanted) in shown.into_iter().zip(srgb_of_p3(colour)) {
                assert!((f64::from(level) - wanted).abs() <= most, "{name} {colour:?}: {shown:?}, wanted {wanted:.1}");
            }
        }
    }
}

#[test]
fn a_profile_of_srgb_or_a_broken_one_changes_nothing() {
    let picture = quarters(SIZE.0, SIZE.1);
    let png = encoded(&picture.clone().into(), ImageFormat::Png);
    let srgb = moxcms::ColorProfile::new_srgb().encode().expect("a profile");
    for profile in [&srgb[..], &srgb[..200], b"not a profile at all"] {
        let bytes = with_chunk(&png, *b"iCCP", &[b"x\0\0", &deflated(profile)[..]].concat());
        assert_eq!(full(&bytes).expect("a PNG").pixels.data(), picture.as_raw());
    }
}

/// Replaces the JFIF segment that `image` writes by Adobe's.
fn with_adobe(jpeg: &[u8], transform: u8) -> Vec<u8> {
    assert_eq!(&jpeg[2..4], [0xff, 0xe0]);
    let end = 4 + usize::from(u16::from_be_bytes([jpeg[4], jpeg[5]]));
    with_segment(&[&jpeg[..2], &jpeg[end..]].concat(), 0xee, &[b"Adobe\0\x64\0\0\0\0", &[transform][..]].concat())
}

#[test]
fn adobes_segment_decides_over_the_numbers_of_components() {
    let picture = RgbImage::from_pixel(32, 32, Rgb([200, 100, 50]));
    let luma_chroma = [124_i16, 86, 182];
    let raw = full(&with_adobe(&jpeg(&picture), 0)).expect("an RGB JPEG").pixels.get(9, 9);
    assert!(raw.into_iter().zip(luma_chroma).all(|(level, wanted)| (i16::from(level) - wanted).abs() <= 2), "{raw:?}");
    let converted = full(&with_adobe(&jpeg(&picture), 1)).expect("a YCbCr JPEG").pixels.get(9, 9);
    assert!(
        converted.into_iter().zip([200_u8, 100, 50]).all(|(level, wanted)| level.abs_diff(wanted) <= 2),
        "{converted:?}"
    );
}

#[test]
fn four_inks_through_luma_and_chroma() {
    // The same samples, now said to be YCCK. Light grey at the bottom right is stored as C = M = Y = 225 without ink as
    // 255; as luma and chroma of 225 that is (361, 122, 397), clipped, and stands for the inks themselves.
    let mut bytes = fixture("cmyk.jpg");
    let adobe = bytes.windows(5).position(|it| it == b"Adobe").expect("Adobe's segment");
    bytes[adobe + 11] = 2;
    let shown = full(&bytes).expect("a YCCK JPEG").pixels.get(70, 60);
    assert!(shown[0] == 0 && shown[2] == 0 && shown[1].abs_diff(133) < 12, "{shown:?}");
}

#[test]
fn quantisation_tables_of_sixteen_bits_are_read() {
    let bytes = jpeg(&quarters(SIZE.0, SIZE.1));
    let mut wide = bytes[..2].to_vec();
    let mut at = 2;
    while bytes[at + 1] != 0xda {
        let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        let segment = &bytes[at..at + 2 + length];
        if segment[1] == 0xdb {
            for table in segment[4..].chunks(65) {
                let values: Vec<u8> = table[1..].iter().flat_map(|value| [0, *value]).collect();
                wide.extend([&[0xff, 0xdb, 0, 131, 0x10 | table[0]][..], &values].concat());
            }
        } else {
            wide.extend(segment);
        }
        at += 2 + length;
    }
    wide.extend(&bytes[at..]);
    assert!(wide.len() > bytes.len());
    assert_eq!(full(&wide).expect("a JPEG").pixels, full(&bytes).expect("a JPEG").pixels);
}

#[test]
fn content_decides_what_a_file_is() {
    let photo = full(&fixture("lossy.webp")).expect("a WebP");
    assert_eq!(photo.format, FileFormat::Webp);
    assert_eq!(photo.facts.taken_at, Fact::Absent);
}
