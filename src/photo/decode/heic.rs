//! Decodes HEIC. HEVC is decoded by `heic-rs`, in Rust without unsafe code. Files that it does not support are decoded
//! by the system's libheif in builds with the feature `libheif`.
//!
//! Embedded thumbnails are not used, because they are smaller than any size needed here.

use heic_rs::hevc::{self, ChromaFormat};

use super::heif::{self, Codec, coded, corrupt};
use super::planes::{Chroma, Frame, Plane};
use super::watch::watched;
use super::{Job, Raster, failure};
use crate::container::bmff::Meta;
use crate::container::hevc::{Configuration, Signal};
use crate::error::DecodeError;

const CODEC: Codec = Codec { format: "HEIC", item: *b"hvc1", bytes_per_pixel: 12, frame };

pub fn decode(job: &Job) -> Result<Raster, DecodeError> {
    match heif::decode(job, &CODEC) {
        #[cfg(feature = "libheif")]
        Err(DecodeError::Unsupported(_)) => by_libheif(job),
        outcome => outcome,
    }
}

/// The container has been parsed and its size checked before. libheif applies the orientation.
#[cfg(feature = "libheif")]
fn by_libheif(job: &Job) -> Result<Raster, DecodeError> {
    use libheif_rs::{ColorSpace, HeifContext, LibHeif, RgbChroma};
    let explain = |error: libheif_rs::HeifError| failure(job, job.format, &error);
    let bytes = job.bytes.to_vec();
    let drawn = watched(job, move || {
        let context = HeifContext::read_from_bytes(&bytes)?;
        let handle = context.primary_image_handle()?;
        let image = LibHeif::new().decode(&handle, ColorSpace::Rgb(RgbChroma::Rgb), None)?;
        let plane = image.planes().interleaved;
        let pixels = plane.map(|plane| {
            let rows = plane.data.chunks(plane.stride).take(plane.height as usize);
            let data = rows.flat_map(|row| row.iter().take(plane.width as usize * 3).copied()).collect::<Vec<u8>>();
            (plane.width, plane.height, data)
        });
        Ok((pixels, handle.color_profile_raw().map(|profile| profile.data)))
    })?;
    let (pixels, profile) = drawn.map_err(explain)?;
    let (width, height, data) = pixels.ok_or_else(|| corrupt(job, "it has no colours"))?;
    let pixels = super::rgb(job.format, width, height, data)?;
    let picture = crate::picture::of_stream(job.bytes, job.format);
    Ok(Raster { pixels, width, height, orientation: Some(1), profile, picture })
}

/// The decoder cannot be interrupted, because a picture is one call.
fn frame(job: &Job, meta: &Meta, item: u32, held: u64) -> Result<Frame, DecodeError> {
    let property = meta.property(item, *b"hvcC").ok_or_else(|| corrupt(job, "it does not say how it is coded"))?;
    let configuration =
        Configuration::read(property).ok_or_else(|| corrupt(job, "what it says of its coding is broken"))?;
    let data = coded(job, meta, item)?;
    let refused = |error: heic_rs::Error| match error {
        heic_rs::Error::Unsupported(what) => DecodeError::Unsupported(format!("HEIC: {what}")),
        error => failure(job, job.format, &error),
    };
    // The size in the container may be wrong.
    let info = hevc::probe(&configuration.parameters()).map_err(refused)?;
    if !matches!(info.chroma, ChromaFormat::Monochrome | ChromaFormat::Yuv420) {
        // heic-rs 0.1.4 maps their prediction modes by a wrong table (4:2:2) and skips flags of small blocks (4:4:4).
        let why = "HEIC with more colour than phones store (4:2:2, 4:4:4) needs a build with --features libheif";
        return Err(DecodeError::Unsupported(why.to_owned()));
    }
    let held = held.saturating_add(data.len() as u64);
    job.admit_beside(held, u64::from(info.width), u64::from(info.height), CODEC.bytes_per_pixel)?;
    let (property, data) = (property.to_vec(), data.into_owned());
    watched(job, move || decoded(&property, &data))?
        .ok_or_else(|| corrupt(job, "its HEVC data are cut short"))?
        .map_err(refused)
}

/// `None` if the data are cut short.
fn decoded(property: &[u8], data: &[u8]) -> Option<Result<Frame, heic_rs::Error>> {
    let configuration = Configuration::read(property)?;
    let units = configuration.split(data)?;
    let decoded = hevc::decode_still(&configuration.parameters(), &units);
    Some(decoded.and_then(|decoded| {
        decoded.validate()?;
        Ok(in_planes(decoded, configuration.signal()))
    }))
}

fn in_planes(decoded: hevc::Frame, signal: Option<Signal>) -> Frame {
    // HEVC has limited range unless it is stated.
    let signal = signal.unwrap_or(Signal { full_range: false, matrix: 2 });
    let layout = if decoded.chroma == ChromaFormat::Monochrome { Chroma::I400 } else { Chroma::I420 };
    let (width, height) = (decoded.width as usize, decoded.height as usize);
    let mut planes = vec![plane(decoded.y, decoded.y_stride as usize, width)];
    if layout != Chroma::I400 {
        let of_chroma = layout.size(width, height).0;
        planes.extend([decoded.cb, decoded.cr].map(|samples| plane(samples, decoded.c_stride as usize, of_chroma)));
    }
    Frame {
        width,
        height,
        layout,
        bits: u32::from(decoded.bit_depth),
        full_range: signal.full_range,
        matrix: signal.matrix,
        planes,
    }
}

/// Removes the padding at the right of each row.
fn plane(mut samples: Vec<u16>, stride: usize, width: usize) -> Plane {
    if stride > width {
        samples = samples.chunks_exact(stride).flat_map(|row| &row[..width]).copied().collect();
    }
    Plane { width, samples }
}
