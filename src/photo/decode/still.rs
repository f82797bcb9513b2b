//! Decodes PNG, WebP, TIFF, GIF and BMP with the `image` crate, at full size, and removes alpha and extra bits.

use std::io::Cursor;

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder};
use image::{ColorType, ImageDecoder, ImageResult};

use super::watch::watched;
use super::{Job, Raster, channels, failure, rgb};
use crate::container::{gif, jpeg, png, tiff, webp};
use crate::error::DecodeError;
use crate::file_format::FileFormat;
use crate::ifd::Tiff;
use crate::limits::{Timed, grouped, plausible};
use crate::picture;

pub fn decode(job: &Job) -> Result<Raster, DecodeError> {
    let timed = || Timed::new(job.bytes, job.deadline);
    match job.format {
        FileFormat::Png => decode_png(job),
        FileFormat::Webp => decode_webp(job),
        FileFormat::Gif => decode_gif(job),
        FileFormat::Bmp => read(job, 0, BmpDecoder::new(timed()), None),
        _ => decode_tiff(job),
    }
}

/// Passes only the chunks of the still picture to the decoder, because text and profile chunks may inflate to
/// gigabytes, and later frames of an animation are not needed.
fn decode_png(job: &Job) -> Result<Raster, DecodeError> {
    let chunks = png::chunks(job.bytes);
    let (width, height) = (u64::from(chunks.width), u64::from(chunks.height));
    job.admit(width, height, u64::from(chunks.bits.div_ceil(8)) + 3)?;
    // Deflate compresses to 1/1032 at best.
    let stored = (width * u64::from(chunks.bits)).div_ceil(8).saturating_mul(height);
    if stored / 1040 > chunks.data_length {
        let has = grouped(chunks.data_length);
        let cause = format!("{has} bytes of picture data cannot hold {width} x {height} pixels");
        return Err(DecodeError::Truncated { format: job.format, cause });
    }
    let picture = chunks.picture.concat();
    let held = picture.len() as u64;
    let picture = Timed::new(picture, job.deadline);
    read(job, held, PngDecoder::with_limits(picture, image_limits(job)), chunks.profile())
}

/// Runs on its own thread, because the decoder reads all data first and cannot be interrupted after that.
fn decode_webp(job: &Job) -> Result<Raster, DecodeError> {
    let chunks = webp::chunks(job.bytes);
    let decoder =
        WebPDecoder::new(Timed::new(job.bytes, job.deadline)).map_err(|error| failure(job, job.format, &error))?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    // A frame of an animation is composed on a canvas first.
    let canvas = if decoder.has_animation() { pixels.saturating_mul(8) } else { 0 };
    admit(job, canvas.saturating_add(job.bytes.len() as u64), &decoder)?;
    let (bytes, limits) = (job.bytes.to_vec(), image_limits(job));
    let drawn = watched(job, move || WebPDecoder::new(Cursor::new(bytes)).and_then(|decoder| draw(decoder, limits)))?;
    finish(job, drawn, chunks.profile.map(<[u8]>::to_vec))
}

/// The first frame needs its own buffer if it does not fill the screen.
fn decode_gif(job: &Job) -> Result<Raster, DecodeError> {
    let frame = match gif::first_frame(job.bytes) {
        Some((width, height)) => {
            plausible(width, height, job.bytes.len())?;
            job.limits.picture(job.format, width, height, 4)?
        }
        None => 0,
    };
    read(job, frame, GifDecoder::new(Timed::new(job.bytes, job.deadline)), None)
}

fn decode_tiff(job: &Job) -> Result<Raster, DecodeError> {
    if let Some(tag) = tiff::text_for_numbers(job.bytes) {
        let cause = format!("its tag {tag} holds text where numbers belong");
        return Err(DecodeError::Corrupt { format: job.format, cause });
    }
    let mut decoder =
        TiffDecoder::new(Timed::new(job.bytes, job.deadline)).map_err(|error| failure(job, job.format, &error))?;
    let profile = decoder.icc_profile().ok().flatten();
    let Some(largest) = largest_jpeg(job)? else { return read(job, 0, Ok(decoder), profile) };
    // A strip or tile that is a JPEG is decoded in one call, at the size in its own header.
    admit(job, largest.saturating_add(job.bytes.len() as u64), &decoder)?;
    let (bytes, limits) = (job.bytes.to_vec(), image_limits(job));
    let drawn = watched(job, move || TiffDecoder::new(Cursor::new(bytes)).and_then(|decoder| draw(decoder, limits)))?;
    finish(job, drawn, profile)
}

