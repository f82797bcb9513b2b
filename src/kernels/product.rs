//! The matrix product for all layers: rows gathered from a buffer, times packed weights, plus bias and residual,
//! through an activation, into a buffer.
//!
//! A row of the left matrix consists of a few runs of consecutive floats at fixed offsets from its beginning. The same
//! loops therefore serve linear layers (one run) and convolutions (a run per line of the window), without copying the
//! input. Every sum is computed in the order of the weights, so the result for a photo depends neither on its batch nor
//! on the number of threads.
#![allow(unsafe_code)]

use std::ops::Range;

use super::cpu::Cpu;
use super::lanes::{self, Kernel, Lanes, math};
use super::map::Grid;

/// The function applied to a sum before it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    Identity,
    Relu,
    /// The exact GELU with the error function, not the tanh approximation.
    Gelu,
}

/// The values added to the sums, besides the bias, before the activation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Residual<'a> {
    None,
    /// The existing content of the output.
    InPlace,
    From(&'a [f32], Grid),
}

/// A run of consecutive floats in a row of the left matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// The offset from the beginning of the row.
    pub offset: usize,
    pub len: usize,
}

/// The output buffer of a product.
pub(crate) struct Target<'a> {
    data: *mut f32,
    len: usize,
    pub grid: Grid,
    lifetime: std::marker::PhantomData<&'a mut [f32]>,
}

impl<'a> Target<'a> {
    pub fn new(data: &'a mut [f32], grid: Grid) -> Self {
        Self { data: data.as_mut_ptr(), len: data.len(), grid, lifetime: std::marker::PhantomData }
    }
}

/// The part of a product that one thread computes.
#[derive(Clone, Debug)]
pub(crate) struct ProductPart {
    pub rows: Range<usize>,
    pub panels: Range<usize>,
}

/// Divides a product of `rows` (or tiles of rows) by `panels` among threads, along the larger matrix, so that each
/// thread reads only its part of it. Parts do not overlap.
pub(crate) fn parts(rows: usize, panels: usize, by_panels: bool, threads: usize) -> Vec<ProductPart> {
    let cut = |len: usize, i: usize| -> Range<usize> { len * i / threads..len * (i + 1) / threads };
    let by_panels = by_panels && panels >= threads;
    let part = |i| {
        if by_panels {
            ProductPart { rows: 0..rows, panels: cut(panels, i) }
        } else {
            ProductPart { rows: cut(rows, i), panels: 0..panels }
        }
    };
    (0..threads).map(part).filter(|part| !part.rows.is_empty() && !part.panels.is_empty()).collect()
}

/// The bias, padded with zeros so that whole vectors can be loaded from any panel of any path.
#[derive(Debug)]
pub(crate) struct Bias {
    padded: Vec<f32>,
    outputs: usize,
}

impl Bias {
    pub fn new(bias: &[f32]) -> Self {
        let mut padded = bias.to_vec();
        padded.resize(bias.len().next_multiple_of(WIDEST), 0.0);
        Self { padded, outputs: bias.len() }
    }

    pub fn bytes(&self) -> usize {
        self.padded.len() * size_of::<f32>()
    }
}

/// The number of rows in a block. A block of the left matrix stays in the second-level cache while it is multiplied
/// with all weights.
const BLOCK: usize = 96;
/// The number of rows whose sums are in registers together.
const TILE: usize = 6;
/// The widest panel of any path.
const WIDEST: usize = 64;

/// Weights packed for the vector kernels: by panels of outputs, and within a panel by inputs.
#[derive(Debug)]
pub(crate) struct Panels {
    cpu: Cpu,
    /// The number of outputs.
    n: usize,
    /// The number of inputs.
    k: usize,
    panel: usize,
    weights: Vec<f32>,
    bias: Bias,
}

/// The block size that divides `count` into as few blocks as possible of at most `most`, rounded up to a multiple of
/// `unit`. Even blocks avoid a last one of few rows, for which all weights would be read.
pub(crate) fn even_blocks(count: usize, most: usize, unit: usize) -> usize {
    let blocks = count.div_ceil(most).max(1);
    count.div_ceil(blocks).next_multiple_of(unit).min(most)
}

/// A kernel that returns the number of outputs in a panel.
struct PanelWidth;

impl Kernel for PanelWidth {
    type Out = usize;
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> usize {
        L::PANEL
    }
}

fn panel_width(cpu: Cpu) -> usize {
    // SAFETY: the kernel reads a constant.
    unsafe { lanes::run(cpu, PanelWidth) }
}

