//! Matrix products on the tile registers of recent Intel processors.
//!
//! Tiles multiply bf16 numbers and sum in f32. A float is split into two bf16 numbers, `hi + lo`, which hold 16 of its
//! 24 bits. `hi*hi + hi*lo + lo*hi` is accurate enough to replace f32 in networks (relative error near 1e-5) at a third
//! of the tiles' speed. [`Precision::Fast`] computes `hi*hi` alone.
#![allow(unsafe_code)]

use super::Precision;
use super::product::{Bias, Share, even_blocks};

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{multiply, split};

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use elsewhere::{multiply, split};

/// The number of rows of a tile, and of its f32 columns.
pub(crate) const SIDE: usize = 16;
/// The number of bf16 numbers in a row of a tile, which are the inputs of one step.
pub(crate) const STEP: usize = 32;
/// The number of outputs in a panel: two tiles side by side.
pub(crate) const PANEL: usize = 32;
/// The number of steps whose weights (4 KiB each) stay in the first-level cache while they are applied to a block of
/// rows.
const STRETCH: usize = 8;
/// The number of tiles of rows in a block. More tiles read the weights less often; fewer keep their sums in a nearer
/// cache.
const BLOCK_TILES: usize = 24;

/// Weights packed for the tiles: by panels of outputs, then by steps of inputs. A step holds the high parts of two
/// tiles and, at full precision, their low parts.
#[derive(Debug)]
pub(crate) struct Tiles {
    precision: Precision,
    n: usize,
    steps: usize,
    weights: Vec<u16>,
    bias: Bias,
}

impl Tiles {
    /// `fill(n, row)` writes the weights of output `n` into a row of `steps * STEP`, with zeros for padding inputs.
    pub fn pack(precision: Precision, n: usize, steps: usize, bias: &[f32], fill: impl Fn(usize, &mut [f32])) -> Self {
        assert_eq!(bias.len(), n, "one bias for each output");
        let (k, panels) = (steps * STEP, n.div_ceil(PANEL));
        let mut weights = vec![0u16; panels * PANEL * k * planes(precision)];
        let mut rows = vec![0.0; PANEL * k];
        let mut high = vec![0u16; PANEL * k];
        let mut low = vec![0u16; if precision == Precision::Full { PANEL * k } else { 0 }];
        for (p, packed) in weights.chunks_exact_mut(PANEL * k * planes(precision)).enumerate() {
            let outputs = PANEL.min(n - p * PANEL);
            rows[outputs * k..].fill(0.0);
            for (i, row) in rows.chunks_exact_mut(k).take(outputs).enumerate() {
                fill(p * PANEL + i, row);
            }
            split(&rows, PANEL, k, k, &mut high, &mut low);
            for (step, packed) in packed.chunks_exact_mut(PANEL * STEP * planes(precision)).enumerate() {
                for (half, packed) in [&high, &low].into_iter().zip(packed.chunks_exact_mut(PANEL * STEP)) {
                    interleave(half, k, step, packed);
                }
            }
        }
        Self { precision, n, steps, weights, bias: Bias::new(bias) }
    }

    pub fn outputs(&self) -> usize {
        self.n
    }

    pub fn panels(&self) -> usize {
        self.n.div_ceil(PANEL)
    }

    pub fn bytes(&self) -> usize {
        self.weights.len() * size_of::<u16>() + self.bias.bytes()
    }

    pub fn bias(&self) -> &Bias {
        &self.bias
    }
}

/// Packs one step of a panel's rows into two tiles, which have a row for each pair of inputs with the pairs of all
/// outputs.
fn interleave(rows: &[u16], k: usize, step: usize, packed: &mut [u16]) {
    for (tile, packed) in packed.chunks_exact_mut(SIDE * STEP).enumerate() {
        for (pair, packed) in packed.chunks_exact_mut(STEP).enumerate() {
            for (column, packed) in packed.chunks_exact_mut(2).enumerate() {
                let at = (tile * SIDE + column) * k + step * STEP + 2 * pair;
                packed.copy_from_slice(&rows[at..at + 2]);
            }
        }
    }
}

