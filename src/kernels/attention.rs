//! Attention heads: for each query, the mean of the values weighted by the softmax of its products with the keys.
//!
//! Keys and values of a head are packed like weights, and queries are processed in groups whose scores fit the cache.
//! Heads are distributed among threads.
#![allow(unsafe_code)]

use super::cpu::Cpu;
use super::engine;
use super::lanes::{self, Kernel, Lanes};
use super::product::{ProductPart, Run, parts, tile_rows};
use super::softmax::exponentials;

/// The number of queries that are processed together.
const QUERIES: usize = 48;

/// The shape of an attention layer. The input has `tokens` rows per image, each with queries, keys and values side by
/// side, of `heads * size` floats each.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    pub cpu: Cpu,
    pub heads: usize,
    pub size: usize,
    pub tokens: usize,
}

impl Heads {
    pub fn width(&self) -> usize {
        self.heads * self.size
    }

    /// Computes the output of the first `queries` tokens of every image: `out` gets `queries` rows per image. Queries
    /// must be scaled already.
    pub fn apply(&self, qkv: &[f32], queries: usize, out: &mut [f32], threads: usize) {
        let (width, tokens) = (self.width(), self.tokens);
        let images = qkv.len() / (3 * width * tokens);
        assert!(self.size > 0 && tokens > 0 && queries <= tokens, "heads with an extent");
        assert_eq!(qkv.len(), images * tokens * 3 * width, "whole images");
        assert_eq!(out.len(), images * queries * width, "a row of output for each query");
        let out = OutputPointer(out.as_mut_ptr());
        engine::each(parts(images * self.heads, 1, false, threads), |part: ProductPart| {
            let mut buffers = Buffers::default();
            for unit in part.rows {
                let (image, head) = (unit / self.heads, unit % self.heads);
                let qkv = &qkv[image * tokens * 3 * width..][..tokens * 3 * width];
                // SAFETY: `image` and `head` are inside; each unit has columns of its own in `out`.
                let out = OutputPointer(unsafe { out.get().add(image * queries * width + head * self.size) });
                let one = HeadKernel { shape: *self, qkv, head, queries, out, buffers: &mut buffers };
                // SAFETY: `qkv` is one whole image, `out` the head's columns of its rows, `head` one of `heads`.
                unsafe { lanes::run(self.cpu, one) };
            }
        });
    }
}

/// A pointer into the output for threads that write to disjoint columns.
#[derive(Clone, Copy)]
struct OutputPointer(*mut f32);

impl OutputPointer {
    fn get(self) -> *mut f32 {
        self.0
    }
}

// SAFETY: the pointer is only an address; `Heads::apply` gives each thread different columns of the output.
unsafe impl Send for OutputPointer {}
// SAFETY: as above.
unsafe impl Sync for OutputPointer {}

#[derive(Default)]
struct Buffers {
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
    mixed: Vec<f32>,
}

/// The kernel for one head of one image.
struct HeadKernel<'a> {
    shape: Heads,
    qkv: &'a [f32],
    head: usize,
    queries: usize,
    out: OutputPointer,
    buffers: &'a mut Buffers,
}

impl Kernel for HeadKernel<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Heads { size, tokens, .. } = self.shape;
        let step = 3 * self.shape.width();
        let padded = tokens.next_multiple_of(L::PANEL);
        let value_panels = size.div_ceil(L::PANEL);
        let Buffers { keys, values, scores, mixed } = self.buffers;
        keys.resize(padded * size, 0.0);
        values.resize(value_panels * tokens * L::PANEL, 0.0);
        scores.resize(QUERIES * padded, 0.0);
        mixed.resize(QUERIES * L::PANEL, 0.0);
        pack::<L>(self.qkv, self.shape, self.head, keys, values);
        let mut begins = [0usize; QUERIES];
        for first in (0..self.queries).step_by(QUERIES) {
            let count = QUERIES.min(self.queries - first);
            for (i, begin) in begins[..count].iter_mut().enumerate() {
                *begin = (first + i) * step + self.head * size;
            }
            // SAFETY: queries lie inside `qkv`, panels inside `keys` and `values`, rows inside `scores` and `mixed`,
            // which were all sized above; `out` has `queries` rows of the image's width.
            unsafe {
                let inputs = [Run { offset: 0, len: size }];
                for panel in 0..padded / L::PANEL {
                    let weights = keys.as_ptr().add(panel * size * L::PANEL);
                    let to = scores.as_mut_ptr().add(panel * L::PANEL);
                    tile_rows::<L>(self.qkv.as_ptr(), &begins[..count], &inputs, weights, to, padded, false);
                }
                let mut inverse = [0.0f32; QUERIES];
                for (i, inverse) in inverse[..count].iter_mut().enumerate() {
                    *inverse = 1.0 / exponentials::<L>(&mut scores[i * padded..][..padded], tokens);
                    begins[i] = i * padded;
                }
                let inputs = [Run { offset: 0, len: tokens }];
                for panel in 0..value_panels {
                    let weights = values.as_ptr().add(panel * tokens * L::PANEL);
                    let to = mixed.as_mut_ptr();
                    tile_rows::<L>(scores.as_ptr(), &begins[..count], &inputs, weights, to, L::PANEL, false);
                    let wide = L::PANEL.min(size - panel * L::PANEL);
                    for i in 0..count {
                        let out = self.out.get().add((first + i) * self.shape.width() + panel * L::PANEL);
                        for c in 0..wide {
                            *out.add(c) = mixed[i * L::PANEL + c] * inverse[i];
                        }
                    }
                }
            }
        }
    }
}

