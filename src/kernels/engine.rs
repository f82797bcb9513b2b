//! The processor path and precision that a network is packed for, and the division of a layer's work among threads.

use super::amx::{Halves, STEP, Tiles};
use super::cpu::Cpu;
use super::product::{Bias, Panels};

/// The precision of sums, on paths that offer a choice (only tiles do).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Accurate to about f32.
    #[default]
    Full,
    /// bf16 inputs and f32 sums: twice as fast, accurate to about three digits.
    Fast,
}

impl Precision {
    /// The name in the key of stored results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "Full",
            Self::Fast => "Fast",
        }
    }
}

/// The path and the precision that weights are packed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Engine {
    pub cpu: Cpu,
    pub precision: Precision,
}

/// Working memory for a layer, and the number of threads.
#[derive(Debug)]
pub struct Scratch {
    pub(crate) halves: Halves,
    /// Threads that share each layer.
    pub threads: usize,
}

impl Scratch {
    pub fn new(threads: usize) -> Self {
        Self { halves: Halves::default(), threads: threads.max(1) }
    }
}

/// Packed weights of either kind.
#[derive(Debug)]
pub(crate) enum Packed {
    Lanes(Panels),
    Tiles(Tiles),
}

impl Packed {
    /// Packs weights with inputs in `taps` groups of `len`; `fill(output, tap, inputs)` writes one group.
    pub fn new(
        engine: Engine,
        outputs: usize,
        taps: usize,
        len: usize,
        bias: &[f32],
        fill: impl Fn(usize, usize, &mut [f32]),
    ) -> Self {
        // Tiles consume inputs in steps, so each group is padded to whole steps.
        let padded = if engine.cpu == Cpu::Amx { len.next_multiple_of(STEP) } else { len };
        let fill = |n: usize, row: &mut [f32]| {
            for (tap, group) in row.chunks_exact_mut(padded).enumerate() {
                let (inputs, padding) = group.split_at_mut(len);
                fill(n, tap, inputs);
                padding.fill(0.0);
            }
        };
        if engine.cpu == Cpu::Amx {
            Self::Tiles(Tiles::pack(engine.precision, outputs, taps * padded / STEP, bias, fill))
        } else {
            Self::Lanes(Panels::pack(engine.cpu, outputs, taps * len, bias, fill))
        }
    }

    pub fn outputs(&self) -> usize {
        match self {
            Self::Lanes(panels) => panels.outputs(),
            Self::Tiles(tiles) => tiles.outputs(),
        }
    }

    pub fn bias(&self) -> &Bias {
        match self {
            Self::Lanes(panels) => panels.bias(),
            Self::Tiles(tiles) => tiles.bias(),
        }
    }

    pub fn bytes(&self) -> usize {
        match self {
            Self::Lanes(panels) => panels.bytes(),
            Self::Tiles(tiles) => tiles.bytes(),
        }
    }
}

/// Calls `work` for all parts, on as many threads of the current rayon pool.
pub(crate) fn each<P: Send>(mut parts: Vec<P>, work: impl Fn(P) + Sync) {
    let Some(own) = parts.pop() else { return };
    if parts.is_empty() {
        return work(own);
    }
    rayon::scope(|scope| {
        for part in parts {
            scope.spawn(|_| work(part));
        }
        work(own);
    });
}

/// Splits the rows of the left matrix into bf16 halves for the tiles, on `threads` threads.
pub(crate) fn split_rows(
    engine: Engine,
    halves: &mut Halves,
    rows: usize,
    row_len: usize,
    column_step: usize,
    threads: usize,
    fill: impl Fn(usize, &mut [u16], &mut [u16]) + Sync,
) {
    use rayon::prelude::*;
    halves.prepare(rows * row_len, column_step, engine.precision);
    let (high, low) = halves.planes();
    let high = &mut high[..rows * row_len];
    let fill_row = |(i, high): (usize, &mut [u16]), low: &mut [u16]| fill(i, high, low);
    if low.is_empty() {
        if threads > 1 {
            high.par_chunks_exact_mut(row_len).enumerate().for_each(|row| fill_row(row, &mut []));
        } else {
            high.chunks_exact_mut(row_len).enumerate().for_each(|row| fill_row(row, &mut []));
        }
        return;
    }
    let low = &mut low[..rows * row_len];
    if threads > 1 {
        let pairs = high.par_chunks_exact_mut(row_len).zip(low.par_chunks_exact_mut(row_len)).enumerate();
        pairs.with_min_len(rows.div_ceil(4 * threads)).for_each(|(i, (high, low))| fill_row((i, high), low));
    } else {
        let pairs = high.chunks_exact_mut(row_len).zip(low.chunks_exact_mut(row_len)).enumerate();
        pairs.for_each(|(i, (high, low))| fill_row((i, high), low));
    }
}
