//! Sharpness and exposure of one face, from the pixels of its box as large as the file has them.

use base::pixels::Pixels;

/// Smaller boxes are not measured: the window of the filter would cover most of the face.
const SMALLEST_BOX: u32 = 16;
/// A box is halved, divided by three and so on as long as its longer side stays at least this long. Below it, a face is
/// measured pixel by pixel; above, noise and the softness of single pixels say little about its focus.
const ENOUGH: u32 = 512;
/// The longer side, in pixels, from which the measure is sure.
const SURE_SIDE: f64 = 128.0;
/// The mean difference of neighbouring pixels, in levels, from which the measure is sure. Flat faces have nothing that
/// could be sharp.
const SURE_DETAIL: f64 = 1.0;
/// Levels up to and from which a pixel counts as lost in black or white.
const CLIPPED: [u8; 2] = [5, 250];
/// The share of clipped pixels at which nothing is left of the exposure.
const ALL_CLIPPED: f64 = 0.5;
/// The median level is right from 48, which the darkest skin reaches when it is well lit, to 225.
const WELL_LIT: [f64; 2] = [48.0, 225.0];

/// All values are from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaceQuality {
    /// One minus the blur effect (Crete et al., 2007): the share of the differences between neighbouring pixels that a
    /// blur over nine pixels takes away. It does not depend on the contrast of the light.
    pub sharpness: f64,
    pub sharpness_confidence: f64,
    /// Lowered by clipped pixels and by a face as a whole too dark or too bright.
    pub exposure: f64,
}

impl FaceQuality {
    /// Measures the ellipse within a face's box, since its corners show the background; `None` for a box too small.
    pub fn measure(face: &Pixels) -> Option<Self> {
        if face.width().min(face.height()) < SMALLEST_BOX {
            return None;
        }
        let grey = Grey::of(face, (face.long_side() / ENOUGH).max(1) as usize);
        let across = grey.differences(1);
        let down = grey.differences(grey.width);
        let detail = across.mean().min(down.mean());
        let side = f64::from(face.long_side());
        Some(Self {
            sharpness: across.taken_away().min(down.taken_away()),
            sharpness_confidence: (side / SURE_SIDE).min(1.0) * (detail / SURE_DETAIL).min(1.0),
            exposure: grey.exposure(),
        })
    }
}

/// A grey picture.
struct Grey {
    width: usize,
    height: usize,
    levels: Vec<u8>,
}

/// Sums over differences of neighbouring pixels, in ninths of a level.
#[derive(Default)]
struct Differences {
    count: u64,
    all: u64,
    /// The part that the blur takes away.
    lost: u64,
}

impl Differences {
    fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.all as f64 / WINDOW as f64 / self.count as f64 }
    }

    fn taken_away(&self) -> f64 {
        if self.all == 0 { 0.0 } else { self.lost as f64 / self.all as f64 }
    }
}

/// The length of the blur, as in the publication.
const WINDOW: usize = 9;
const HALF: usize = WINDOW / 2;

impl Grey {
    /// The means of blocks of `by` × `by` pixels.
    fn of(pixels: &Pixels, by: usize) -> Self {
        let (width, height) = (pixels.width() as usize / by, pixels.height() as usize / by);
        let data = pixels.data();
        if by == 1 {
            return Self {
                width,
                height,
                levels: data.chunks_exact(3).map(|pixel| (luma(pixel) / LUMA) as u8).collect(),
            };
        }
        let stride = pixels.width() as usize * 3;
        let mut levels = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let rows = (y * by..(y + 1) * by).map(|row| &data[row * stride + x * by * 3..][..by * 3]);
                let sum: u32 = rows.flat_map(|row| row.chunks_exact(3)).map(luma).sum();
                levels.push((sum / (by * by) as u32 / LUMA) as u8);
            }
        }
        Self { width, height, levels }
    }

    /// The first column and the end of the ellipse in a row.
    fn inside(&self, y: usize) -> (usize, usize) {
        let v = 2.0 * (y as f64 + 0.5) / self.height as f64 - 1.0;
        let half = self.width as f64 / 2.0 * (1.0 - v * v).max(0.0).sqrt();
        let middle = self.width as f64 / 2.0;
        ((middle - half).ceil() as usize, ((middle + half).floor() as usize).min(self.width))
    }

    /// Compares each pixel with the one `step` before it, and the same two after a blur along that direction. Their
    /// difference is that of the two pixels that enter and leave the window.
    fn differences(&self, step: usize) -> Differences {
        let is_down = step == self.width;
        let mut sums = Differences::default();
        for y in 0..self.height {
            let (mut from, mut to) = self.inside(y);
            if is_down {
                if y <= HALF || y + HALF >= self.height {
                    continue;
                }
            } else {
                (from, to) = (from.max(HALF + 1), to.min(self.width - HALF));
            }
            if from >= to {
                continue;
            }
            let at = y * self.width + from;
            let run = |begin: usize| &self.levels[begin..begin + to - from];
            let neighbours = run(at).iter().zip(run(at - step));
            let (enter, leave) = (run(at + HALF * step), run(at - (HALF + 1) * step));
            // Sums of one row fit 32 bits, in which the loop is vectors.
            let (mut all, mut lost) = (0_u32, 0_u32);
            for ((here, before), (enters, leaves)) in neighbours.zip(enter.iter().zip(leave)) {
                let own = WINDOW as u32 * u32::from(here.abs_diff(*before));
                all += own;
                lost += own.saturating_sub(u32::from(enters.abs_diff(*leaves)));
            }
            sums.all += u64::from(all);
            sums.lost += u64::from(lost);
            sums.count += (to - from) as u64;
        }
        sums
    }

    fn exposure(&self) -> f64 {
        let mut histogram = [0_u64; 256];
        for y in 0..self.height {
            let (from, to) = self.inside(y);
            let row = &self.levels[y * self.width..(y + 1) * self.width];
            row[from..to.max(from)].iter().for_each(|&level| histogram[usize::from(level)] += 1);
        }
        let total = histogram.iter().sum::<u64>().max(1);
        let lost: u64 = histogram[..=usize::from(CLIPPED[0])].iter().chain(&histogram[usize::from(CLIPPED[1])..]).sum();
        let mut below = 0;
        let median = histogram.iter().take_while(|&&count| {
            below += count;
            2 * below < total
        });
        let median = median.count() as f64;
        let [least, most] = WELL_LIT;
        let light = (median / least).min((255.0 - median) / (255.0 - most)).clamp(0.0, 1.0);
        (1.0 - lost as f64 / total as f64 / ALL_CLIPPED).max(0.0) * light
    }
}

