//! The degraded variants of the original system's benchmark, and variants with noise, which it lacked.

use base::pixels::Pixels;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Gaussian blur, by sigma in pixels.
    Blur(f32),
    /// JPEG compression at this quality.
    Jpeg(u8),
    /// Exposure change in stops, applied to the encoded values and clipped at white.
    Exposure(f32),
    /// Gaussian noise, by sigma in levels of 0 to 255.
    Noise(f32),
    /// Keeps this part of the picture: x, y, width and height as shares.
    Crop([f64; 4]),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variant {
    pub kind: &'static str,
    pub fault: Fault,
    /// Whether the variant is certainly worse; a crop may be better or worse, depending on the picture.
    pub technical: bool,
}

/// The 27 variants of the original system, and 3 with noise.
pub fn all() -> Vec<Variant> {
    let technical = |kind, fault| Variant { kind, fault, technical: true };
    let mut all = Vec::new();
    all.extend([1.0, 2.0, 4.0, 8.0].map(|sigma| technical("blur", Fault::Blur(sigma))));
    all.extend([80, 60, 40, 20, 10].map(|quality| technical("jpeg", Fault::Jpeg(quality))));
    all.extend([-2.0, -1.0, 1.0, 2.0].map(|stops| technical("exposure", Fault::Exposure(stops))));
    all.extend([10.0, 20.0, 40.0].map(|sigma| technical("noise", Fault::Noise(sigma))));
    let crop = |kind, part| Variant { kind, fault: Fault::Crop(part), technical: false };
    for share in [0.8, 0.7] {
        all.extend([[0.0, 0.0, share, 1.0], [0.0, 0.0, 1.0, share]].map(|part| crop("crop_edge", part)));
    }
    for share in [0.7, 0.6] {
        let far = 1.0 - share;
        all.extend([[0.0, 0.0, share, share], [far, far, share, share]].map(|part| crop("crop_corner", part)));
        all.push(crop("crop_center", [far / 2.0, far / 2.0, share, share]));
    }
    for share in [0.6, 0.5] {
        let middle = (1.0 - share) / 2.0;
        all.extend([[middle, 0.0, share, 1.0], [0.0, middle, 1.0, share]].map(|part| crop("crop_aspect", part)));
    }
    all
}

impl Fault {
    /// The degraded picture; `None` for [`Fault::Jpeg`], which needs an encoder.
    pub fn apply(self, photo: &Pixels) -> Option<Pixels> {
        let (width, height) = (photo.width(), photo.height());
        match self {
            Self::Blur(sigma) => Pixels::new(width, height, blurred(photo, sigma)),
            Self::Jpeg(_) => None,
            Self::Exposure(stops) => {
                let gain = stops.exp2();
                let table: [u8; 256] = std::array::from_fn(|v| (v as f32 * gain).round().min(255.0) as u8);
                Pixels::new(width, height, photo.data().iter().map(|v| table[usize::from(*v)]).collect())
            }
            Self::Noise(sigma) => Pixels::new(width, height, noisy(photo, sigma)),
            Self::Crop([x, y, across, down]) => {
                let part = |whole: u32, share: f64| ((f64::from(whole) * share) as u32).max(1);
                let (wide, high) = (part(width, across), part(height, down));
                let left = ((f64::from(width) * x) as u32).min(width - wide) as usize * 3;
                let top = ((f64::from(height) * y) as u32).min(height - high) as usize;
                let rows = photo.rows().skip(top).take(high as usize);
                Pixels::new(wide, high, rows.flat_map(|row| row[left..][..wide as usize * 3].iter().copied()).collect())
            }
        }
    }
}

/// Adds pseudo-random noise, the same for all pictures of a size.
fn noisy(photo: &Pixels, sigma: f32) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut unit = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 16_777_216.0
    };
    // The sum of twelve uniform draws is close enough to a normal distribution.
    let mut value = |v: &u8| {
        let normal = (0..12).map(|_| unit()).sum::<f32>() - 6.0;
        (f32::from(*v) + sigma * normal).round().clamp(0.0, 255.0) as u8
    };
    photo.data().iter().map(&mut value).collect()
}

fn blurred(photo: &Pixels, sigma: f32) -> Vec<u8> {
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    let radius = (3.0 * sigma).ceil() as isize;
    let taps: Vec<f32> = (-radius..=radius).map(|x| (-0.5 * (x as f32 / sigma).powi(2)).exp()).collect();
    let total: f32 = taps.iter().sum();
    // Mirrors at the border without repeating the edge pixel.
    let mirror = |at: isize, len: usize| {
        let period = (2 * len as isize - 2).max(1);
        let at = at.rem_euclid(period);
        if at < len as isize { at as usize } else { (period - at) as usize }
    };
    let source: Vec<f32> = photo.data().iter().map(|v| f32::from(*v)).collect();
    let mut across = vec![0.0f32; source.len()];
    for (row, out) in source.chunks_exact(width * 3).zip(across.chunks_exact_mut(width * 3)) {
        for x in 0..width {
            for (tap, shift) in taps.iter().zip(-radius..) {
                let from = mirror(x as isize + shift, width) * 3;
                (0..3).for_each(|c| out[x * 3 + c] += tap * row[from + c]);
            }
        }
    }
    let mut out = Vec::with_capacity(source.len());
    let mut line = vec![0.0f32; width * 3];
    for y in 0..height {
        line.fill(0.0);
        for (tap, shift) in taps.iter().zip(-radius..) {
            let from = mirror(y as isize + shift, height) * width * 3;
            line.iter_mut().zip(&across[from..]).for_each(|(sum, v)| *sum += tap * v);
        }
        out.extend(line.iter().map(|v| (v / (total * total)).round().clamp(0.0, 255.0) as u8));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_the_variants_of_the_original_and_noise() {
        let all = all();
        let of = |kind: &str| all.iter().filter(|variant| variant.kind == kind).count();
        let kinds = ["blur", "jpeg", "exposure", "noise", "crop_edge", "crop_corner", "crop_aspect", "crop_center"];
        assert_eq!(kinds.map(of), [4, 5, 4, 3, 4, 4, 4, 2]);
        let photo = Pixels::new(40, 20, (0..2400).map(|i| (i * 7 % 251) as u8).collect()).expect("pixels");
        for variant in &all {
            match variant.fault.apply(&photo) {
                None => assert_eq!(variant.kind, "jpeg"),
                Some(worse) => assert_ne!(worse, photo, "{variant:?}"),
            }
        }
        let flat = Pixels::new(9, 9, vec![77; 243]).expect("pixels");
        assert_eq!(Fault::Blur(2.0).apply(&flat), Some(flat));
    }
}
