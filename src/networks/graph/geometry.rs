//! Operators that change the sides of maps: padding, bilinear resizing, channels to blocks of pixels. Channels may be
//! padded.

use std::sync::Arc;

use super::tensor::{Memory, Tensor};
use crate::axes::{Checked, require};

/// Adds zeros before and after channels, rows and columns.
pub(super) fn padded(x: Arc<Tensor>, borders: &[[usize; 2]; 3], memory: &mut Memory) -> Checked<Arc<Tensor>> {
    let [images, channels, height, width] = x.map()?;
    let grown = |size: usize, [before, after]: [usize; 2]| {
        size.checked_add(before).and_then(|size| size.checked_add(after)).ok_or_else(|| "too large".to_owned())
    };
    let [of_channels, of_rows, of_columns] = *borders;
    let shape = [images, grown(channels, of_channels)?, grown(height, of_rows)?, grown(width, of_columns)?];
    let (x, mut y) = (x.by_pixels(), memory.map(shape, shape[1])?);
    y.data.fill(0.0);
    let (from, to) = (x.step(), shape[1]);
    for (at, line) in x.data.chunks_exact(width * from).enumerate() {
        let row = at / height * shape[2] + at % height + of_rows[0];
        let first = (row * shape[3] + of_columns[0]) * to;
        for (pixel, to) in line.chunks_exact(from).zip(y.data[first..].chunks_exact_mut(to)) {
            to[of_channels[0]..][..channels].copy_from_slice(&pixel[..channels]);
        }
    }
    memory.give(x);
    Ok(Arc::new(y))
}

/// Two neighbours and the weight of the second.
#[derive(Clone, Copy, Debug)]
struct Blend {
    low: usize,
    high: usize,
    share: f32,
}

impl Blend {
    fn along(from: usize, to: usize) -> impl Iterator<Item = Self> {
        let scale = from as f32 / to as f32;
        (0..to).map(move |i| {
            let centre = (i as f32 + 0.5) * scale - 0.5;
            let low = centre.floor().max(0.0);
            Self { low: low as usize, high: (centre.ceil() as usize).min(from - 1), share: centre - low }
        })
    }
}

/// Bilinear, pixel centres at halves, edges repeated.
pub(super) fn resized(x: Arc<Tensor>, [rows, columns]: [usize; 2], memory: &mut Memory) -> Checked<Arc<Tensor>> {
    let [images, channels, height, width] = x.map()?;
    let x = x.by_pixels();
    let step = x.step();
    let (line, mut y) = (width * step, memory.map([images, channels, rows, columns], step)?);
    require(!y.data.is_empty(), "a map without pixels")?;
    let across: Vec<Blend> = Blend::along(width, columns).collect();
    let mut blended = memory.take(line)?;
    for (x, y) in x.data.chunks_exact(height * line).zip(y.data.chunks_exact_mut(rows * columns * step)) {
        for (row, y) in Blend::along(height, rows).zip(y.chunks_exact_mut(columns * step)) {
            let (low, high) = (&x[row.low * line..][..line], &x[row.high * line..][..line]);
            for ((v, &a), &b) in blended.iter_mut().zip(low).zip(high) {
                *v = a + (b - a) * row.share;
            }
            for (column, y) in across.iter().zip(y.chunks_exact_mut(step)) {
                let (low, high) = (&blended[column.low * step..][..step], &blended[column.high * step..][..step]);
                for ((v, &a), &b) in y.iter_mut().zip(low).zip(high) {
                    *v = a + (b - a) * column.share;
                }
            }
        }
    }
    memory.keep(blended);
    memory.give(x);
    Ok(Arc::new(y))
}

/// Turns channels into blocks of pixels.
pub(super) fn to_blocks(x: Arc<Tensor>, block: usize, memory: &mut Memory) -> Checked<Arc<Tensor>> {
    let [images, channels, height, width] = x.map()?;
    require(
        (1..=16).contains(&block) && channels.is_multiple_of(block * block),
        "channels that do not fill the block",
    )?;
    let (x, channels) = (x.by_pixels(), channels / (block * block));
    let step = x.step();
    let mut y = memory.map([images, channels, height * block, width * block], channels)?;
    for (at, pixel) in x.data.chunks_exact(step).enumerate() {
        let (top, left) = (at / width * block, at % width * block);
        for (k, part) in pixel[..channels * block * block].chunks_exact(channels).enumerate() {
            let place = (top + k / block) * width * block + left + k % block;
            y.data[place * channels..][..channels].copy_from_slice(part);
        }
    }
    memory.give(x);
    Ok(Arc::new(y))
}
