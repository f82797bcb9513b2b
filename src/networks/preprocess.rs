//! The preprocessing of a network as data: manifests state it, the hub applies it.

use serde::{Deserialize, Serialize};

use super::fused::Batch;
use photo::resize::Filter;

/// The steps from an upright photo to normalised values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    pub resize: Resize,
    pub filter: Filter,
    /// Side of the centre crop; absent where resizing already gives the final size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<u32>,
    pub mean: [f32; 3],
    pub std: [f32; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// Resizes the short side to this length and the long side to `trunc(side * long / short)`.
    ShortSide(u32),
    /// Resizes both sides to this length, whatever the aspect ratio.
    Square(u32),
}

impl Preprocess {
    /// Side of the network's square input.
    pub fn side(&self) -> u32 {
        let (Resize::ShortSide(side) | Resize::Square(side)) = self.resize;
        self.crop.unwrap_or(side)
    }

    /// Fails with the reason if no picture could be prepared this way.
    pub fn check(&self) -> Result<(), String> {
        let (Resize::ShortSide(side) | Resize::Square(side)) = self.resize;
        if side == 0 || self.crop.is_some_and(|crop| crop == 0 || crop > side) {
            return Err("the crop must lie inside the resized picture".to_owned());
        }
        if self.crop.is_none() && matches!(self.resize, Resize::ShortSide(_)) {
            return Err("after a resize of the short side a crop must make the picture square".to_owned());
        }
        if self.std.iter().any(|std| *std <= 0.0) {
            return Err("`std` must be positive".to_owned());
        }
        Ok(())
    }

    /// Normalises whole RGB pixels, channels innermost.
    ///
    /// Uses torchvision's order and rounding: `(v / 255 - mean) / std`, each step in f32.
    pub fn normalise(&self, pixels: &[u8], out: &mut Vec<f32>) {
        let level = |channel: usize| -> [f32; 256] {
            std::array::from_fn(|v| (v as f32 / 255.0 - self.mean[channel]) / self.std[channel])
        };
        let levels = [level(0), level(1), level(2)];
        let pixels = pixels.as_chunks::<{ Batch::CHANNELS }>().0;
        let start = out.len();
        out.resize(start + pixels.len() * Batch::CHANNELS, 0.0);
        for (out, pixel) in out[start..].as_chunks_mut::<{ Batch::CHANNELS }>().0.iter_mut().zip(pixels) {
            *out =
                [levels[0][usize::from(pixel[0])], levels[1][usize::from(pixel[1])], levels[2][usize::from(pixel[2])]];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_what_torchvision_makes_of_them() {
        let imagenet = Preprocess {
            resize: Resize::ShortSide(256),
            filter: Filter::Bilinear,
            crop: Some(224),
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        };
        let mut out = Vec::new();
        imagenet.normalise(&[0, 128, 255], &mut out);
        let expected = [-2.117_904, 0.205_182, 2.64];
        for (got, expected) in out.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "{got} for {expected}");
        }
        assert_eq!(imagenet.side(), 224);
    }
}
