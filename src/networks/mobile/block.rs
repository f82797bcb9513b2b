//! An inverted residual block on the kernels, a few rows at a time: the expanded rows are filtered and projected while they
//! are in the L2 cache. Without this the expanded maps of one 224-pixel photo take 18 MB.

use std::ops::Range;

use super::plan::{self, Family, Folded, Kind, Plan};
use crate::fused::{Batch, Workspace};
use kernels::Cpu;
use kernels::channelwise::Channelwise;
use kernels::pointwise::{Lines, Pointwise, Reach, Rectifier, Residual};

/// Maximum bytes of expanded rows at a time.
const WIDE: usize = 320 << 10;
/// Minimum pixels per projection; with fewer, the weights are read too often.
const CHUNK: usize = 48;

/// The size of a map without border. Pixels are padded to whole vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub height: usize,
    pub width: usize,
    /// Floats per pixel, padding included.
    pub step: usize,
}

impl Size {
    pub fn pixels(self) -> usize {
        self.height * self.width
    }

    pub fn len(self) -> usize {
        self.pixels() * self.step
    }
}

/// The border of zeros around a photo, for the window of the stem.
pub const BORDER: usize = 1;

/// The size of a photo inside its [`BORDER`].
pub fn photo(height: usize, width: usize) -> Size {
    Size { height, width, step: Batch::CHANNELS }
}

#[derive(Debug)]
pub struct FusedBlock {
    family: Family,
    /// Whether `expand` is the stem, which reads a photo with its border.
    stem: bool,
    expand: Pointwise,
    depthwise: Channelwise,
    project: Pointwise,
    skips: bool,
}

/// Packs a 1x1 convolution, or the stem with the rows of its window one after the other, in the order of [`Reach`].
pub fn pointwise(cpu: Cpu, conv: &plan::Conv, folded: &Folded) -> Pointwise {
    let rectifier = if conv.kind == Kind::Project { Rectifier::Identity } else { Rectifier::Relu6 };
    if conv.kind != Kind::Stem {
        return Pointwise::pack(cpu, &folded.weight, &folded.bias, rectifier);
    }
    Pointwise::pack(cpu, &channels_last(&folded.weight, conv.inputs, conv.side.pow(2)), &folded.bias, rectifier)
}

/// Reorders `[outputs][inputs][taps]` to `[outputs][taps][inputs]`.
pub fn channels_last(weight: &[f32], inputs: usize, taps: usize) -> Vec<f32> {
    let rows = weight.chunks_exact(inputs * taps);
    rows.flat_map(|row| (0..taps).flat_map(move |tap| (0..inputs).map(move |input| row[input * taps + tap]))).collect()
}

pub fn depthwise(cpu: Cpu, conv: &plan::Conv, folded: &Folded) -> Channelwise {
    Channelwise::pack(cpu, conv.side, conv.stride, &folded.weight, &folded.bias, true)
}

/// The start of the stem's window for output row `y`, and how to walk it.
pub fn stem_window(family: Family, from: Size, y: usize) -> (usize, Lines, Reach) {
    let line = (from.width + 2 * BORDER) * from.step;
    let (top, left) = (family.before(from.height, 3, 2), family.before(from.width, 3, 2));
    let start = (BORDER - top + 2 * y) * line + (BORDER - left) * from.step;
    let pixels = Lines { width: from.width.div_ceil(2), step: 2 * from.step, line_step: 2 * line };
    let reach = Reach { step: 2 * from.step, lines: 3, line_len: 3 * from.step, line_step: line };
    (start, pixels, reach)
}

/// The row layout of a block for one input size.
#[derive(Clone, Copy, Debug)]
struct RowLayout {
    from: Size,
    /// The expanded map.
    wide: Size,
    to: Size,
    top: usize,
    left: usize,
    /// Pixels in an expanded row, zeros included.
    pitch: usize,
    /// Output rows per pass of the expansion.
    stripe: usize,
    /// Output rows per pass of filter and projection.
    chunk: usize,
}

impl FusedBlock {
    pub fn new(cpu: Cpu, plan: &Plan, block: plan::Block, folded: &[Folded]) -> Self {
        let part = |at: usize| (&plan.convs[at], &folded[at]);
        let ((expand, expand_weights), (filter, taps)) = (part(block.expand), part(block.depthwise));
        let (project, project_weights) = part(block.project);
        Self {
            family: plan.family,
            stem: expand.kind == Kind::Stem,
            expand: pointwise(cpu, expand, expand_weights),
            depthwise: depthwise(cpu, filter, taps),
            project: pointwise(cpu, project, project_weights),
            skips: block.skips,
        }
    }

    pub fn output(&self, from: Size) -> Size {
        let Size { height, width, .. } = self.widened(from);
        let sides = |pixels: usize| pixels.div_ceil(self.depthwise.stride());
        Size { height: sides(height), width: sides(width), step: self.project.width() }
    }

    fn widened(&self, from: Size) -> Size {
        let sides = |pixels: usize| if self.stem { pixels.div_ceil(2) } else { pixels };
        Size { height: sides(from.height), width: sides(from.width), step: self.expand.width() }
    }