const LUMA: u32 = 1000;

fn luma(pixel: &[u8]) -> u32 {
    299 * u32::from(pixel[0]) + 587 * u32::from(pixel[1]) + 114 * u32::from(pixel[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stripes and blobs at all scales, blurred by means over `blur` pixels, then scaled to other levels.
    fn face(side: u32, blur: i32, level: impl Fn(f64) -> f64) -> FaceQuality {
        let value = |x: i32, y: i32| {
            let wave = |length: f64, turn: f64| ((f64::from(x) + turn * f64::from(y)) / length).sin();
            let noise = ((x.wrapping_mul(7919) ^ y.wrapping_mul(104_729)) & 63) as f64 / 63.0 - 0.5;
            130.0 + 25.0 * wave(9.0, 0.7) + 20.0 * wave(3.0, -1.3) + 30.0 * noise
        };
        let mean = |x: i32, y: i32| {
            let window = || -blur / 2..=blur / 2;
            let all: Vec<f64> = window().flat_map(|dy| window().map(move |dx| value(x + dx, y + dy))).collect();
            all.iter().sum::<f64>() / all.len() as f64
        };
        let side_i = side as i32;
        let places = (0..side_i).flat_map(|y| (0..side_i).map(move |x| (x, y)));
        let data = places.flat_map(|(x, y)| [level(mean(x, y)).clamp(0.0, 255.0) as u8; 3]).collect();
        FaceQuality::measure(&Pixels::new(side, side, data).unwrap()).unwrap()
    }

    #[test]
    fn the_more_blurred_the_less_sharp_whatever_the_light() {
        let same = |v: f64| v;
        let sharpness = [0, 2, 4, 8].map(|blur| face(100, blur, same).sharpness);
        assert!(sharpness.windows(2).all(|pair| pair[0] > pair[1] + 0.05), "{sharpness:?}");
        let dim = face(100, 0, |v| 0.4 * v);
        assert!((dim.sharpness - sharpness[0]).abs() < 0.02 && dim.sharpness_confidence > 0.7, "{dim:?}");
    }

    #[test]
    fn large_faces_are_measured_in_blocks_and_flat_or_small_ones_are_unsure() {
        let large = face(1100, 6, |v| v);
        assert!(large.sharpness > face(500, 6, |v| v).sharpness + 0.05, "{large:?}");
        assert!(face(32, 0, |v| v).sharpness_confidence < 0.3);
        let flat = FaceQuality::measure(&Pixels::new(200, 200, vec![90; 200 * 200 * 3]).unwrap()).unwrap();
        assert!(flat.sharpness_confidence.abs() < 1e-9 && flat.sharpness.abs() < 1e-9);
        assert_eq!(FaceQuality::measure(&Pixels::new(15, 90, vec![90; 15 * 90 * 3]).unwrap()), None);
    }

    #[test]
    fn exposure_falls_with_clipping_and_darkness_but_not_with_dark_skin() {
        let exposure = |level: &dyn Fn(f64) -> f64| face(100, 0, level).exposure;
        assert!((exposure(&|v| v) - 1.0).abs() < 1e-9);
        assert!((exposure(&|v| 0.45 * v) - 1.0).abs() < 1e-9, "a median of about 58");
        assert!(exposure(&|v| 0.1 * v) < 0.4, "under-exposed");
        assert!(exposure(&|v| v + 115.0) < 0.6, "washed out");
    }
}
