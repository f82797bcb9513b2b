//! What small pictures of frames show: whether the camera stood still, was turned, or was focused elsewhere.

use std::ops::Range;

use base::pixels::Pixels;

/// The side of the small grey picture.
const SIDE: usize = 48;
/// Tiles along each side for which the detail is measured.
const TILES: usize = 8;

/// A photo in a few numbers: a grey picture of 48 × 48, whatever the photo's shape, and how much detail each of 8 × 8 tiles
/// has.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameSketch {
    levels: Vec<u8>,
    detail: Vec<f32>,
}

impl FrameSketch {
    /// `None` for a picture with fewer pixels than the sketch.
    pub fn of(pixels: &Pixels) -> Option<Self> {
        let (width, height) = (pixels.width() as usize, pixels.height() as usize);
        if width.min(height) < SIDE {
            return None;
        }
        let rows: Vec<Vec<u8>> =
            pixels.rows().map(|row| row.as_chunks::<3>().0.iter().map(|pixel| luma(*pixel)).collect()).collect();
        let mut levels = vec![0_u64; SIDE * SIDE];
        let columns: [Range<usize>; SIDE] = std::array::from_fn(|column| part(column, SIDE, width));
        for (y, row) in rows.iter().enumerate() {
            let levels = &mut levels[y * SIDE / height * SIDE..][..SIDE];
            for (level, columns) in levels.iter_mut().zip(&columns) {
                *level += u64::from(row[columns.clone()].iter().map(|level| u32::from(*level)).sum::<u32>());
            }
        }
        let mut detail = vec![(0_u64, 0_u64); TILES * TILES];
        for y in 1..height - 1 {
            let tiles = &mut detail[y * TILES / height * TILES..][..TILES];
            for (tile, sums) in tiles.iter_mut().enumerate() {
                let (from, to) = ((tile * width / TILES).max(1), ((tile + 1) * width / TILES).min(width - 1));
                sums.0 += edges([&rows[y - 1][from..to], &rows[y][from - 1..=to], &rows[y + 1][from..to]]);
                sums.1 += (to - from) as u64;
            }
        }
        let area = |at: usize| (columns[at % SIDE].len() * part(at / SIDE, SIDE, height).len()) as u64;
        Some(Self {
            levels: levels.iter().enumerate().map(|(at, sum)| (sum / area(at)) as u8).collect(),
            detail: detail.iter().map(|&(sum, count)| sum as f32 / count.max(1) as f32).collect(),
        })
    }

    /// The sketch as stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let detail = self.detail.iter().flat_map(|detail| detail.to_le_bytes());
        self.levels.iter().copied().chain(detail).collect()
    }

    /// `None` for other bytes than those of a sketch.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (levels, detail) = bytes.split_at_checked(SIDE * SIDE)?;
        let (detail, []) = detail.as_chunks::<4>() else { return None };
        let detail: Vec<f32> = detail.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let is_sound = detail.len() == TILES * TILES && detail.iter().all(|detail| detail.is_finite());
        is_sound.then(|| Self { levels: levels.to_vec(), detail })
    }

    /// The levels without what changes slowly, such as a bright sky over dark ground, which every landscape shares.
    fn structure(&self) -> Vec<i16> {
        let near = |at: usize| at.saturating_sub(AROUND)..(at + AROUND + 1).min(SIDE);
        let across: Vec<i32> = (0..SIDE * SIDE)
            .map(|at| near(at % SIDE).map(|x| i32::from(self.levels[at / SIDE * SIDE + x])).sum())
            .collect();
        (0..SIDE * SIDE)
            .map(|at| {
                let (x, y) = (at % SIDE, at / SIDE);
                let sum: i32 = near(y).map(|row| across[row * SIDE + x]).sum();
                let count = (near(x).len() * near(y).len()) as i32;
                (i32::from(self.levels[at]) - sum / count) as i16
            })
            .collect()
    }
}

fn luma([red, green, blue]: [u8; 3]) -> u8 {
    ((299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue)) / 1000) as u8
}

/// The pixels of a side of `length` that fall to one of `count` equal parts.
fn part(at: usize, count: usize, length: usize) -> Range<usize> {
    (at * length).div_ceil(count)..((at + 1) * length).div_ceil(count)
}

/// The sum of the Laplacian's absolute values along a row, which has a pixel more at both ends. It is computed in 16 bits,
/// because a vector holds more of them.
fn edges([above, here, below]: [&[u8]; 3]) -> u64 {
    let neighbours = here.iter().zip(&here[1..]).zip(&here[2..]).zip(above.iter().zip(below));
    let sizes = neighbours.map(|(((left, here), right), (above, below))| {
        let [left, here, right, above, below] = [left, here, right, above, below].map(|level| i16::from(*level));
        (above + below + left + right - 4 * here).unsigned_abs()
    });
    u64::from(sizes.map(u32::from).sum::<u32>())
}

/// The levels around a pixel whose mean is taken from it, to each side.
const AROUND: usize = 5;

/// How alike two pictures are, from −1 to 1, where the second is shifted by (dx, dy) pixels; of the part they share.
fn likeness(a: &[i16], b: &[i16], dx: isize, dy: isize) -> f64 {
    let span = |d: isize| d.max(0) as usize..(SIDE as isize + d.min(0)) as usize;
    let (columns, rows) = (span(dx), span(dy));
    let (mut aa, mut bb, mut ab) = (0_i64, 0_i64, 0_i64);
    for y in rows {
        let own = &a[y * SIDE..][columns.clone()];
        let start = (y as isize - dy) as usize * SIDE + (columns.start as isize - dx) as usize;
        let (mut row_aa, mut row_bb, mut row_ab) = (0_i32, 0_i32, 0_i32);
        for (&x, &y) in own.iter().zip(&b[start..][..columns.len()]) {
            let (x, y) = (i32::from(x), i32::from(y));
            row_aa += x * x;
            row_bb += y * y;
            row_ab += x * y;
        }
        aa += i64::from(row_aa);
        bb += i64::from(row_bb);
        ab += i64::from(row_ab);
    }
    let spread = aa as f64 * bb as f64;
    if spread > 0.0 { ab as f64 / spread.sqrt() } else { 0.0 }
}

