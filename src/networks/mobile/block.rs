//! A block on the kernels, some lines at a time: what is widened is filtered and narrowed again while it lies in the
//! second-level cache. Unfused, the widened maps of a photo of 224 pixels alone are 18 MB.

use std::ops::Range;

use super::plan::{self, Family, Folded, Kind, Plan};
use crate::fused::{Batch, Workspace};
use kernels::Cpu;
use kernels::channelwise::Channelwise;
use kernels::pointwise::{Lines, Pointwise, Reach, Rectifier, Residual};

/// Bytes of widened lines that are kept at a time.
const WIDE: usize = 320 << 10;
/// Pixels that are filtered before they are narrowed: with fewer, the weights are read too often.
const CHUNK: usize = 48;

/// A map of one photo: lines without a border, each pixel in whole vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub height: usize,
    pub width: usize,
    /// Floats from one pixel to the next.
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

/// Zeros around a photo, for the window of the stem.
pub const BORDER: usize = 1;

/// A photo of `height` and `width` in its [`BORDER`].
pub fn photo(height: usize, width: usize) -> Size {
    Size { height, width, step: Batch::CHANNELS }
}

#[derive(Debug)]
pub struct FusedBlock {
    family: Family,
    /// The stem reads a photo in its border, an expansion pixels of a map.
    stem: bool,
    expand: Pointwise,
    depthwise: Channelwise,
    project: Pointwise,
    skips: bool,
}

/// Packs a convolution of one pixel, or the stem: its window's lines one after the other, as [`Reach`] walks them.
pub fn pointwise(cpu: Cpu, conv: &plan::Conv, folded: &Folded) -> Pointwise {
    let rectifier = if conv.kind == Kind::Project { Rectifier::Identity } else { Rectifier::Relu6 };
    if conv.kind != Kind::Stem {
        return Pointwise::pack(cpu, &folded.weight, &folded.bias, rectifier);
    }
    Pointwise::pack(cpu, &channels_last(&folded.weight, conv.inputs, conv.side.pow(2)), &folded.bias, rectifier)
}

/// `[outputs][inputs][taps]` to `[outputs][taps][inputs]`.
pub fn channels_last(weight: &[f32], inputs: usize, taps: usize) -> Vec<f32> {
    let rows = weight.chunks_exact(inputs * taps);
    rows.flat_map(|row| (0..taps).flat_map(move |tap| (0..inputs).map(move |input| row[input * taps + tap]))).collect()
}

pub fn depthwise(cpu: Cpu, conv: &plan::Conv, folded: &Folded) -> Channelwise {
    Channelwise::pack(cpu, conv.side, conv.stride, &folded.weight, &folded.bias, true)
}

/// How the stem finds its window in a photo of `width` pixels: where the window of line `y` begins, and its pixels.
pub fn stem_window(family: Family, from: Size, y: usize) -> (usize, Lines, Reach) {
    let line = (from.width + 2 * BORDER) * from.step;
    let (top, left) = (family.before(from.height, 3, 2), family.before(from.width, 3, 2));
    let start = (BORDER - top + 2 * y) * line + (BORDER - left) * from.step;
    let pixels = Lines { width: from.width.div_ceil(2), step: 2 * from.step, line_step: 2 * line };
    let reach = Reach { step: 2 * from.step, lines: 3, line_len: 3 * from.step, line_step: line };
    (start, pixels, reach)
}

/// How the lines of one size pass through a block.
#[derive(Clone, Copy, Debug)]
struct Course {
    from: Size,
    /// The widened map.
    wide: Size,
    to: Size,
    top: usize,
    left: usize,
    /// Pixels in a widened line with its zeros.
    pitch: usize,
    /// Lines of the output that are made at a time.
    stripe: usize,
    /// Lines of them that are filtered at a time.
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