/// The number of bf16 numbers per float.
fn planes(precision: Precision) -> usize {
    match precision {
        Precision::Full => 2,
        Precision::Fast => 1,
    }
}

/// The left matrix in bf16: all high parts, then, at full precision, all low parts in the same order.
#[derive(Debug, Default)]
pub(crate) struct Halves {
    data: Vec<u16>,
    low: usize,
}

impl Halves {
    /// Resizes for `len` numbers plus what tiles read beyond the last row. Rows are not cleared.
    pub fn prepare(&mut self, len: usize, column_step: usize, precision: Precision) {
        let whole = len + SIDE * column_step + STEP;
        if self.data.len() < whole * planes(precision) {
            self.data.resize(whole * planes(precision), 0);
        }
        self.low = if precision == Precision::Full { whole } else { 0 };
    }

    /// The high parts and the low parts, which are empty at fast precision.
    pub fn planes(&mut self) -> (&mut [u16], &mut [u16]) {
        if self.low == 0 { (&mut self.data, &mut []) } else { self.data.split_at_mut(self.low) }
    }
}

/// The traversal of the left matrix by tiles: lines of rows at a constant step. Rows whose window would span the end of
/// one line of the picture and the start of the next are computed, too, and dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    pub count: usize,
    /// The number of rows in a line, including those to drop.
    pub rows: usize,
    /// The step from one line to the next.
    pub step: usize,
    /// The step from one row to the next.
    pub column_step: usize,
    /// The number of matrix rows per row of the picture, of which the first `width` are kept.
    pub pitch: usize,
    pub width: usize,
    /// The number of kept rows in a line.
    pub kept: usize,
}

impl Lines {
    pub fn matrix(rows: usize, column_step: usize) -> Self {
        Self { count: 1, rows, step: 0, column_step, pitch: rows.max(1), width: rows, kept: rows }
    }

    fn tiles_in_line(&self) -> usize {
        self.rows.div_ceil(SIDE)
    }

    /// The total number of tiles, the unit of a part's `rows` on this path.
    pub fn tiles(&self) -> usize {
        self.count * self.tiles_in_line()
    }

    /// The offset of a tile.
    fn begin(&self, tile: usize) -> usize {
        let (line, within) = (tile / self.tiles_in_line(), tile % self.tiles_in_line());
        line * self.step + within * SIDE * self.column_step
    }

    /// The row of the product for row `i` of a tile; `None` if it is dropped.
    fn product_row(&self, tile: usize, i: usize) -> Option<usize> {
        let (line, row) = (tile / self.tiles_in_line(), tile % self.tiles_in_line() * SIDE + i);
        let (y, x) = (row / self.pitch, row % self.pitch);
        (row < self.rows && x < self.width).then(|| line * self.kept + y * self.width + x)
    }
}