impl Panels {
    /// `fill(n, row)` writes the weights of output `n` into a row of `k`.
    pub fn pack(cpu: Cpu, n: usize, k: usize, bias: &[f32], fill: impl Fn(usize, &mut [f32])) -> Self {
        assert_eq!(bias.len(), n, "one bias for each output");
        let panel = panel_width(cpu);
        let panels = n.div_ceil(panel);
        let mut weights = vec![0.0; panels * k * panel];
        let mut rows = vec![0.0; panel * k];
        for (p, packed) in weights.chunks_exact_mut(panel * k).enumerate() {
            let outputs = panel.min(n - p * panel);
            rows[outputs * k..].fill(0.0);
            for (i, row) in rows.chunks_exact_mut(k).take(outputs).enumerate() {
                fill(p * panel + i, row);
            }
            for (input, packed) in packed.chunks_exact_mut(panel).enumerate() {
                packed.iter_mut().enumerate().for_each(|(i, w)| *w = rows[i * k + input]);
            }
        }
        Self { cpu, n, k, panel, weights, bias: Bias::new(bias) }
    }

    pub fn outputs(&self) -> usize {
        self.n
    }

    pub fn panels(&self) -> usize {
        self.n.div_ceil(self.panel)
    }

    pub fn bytes(&self) -> usize {
        self.weights.len() * size_of::<f32>() + self.bias.bytes()
    }

    /// Divides runs into stretches whose weights in one panel fit the first-level cache.
    fn stretches(&self, runs: &[Run]) -> Vec<Vec<Run>> {
        let budget = if self.panel == WIDEST { 32 << 10 } else { 16 << 10 };
        let longest = budget / size_of::<f32>() / self.panel;
        let (mut stretches, mut current, mut room) = (Vec::new(), Vec::new(), longest);
        for run in runs {
            let mut rest = *run;
            while rest.len > 0 {
                if room == 0 {
                    stretches.push(std::mem::take(&mut current));
                    room = longest;
                }
                let len = rest.len.min(room);
                current.push(Run { offset: rest.offset, len });
                room -= len;
                rest = Run { offset: rest.offset + len, len: rest.len - len };
            }
        }
        stretches.push(current);
        stretches
    }

    pub fn bias(&self) -> &Bias {
        &self.bias
    }

    /// Computes the share of one thread.
    pub fn multiply(&self, left: &Left<'_>, share: Share<'_>) {
        let Share { finish, part } = share;
        let Left { data, from, runs } = *left;
        let reach = runs.iter().map(|run| run.offset + run.len).max().unwrap_or(0);
        assert_eq!(runs.iter().map(|run| run.len).sum::<usize>(), self.k, "runs cover the inputs");
        assert!(from.rows() == 0 || from.last() + reach <= data.len(), "rows lie inside the left buffer");
        assert!(part.rows.end <= from.rows() && part.panels.end <= self.panels(), "the part lies inside the product");
        assert!(finish.target.grid.rows() == from.rows() && finish.n == self.n, "the output of this product");
        let stretches = self.stretches(runs);
        let kernel = ProductKernel { panels: self, a: data, from, stretches: &stretches, finish, part };
        // SAFETY: the asserts above and in `Finish::new` are what `ProductKernel` asks for.
        unsafe { lanes::run(self.cpu, kernel) };
    }
}

/// The left matrix: a buffer, the positions of its rows, and the runs of a row.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub data: &'a [f32],
    pub from: Grid,
    pub runs: &'a [Run],
}

// SAFETY: `Finish` reads bias and residual, which outlive it, and writes through its `Target`, which is its own or, in
// a `Share`, touched by others elsewhere only.
unsafe impl Send for Finish<'_> {}

/// A thread's part of a product with its output.
pub(crate) struct Share<'a> {
    pub finish: Finish<'a>,
    pub part: ProductPart,
}

/// The final step of a product: adds bias and residual, applies the activation and stores. Its buffers are checked
/// once. An output has one, or one in each of its shares.
pub(crate) struct Finish<'a> {
    n: usize,
    bias: *const f32,
    target: Target<'a>,
    residual: (*const f32, Grid),
    activation: Activation,
}

impl<'a> Finish<'a> {
    pub fn new(
        bias: &'a Bias,
        rows: usize,
        target: Target<'a>,
        residual: Residual<'a>,
        activation: Activation,
    ) -> Self {
        let n = bias.outputs;
        assert_eq!(target.grid.rows(), rows, "as many rows out as in");
        assert!(rows == 0 || target.grid.last() + n <= target.len, "rows lie inside the output");
        let residual = match residual {
            Residual::None => (std::ptr::null(), target.grid),
            Residual::InPlace => (target.data.cast_const(), target.grid),
            Residual::From(data, grid) => {
                assert_eq!(grid.rows(), rows, "as many residual rows as sums");
                assert!(rows == 0 || grid.last() + n <= data.len(), "rows lie inside the residual");
                (data.as_ptr(), grid)
            }
        };
        Self { n, bias: bias.padded.as_ptr(), target, residual, activation }
    }