    fn course(&self, from: Size) -> Course {
        let (wide, to) = (self.widened(from), self.output(from));
        let (side, stride) = (self.depthwise.side(), self.depthwise.stride());
        let left = self.family.before(wide.width, side, stride);
        let pitch = ((to.width - 1) * stride + side).max(left + wide.width);
        let chunk = CHUNK.div_ceil(to.width).min(to.height);
        let lines = WIDE / size_of::<f32>() / (pitch * wide.step);
        let most = (lines.saturating_sub(side) / stride + 1).max(chunk);
        let stripe = to.height.div_ceil(to.height.div_ceil(most)).next_multiple_of(chunk);
        Course { from, wide, to, top: self.family.before(wide.height, side, stride), left, pitch, stripe, chunk }
    }

    /// One photo, or its map, through the block.
    pub fn apply(&self, input: &[f32], from: Size, output: &mut [f32], work: &mut Workspace) {
        let course = self.course(from);
        let threads = work.scratch.threads.min(course.to.height);
        let line = course.to.width * course.to.step;
        let (wide, deep) = self.room(&course);
        let mut parts = Vec::new();
        let mut rest = &mut output[..course.to.len()];
        for i in 0..threads {
            let lines = course.to.height * i / threads..course.to.height * (i + 1) / threads;
            let (own, after) = rest.split_at_mut(lines.len() * line);
            parts.push((lines, own, work.arena.buffer(wide), work.arena.buffer(deep)));
            rest = after;
        }
        match &mut parts[..] {
            [(lines, own, wide, deep)] => self.lines(&course, input, lines.clone(), [wide, deep], own),
            parts => rayon::scope(|scope| {
                for (lines, own, wide, deep) in parts {
                    let course = &course;
                    scope.spawn(move |_| self.lines(course, input, lines.clone(), [wide, deep], own));
                }
            }),
        }
        for (_, _, wide, deep) in parts {
            work.arena.give_buffer(wide);
            work.arena.give_buffer(deep);
        }
    }

    /// Floats of widened lines and of filtered pixels.
    fn room(&self, course: &Course) -> (usize, usize) {
        let lines = (course.stripe - 1) * self.depthwise.stride() + self.depthwise.side();
        (lines * course.pitch * course.wide.step, course.chunk * course.to.width * course.wide.step)
    }

    /// Some lines of the output.
    fn lines(&self, course: &Course, input: &[f32], lines: Range<usize>, room: [&mut [f32]; 2], output: &mut [f32]) {
        let Course { from, wide: Size { step, width, .. }, to, pitch, left, .. } = *course;
        let [wide, deep] = room;
        let (side, stride, line) = (self.depthwise.side(), self.depthwise.stride(), pitch * step);
        for line in wide.chunks_exact_mut(line) {
            line[..left * step].fill(0.0);
            line[(left + width) * step..].fill(0.0);
        }
        // Lines of the widened map, those of zeros above it counted, that lie in `wide`.
        let mut have: Range<usize> = 0..0;
        for start in lines.clone().step_by(course.stripe) {
            let stripe = start..(start + course.stripe).min(lines.end);
            let need = stripe.start * stride..(stripe.end - 1) * stride + side;
            let kept = have.end.saturating_sub(need.start);
            if kept > 0 {
                wide.copy_within((need.start - have.start) * line..(have.end - have.start) * line, 0);
            }
            self.widen(course, input, need.start + kept..need.end, &mut wide[kept * line..]);
            for start in stripe.clone().step_by(course.chunk) {
                let chunk = start..(start + course.chunk).min(stripe.end);
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

    /// Fills lines of the widened map, those of zeros above it counted.
    fn widen(&self, course: &Course, input: &[f32], lines: Range<usize>, wide: &mut [f32]) {
        let Course { from, wide: Size { height, width, step }, pitch, left, top, .. } = *course;
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

    /// Floats of the packed weights.
    pub fn weights(&self) -> usize {
        self.expand.weights() + self.depthwise.weights() + self.project.weights()
    }
}
