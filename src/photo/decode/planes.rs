//! Converts luma and chroma planes to RGB.

use super::Job;
use super::hdr::HdrCurve;
use crate::container::bmff::Meta;
use crate::error::DecodeError;

/// An interleaved RGB picture, into which tiles can be placed.
pub struct Canvas {
    pub width: usize,
    pub height: usize,
    pub data: Vec<u8>,
}

impl Canvas {
    pub fn white(width: usize, height: usize) -> Self {
        Self { width, height, data: vec![255; width * height * 3] }
    }

    /// Copies a tile to a position, cropped at the edges.
    pub fn place(&mut self, tile: &Self, x: usize, y: usize) {
        let width = tile.width.min(self.width.saturating_sub(x));
        let height = tile.height.min(self.height.saturating_sub(y));
        for row in 0..height {
            let to = ((y + row) * self.width + x) * 3;
            let from = row * tile.width * 3;
            self.data[to..to + width * 3].copy_from_slice(&tile.data[from..from + width * 3]);
        }
    }
}

/// The chroma subsampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chroma {
    /// None: grey.
    I400,
    /// One for two by two pixels.
    I420,
    /// One for two pixels side by side.
    I422,
    /// One a pixel.
    I444,
}

impl Chroma {
    /// The size of a chroma plane beside a luma plane.
    pub fn size(self, width: usize, height: usize) -> (usize, usize) {
        match self {
            Self::I420 => (width.div_ceil(2), height.div_ceil(2)),
            Self::I422 => (width.div_ceil(2), height),
            Self::I400 | Self::I444 => (width, height),
        }
    }
}

/// Decoded planes, with 8 or more bits per sample.
pub struct Frame {
    pub width: usize,
    pub height: usize,
    pub layout: Chroma,
    pub bits: u32,
    pub full_range: bool,
    pub matrix: u16,
    /// Luma, then both chroma planes unless it is grey.
    pub planes: Vec<Plane>,
}

pub struct Plane {
    pub width: usize,
    pub samples: Vec<u16>,
}

impl Plane {
    fn row(&self, y: usize) -> &[u16] {
        let last = self.samples.len() / self.width - 1;
        &self.samples[y.min(last) * self.width..][..self.width]
    }
}

/// The colours stated by the container, which take precedence over those of the coded picture.
pub enum Colours<'a> {
    Profile(&'a [u8]),
    /// The numbers of ISO/IEC 23091-2.
    Coded {
        primaries: u16,
        transfer: u16,
        matrix: u16,
        full_range: bool,
    },
    Unspecified,
}

impl<'a> Colours<'a> {
    pub fn of(meta: &Meta<'a>, item: u32) -> Self {
        let mut found = Self::Unspecified;
        for (_, payload) in meta.properties(item).filter(|(name, _)| name == b"colr") {
            let number =
                |at: usize| payload.get(at..).and_then(<[u8]>::first_chunk).map(|two| u16::from_be_bytes(*two));
            match (payload.get(..4), number(4), number(6), number(8), payload.get(10)) {
                (Some(b"prof" | b"rICC"), ..) => return Self::Profile(&payload[4..]),
                (Some(b"nclx"), Some(primaries), Some(transfer), Some(matrix), Some(range)) => {
                    found = Self::Coded { primaries, transfer, matrix, full_range: range & 0x80 != 0 };
                }
                _ => {}
            }
        }
        found
    }
}

/// The coefficients of the conversion from YCbCr to RGB.
struct Matrix {
    kr: f32,
    kb: f32,
}

impl Matrix {
    fn of(number: u16) -> Self {
        let (kr, kb) = match number {
            1 => (0.2126, 0.0722),
            4 => (0.30, 0.11),
            7 => (0.212, 0.087),
            9 | 10 => (0.2627, 0.0593),
            // 5 and 6 (BT.601), which is also the usual default.
            _ => (0.299, 0.114),
        };
        Self { kr, kb }
    }

    fn rgb(&self, y: f32, u: f32, v: f32) -> [f32; 3] {
        let red = y + 2.0 * (1.0 - self.kr) * v;
        let blue = y + 2.0 * (1.0 - self.kb) * u;
        [red, (y - self.kr * red - self.kb * blue) / (1.0 - self.kr - self.kb), blue]
    }
}

const IDENTITY: u16 = 0;
const YCGCO: u16 = 8;