    /// Divides the output into shares with the disjoint parts of [`parts`].
    pub fn shares(self, rows: usize, panels: usize, by_panels: bool, threads: usize) -> Vec<Share<'a>> {
        let Self { n, bias, target: Target { data, len, grid, lifetime }, residual, activation } = self;
        let of = |part| {
            let target = Target { data, len, grid, lifetime };
            Share { finish: Self { n, bias, target, residual, activation }, part }
        };
        parts(rows, panels, by_panels, threads).into_iter().map(of).collect()
    }

    /// The offsets of a row in the output and in the residual.
    pub fn places(&self, row: usize) -> (usize, usize) {
        (self.target.grid.of_row(row), self.residual.1.of_row(row))
    }

    /// Stores `width` sums, the outputs from `column` on, of the row at `place`.
    ///
    /// # Safety
    /// As for [`Lanes`]; `sums` is valid for `width` floats, a multiple of `L::WIDTH`; `column + width` does not pass
    /// the padded bias; `place` comes from [`Self::places`] of a row of this product; no other thread works on it.
    #[inline(always)]
    pub unsafe fn store<L: Lanes>(&self, sums: *const f32, width: usize, column: usize, place: (usize, usize)) {
        let mut at = 0;
        while at < width {
            let first = column + at;
            if first >= self.n {
                return;
            }
            // SAFETY: `at < width` and `first` lies inside the padded bias; `whole` keeps full vectors inside the row,
            // `store_some` handles the last, partial one.
            unsafe {
                let sum = L::add(L::load(sums.add(at)), L::load(self.bias.add(first)));
                let out = self.target.data.add(place.0 + first);
                if first + L::WIDTH <= self.n {
                    let add = |v| {
                        if self.residual.0.is_null() {
                            v
                        } else {
                            L::add(v, L::load(self.residual.0.add(place.1 + first)))
                        }
                    };
                    L::store(out, self.activate::<L>(add(sum)));
                } else {
                    self.store_some::<L>(sum, first, place);
                }
            }
            at += L::WIDTH;
        }
    }

    /// Stores the last vector of a row if the outputs do not fill it.
    ///
    /// # Safety
    /// As for [`Self::store`].
    #[inline(always)]
    unsafe fn store_some<L: Lanes>(&self, sum: L::V, first: usize, place: (usize, usize)) {
        let mut lane = [0.0f32; 16];
        let count = self.n - first;
        // SAFETY: no path is wider than 16; `count` outputs of this row remain from `first` on.
        unsafe {
            if !self.residual.0.is_null() {
                std::ptr::copy_nonoverlapping(self.residual.0.add(place.1 + first), lane.as_mut_ptr(), count);
            }
            let v = self.activate::<L>(L::add(sum, L::load(lane.as_ptr())));
            L::store(lane.as_mut_ptr(), v);
            std::ptr::copy_nonoverlapping(lane.as_ptr(), self.target.data.add(place.0 + first), count);
        }
    }

    /// # Safety
    /// As for [`Lanes`].
    #[inline(always)]
    unsafe fn activate<L: Lanes>(&self, v: L::V) -> L::V {
        // SAFETY: arithmetic only, under the caller's promise about the path.
        unsafe {
            match self.activation {
                Activation::Identity => v,
                Activation::Relu => L::max(v, L::splat(0.0)),
                Activation::Gelu => math::gelu::<L>(v),
            }
        }
    }
}

/// The kernel for one part of a product. Fields are checked by [`Panels::multiply`].
struct ProductKernel<'a> {
    panels: &'a Panels,
    a: &'a [f32],
    from: Grid,
    stretches: &'a [Vec<Run>],
    finish: Finish<'a>,
    part: ProductPart,
}