/// Packs keys in panels of tokens, and values in panels of their components.
#[inline(always)]
fn pack<L: Lanes>(qkv: &[f32], shape: Heads, head: usize, keys: &mut [f32], values: &mut [f32]) {
    let (size, width) = (shape.size, shape.width());
    for (token, row) in qkv.chunks_exact(3 * width).enumerate() {
        let panel = &mut keys[token / L::PANEL * size * L::PANEL + token % L::PANEL..];
        for (k, &key) in row[width + head * size..][..size].iter().enumerate() {
            panel[k * L::PANEL] = key;
        }
        for (p, part) in row[2 * width + head * size..][..size].chunks(L::PANEL).enumerate() {
            values[(p * shape.tokens + token) * L::PANEL..][..part.len()].copy_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_definition(qkv: &[f32], shape: Heads, image: usize, token: usize, head: usize) -> Vec<f64> {
        let (width, size) = (shape.width(), shape.size);
        let row = |t: usize, part: usize| {
            let at = (image * shape.tokens + t) * 3 * width + part * width + head * size;
            qkv[at..at + size].iter().map(|v| f64::from(*v))
        };
        let scores: Vec<f64> =
            (0..shape.tokens).map(|t| row(token, 0).zip(row(t, 1)).map(|(q, k)| q * k).sum()).collect();
        let most = scores.iter().copied().fold(f64::MIN, f64::max);
        let shares: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
        let total: f64 = shares.iter().sum();
        let mut mixed = vec![0.0; size];
        for (t, share) in shares.iter().enumerate() {
            mixed.iter_mut().zip(row(t, 2)).for_each(|(m, v)| *m += share / total * v);
        }
        mixed
    }

    #[test]
    fn every_path_equals_the_definition() {
        let (images, tokens, heads, size) = (2, 83, 3, 40);
        let qkv: Vec<f32> =
            (0..images * tokens * 3 * heads * size).map(|i| ((i * i % 7919) as f32 * 0.01).sin()).collect();
        for cpu in Cpu::available() {
            let shape = Heads { cpu, heads, size, tokens };
            let mut out = vec![0.0; images * tokens * shape.width()];
            shape.apply(&qkv, tokens, &mut out, 1);
            for (image, token, head) in [(0, 0, 0), (0, 82, 2), (1, 47, 1), (1, 48, 0), (1, 5, 2)] {
                let at = (image * tokens + token) * shape.width() + head * size;
                let expected = by_definition(&qkv, shape, image, token, head);
                for (got, expected) in out[at..at + size].iter().zip(expected) {
                    assert!(
                        (f64::from(*got) - expected).abs() < 2e-6,
                        "{cpu} {image},{token},{head}: {got} {expected}"
                    );
                }
            }
            let mut shared = vec![0.0; out.len()];
            shape.apply(&qkv, tokens, &mut shared, 3);
            assert_eq!(shared, out, "{cpu}: three threads");
            let mut first = vec![0.0; images * shape.width()];
            shape.apply(&qkv, 1, &mut first, 1);
            assert_eq!(
                first[shape.width()..],
                out[tokens * shape.width()..][..shape.width()],
                "{cpu}: first query alone"
            );
        }
    }
}