/// The correlation of the levels themselves.
fn correlation(a: &FrameSketch, b: &FrameSketch) -> f64 {
    let centred = |sketch: &FrameSketch| -> Vec<i16> {
        let sum: i32 = sketch.levels.iter().map(|&level| i32::from(level)).sum();
        let mean = sum / (SIDE * SIDE) as i32;
        sketch.levels.iter().map(|&level| (i32::from(level) - mean) as i16).collect()
    };
    likeness(&centred(a), &centred(b), 0, 0)
}

/// The farthest shift that is looked for, in pixels of the sketch: three tenths of the picture must be shared.
const FARTHEST: isize = 34;
/// The farthest shift across the direction of a sweep.
const ASIDE: isize = 4;
/// The smallest likeness of the shared parts of neighbouring frames of a sweep …
const ALIKE: f64 = 0.6;
/// … and by how much it must exceed the likeness of the unshifted pictures.
const MORE_ALIKE: f64 = 0.3;
/// The smallest shift between frames of a sweep, as a share of the side.
const LEAST_SHIFT: f64 = 0.1;

/// The shift from one frame of a sweep to the next, as shares of the sides; `None` if the two show no such shift.
pub fn shift(first: &FrameSketch, second: &FrameSketch) -> Option<[f64; 2]> {
    let (first, second) = (first.structure(), second.structure());
    let unshifted = likeness(&first, &second, 0, 0);
    if unshifted > 1.0 - MORE_ALIKE {
        return None;
    }
    let far = || -FARTHEST..=FARTHEST;
    let near = || -ASIDE..=ASIDE;
    let across = far().flat_map(|dx| near().map(move |dy| (dx, dy)));
    let down = far().flat_map(|dy| near().map(move |dx| (dx, dy)));
    let all = across.chain(down).map(|(dx, dy)| (likeness(&first, &second, dx, dy), dx, dy));
    let (most, dx, dy) = all.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let shares = [dx, dy].map(|d| d as f64 / SIDE as f64);
    let is_clear = most >= ALIKE && most - unshifted >= MORE_ALIKE;
    (is_clear && shares[0].abs().max(shares[1].abs()) >= LEAST_SHIFT).then_some(shares)
}

/// Whether shifts go into one direction and are about equally long.
pub fn are_steady(shifts: &[[f64; 2]]) -> bool {
    let length = |[x, y]: &[f64; 2]| x.hypot(*y);
    let mean = shifts.iter().fold([0.0, 0.0], |sum, shift| [sum[0] + shift[0], sum[1] + shift[1]]);
    let mean = mean.map(|sum| sum / shifts.len() as f64);
    shifts.iter().all(|shift| {
        let along = (shift[0] * mean[0] + shift[1] * mean[1]) / length(&mean).max(1e-9);
        let aside = length(&[shift[0] - mean[0], shift[1] - mean[1]]);
        along > 0.0 && aside <= 0.5 * length(&mean)
    })
}

/// The smallest correlation of any two frames of a stack, however they are focused.
const STILL: f64 = 0.95;

/// How many frames, from the first, show that the camera and what it looks at stood still: each is like the first and like
/// the one before.
pub fn standing_still(frames: &[&FrameSketch]) -> usize {
    let is_still =
        |&at: &usize| at == 0 || [0, at - 1].iter().all(|&before| correlation(frames[before], frames[at]) >= STILL);
    (0..frames.len()).take_while(is_still).count()
}

/// The mean difference, in levels, from which a tile has detail.
const DETAILED: f32 = 3.0;
/// How many times more detail a tile has in focus than out of focus.
const IN_FOCUS: f32 = 1.8;
/// How far detail may fall before the peak or rise after it, as a share.
const RIPPLE: f32 = 0.1;
/// The fewest tiles that must come into focus and go, also as a share of those with detail.
const FEWEST_TILES: usize = 16;
const SHARE_OF_TILES: f64 = 0.5;

/// Whether the focus moves through the picture: most tiles with detail have one peak of it, and not all in the same frame.
pub fn focus_moves(frames: &[&FrameSketch]) -> bool {
    let mut peaks = vec![0_usize; frames.len()];
    let mut detailed = 0;
    for tile in 0..TILES * TILES {
        let course: Vec<f32> = frames.iter().map(|frame| frame.detail[tile]).collect();
        let most = course.iter().copied().fold(0.0, f32::max);
        let least = course.iter().copied().fold(f32::INFINITY, f32::min);
        if most < DETAILED {
            continue;
        }
        detailed += 1;
        let peak = course.iter().position(|&detail| detail >= most).unwrap_or(0);
        let rises = course[..=peak].windows(2).all(|pair| pair[1] >= (1.0 - RIPPLE) * pair[0]);
        let falls = course[peak..].windows(2).all(|pair| pair[0] >= (1.0 - RIPPLE) * pair[1]);
        if rises && falls && most >= IN_FOCUS * least {
            peaks[peak] += 1;
        }
    }
    let moving: usize = peaks.iter().sum();
    let is_shared = |&&count: &&usize| 10 * count >= moving;
    moving >= FEWEST_TILES
        && moving as f64 >= SHARE_OF_TILES * f64::from(detailed)
        && peaks.iter().filter(is_shared).count() >= 3.min(frames.len())
}
