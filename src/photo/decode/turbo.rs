//! libjpeg-turbo in place of jpeg-decoder, in builds with `--features turbojpeg` (needs cmake and nasm).
//!
//! It is tried first. At any error or warning the usual decoders take over, so that builds with and without it accept
//! and reject the same files.

use turbojpeg::{Decompressor, Image, PixelFormat, ScalingFactor};

use super::{Job, rgb};
use crate::container::jpeg::Frame;
use crate::file_format::FileFormat;
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
    rgb(FileFormat::Jpeg, width as u32, height as u32, data).ok()
}
