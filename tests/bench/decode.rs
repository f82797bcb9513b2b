//! From a 12-megapixel JPEG to 1024 pixels: `image` decoding whole and shrinking with its own Lanczos, against ours.
//!
//! The photo is one of `../shared/data/exif_burst_album`, enlarged to 4000 x 3000, or a drawn texture where that is absent.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};
use photo::{Limits, Scale, decode, resize};

const WIDTH: u32 = 4000;
const HEIGHT: u32 = 3000;
const LONG_SIDE: u32 = 1024;

fn twelve_megapixels() -> Vec<u8> {
    let shared = std::env::var("ALBUMCTL_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
    let photo = std::fs::read(Path::new(&shared).join("data/exif_burst_album/DSC_0001.JPG")).ok();
    let large = match photo.and_then(|bytes| decode(&bytes, Scale::Full, &Limits::default()).ok()) {
        Some(photo) => resize::resize(&photo.pixels, WIDTH, HEIGHT, resize::Filter::Bicubic).into_data(),
        None => texture(),
    };
    let mut bytes = Vec::new();
    let image = RgbImage::from_raw(WIDTH, HEIGHT, large).expect("12 megapixels");
    JpegEncoder::new_with_quality(&mut bytes, 90).encode_image(&image).expect("a JPEG");
    bytes
}

fn texture() -> Vec<u8> {
    let wave = |x: u32, y: u32, c: u32| (x as f32 / 9.0 + c as f32).sin() * (y as f32 / 13.0).cos() * 90.0;
    let noise = |x: u32, y: u32| (x.wrapping_mul(73_856_093) ^ y.wrapping_mul(19_349_663)) >> 27;
    let pixel = |x, y| (0..3).map(move |c| (128.0 + wave(x, y, c) + noise(x, y) as f32) as u8);
    (0..HEIGHT).flat_map(|y| (0..WIDTH).flat_map(move |x| pixel(x, y))).collect()
}

fn to_1024_pixels(criterion: &mut Criterion) {
    let bytes = twelve_megapixels();
    let mut group = criterion.benchmark_group("12 MP JPEG to 1024 px");
    group.sample_size(10);
    group.bench_function("image + its Lanczos3", |bencher| {
        bencher.iter(|| {
            let whole = image::load_from_memory_with_format(black_box(&bytes), ImageFormat::Jpeg).expect("a JPEG");
            whole.resize(LONG_SIDE, LONG_SIDE, image::imageops::FilterType::Lanczos3).into_rgb8()
        });
    });
    group.bench_function("ours", |bencher| {
        bencher.iter(|| {
            let photo = decode(black_box(&bytes), Scale::AtLeast(LONG_SIDE), &Limits::default()).expect("a JPEG");
            resize::within(&photo.pixels, LONG_SIDE).into_owned()
        });
    });
    group.bench_function("ours, decoding alone", |bencher| {
        bencher.iter(|| decode(black_box(&bytes), Scale::AtLeast(LONG_SIDE), &Limits::default()).expect("a JPEG"));
    });
    group.finish();
}

criterion_group!(benches, to_1024_pixels);
criterion_main!(benches);
