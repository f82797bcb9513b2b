//! Decodes AVIF. AV1 is decoded by `re_rav1d`, in Rust without assembly.

use re_rav1d::dav1d::pixel::YUVRange;
use re_rav1d::dav1d::{Decoder, PixelLayout, PlanarImageComponent as Component, Settings};

use super::heif::{self, Codec, coded, corrupt};
use super::planes::{Chroma, Frame, Plane};
use super::watch::watched;
use super::{Job, Raster, failure};
use crate::container::av1;
use crate::container::bmff::Meta;
use crate::error::DecodeError;

const BYTES_PER_PIXEL: u64 = 12;
/// The memory per pixel of a reference frame, and their largest number.
const BYTES_OF_REFERENCE: u64 = 6;
const REFERENCES: u64 = 8;
const CODEC: Codec = Codec { format: "AVIF", item: *b"av01", bytes_per_pixel: BYTES_PER_PIXEL, frame };

pub fn decode(job: &Job) -> Result<Raster, DecodeError> {
    heif::decode(job, &CODEC)
}

/// The decoder cannot be interrupted, because a picture is one call.
fn frame(job: &Job, meta: &Meta, item: u32, held: u64) -> Result<Frame, DecodeError> {
    let data = coded(job, meta, item)?;
    // The size in the container may be wrong.
    let stream = av1::stream(&data).ok_or_else(|| corrupt(job, "its AV1 data begin with no header"))?;
    let kept = stream.frames.saturating_sub(1).min(REFERENCES) * BYTES_OF_REFERENCE;
    let held = held.saturating_add(data.len() as u64);
    job.admit_beside(held, u64::from(stream.width), u64::from(stream.height), BYTES_PER_PIXEL + kept)?;
    let data = data.into_owned();
    let most = stream.width.saturating_mul(stream.height);
    watched(job, move || decoded(data, most))?.map_err(|error| match error {
        Refusal::Decoder(error) => failure(job, job.format, &error),
        Refusal::Planes => corrupt(job, "its planes are smaller than the picture"),
    })
}

enum Refusal {
    Decoder(re_rav1d::dav1d::Error),
    Planes,
}

/// Decodes the first picture, of at most `most` pixels.
fn decoded(data: Vec<u8>, most: u32) -> Result<Frame, Refusal> {
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_all_layers(false);
    settings.set_frame_size_limit(most);
    let mut decoder = Decoder::with_settings(&settings).map_err(Refusal::Decoder)?;
    match decoder.send_data(data, None, None, None) {
        Ok(()) => {}
        Err(error) if error.is_again() => {}
        Err(error) => return Err(Refusal::Decoder(error)),
    }
    let picture = decoder.get_picture().map_err(Refusal::Decoder)?;
    let layout = match picture.pixel_layout() {
        PixelLayout::I400 => Chroma::I400,
        PixelLayout::I420 => Chroma::I420,
        PixelLayout::I422 => Chroma::I422,
        PixelLayout::I444 => Chroma::I444,
    };
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let components =
        if layout == Chroma::I400 { &[Component::Y][..] } else { &[Component::Y, Component::U, Component::V] };
    let planes = components.iter().map(|component| {
        let (width, height) = if *component == Component::Y { (width, height) } else { layout.size(width, height) };
        let stride = picture.stride(*component) as usize;
        copied(&picture.plane(*component), stride, width, height, picture.bit_depth() > 8)
    });
    Ok(Frame {
        width,
        height,
        layout,
        bits: picture.bits_per_component().map_or(8, |bits| bits.0 as u32),
        full_range: picture.color_range() == YUVRange::Full,
        matrix: picture.matrix_coefficients() as u16,
        planes: planes.collect::<Option<_>>().ok_or(Refusal::Planes)?,
    })
}

/// The visible part of a plane, widened to 16 bits.
fn copied(plane: &[u8], stride: usize, width: usize, height: usize, wide: bool) -> Option<Plane> {
    let mut samples = Vec::with_capacity(width * height);
    for y in 0..height {
        let row = plane.get(y * stride..)?;
        if wide {
            samples.extend(row.get(..width * 2)?.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])));
        } else {
            samples.extend(row.get(..width)?.iter().map(|sample| u16::from(*sample)));
        }
    }
    Some(Plane { width, samples })
}
