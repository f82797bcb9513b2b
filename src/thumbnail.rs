//! Thumbnails: small JPEG images of a limited size in bytes.

use jpeg_encoder::{ColorType, Encoder};

use base::pixels::Pixels;
use photo::resize;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    pub jpeg: Vec<u8>,
    pub width: u32,
    pub height: u32,
}

/// Long sides and qualities, best first. The last one is used even if it is too large.
const STEPS: [(u32, u8); 6] = [(400, 80), (360, 72), (320, 66), (280, 58), (240, 50), (160, 40)];

/// The long side and quality of a preview.
pub const PREVIEW: (u32, u8) = (1200, 82);

/// Encodes a thumbnail of at most `budget` bytes where possible; `None` when the encoder fails.
pub fn encode(pixels: &Pixels, budget: usize) -> Option<Thumbnail> {
    let mut best = None;
    for (long_side, quality) in STEPS {
        let small = within(pixels, long_side, quality)?;
        let fits = small.jpeg.len() <= budget;
        best = Some(small);
        if fits {
            break;
        }
    }
    best
}

/// Encodes a picture of one size and quality, whatever its length in bytes.
pub fn within(pixels: &Pixels, long_side: u32, quality: u8) -> Option<Thumbnail> {
    let small = resize::within(pixels, long_side);
    let mut jpeg = Vec::new();
    let (width, height) = (u16::try_from(small.width()).ok()?, u16::try_from(small.height()).ok()?);
    Encoder::new(&mut jpeg, quality).encode(small.data(), width, height, ColorType::Rgb).ok()?;
    Some(Thumbnail { jpeg, width: small.width(), height: small.height() })
}

impl Thumbnail {
    /// The form in the results store: width, height, JPEG.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.jpeg.len());
        bytes.extend(self.width.to_le_bytes());
        bytes.extend(self.height.to_le_bytes());
        bytes.extend(&self.jpeg);
        bytes
    }

    /// Parses the form in the results store.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (width, rest) = bytes.split_first_chunk::<4>()?;
        let (height, jpeg) = rest.split_first_chunk::<4>()?;
        if !jpeg.starts_with(b"\xff\xd8") {
            return None;
        }
        Some(Self { jpeg: jpeg.to_vec(), width: u32::from_le_bytes(*width), height: u32::from_le_bytes(*height) })
    }
}