impl Kernel for ProductKernel<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let mut sums = [0.0f32; BLOCK * WIDEST];
        let mut begins = [0usize; BLOCK];
        let mut places = [(0usize, 0usize); BLOCK];
        let step = even_blocks(self.part.rows.len(), BLOCK, TILE);
        let mut row = self.part.rows.start;
        while row < self.part.rows.end {
            let count = step.min(self.part.rows.end - row);
            for i in 0..count {
                begins[i] = self.from.of_row(row + i);
                places[i] = self.finish.places(row + i);
            }
            for panel in self.part.panels.clone() {
                // SAFETY: `multiply` checked that rows and runs lie inside `a`, and the part inside the panels.
                unsafe {
                    self.sum_block::<L>(panel, &begins[..count], &mut sums);
                    for (i, &place) in places[..count].iter().enumerate() {
                        let sums = sums.as_ptr().add(i * L::PANEL);
                        self.finish.store::<L>(sums, L::PANEL, panel * L::PANEL, place);
                    }
                }
            }
            row += count;
        }
    }
}

impl ProductKernel<'_> {
    /// Computes the sums of one block of rows with one panel, row by row.
    ///
    /// # Safety
    /// As for [`Lanes`]; every run from every beginning lies inside `a`, `panel` inside the weights.
    #[inline(always)]
    unsafe fn sum_block<L: Lanes>(&self, panel: usize, begins: &[usize], sums: &mut [f32; BLOCK * WIDEST]) {
        // SAFETY: `panel` lies inside the weights, whose panels are `k * PANEL` long.
        let mut weights = unsafe { self.panels.weights.as_ptr().add(panel * self.panels.k * L::PANEL) };
        for (stage, runs) in self.stretches.iter().enumerate() {
            // SAFETY: the caller's promise; `sums` holds a row of a panel for each beginning.
            unsafe {
                let (a, sums) = (self.a.as_ptr(), sums.as_mut_ptr());
                tile_rows::<L>(a, begins, runs, weights, sums, L::PANEL, stage > 0);
            }
            let inputs: usize = runs.iter().map(|run| run.len).sum();
            // SAFETY: the stretches together cover `k` inputs, so this stays inside the panel or at its end.
            weights = unsafe { weights.add(inputs * L::PANEL) };
        }
    }
}

/// Multiplies all rows with one stretch of one panel, into rows of sums that are `step` floats apart.
///
/// # Safety
/// As for [`Lanes`]; every run from each beginning is valid in `a`, the weights for all runs, `sums` for the rows.
#[inline(always)]
pub(crate) unsafe fn tile_rows<L: Lanes>(
    a: *const f32,
    begins: &[usize],
    runs: &[Run],
    weights: *const f32,
    sums: *mut f32,
    step: usize,
    resume: bool,
) {
    let mut done = 0;
    while done < begins.len() {
        let rows = TILE.min(begins.len() - done);
        // SAFETY: `begins` and `sums` hold `rows` more rows from `done` on; the rest is the caller's promise.
        unsafe {
            let begin = begins.as_ptr().add(done);
            let sums = sums.add(done * step);
            match rows {
                6 => tile::<L, 6>(a, begin, runs, weights, sums, step, resume),
                5 => tile::<L, 5>(a, begin, runs, weights, sums, step, resume),
                4 => tile::<L, 4>(a, begin, runs, weights, sums, step, resume),
                3 => tile::<L, 3>(a, begin, runs, weights, sums, step, resume),
                2 => tile::<L, 2>(a, begin, runs, weights, sums, step, resume),
                _ => tile::<L, 1>(a, begin, runs, weights, sums, step, resume),
            }
        }
        done += rows;
    }
}

/// Multiplies `R` rows with one stretch of one panel, keeping the sums in registers.
///
/// # Safety
/// As for [`Lanes`]; every run from each of the `R` beginnings is valid in `a`, the weights for all runs, `sums` for
/// `R` rows.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "an index over a constant range unrolls at every optimisation level")]
unsafe fn tile<L: Lanes, const R: usize>(
    a: *const f32,
    begins: *const usize,
    runs: &[Run],
    mut weights: *const f32,
    sums: *mut f32,
    step: usize,
    resume: bool,
) {
    // SAFETY: the caller's promise, item by item.
    unsafe {
        let mut acc = [L::zero_row(); R];
        if resume {
            for (i, acc) in acc.iter_mut().enumerate() {
                *acc = L::load_row(sums.add(i * step));
            }
        }
        for run in runs {
            let mut from = [a; R];
            for (i, from) in from.iter_mut().enumerate() {
                *from = a.add(*begins.add(i) + run.offset);
            }
            for k in 0..run.len {
                let row = L::load_row(weights);
                weights = weights.add(L::PANEL);
                for i in 0..R {
                    acc[i] = L::accumulate(*from[i].add(k), row, acc[i]);
                }
            }
        }
        for (i, acc) in acc.iter().enumerate() {
            L::store_row(sums.add(i * step), *acc);
        }
    }
}