/// Marks a dropped row.
const DROPPED: (usize, usize) = (usize::MAX, usize::MAX);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::{
        __m256i, __m512, __m512bh, __m512i, _mm512_castsi512_ps, _mm512_castsi512_si256, _mm512_cvtepu16_epi32,
        _mm512_cvtne2ps_pbh, _mm512_extracti64x4_epi64, _mm512_maskz_loadu_ps, _mm512_slli_epi32, _mm512_storeu_si512,
        _mm512_sub_ps,
    };

    use super::{
        BLOCK_TILES, DROPPED, Halves, Lines, PANEL, Precision, SIDE, STEP, STRETCH, Share, Tiles, even_blocks, planes,
    };
    use crate::cpu::Cpu;
    use crate::lanes::{self, Kernel, Lanes};

    /// The configuration of the tile registers as eight tiles of 16 rows by 64 bytes, in effect while this value lives.
    struct TileConfiguration {
        not_send: std::marker::PhantomData<*const ()>,
    }

    impl TileConfiguration {
        /// # Safety
        /// [`available`](crate::tiles::available) must have returned true.
        unsafe fn new() -> Self {
            #[repr(align(64))]
            struct Configuration([u8; 64]);
            let mut configuration = Configuration([0; 64]);
            configuration.0[0] = 1;
            for tile in 0..8 {
                configuration.0[16 + 2 * tile] = 64;
                configuration.0[48 + tile] = 16;
            }
            // SAFETY: 64 readable bytes in the documented layout; all tiles are zeroed by it, hence the clobbers.
            unsafe {
                asm!(
                    "ldtilecfg [{0}]",
                    in(reg) configuration.0.as_ptr(),
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack, readonly, preserves_flags),
                );
            }
            Self { not_send: std::marker::PhantomData }
        }
    }

    impl Drop for TileConfiguration {
        fn drop(&mut self) {
            // SAFETY: made by `new`, so the instruction exists; it zeroes the tiles, which are no longer read.
            unsafe {
                asm!(
                    "tilerelease",
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack, nomem, preserves_flags),
                );
            }
        }
    }

    /// Splits `count` runs of `len` floats, `step` apart, into bf16 halves. Each run is padded with zeros to whole
    /// steps.
    pub(crate) fn split(from: &[f32], count: usize, len: usize, step: usize, high: &mut [u16], low: &mut [u16]) {
        let room = count * len.next_multiple_of(STEP);
        assert!(high.len() >= room && (low.is_empty() || low.len() >= room), "room for whole steps");
        assert!(count == 0 || (count - 1) * step + len <= from.len(), "stretches lie inside the buffer");
        assert!(Cpu::Amx.supported(), "asked for on a machine without it");
        let low = (!low.is_empty()).then_some(low.as_mut_ptr());
        // SAFETY: `supported` found the three features; the lengths are checked above.
        unsafe { split_stretches(from.as_ptr(), count, len, step, high.as_mut_ptr(), low) }
    }

    /// # Safety
    /// The processor has the features; the runs are valid; `high` and `low` have room for them, padded to whole steps.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn split_stretches(
        from: *const f32,
        count: usize,
        len: usize,
        step: usize,
        high: *mut u16,
        low: Option<*mut u16>,
    ) {
        let padded = len.next_multiple_of(STEP);
        for i in 0..count {
            for at in (0..len).step_by(STEP) {
                let have = u32::MAX >> (STEP - STEP.min(len - at));
                // SAFETY: masks keep the loads inside the stretch; the stores are whole steps, for which there is room.
                unsafe {
                    let from = from.add(i * step + at);
                    let a = _mm512_maskz_loadu_ps(have as u16, from);
                    let b = _mm512_maskz_loadu_ps((have >> 16) as u16, from.wrapping_add(16));
                    let packed = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(b, a));
                    _mm512_storeu_si512(high.add(i * padded + at).cast(), packed);
                    if let Some(low) = low {
                        let a = _mm512_sub_ps(a, widened(_mm512_castsi512_si256(packed)));
                        let b = _mm512_sub_ps(b, widened(_mm512_extracti64x4_epi64::<1>(packed)));
                        let rest = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(b, a));
                        _mm512_storeu_si512(low.add(i * padded + at).cast(), rest);
                    }
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn widened(half: __m256i) -> __m512 {
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)))
    }

    /// Computes one part, whose `rows` count tiles of `lines`. `steps` holds the offset of each step of inputs from the
    /// beginning of a row.
    pub(crate) fn multiply(tiles: &Tiles, left: &Halves, lines: &Lines, steps: &[usize], share: Share<'_>) {
        let part = &share.part;
        assert!(Cpu::Amx.supported(), "asked for on a machine without it");
        assert_eq!(steps.len(), tiles.steps, "steps cover the inputs");
        assert!(part.rows.end <= lines.tiles() && part.panels.end <= tiles.panels(), "the part lies in the product");
        let split = tiles.precision == Precision::Full;
        assert_eq!(split, left.low > 0, "both sides of a product have the same precision");
        let reach = steps.iter().max().map_or(0, |step| step + STEP) + (SIDE - 1) * lines.column_step;
        let plane = if split { left.low } else { left.data.len() };
        let last = lines.tiles().checked_sub(1).map_or(0, |tile| lines.begin(tile));
        assert!(lines.tiles() == 0 || last + reach <= plane, "tiles lie inside the left matrix");
        assert!(left.data.len() >= plane * planes(tiles.precision), "so do their low parts");
        let bytes: Vec<usize> = steps.iter().map(|step| step * size_of::<u16>()).collect();
        let kernel = TileKernel { tiles, left, lines, steps: &bytes, share };
        // SAFETY: checked above and in `Finish::new`.
        unsafe { lanes::run(Cpu::Amx, kernel) };
    }

    /// The kernel for one part of a product. Fields are checked by [`multiply`].
    struct TileKernel<'a> {
        tiles: &'a Tiles,
        left: &'a Halves,
        lines: &'a Lines,
        /// In bytes.
        steps: &'a [usize],
        share: Share<'a>,
    }

    #[repr(align(64))]
    struct Sums([f32; BLOCK_TILES * SIDE * PANEL]);

    impl Kernel for TileKernel<'_> {
        type Out = ();

        #[inline(always)]
        unsafe fn run<L: Lanes>(self) {
            // SAFETY: `multiply` found the tiles to be there.
            let configured = unsafe { TileConfiguration::new() };
            let mut sums = Sums([0.0; BLOCK_TILES * SIDE * PANEL]);
            let mut begins = [0usize; BLOCK_TILES];
            let mut places = [DROPPED; BLOCK_TILES * SIDE];
            let block = even_blocks(self.share.part.rows.len(), BLOCK_TILES, 2);
            let mut tile = self.share.part.rows.start;
            while tile < self.share.part.rows.end {
                let count = block.min(self.share.part.rows.end - tile);
                for t in 0..count {
                    begins[t] = self.lines.begin(tile + t);
                    for i in 0..SIDE {
                        let row = self.lines.product_row(tile + t, i);
                        places[t * SIDE + i] = row.map_or(DROPPED, |row| self.share.finish.places(row));
                    }
                }
                for panel in self.share.part.panels.clone() {
                    // SAFETY: `multiply` checked tiles, steps and panels; `places` are rows of the product.
                    unsafe {
                        self.sum_block(panel, &begins[..count], &mut sums);
                        for (i, &place) in places[..count * SIDE].iter().enumerate() {
                            if place != DROPPED {
                                let sums = sums.0.as_ptr().add(i * PANEL);
                                self.share.finish.store::<L>(sums, PANEL, panel * PANEL, place);
                            }
                        }
                    }
                }
                tile += count;
            }
            drop(configured);
        }
    }

    impl TileKernel<'_> {
        /// Computes the sums of one block of tiles with one panel.
        ///
        /// # Safety
        /// Tiles are configured; every step from every beginning lies inside the left matrix, `panel` inside the
        /// weights.
        #[inline(always)]
        unsafe fn sum_block(&self, panel: usize, begins: &[usize], sums: &mut Sums) {
            let per_step = PANEL * STEP * planes(self.tiles.precision);
            let low = self.left.low * size_of::<u16>();
            let column_step = self.lines.column_step * size_of::<u16>();
            for (stage, steps) in self.steps.chunks(STRETCH).enumerate() {
                let at = (panel * self.tiles.steps + stage * STRETCH) * per_step;
                for (pair, begins) in begins.chunks(2).enumerate() {
                    // SAFETY: the offsets were checked; `sums` holds two tiles of rows for each pair.
                    unsafe {
                        let job = TileStrip {
                            top: self.left.data.as_ptr().add(begins[0]),
                            bottom: self.left.data.as_ptr().add(begins[begins.len() - 1]),
                            low,
                            column_step,
                            steps: steps.as_ptr_range(),
                            weights: self.tiles.weights.as_ptr().add(at),
                            sums: sums.0.as_mut_ptr().add(pair * 2 * SIDE * PANEL),
                            resume: u64::from(stage > 0),
                        };
                        match (self.tiles.precision, begins.len()) {
                            (Precision::Full, 2) => job.split_pair(),
                            (Precision::Full, _) => job.split_single(),
                            (Precision::Fast, 2) => job.plain_pair(),
                            (Precision::Fast, _) => job.plain_single(),
                        }
                    }
                }
            }
        }
    }

    /// The product of one or two tiles of rows with a stretch of one panel.
    struct TileStrip {
        top: *const u16,
        bottom: *const u16,
        /// The number of bytes from a high part to its low part.
        low: usize,
        /// The number of bytes from row to row.
        column_step: usize,
        steps: std::ops::Range<*const usize>,
        weights: *const u16,
        /// Rows of 128 bytes.
        sums: *mut f32,
        /// If not 0, continues from the sums in memory.
        resume: u64,
    }

    /// The body of a strip: `$init` when beginning, `$load` when resuming, `$step` for each step of inputs, `$store`.
    macro_rules! strip {
        // Sums in all four registers: 32 rows.
        ($strip:ident, pair: [$($step:literal),*]) => {
            strip!($strip,
                init: ["tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3"],
                load: [
                    "tileloadd tmm0, [{sums} + {sixty_four}*2]", "tileloadd tmm1, [{sums} + {sixty_four}*2 + 64]",
                    "tileloadd tmm2, [{sums} + {sixty_four}*2 + 2048]", "tileloadd tmm3, [{sums} + {sixty_four}*2 + 2112]"
                ],
                step: [$($step),*],
                store: [
                    "tilestored [{sums} + {sixty_four}*2], tmm0", "tilestored [{sums} + {sixty_four}*2 + 64], tmm1",
                    "tilestored [{sums} + {sixty_four}*2 + 2048], tmm2", "tilestored [{sums} + {sixty_four}*2 + 2112], tmm3"
                ]
            )
        };
        // In the upper two: 16 rows.
        ($strip:ident, single: [$($step:literal),*]) => {
            strip!($strip,
                init: ["tilezero tmm0", "tilezero tmm1"],
                load: ["tileloadd tmm0, [{sums} + {sixty_four}*2]", "tileloadd tmm1, [{sums} + {sixty_four}*2 + 64]"],
                step: [$($step),*],
                store: ["tilestored [{sums} + {sixty_four}*2], tmm0", "tilestored [{sums} + {sixty_four}*2 + 64], tmm1"]
            )
        };
        ($strip:ident, init: [$($init:literal),*], load: [$($load:literal),*], step: [$($step:literal),*], store: [$($store:literal),*]) => {
            asm!(
                "test {at}, {at}",
                "jne 2f",
                $($init,)*
                "jmp 3f",
                "2:",
                $($load,)*
                "3:",
                "mov {at}, [{steps}]",
                "lea {p}, [{top} + {at}]",
                "lea {q}, [{bottom} + {at}]",
                $($step,)*
                "add {steps}, 8",
                "cmp {steps}, {end}",
                "jne 3b",
                $($store,)*
                top = in(reg) $strip.top,
                bottom = in(reg) $strip.bottom,
                low = in(reg) $strip.low,
                stride = in(reg) $strip.column_step,
                steps = inout(reg) $strip.steps.start => _,
                end = in(reg) $strip.steps.end,
                w = inout(reg) $strip.weights => _,
                sums = in(reg) $strip.sums,
                // The row step of the weights is 64 and that of the sums 128: one register, scaled by 1 and 2.
                sixty_four = in(reg) 64usize,
                at = inout(reg) $strip.resume => _,
                p = out(reg) _,
                q = out(reg) _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            )
        };
    }

    // Registers: tmm0..tmm3 sums (top left, top right, bottom left, bottom right), tmm4 and tmm5 rows, tmm6 and tmm7
    // weights. The small products are added first, for precision.
    impl TileStrip {
        /// # Safety
        /// Tiles are configured; both tiles of rows, all steps, their weights and 32 rows of sums are valid; one step
        /// at least.
        #[inline(always)]
        unsafe fn split_pair(self) {
            // SAFETY: the caller's promise; every register written is declared.
            unsafe {
                strip!(self,
                    pair: [
                        "tileloadd tmm6, [{w} + {sixty_four}*1]", "tileloadd tmm7, [{w} + {sixty_four}*1 + 1024]",
                        "add {p}, {low}", "tileloadd tmm4, [{p} + {stride}*1]", "sub {p}, {low}",
                        "add {q}, {low}", "tileloadd tmm5, [{q} + {stride}*1]", "sub {q}, {low}",
                        "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
                        "tdpbf16ps tmm2, tmm5, tmm6", "tdpbf16ps tmm3, tmm5, tmm7",
                        "tileloadd tmm4, [{p} + {stride}*1]", "tileloadd tmm5, [{q} + {stride}*1]",
                        "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
                        "tdpbf16ps tmm2, tmm5, tmm6", "tdpbf16ps tmm3, tmm5, tmm7",
                        "tileloadd tmm6, [{w} + {sixty_four}*1 + 2048]", "tileloadd tmm7, [{w} + {sixty_four}*1 + 3072]",
                        "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
                        "tdpbf16ps tmm2, tmm5, tmm6", "tdpbf16ps tmm3, tmm5, tmm7",
                        "add {w}, 4096"
                    ]
                );
            }
        }

        /// # Safety
        /// As for [`Self::split_pair`], with 16 rows of sums.
        #[inline(always)]
        unsafe fn split_single(self) {
            // SAFETY: the caller's promise; every register written is declared.
            unsafe {
                strip!(self,
                    single: [
                        "add {q}, {low}",
                        "tileloadd tmm6, [{w} + {sixty_four}*1]", "tileloadd tmm7, [{w} + {sixty_four}*1 + 1024]",
                        "tileloadd tmm4, [{q} + {stride}*1]",
                        "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
                        "tileloadd tmm4, [{p} + {stride}*1]",
                        "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
                        "tileloadd tmm6, [{w} + {sixty_four}*1 + 2048]", "tileloadd tmm7, [{w} + {sixty_four}*1 + 3072]",
                        "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
                        "add {w}, 4096"
                    ]
                );
            }
        }

        /// # Safety
        /// As for [`Self::split_pair`].
        #[inline(always)]
        unsafe fn plain_pair(self) {
            // SAFETY: the caller's promise; every register written is declared.
            unsafe {
                strip!(self,
                    pair: [
                        "add {q}, {low}",
                        "tileloadd tmm6, [{w} + {sixty_four}*1]", "tileloadd tmm4, [{p} + {stride}*1]",
                        "tileloadd tmm7, [{w} + {sixty_four}*1 + 1024]", "tileloadd tmm5, [{q} + {stride}*1]",
                        "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
                        "tdpbf16ps tmm2, tmm5, tmm6", "tdpbf16ps tmm3, tmm5, tmm7",
                        "add {w}, 2048"
                    ]
                );
            }
        }

        /// # Safety
        /// As for [`Self::split_pair`], with 16 rows of sums.
        #[inline(always)]
        unsafe fn plain_single(self) {
            // SAFETY: the caller's promise; every register written is declared.
            unsafe {
                strip!(self,
                    single: [
                        "add {q}, {low}",
                        "tileloadd tmm6, [{w} + {sixty_four}*1]", "tileloadd tmm4, [{p} + {stride}*1]",
                        "tileloadd tmm7, [{w} + {sixty_four}*1 + 1024]",
                        "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
                        "add {w}, 2048"
                    ]
                );
            }
        }
    }
}

/// Placeholders for processors without tiles, where [`Cpu::supported`](super::cpu::Cpu::supported) is always false for
/// this path.
#[cfg(not(target_arch = "x86_64"))]
mod elsewhere {
    use super::*;

    pub(crate) fn split(_: &[f32], _: usize, _: usize, _: usize, _: &mut [u16], _: &mut [u16]) {
        unreachable!("tiles exist on x86-64 only");
    }

    pub(crate) fn multiply(_: &Tiles, _: &Halves, _: &Lines, _: &[usize], _: Share<'_>) {
        unreachable!("tiles exist on x86-64 only");
    }
}
