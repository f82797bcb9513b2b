//! Filters, and the weights of neighbouring pixels that they give, in Pillow's fixed point.

use std::f64::consts::PI;
use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    Bilinear,
    Bicubic,
    #[serde(rename = "lanczos")]
    Lanczos3,
}

/// Pillow's fixed point: 8 bits for the result and 2 for the overshoot of filters with negative lobes.
pub const PRECISION: u32 = 32 - 8 - 2;
pub const HALF: i32 = 1 << (PRECISION - 1);

/// The resampling along one axis.
#[derive(Clone, Copy)]
pub struct Axis {
    input: usize,
    scale: f64,
    stretch: f64,
    support: f64,
    filter: Filter,
}

impl Axis {
    pub fn new(input: u32, output: u32, filter: Filter) -> Self {
        let scale = f64::from(input) / f64::from(output);
        let stretch = scale.max(1.0);
        Self { input: input as usize, scale, stretch, support: filter.support() * stretch, filter }
    }

    /// The largest number of input positions of an output position.
    pub fn window(&self) -> usize {
        self.support.ceil() as usize * 2 + 1
    }

    /// Returns the input positions of an output position, and appends their weights to `weights`. Pillow's
    /// `precompute_coeffs` and `normalize_coeffs_8bpc`, with the same order of operations.
    pub fn weigh(&self, position: u32, raw: &mut Vec<f64>, weights: &mut Vec<i32>) -> Range<usize> {
        let centre = (f64::from(position) + 0.5) * self.scale;
        let first = (centre - self.support + 0.5).max(0.0) as usize;
        let end = ((centre + self.support + 0.5) as usize).min(self.input);
        raw.clear();
        raw.extend((first..end).map(|x| self.filter.at((x as f64 - centre + 0.5) * (1.0 / self.stretch))));
        let sum: f64 = raw.iter().sum();
        weights.extend(raw.iter().map(|weight| fixed(if sum == 0.0 { *weight } else { weight / sum })));
        first..end
    }
}

/// The weights of neighbouring output columns.
pub struct Taps {
    /// For each column the first input column, and the end of its weights.
    columns: Vec<(usize, usize)>,
    weights: Vec<i32>,
    /// The range of all input columns.
    pub input: Range<usize>,
}

impl Taps {
    pub fn new(axis: &Axis, output: Range<u32>) -> Self {
        let (mut columns, mut weights, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        let (mut first, mut end) = (usize::MAX, 0);
        for position in output {
            let input = axis.weigh(position, &mut raw, &mut weights);
            columns.push((input.start, weights.len()));
            (first, end) = (first.min(input.start), end.max(input.end));
        }
        Self { columns, weights, input: first..end }
    }

    /// The number of output columns.
    pub fn count(&self) -> usize {
        self.columns.len()
    }

    /// For each column its first input column, relative to the start of `input`, and its weights.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let mut from = 0;
        self.columns.iter().map(move |&(start, end)| {
            let weights = &self.weights[from..end];
            from = end;
            (start - self.input.start, weights)
        })
    }
}

/// Rounded half away from zero, as a C cast of `x ± 0.5` does.
fn fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << PRECISION);
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos3 => 3.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        match self {
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Bicubic => bicubic(x.abs()),
            Self::Lanczos3 if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos3 => 0.0,
        }
    }
}

fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}
