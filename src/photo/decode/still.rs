//! PNG, WebP, TIFF, GIF and BMP, through the `image` crate: whole, then without alpha and in eight bits.

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder};
use image::{ColorType, ImageDecoder, ImageResult};

use super::{Job, Raster, failure, rgb};
use crate::photo::container::{png, tiff, webp};
use crate::photo::error::DecodeError;
use crate::photo::kind::Kind;
use crate::photo::limits::{Timed, grouped};

pub fn decode(job: &Job) -> Result<Raster, DecodeError> {
    let timed = || Timed::new(job.bytes, job.deadline);
    match job.kind {
        Kind::Png => decode_png(job),
        Kind::Webp => {
            let profile = webp::chunks(job.bytes).profile.map(<[u8]>::to_vec);
            read(job, WebPDecoder::new(timed()), profile)
        }
        Kind::Gif => read(job, GifDecoder::new(timed()), None),
        Kind::Bmp => read(job, BmpDecoder::new(timed()), None),
        _ => {
            if let Some(tag) = tiff::text_for_numbers(job.bytes) {
                let cause = format!("its tag {tag} holds text where numbers belong");
                return Err(DecodeError::Corrupt { kind: job.kind, cause });
            }
            let mut decoder = TiffDecoder::new(timed()).map_err(|error| failure(job, job.kind, &error))?;
            let profile = decoder.icc_profile().ok().flatten();
            read(job, Ok(decoder), profile)
        }
    }
}

/// Gives the decoder only the chunks that draw the picture: text and profile chunks may inflate to gigabytes, and the
/// frames of an animation after its first picture are not wanted.
fn decode_png(job: &Job) -> Result<Raster, DecodeError> {
    let chunks = png::chunks(job.bytes);
    let (width, height) = (u64::from(chunks.width), u64::from(chunks.height));
    job.admit(width, height, u64::from(chunks.bits.div_ceil(8)) + 3)?;
    // Deflate shrinks to 1/1032 at best.
    let stored = (width * u64::from(chunks.bits)).div_ceil(8).saturating_mul(height);
    if stored / 1040 > chunks.data_length {
        let has = grouped(chunks.data_length);
        let cause = format!("{has} bytes of picture data cannot hold {width} x {height} pixels");
        return Err(DecodeError::Truncated { kind: job.kind, cause });
    }
    let picture = Timed::new(chunks.picture.concat(), job.deadline);
    read(job, PngDecoder::with_limits(picture, image_limits(job)), chunks.profile())
}

fn image_limits(job: &Job) -> image::Limits {
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(job.limits.max_alloc);
    limits
}

fn read<D: ImageDecoder>(job: &Job, decoder: ImageResult<D>, profile: Option<Vec<u8>>) -> Result<Raster, DecodeError> {
    let explain = |error| failure(job, job.kind, &error);
    let mut decoder = decoder.map_err(explain)?;
    let (width, height) = decoder.dimensions();
    let colour = decoder.color_type();
    // The decoder's own buffer, what it is given to fill, and the result.
    let held = 2 * u64::from(colour.bytes_per_pixel()) + 3;
    job.admit(u64::from(width), u64::from(height), held)?;
    decoder.set_limits(image_limits(job)).map_err(explain)?;
    let mut data = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut data).map_err(explain)?;
    job.deadline.check(job.kind)?;
    let pixels = rgb(job.kind, width, height, flatten(job, colour, data)?)?;
    Ok(Raster { pixels, width, height, orientation: None, profile })
}

/// Three channels of eight bits, laid on white.
fn flatten(job: &Job, colour: ColorType, data: Vec<u8>) -> Result<Vec<u8>, DecodeError> {
    let wide = || data.chunks_exact(2).map(|pair| narrow(u16::from_ne_bytes([pair[0], pair[1]]))).collect::<Vec<u8>>();
    let float = || data.chunks_exact(4).map(|four| level(f32::from_ne_bytes([four[0], four[1], four[2], four[3]])));
    Ok(match colour {
        ColorType::Rgb8 => data,
        ColorType::L8 => grey(&data),
        ColorType::La8 => grey_on_white(&data),
        ColorType::Rgba8 => on_white(&data),
        ColorType::L16 => grey(&wide()),
        ColorType::La16 => grey_on_white(&wide()),
        ColorType::Rgb16 => wide(),
        ColorType::Rgba16 => on_white(&wide()),
        ColorType::Rgb32F => float().collect(),
        ColorType::Rgba32F => on_white(&float().collect::<Vec<u8>>()),
        other => return Err(DecodeError::Unsupported(format!("{} with {other:?} pixels is not supported", job.kind))),
    })
}

/// 65535 becomes 255, rounded to the nearest level.
fn narrow(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

fn level(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

fn grey(data: &[u8]) -> Vec<u8> {
    data.iter().flat_map(|grey| [*grey; 3]).collect()
}

fn grey_on_white(data: &[u8]) -> Vec<u8> {
    data.chunks_exact(2).flat_map(|pixel| [over_white(pixel[0], pixel[1]); 3]).collect()
}

fn on_white(data: &[u8]) -> Vec<u8> {
    let blend = |pixel: &[u8]| [0, 1, 2].map(|channel| over_white(pixel[channel], pixel[3]));
    data.chunks_exact(4).flat_map(blend).collect()
}

fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}
