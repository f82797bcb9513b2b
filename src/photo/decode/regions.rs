//! Decodes parts of a photo at full size, such as its faces.

use super::{
    DecodeError, Job, Limits, Reservation, Scale, colour, exif, file_format, guarded, jpeg, orient, raw, resize,
    unknown,
};
use crate::file_format::FileFormat;
use crate::libjpeg::Area;
use base::pixels::Pixels;

/// Left, top, width and height, as shares of the upright photo's sides.
pub type Region = [f64; 4];

/// Decodes regions of a photo at full size, upright and in sRGB; `None` for a region without a pixel of the photo. Of a
/// usual JPEG, only the regions are decoded; other photos are decoded as a whole.
pub fn decode_regions(
    reservation: &Reservation,
    bytes: &[u8],
    regions: &[Region],
    limits: &Limits,
) -> Result<Vec<Option<Pixels>>, DecodeError> {
    limits.file(bytes.len())?;
    let format = file_format::sniff(bytes).ok_or_else(|| unknown(bytes))?;
    let deadline = limits.deadline();
    let job =
        Job { bytes, file: bytes.len() as u64, format, scale: Scale::Full, limits, reservation, deadline: &deadline };
    let streams = match format {
        FileFormat::Jpeg => vec![bytes],
        FileFormat::Raw(_) => raw::previews(bytes, format).iter().map(|preview| preview.data).collect(),
        _ => {
            let whole = super::decode_in(reservation, bytes, Scale::Full, limits)?.pixels;
            return Ok(regions.iter().map(|region| cut(&whole, *region)).collect());
        }
    };
    let orientation = guarded(format, || Ok(exif::facts_of(bytes, format)))?.orientation;
    let mut refused = None;
    for stream in streams {
        let job = Job { bytes: stream, format: FileFormat::Jpeg, ..job };
        match guarded(format, || of_jpeg(&job, regions, orientation)) {
            Ok(parts) => return Ok(parts),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_else(|| DecodeError::Unsupported(format!("{format} without an embedded JPEG preview"))))
}

/// The region of decoded pixels; `None` where it has none.
pub fn cut(pixels: &Pixels, region: Region) -> Option<Pixels> {
    let Area { left, top, right, bottom } = area(region, pixels.width(), pixels.height())?;
    resize::crop(pixels, left as u32, top as u32, (right - left) as u32, (bottom - top) as u32)
}

/// The pixels that a region of a picture touches.
fn area([x, y, width, height]: Region, picture_width: u32, picture_height: u32) -> Option<Area> {
    let side = |from: f64, length: f64, all: u32| {
        let all = f64::from(all);
        let (from, to) = ((from * all).floor().clamp(0.0, all), ((from + length) * all).ceil().clamp(0.0, all));
        (from < to).then_some((from as usize, to as usize))
    };
    let ((left, right), (top, bottom)) = (side(x, width, picture_width)?, side(y, height, picture_height)?);
    Some(Area { left, top, right, bottom })
}

fn of_jpeg(job: &Job, regions: &[Region], orientation: u8) -> Result<Vec<Option<Pixels>>, DecodeError> {
    let (width, height) = jpeg::size(job)?;
    let (upright_width, upright_height) = orient::upright_size(width, height, orientation);
    let stored = |region: &Region| {
        let Area { left, top, right, bottom } = area(*region, upright_width, upright_height)?;
        let corners = [(left, top), (right - 1, bottom - 1)]
            .map(|(x, y)| orient::source(orientation, width as usize, height as usize, x, y));
        let [(ax, ay), (bx, by)] = corners;
        Some(Area { left: ax.min(bx), top: ay.min(by), right: ax.max(bx) + 1, bottom: ay.max(by) + 1 })
    };
    let areas: Vec<Option<Area>> = regions.iter().map(stored).collect();
    let inside: Vec<Area> = areas.iter().flatten().copied().collect();
    if inside.is_empty() {
        return Ok(vec![None; regions.len()]);
    }
    let (pixels, profile) = jpeg::decode_areas(job, &inside)?;
    let go_on = || !job.deadline.passed();
    let mut upright = pixels.into_iter().map(|pixels| {
        let pixels = orient::upright(pixels, orientation, &go_on);
        let converted = profile.as_ref().and_then(|profile| colour::to_srgb(&pixels, profile, &go_on));
        converted.unwrap_or(pixels)
    });
    let all = areas.iter().map(|area| area.and_then(|_| upright.next())).collect();
    job.deadline.check(job.format)?;
    Ok(all)
}