/// Converts row by row, until the deadline.
pub fn to_rgb(job: &Job, frame: &Frame, colours: &Colours) -> Result<Canvas, DecodeError> {
    let (matrix, full_range) = match colours {
        Colours::Coded { matrix, full_range, .. } => (*matrix, *full_range),
        Colours::Profile(_) | Colours::Unspecified => (frame.matrix, frame.full_range),
    };
    let curve = match colours {
        Colours::Coded { transfer, .. } => HdrCurve::of(*transfer),
        Colours::Profile(_) | Colours::Unspecified => None,
    };
    let range = Range::of(frame.bits, full_range);
    let coefficients = Matrix::of(matrix);
    let mut canvas = Canvas { width: frame.width, height: frame.height, data: vec![0; frame.width * frame.height * 3] };
    let mut chroma = [vec![0.0; frame.width], vec![0.0; frame.width]];
    let mut scratch = Vec::new();
    for (y, out) in canvas.data.chunks_exact_mut(frame.width * 3).enumerate() {
        job.deadline.check(job.format)?;
        for (row, plane) in chroma.iter_mut().zip(&frame.planes[1..]) {
            upsample(plane, frame.layout, y, &mut scratch, row);
        }
        let samples = (frame.planes[0].row(y), &chroma[0][..], &chroma[1][..]);
        match matrix {
            _ if frame.planes.len() == 1 => row(out, samples, |y, _, _| [range.luma(y); 3]),
            IDENTITY if frame.layout == Chroma::I444 => {
                row(out, samples, |y, u, v| [range.luma(v), range.luma(y), range.luma(u)]);
            }
            YCGCO => row(out, samples, |y, u, v| {
                let (luma, green, orange) = (range.luma(y), range.chroma(u), range.chroma(v));
                [luma - green + orange, luma + green, luma - green - orange]
            }),
            _ => match &curve {
                None => row(out, samples, |y, u, v| coefficients.rgb(range.luma(y), range.chroma(u), range.chroma(v))),
                Some(curve) => row(out, samples, |y, u, v| {
                    curve.map(coefficients.rgb(range.luma(y), range.chroma(u), range.chroma(v)))
                }),
            },
        }
    }
    Ok(canvas)
}

/// Converts a row of pixels. `colour` is generic, so that the compiler can vectorise each conversion.
fn row(out: &mut [u8], (y, u, v): (&[u16], &[f32], &[f32]), colour: impl Fn(f32, f32, f32) -> [f32; 3]) {
    for (((out, y), u), v) in out.chunks_exact_mut(3).zip(y).zip(u).zip(v) {
        let [red, green, blue] =
            colour(f32::from(*y), *u, *v).map(|channel| (channel.clamp(0.0, 1.0) * 255.0 + 0.5) as i32 as u8);
        (out[0], out[1], out[2]) = (red, green, blue);
    }
}

/// Scales samples to 0..1 for luma and -0.5..0.5 for chroma.
struct Range {
    black: f32,
    luma: f32,
    middle: f32,
    chroma: f32,
}

impl Range {
    fn of(bits: u32, full: bool) -> Self {
        let unit = (1_u32 << (bits - 8)) as f32;
        let most = ((1_u32 << bits) - 1) as f32;
        if full {
            Self { black: 0.0, luma: most, middle: 128.0 * unit, chroma: most }
        } else {
            Self { black: 16.0 * unit, luma: 219.0 * unit, middle: 128.0 * unit, chroma: 224.0 * unit }
        }
    }

    fn luma(&self, sample: f32) -> f32 {
        (sample - self.black) / self.luma
    }

    fn chroma(&self, sample: f32) -> f32 {
        (sample - self.middle) / self.chroma
    }
}

/// A full-width row of a chroma plane, interpolated between centred samples.
fn upsample(plane: &Plane, layout: Chroma, y: usize, scratch: &mut Vec<f32>, out: &mut [f32]) {
    let (near, far) = match layout {
        Chroma::I420 => (y / 2, if y.is_multiple_of(2) { (y / 2).saturating_sub(1) } else { y / 2 + 1 }),
        _ => (y, y),
    };
    let blended = plane.row(near).iter().zip(plane.row(far));
    scratch.clear();
    scratch.extend(blended.map(|(near, far)| (3.0 * f32::from(*near) + f32::from(*far)) / 4.0));
    if matches!(layout, Chroma::I444 | Chroma::I400) {
        out.copy_from_slice(&scratch[..out.len()]);
        return;
    }
    let last = scratch.len() - 1;
    let mixed = |at: usize, beside: usize| (3.0 * scratch[at] + scratch[beside]) / 4.0;
    for (at, pair) in out.chunks_mut(2).enumerate() {
        pair[0] = mixed(at, at.saturating_sub(1));
        if let Some(right) = pair.get_mut(1) {
            *right = mixed(at, (at + 1).min(last));
        }
    }
}