const COMPRESSION: u16 = 0x0103;
const JPEG_COMPRESSION: u32 = 7;
const JPEG_TABLES: u16 = 0x015b;
/// Offsets and lengths of strips, and of tiles.
const PIECES: [(u16, u16); 2] = [(0x0111, 0x0117), (0x0144, 0x0145)];

/// The memory for decoding the largest JPEG strip or tile of a TIFF's first picture; `None` if it is not
/// JPEG-compressed.
fn largest_jpeg(job: &Job) -> Result<Option<u64>, DecodeError> {
    let Some(first) = Tiff::new(job.bytes).and_then(|tiff| tiff.first()) else { return Ok(None) };
    if first.number(COMPRESSION) != Some(JPEG_COMPRESSION) {
        return Ok(None);
    }
    let mut largest = 0;
    let mut take = |bytes: &[u8]| {
        job.deadline.check(job.format)?;
        let Some(frame) = jpeg::header(bytes).frame else { return Ok(()) };
        let (width, height) = (u64::from(frame.width), u64::from(frame.height));
        plausible(width, height, job.bytes.len())?;
        largest =
            largest.max(job.limits.picture(job.format, width, height, 3 * frame.component_ids.len().max(3) as u64)?);
        Ok(())
    };
    first.bytes(JPEG_TABLES).map_or(Ok(()), &mut take)?;
    for (offsets, lengths) in PIECES {
        let (Some(offsets), Some(lengths)) = (first.entry(offsets), first.entry(lengths)) else { continue };
        for (at, length) in first.numbers(offsets).zip(first.numbers(lengths)) {
            let end = (at as usize).saturating_add(length as usize).min(job.bytes.len());
            job.bytes.get(at as usize..end).map_or(Ok(()), &mut take)?;
        }
    }
    Ok(Some(largest))
}

fn image_limits(job: &Job) -> image::Limits {
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(job.limits.max_alloc);
    limits
}

/// Reserves the memory for the decoder's output, while `held` bytes are allocated.
fn admit(job: &Job, held: u64, decoder: &impl ImageDecoder) -> Result<(), DecodeError> {
    let (width, height) = decoder.dimensions();
    let stored = u64::from(decoder.color_type().bytes_per_pixel());
    // The decoder's buffer, its output and the result; rotating or converting the result needs another copy.
    let result = if decoder.color_type() == ColorType::Rgb8 { 0 } else { 3 };
    job.admit_beside(held, u64::from(width), u64::from(height), (2 * stored + result).max(6))
}

/// A picture as the decoder returns it.
struct Drawn {
    width: u32,
    height: u32,
    colour: ColorType,
    data: Vec<u8>,
}

fn draw(mut decoder: impl ImageDecoder, limits: image::Limits) -> ImageResult<Drawn> {
    let (width, height) = decoder.dimensions();
    let colour = decoder.color_type();
    decoder.set_limits(limits)?;
    let mut data = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut data)?;
    Ok(Drawn { width, height, colour, data })
}

fn read<D: ImageDecoder>(
    job: &Job,
    held: u64,
    decoder: ImageResult<D>,
    profile: Option<Vec<u8>>,
) -> Result<Raster, DecodeError> {
    let decoder = decoder.map_err(|error| failure(job, job.format, &error))?;
    admit(job, held, &decoder)?;
    finish(job, draw(decoder, image_limits(job)), profile)
}

fn finish(job: &Job, drawn: ImageResult<Drawn>, profile: Option<Vec<u8>>) -> Result<Raster, DecodeError> {
    let Drawn { width, height, colour, data } = drawn.map_err(|error| failure(job, job.format, &error))?;
    job.deadline.check(job.format)?;
    let pixels = rgb(job.format, width, height, flatten(job, colour, data)?)?;
    let picture = picture::of_stream(job.bytes, job.format);
    Ok(Raster { pixels, width, height, orientation: None, profile, picture })
}

/// Converts to three channels of eight bits, over white.
fn flatten(job: &Job, colour: ColorType, data: Vec<u8>) -> Result<Vec<u8>, DecodeError> {
    let wide = || data.chunks_exact(2).map(|pair| narrow(u16::from_ne_bytes([pair[0], pair[1]]))).collect();
    let float = || data.chunks_exact(4).map(|four| level(f32::from_ne_bytes([four[0], four[1], four[2], four[3]])));
    let eight = match colour {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => data,
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => wide(),
        ColorType::Rgb32F | ColorType::Rgba32F => float().collect(),
        other => {
            return Err(DecodeError::Unsupported(format!("{} with {other:?} pixels is not supported", job.format)));
        }
    };
    Ok(channels::on_white(eight, colour.channel_count()))
}

/// Scales 16 bits to 8, rounded to the nearest level.
fn narrow(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

fn level(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}
