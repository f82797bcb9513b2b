//! A small JPEG within a number of bytes.

use jpeg_encoder::{ColorType, Encoder};

use crate::photo::resize;
use crate::pixels::Pixels;

pub struct Thumbnail {
    pub jpeg: Vec<u8>,
    pub width: u32,
    pub height: u32,
}

/// Long sides and qualities, best first. The last one is taken even when it is too heavy.
const STEPS: [(u32, u8); 6] = [(400, 80), (360, 72), (320, 66), (280, 58), (240, 50), (160, 40)];

/// `None` when the encoder refuses.
pub fn encode(pixels: &Pixels, budget: usize) -> Option<Thumbnail> {
    let mut best = None;
    for (long_side, quality) in STEPS {
        let small = resize::within(pixels, long_side);
        let mut jpeg = Vec::new();
        let (width, height) = (u16::try_from(small.width()).ok()?, u16::try_from(small.height()).ok()?);
        Encoder::new(&mut jpeg, quality).encode(small.data(), width, height, ColorType::Rgb).ok()?;
        let fits = jpeg.len() <= budget;
        best = Some(Thumbnail { jpeg, width: small.width(), height: small.height() });
        if fits {
            break;
        }
    }
    best
}
