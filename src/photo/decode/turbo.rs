//! libjpeg-turbo in place of jpeg-decoder, in builds with `--features turbojpeg` (needs cmake and nasm).
//!
//! It is asked first and only for files without fault: at any complaint, warnings included, the usual way decides, so
//! that a build with it reads and refuses the same files.

use turbojpeg::{Decompressor, Image, PixelFormat, ScalingFactor};

use super::{Job, rgb};
use crate::container::jpeg::Frame;
use crate::kind::Kind;
use base::pixels::Pixels;

pub fn decode(job: &Job, frame: &Frame, shrink: u32) -> Option<Pixels> {
    if !matches!(frame.component_ids.len(), 1 | 3) {
        return None;
    }
    let factor = ScalingFactor::new(1, shrink as usize);
    let mut decompressor = Decompressor::new().ok()?;
    let header = decompressor.read_header(job.bytes).ok()?;
    decompressor.set_scaling_factor(factor).ok()?;
    let (width, height) = (factor.scale(header.width), factor.scale(header.height));
    let mut data = vec![0; width.checked_mul(height)?.checked_mul(3)?];
    let image = Image { pixels: &mut data[..], width, pitch: width * 3, height, format: PixelFormat::RGB };
    decompressor.decompress(job.bytes, image).ok()?;
    rgb(Kind::Jpeg, width as u32, height as u32, data).ok()
}
