//! From planes to RGB: libjpeg's "fancy" upsampling of the chroma planes and its fixed-point colour conversion.

use pulp::{Simd, WithSimd};

/// The samples of one component.
#[derive(Debug)]
pub struct Plane {
    pub data: Vec<u8>,
    pub stride: usize,
    /// The size of the picture's part; the rest pads the last blocks.
    pub width: usize,
    pub height: usize,
    /// The upsampling factors across and down.
    pub across: usize,
    pub down: usize,
}

impl Plane {
    fn row(&self, row: usize) -> &[u8] {
        let start = row.min(self.height - 1) * self.stride;
        &self.data[start..start + self.width]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    Grey,
    YCbCr,
    Rgb,
}

impl Colours {
    pub fn count(self) -> usize {
        if self == Self::Grey { 1 } else { 3 }
    }
}

/// Upsamples, converts and interleaves rows of the picture.
pub struct Interleave<'a> {
    pub planes: &'a [Plane],
    pub colours: Colours,
    pub width: usize,
    pub smooth: bool,
    /// The number of the first row.
    pub first: usize,
    pub out: &'a mut [u8],
}

impl WithSimd for Interleave<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut rows = [const { Vec::new() }; 3];
        let mut sums = Vec::new();
        for (y, out) in (self.first..).zip(self.out.chunks_exact_mut(self.width * 3)) {
            for (plane, row) in self.planes.iter().zip(&mut rows) {
                upsample(plane, y, self.smooth, self.width, &mut sums, row);
            }
            let [first, second, third] = &rows;
            match self.colours {
                Colours::Grey => grey(first, out),
                Colours::YCbCr => convert(first, second, third, out),
                Colours::Rgb => join(first, second, third, out),
            }
        }
    }
}

/// Upsamples the row `y` of the picture from a plane.
#[inline(always)]
fn upsample(plane: &Plane, y: usize, smooth: bool, width: usize, sums: &mut Vec<u16>, row: &mut Vec<u8>) {
    let near = plane.row(y / plane.down);
    // The row above for the upper row of a pair, the one below for the lower; edge rows are repeated.
    let far = plane.row(if y.is_multiple_of(2) { (y / 2).saturating_sub(1) } else { y / 2 + 1 });
    row.resize(plane.width * plane.across, 0);
    match (plane.across, plane.down) {
        (1, 1) => row.copy_from_slice(near),
        (1, 2) if smooth => {
            let bias = if y.is_multiple_of(2) { 1 } else { 2 };
            for ((out, near), far) in row.iter_mut().zip(near).zip(far) {
                *out = ((u16::from(*near) * 3 + u16::from(*far) + bias) >> 2) as u8;
            }
        }
        (2, 1) if smooth && plane.width > 2 => {
            sums.resize(plane.width, 0);
            for (sum, near) in sums.iter_mut().zip(near) {
                *sum = u16::from(*near);
            }
            doubled(sums, 2, 1, 2, row);
        }
        (2, 2) if smooth && plane.width > 2 => {
            sums.resize(plane.width, 0);
            for ((sum, near), far) in sums.iter_mut().zip(near).zip(far) {
                *sum = u16::from(*near) * 3 + u16::from(*far);
            }
            doubled(sums, 4, 8, 7, row);
        }
        (across, _) => {
            for (out, near) in row.chunks_exact_mut(across).zip(near) {
                out.fill(*near);
            }
        }
    }
    row.resize(width.max(row.len()), 0);
    row.truncate(width);
}

/// Doubles a row: each output is three quarters of its sample and a quarter of the neighbour on that side; the
/// outermost samples are copied.
#[inline(always)]
fn doubled(sums: &[u16], shift: u32, left: u16, right: u16, row: &mut [u8]) {
    let last = sums.len() - 1;
    row[0] = ((sums[0] * 4 + left) >> shift) as u8;
    row[2 * last + 1] = ((sums[last] * 4 + right) >> shift) as u8;
    for ((pair, a), b) in row[1..=2 * last].chunks_exact_mut(2).zip(sums).zip(&sums[1..]) {
        pair[0] = ((a * 3 + b + right) >> shift) as u8;
        pair[1] = ((b * 3 + a + left) >> shift) as u8;
    }
}

#[inline(always)]
fn grey(levels: &[u8], out: &mut [u8]) {
    for (pixel, level) in out.chunks_exact_mut(3).zip(levels) {
        pixel.fill(*level);
    }
}

#[inline(always)]
fn join(red: &[u8], green: &[u8], blue: &[u8], out: &mut [u8]) {
    for (((pixel, red), green), blue) in out.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
        (pixel[0], pixel[1], pixel[2]) = (*red, *green, *blue);
    }
}

/// As in `jdcolor.c`: 16 fractional bits, each term rounded where libjpeg's tables round it.
#[inline(always)]
fn convert(luma: &[u8], blue_chroma: &[u8], red_chroma: &[u8], out: &mut [u8]) {
    const HALF: i32 = 1 << 15;
    for (((pixel, luma), cb), cr) in out.chunks_exact_mut(3).zip(luma).zip(blue_chroma).zip(red_chroma) {
        let (y, cb, cr) = (i32::from(*luma), i32::from(*cb) - 128, i32::from(*cr) - 128);
        pixel[0] = (y + ((91_881 * cr + HALF) >> 16)).clamp(0, 255) as u8;
        pixel[1] = (y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16)).clamp(0, 255) as u8;
        pixel[2] = (y + ((116_130 * cb + HALF) >> 16)).clamp(0, 255) as u8;
    }
}
