//! HEIC. HEVC has no decoder in Rust, so pixels need the system's libheif and a build with `--features heic`.
//!
//! A thumbnail inside the file is never taken for the photo: it is smaller than anything that is asked for here.

use super::{Job, Raster};
use crate::container::bmff::Meta;
use crate::error::DecodeError;
use crate::kind::Kind;

#[cfg(feature = "heic")]
use super::rgb;
#[cfg(feature = "heic")]
use crate::picture;

const KIND: Kind = Kind::Heic;

pub fn decode(job: &Job) -> Result<Raster, DecodeError> {
    let corrupt = |cause: &str| DecodeError::Corrupt { kind: KIND, cause: cause.to_owned() };
    let meta = Meta::read(job.bytes).map_err(corrupt)?;
    let (width, height) = meta.size(meta.primary).ok_or_else(|| corrupt("it does not say how large the picture is"))?;
    job.admit_beside(job.bytes.len() as u64, u64::from(width), u64::from(height), 12)?;
    pixels(job)
}

#[cfg(not(feature = "heic"))]
fn pixels(_: &Job) -> Result<Raster, DecodeError> {
    Err(DecodeError::Unsupported("HEIC needs a build with --features heic (Debian: libheif-dev)".to_owned()))
}

/// libheif turns the picture itself, as the container says.
#[cfg(feature = "heic")]
fn pixels(job: &Job) -> Result<Raster, DecodeError> {
    use libheif_rs::{ColorSpace, HeifContext, LibHeif, RgbChroma};
    let explain = |error: libheif_rs::HeifError| super::failure(job, KIND, &error);
    let bytes = job.bytes.to_vec();
    let drawn = super::watch::watched(job, move || {
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
    let (width, height, data) =
        pixels.ok_or_else(|| super::failure(job, KIND, &std::io::Error::other("no RGB plane")))?;
    let pixels = rgb(KIND, width, height, data)?;
    let picture = picture::of_stream(job.bytes, job.kind);
    Ok(Raster { pixels, width, height, orientation: Some(1), profile, picture })
}