    fn layout(&self, from: Size) -> RowLayout {
        let (wide, to) = (self.widened(from), self.output(from));
        let (side, stride) = (self.depthwise.side(), self.depthwise.stride());
        let left = self.family.before(wide.width, side, stride);
        let pitch = ((to.width - 1) * stride + side).max(left + wide.width);
        let chunk = CHUNK.div_ceil(to.width).min(to.height);
        let lines = WIDE / size_of::<f32>() / (pitch * wide.step);
        let most = (lines.saturating_sub(side) / stride + 1).max(chunk);
        let stripe = to.height.div_ceil(to.height.div_ceil(most)).next_multiple_of(chunk);
        RowLayout { from, wide, to, top: self.family.before(wide.height, side, stride), left, pitch, stripe, chunk }
    }

    /// Applies the block to one photo or its map.
    pub fn apply(&self, input: &[f32], from: Size, output: &mut [f32], work: &mut Workspace) {
        let layout = self.layout(from);
        let threads = work.scratch.threads.min(layout.to.height);
        let line = layout.to.width * layout.to.step;
        let (wide, deep) = self.buffer_lengths(&layout);
        let mut parts = Vec::new();
        let mut rest = &mut output[..layout.to.len()];
        for i in 0..threads {
            let lines = layout.to.height * i / threads..layout.to.height * (i + 1) / threads;
            let (own, after) = rest.split_at_mut(lines.len() * line);
            parts.push((lines, own, work.arena.buffer(wide), work.arena.buffer(deep)));
            rest = after;
        }
        match &mut parts[..] {
            [(lines, own, wide, deep)] => self.lines(&layout, input, lines.clone(), [wide, deep], own),
            parts => rayon::scope(|scope| {
                for (lines, own, wide, deep) in parts {
                    let layout = &layout;
                    scope.spawn(move |_| self.lines(layout, input, lines.clone(), [wide, deep], own));
                }
            }),
        }
        for (_, _, wide, deep) in parts {
            work.arena.give_buffer(wide);
            work.arena.give_buffer(deep);
        }
    }

    /// Buffer lengths for expanded rows and filtered pixels.
    fn buffer_lengths(&self, layout: &RowLayout) -> (usize, usize) {
        let lines = (layout.stripe - 1) * self.depthwise.stride() + self.depthwise.side();
        (lines * layout.pitch * layout.wide.step, layout.chunk * layout.to.width * layout.wide.step)
    }

    /// Computes some rows of the output.
    fn lines(
        &self,
        layout: &RowLayout,
        input: &[f32],
        lines: Range<usize>,
        buffers: [&mut [f32]; 2],
        output: &mut [f32],
    ) {
        let RowLayout { from, wide: Size { step, width, .. }, to, pitch, left, .. } = *layout;
        let [wide, deep] = buffers;
        let (side, stride, line) = (self.depthwise.side(), self.depthwise.stride(), pitch * step);
        for line in wide.chunks_exact_mut(line) {
            line[..left * step].fill(0.0);
            line[(left + width) * step..].fill(0.0);
        }
        // The rows of the expanded map now in `wide`, counted from the first row of zeros above it.
        let mut have: Range<usize> = 0..0;
        for start in lines.clone().step_by(layout.stripe) {
            let stripe = start..(start + layout.stripe).min(lines.end);
            let need = stripe.start * stride..(stripe.end - 1) * stride + side;
            let kept = have.end.saturating_sub(need.start);
            if kept > 0 {
                wide.copy_within((need.start - have.start) * line..(have.end - have.start) * line, 0);
            }
            self.expand_rows(layout, input, need.start + kept..need.end, &mut wide[kept * line..]);
            for start in stripe.clone().step_by(layout.chunk) {
                let chunk = start..(start + layout.chunk).min(stripe.end);
                let pixels = chunk.len() * to.width;
                let first = &wide[(chunk.start * stride - need.start) * line..];
                let filtered = Lines { width: to.width, step, line_step: to.width * step };
                self.depthwise.run(first, line, pixels, (deep, filtered));
                let residual = self.skips.then(|| {
                    let place = chunk.start * from.width * from.step;
                    Residual { data: &input[place..place + pixels * from.step], step: from.step }
                });
                let own = &mut output[(chunk.start - lines.start) * to.width * to.step..];
                self.project.run(deep, Reach::pixel(self.project.inputs(), step), pixels, residual, own);
            }
            have = need;
        }
    }

    /// Fills rows of the expanded map, counted from the first row of zeros above it.
    fn expand_rows(&self, layout: &RowLayout, input: &[f32], lines: Range<usize>, wide: &mut [f32]) {
        let RowLayout { from, wide: Size { height, width, step }, pitch, left, top, .. } = *layout;
        let line = pitch * step;
        let real = |at: usize| at.saturating_sub(top).min(height);
        let (first, end) = (real(lines.start), real(lines.end));
        if first >= end {
            return wide[..lines.len() * line].fill(0.0);
        }
        let above = first + top - lines.start;
        wide[..above * line].fill(0.0);
        wide[(above + end - first) * line..lines.len() * line].fill(0.0);
        let to = Lines { width, step, line_step: line };
        let output = &mut wide[above * line + left * step..];
        let pixels = (end - first) * width;
        if self.stem {
            let (start, places, reach) = stem_window(self.family, from, first);
            self.expand.run_lines((&input[start..], places), reach, pixels, None, (output, to));
        } else {
            let reach = Reach::pixel(self.expand.inputs(), from.step);
            let input = &input[first * width * from.step..];
            self.expand.run_lines((input, Lines::one(pixels, from.step)), reach, pixels, None, (output, to));
        }
    }

    /// Number of floats in the packed weights.
    pub fn weights(&self) -> usize {
        self.expand.weights() + self.depthwise.weights() + self.project.weights()
    }
}
