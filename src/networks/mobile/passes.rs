//! Forward and backward passes for a few photos at a time, with normalisations folded in, so that training and inference
//! compute the same function and a photo's gradient does not depend on the rest of the batch.

use super::block::{self, BORDER, FusedBlock, Size, channels_last, photo, pointwise, stem_window};
use super::fused::{means, means_and_deviations};
use super::plan::{Block, Conv, Family, Folded, Kind, Plan};
use crate::fused::{Photos, Workspace};
use kernels::channelwise::{Channelwise, Scatter, relu6_backward};
use kernels::gradient::{Matrix, add_product};
use kernels::pointwise::{Lines, Pointwise, Reach, Rectifier, Residual, vector_width};
use kernels::{Arena, Buffer, Cpu};

/// A network packed for both passes.
#[derive(Debug)]
pub struct Passes {
    cpu: Cpu,
    plan: Plan,
    /// The frozen blocks at the start.
    frozen: Vec<FusedBlock>,
    learning: Vec<Learning>,
    /// `None` in a trunk.
    head: Option<Head>,
}

/// The last convolution, packed for both passes.
#[derive(Debug)]
struct Head {
    /// Index in [`Plan::convs`].
    at: usize,
    there: Pointwise,
    back: Pointwise,
}

/// A trainable block.
#[derive(Debug)]
struct Learning {
    cpu: Cpu,
    block: Block,
    family: Family,
    stem: bool,
    expand: Pointwise,
    depthwise: Channelwise,
    project: Pointwise,
    /// `None` for the stem.
    expand_back: Option<Pointwise>,
    depthwise_back: FilterBack,
    project_back: Pointwise,
    /// Channels of the expanded map and of the output.
    widened: usize,
    narrow: usize,
}

#[derive(Debug)]
enum FilterBack {
    /// At stride 1: the convolution with the flipped kernel.
    Flipped(Channelwise),
    /// At larger strides: a weight for each tap and channel, scattered.
    Scattered(Vec<f32>),
}

/// Gradients of the weights in the layout of the kernels, one entry per convolution.
#[derive(Clone, Debug)]
pub struct Gradients {
    weights: Vec<Vec<f32>>,
    biases: Vec<Vec<f32>>,
}

/// What the forward pass keeps for the backward pass.
#[derive(Debug)]
pub struct Tape {
    images: usize,
    /// The input of the first trainable layer: the photos with their borders, or a map.
    first: Buffer,
    /// The size of the last map.
    last: Size,
    blocks: Vec<ForwardState>,
    head: Option<Buffer>,
}

/// The maps of one block: expanded, filtered and projected.
#[derive(Debug)]
struct ForwardState {
    sizes_of_block: MapSizes,
    wide: Buffer,
    deep: Buffer,
    out: Buffer,
}

/// The sizes of a block's maps. The expanded map is surrounded by the zeros that its windows reach.
#[derive(Clone, Copy, Debug)]
struct MapSizes {
    from: Size,
    wide: Size,
    to: Size,
    top: usize,
    left: usize,
    lines: usize,
    pitch: usize,
}

impl MapSizes {
    fn padded(&self) -> usize {
        self.lines * self.pitch * self.wide.step
    }

    /// The offset of the first pixel of the expanded map, and how to walk its pixels.
    fn places(&self) -> (usize, Lines) {
        let line_step = self.pitch * self.wide.step;
        let lines = Lines { width: self.wide.width, step: self.wide.step, line_step };
        (self.top * line_step + self.left * self.wide.step, lines)
    }
}

/// The inputs of a block's backward pass: the gradient `d` of its output, the kept maps, and the block's input.
#[derive(Clone, Copy)]
struct BackwardInput<'a> {
    kept: &'a ForwardState,
    input: &'a [f32],
    d: &'a [f32],
    images: usize,
    /// Whether the gradient of the input is needed.
    input_gradient: bool,
}

/// Zeroes everything outside the pixels of a map.
fn clear_around(map: &mut [f32], top: usize, height: usize, inside: std::ops::Range<usize>, line: usize) {
    for (y, row) in map.chunks_exact_mut(line).enumerate() {
        if (top..top + height).contains(&y) {
            row[..inside.start].fill(0.0);
            row[inside.end..].fill(0.0);
        } else {
            row.fill(0.0);
        }
    }
}

/// Transposes `[rows][columns]` to `[columns][rows]`.
fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns;
    (0..columns).flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column])).collect()
}

fn back(cpu: Cpu, conv: &Conv, folded: &Folded) -> Pointwise {
    let weights = transposed(&folded.weight, conv.inputs);
    Pointwise::pack(cpu, &weights, &vec![0.0; conv.inputs], Rectifier::Identity)
}

impl Learning {
    fn new(cpu: Cpu, plan: &Plan, block: Block, folded: &[Folded]) -> Self {
        let part = |at: usize| (&plan.convs[at], &folded[at]);
        let ((expand, expand_weights), (filter, taps)) = (part(block.expand), part(block.depthwise));
        let (project, project_weights) = part(block.project);
        let depthwise_back = if filter.stride == 1 {
            FilterBack::Flipped(Channelwise::rotated(cpu, filter.side, &taps.weight, filter.outputs))
        } else {
            let step = filter.outputs.next_multiple_of(vector_width(cpu));
            let count = filter.side * filter.side;
            let mut by_tap = vec![0.0; count * step];
            for (channel, taps) in taps.weight.chunks_exact(count).enumerate() {
                taps.iter().enumerate().for_each(|(tap, w)| by_tap[tap * step + channel] = *w);
            }
            FilterBack::Scattered(by_tap)
        };
        let stem = expand.kind == Kind::Stem;
        Self {
            cpu,
            block,
            family: plan.family,
            stem,
            expand: pointwise(cpu, expand, expand_weights),
            depthwise: block::depthwise(cpu, filter, taps),
            project: pointwise(cpu, project, project_weights),
            expand_back: (!stem).then(|| back(cpu, expand, expand_weights)),
            depthwise_back,
            project_back: back(cpu, project, project_weights),
            widened: expand.outputs,
            narrow: project.outputs,
        }
    }

    fn sizes_of_block(&self, from: Size) -> MapSizes {
        let halved = |pixels: usize| if self.stem { pixels.div_ceil(2) } else { pixels };
        let wide = Size { height: halved(from.height), width: halved(from.width), step: self.expand.width() };
        let (side, stride) = (self.depthwise.side(), self.depthwise.stride());
        let to = Size {
            height: wide.height.div_ceil(stride),
            width: wide.width.div_ceil(stride),
            step: self.project.width(),
        };
        let before = |pixels: usize| self.family.before(pixels, side, stride);
        let reach = |outputs: usize, pixels: usize| ((outputs - 1) * stride + side).max(before(pixels) + pixels);
        MapSizes {
            from,
            wide,
            to,
            top: before(wide.height),
            left: before(wide.width),
            lines: reach(to.height, wide.height),
            pitch: reach(to.width, wide.width),
        }
    }

    fn forward(&self, input: &[f32], from: Size, images: usize, arena: &mut Arena) -> ForwardState {
        let sizes_of_block = self.sizes_of_block(from);
        let MapSizes { wide: size, to, top, left, pitch, .. } = sizes_of_block;
        let (padded, line) = (sizes_of_block.padded(), pitch * size.step);
        let mut wide = arena.buffer(images * padded);
        let mut deep = arena.buffer(images * to.pixels() * size.step);
        let each = input.len() / images;
        for (image, map) in wide.chunks_exact_mut(padded).enumerate() {
            let inside = left * size.step..(left + size.width) * size.step;
            clear_around(map, top, size.height, inside, line);
            let input = &input[image * each..][..each];
            let (start, places) = sizes_of_block.places();
            let output = (&mut map[start..], places);
            if self.stem {
                let (start, places, reach) = stem_window(self.family, from, 0);
                self.expand.run_lines((&input[start..], places), reach, size.pixels(), None, output);
            } else {
                let (reach, pixels) = (Reach::pixel(self.expand.inputs(), from.step), size.pixels());
                self.expand.run_lines((input, Lines::one(pixels, from.step)), reach, pixels, None, output);
            }
            let filtered = Lines { width: to.width, step: size.step, line_step: to.width * size.step };
            let own = &mut deep[image * to.pixels() * size.step..];
            self.depthwise.run(map, line, to.pixels(), (own, filtered));
        }
        let mut out = arena.buffer(images * to.len());
        let residual = self.block.skips.then_some(Residual { data: input, step: from.step });
        let reach = Reach::pixel(self.project.inputs(), size.step);
        self.project.run(&deep, reach, images * to.pixels(), residual, &mut out);
        ForwardState { sizes_of_block, wide, deep, out }
    }

    /// Adds the gradients of the weights, and returns the gradient of the input where it is needed.
    fn backward(&self, given: &BackwardInput<'_>, grads: &mut Gradients, arena: &mut Arena) -> Option<Buffer> {
        let BackwardInput { kept, input, d, images, input_gradient } = *given;
        let cpu = self.cpu;
        let ForwardState { sizes_of_block, wide, deep, .. } = kept;
        let MapSizes { from, wide: size, to, .. } = *sizes_of_block;
        let (step, pixels) = (size.step, images * to.pixels());
        let Block { expand, depthwise, project, .. } = self.block;
        add_pixels(d, to.step, &mut grads.biases[project]);
        add_weights(deep, step, d, to.step, [self.project.inputs(), self.narrow], pixels, &mut grads.weights[project]);
        // The gradient of the filtered map, with a border of zeros for the flipped kernel.
        let border = if self.depthwise.stride() == 1 { self.depthwise.side() / 2 } else { 0 };
        let line = (to.width + 2 * border) * step;
        let padded = (to.height + 2 * border) * line;
        let mut d_deep = arena.buffer(images * padded);
        let mut d_wide = arena.buffer(images * size.len());
        for image in 0..images {
            let d_deep = &mut d_deep[image * padded..][..padded];
            let inside = border * step..(border + to.width) * step;
            clear_around(d_deep, border, to.height, inside, line);
            let start = border * line + border * step;
            let places = Lines { width: to.width, step, line_step: line };
            let own = &d[image * to.len()..][..to.len()];
            let (reach, from) = (Reach::pixel(self.project_back.inputs(), to.step), Lines::one(to.pixels(), to.step));
            self.project_back.run_lines((own, from), reach, to.pixels(), None, (&mut d_deep[start..], places));
            let deep = &deep[image * to.pixels() * step..];
            let dense = Lines::one(to.pixels(), step);
            let inside = (&mut d_deep[start..], places);
            relu6_backward(cpu, inside, (deep, dense), to.pixels(), &mut grads.biases[depthwise]);
            let wide = &wide[image * sizes_of_block.padded()..][..sizes_of_block.padded()];
            let sums = &mut grads.weights[depthwise];
            let inside = (&d_deep[start..], places);
            self.depthwise.add_weight_gradient(wide, sizes_of_block.pitch * step, to.pixels(), inside, sums);
            let d_wide = &mut d_wide[image * size.len()..][..size.len()];
            match &self.depthwise_back {
                FilterBack::Flipped(flipped) => {
                    let dense = Lines { width: size.width, step, line_step: size.width * step };
                    flipped.run(d_deep, line, size.pixels(), (d_wide, dense));
                }
                FilterBack::Scattered(taps) => {
                    d_wide.fill(0.0);
                    let (side, stride) = (self.depthwise.side(), self.depthwise.stride());
                    let Size { height, width, .. } = size;
                    let before = [sizes_of_block.top, sizes_of_block.left];
                    let scatter = Scatter { side, stride, channels: step, taps, before, height, width };
                    scatter.add(cpu, d_deep, to.width, d_wide);
                }
            }
            let (start, places) = sizes_of_block.places();
            let dense = Lines::one(size.pixels(), step);
            let sums = &mut grads.biases[expand];
            relu6_backward(cpu, (d_wide, dense), (&wide[start..], places), size.pixels(), sums);
        }
        arena.give_buffer(d_deep);
        let pixels = images * size.pixels();
        let mut d_input = None;
        if let Some(expand_back) = &self.expand_back {
            let sides = [self.expand.inputs(), self.widened];
            add_weights(input, from.step, &d_wide, step, sides, pixels, &mut grads.weights[expand]);
            if input_gradient {
                let mut to_input = arena.buffer(images * from.len());
                let residual = self.block.skips.then_some(Residual { data: d, step: to.step });
                let reach = Reach::pixel(expand_back.inputs(), step);
                expand_back.run(&d_wide, reach, pixels, residual, &mut to_input);
                d_input = Some(to_input);
            }
        } else {
            let windows = self.windows(input, from, images);
            let len = self.expand.inputs();
            add_weights(&windows, len, &d_wide, step, [len, self.widened], pixels, &mut grads.weights[expand]);
        }
        arena.give_buffer(d_wide);
        d_input
    }

    /// The input windows of the stem, one after the other.
    fn windows(&self, photos: &[f32], from: Size, images: usize) -> Vec<f32> {
        let each = photos.len() / images;
        let (start, places, reach) = stem_window(self.family, from, 0);
        let mut all = Vec::new();
        for photo in photos.chunks_exact(each) {
            for y in 0..from.height.div_ceil(2) {
                for x in 0..places.width {
                    let window = start + y * places.line_step + x * places.step;
                    for line in 0..reach.lines {
                        all.extend_from_slice(&photo[window + line * reach.line_step..][..reach.line_len]);
                    }
                }
            }
        }
        all
    }
}

/// Adds the sum over all pixels to `out`, whose length is at most a pixel's.
fn add_pixels(d: &[f32], step: usize, out: &mut [f32]) {
    for pixel in d.chunks_exact(step) {
        out.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += v);
    }
}

/// Adds the gradient of a pointwise convolution's weights, `[inputs][outputs]`.
fn add_weights(
    x: &[f32],
    x_step: usize,
    d: &[f32],
    d_step: usize,
    [inputs, outputs]: [usize; 2],
    pixels: usize,
    to: &mut [f32],
) {
    let a = Matrix { data: x, rows: inputs, columns: pixels, row_step: 1, column_step: x_step };
    add_product(a, Matrix { data: d, rows: pixels, columns: outputs, row_step: d_step, column_step: 1 }, to);
}

impl Passes {
    /// The first `frozen` blocks are frozen.
    pub fn new(cpu: Cpu, plan: &Plan, folded: &[Folded], frozen: usize) -> Self {
        let head = plan.head().map(|at| Head {
            at,
            there: pointwise(cpu, &plan.convs[at], &folded[at]),
            back: back(cpu, &plan.convs[at], &folded[at]),
        });
        let (kept, learning) = plan.blocks.split_at(frozen.min(plan.blocks.len()));
        Self {
            cpu,
            plan: plan.clone(),
            frozen: kept.iter().map(|block| FusedBlock::new(cpu, plan, *block, folded)).collect(),
            learning: learning.iter().map(|block| Learning::new(cpu, plan, *block, folded)).collect(),
            head,
        }
    }

    /// Fills one row per photo in the layout of [`Plan::pooled`].
    pub fn forward(&self, photos: Photos<'_>, rows: &mut [f32], work: &mut Workspace) -> Tape {
        let images = photos.count;
        let (stages, features) = self.plan.pooled();
        let mut stages = stages.into_iter();
        let mut pool = |at: usize, map: &[f32], size: Size, rows: &mut [f32]| {
            let block = self.plan.blocks[at];
            let Some(range) = block.ends_stage.then(|| stages.next()).flatten() else { return };
            let channels = self.plan.convs[block.project].outputs;
            for (map, row) in map.chunks_exact(size.len()).zip(rows.chunks_exact_mut(features.end)) {
                means_and_deviations(map, size, channels, &mut row[range.clone()]);
            }
        };
        let input = photos.map(BORDER, &mut work.arena);
        let mut size = photo(photos.height, photos.width);
        let mut first = work.arena.buffer(input.data().len());
        first.copy_from_slice(input.data());
        work.arena.give(input);
        for (at, block) in self.frozen.iter().enumerate() {
            let (from, to) = (first.len() / images, block.output(size));
            let mut next = work.arena.buffer(images * to.len());
            for (input, output) in first.chunks_exact(from).zip(next.chunks_exact_mut(to.len())) {
                block.apply(input, size, output, work);
            }
            pool(at, &next, to, rows);
            work.arena.give_buffer(std::mem::replace(&mut first, next));
            size = to;
        }
        let mut blocks: Vec<ForwardState> = Vec::new();
        for (at, block) in self.learning.iter().enumerate() {
            let input = blocks.last().map_or(&first, |kept| &kept.out);
            let kept = block.forward(input, size, images, &mut work.arena);
            size = kept.sizes_of_block.to;
            pool(self.frozen.len() + at, &kept.out, size, rows);
            blocks.push(kept);
        }
        let input = blocks.last().map_or(&first, |kept| &kept.out);
        let head = self.head.as_ref().map(|Head { there, .. }| {
            let step = there.width();
            let mut head = work.arena.buffer(images * size.pixels() * step);
            there.run(input, Reach::pixel(there.inputs(), size.step), images * size.pixels(), None, &mut head);
            for (map, row) in head.chunks_exact(size.pixels() * step).zip(rows.chunks_exact_mut(features.end)) {
                means(map, step, size.pixels(), &mut row[features.clone()]);
            }
            head
        });
        Tape { images, first, last: size, blocks, head }
    }

    /// Adds the gradients of the weights, given the gradients of the pooled rows.
    pub fn backward(&self, tape: Tape, rows: &[f32], d_rows: &[f32], grads: &mut Gradients, work: &mut Workspace) {
        let Tape { images, first, last, mut blocks, head } = tape;
        let arena = &mut work.arena;
        let (mut stages, features) = self.plan.pooled();
        let mut d = arena.buffer(images * last.len());
        if let (Some(Head { at, there, back }), Some(head)) = (&self.head, head) {
            let (step, pixels) = (there.width(), last.pixels());
            // Every pixel of the last map contributes equally to the mean.
            let mut d_head = arena.buffer(head.len());
            for (map, row) in d_head.chunks_exact_mut(pixels * step).zip(d_rows.chunks_exact(features.end)) {
                for pixel in map.chunks_exact_mut(step) {
                    let (own, padding) = pixel.split_at_mut(features.len());
                    own.iter_mut().zip(&row[features.clone()]).for_each(|(d, row)| *d = row / pixels as f32);
                    padding.fill(0.0);
                }
            }
            let dense = Lines::one(images * pixels, step);
            relu6_backward(self.cpu, (&mut d_head, dense), (&head, dense), images * pixels, &mut grads.biases[*at]);
            let input = blocks.last().map_or(&first, |kept| &kept.out);
            let sides = [there.inputs(), features.len()];
            add_weights(input, last.step, &d_head, step, sides, images * pixels, &mut grads.weights[*at]);
            back.run(&d_head, Reach::pixel(features.len(), step), images * pixels, None, &mut d);
            arena.give_buffer(d_head);
            arena.give_buffer(head);
        } else {
            d.fill(0.0);
        }
        while let Some(kept) = blocks.pop() {
            let block = &self.learning[blocks.len()];
            if block.block.ends_stage
                && let Some(range) = stages.pop()
            {
                let (size, len) = (kept.sizes_of_block.to, kept.sizes_of_block.to.len());
                let parts = kept.out.chunks_exact(len).zip(d.chunks_exact_mut(len));
                let rows = rows.chunks_exact(features.end).zip(d_rows.chunks_exact(features.end));
                for ((map, d), (row, d_row)) in parts.zip(rows) {
                    unpool(map, size, &row[range.clone()], &d_row[range.clone()], d);
                }
            }
            let input = blocks.last().map_or(&first, |kept| &kept.out);
            let given = BackwardInput { kept: &kept, input, d: &d, images, input_gradient: !blocks.is_empty() };
            let further = block.backward(&given, grads, arena);
            arena.give_buffer(kept.wide);
            arena.give_buffer(kept.deep);
            arena.give_buffer(kept.out);
            if let Some(next) = further {
                arena.give_buffer(std::mem::replace(&mut d, next));
            }
        }
        arena.give_buffer(d);
        arena.give_buffer(first);
    }

    /// Gradients of zero.
    pub fn zeros(&self) -> Gradients {
        let whole = |count: usize| count.next_multiple_of(vector_width(self.cpu));
        let weights = |conv: &Conv| {
            let depthwise = conv.kind == Kind::Depthwise;
            vec![0.0; if depthwise { whole(conv.outputs) * conv.side.pow(2) } else { conv.weights() }]
        };
        let convs = &self.plan.convs;
        Gradients {
            weights: convs.iter().map(weights).collect(),
            biases: convs.iter().map(|conv| vec![0.0; whole(conv.outputs)]).collect(),
        }
    }

    /// The gradients in the layout of weight files.
    pub fn in_file_order(&self, grads: &Gradients) -> Vec<Folded> {
        let filters = |at: usize| self.learning.iter().find(|block| block.block.depthwise == at);
        let convs = self.plan.convs.iter().enumerate();
        let folded = |(at, conv): (usize, &Conv)| {
            let sums = &grads.weights[at];
            let weight = match conv.kind {
                Kind::Depthwise => match filters(at) {
                    Some(block) => block.depthwise.in_file_order(sums, conv.outputs),
                    None => vec![0.0; conv.weights()],
                },
                // The stem's taps come before its channels, so they are swapped once more.
                Kind::Stem => channels_last(&transposed(sums, conv.outputs), conv.side.pow(2), conv.inputs),
                Kind::Expand | Kind::Project | Kind::Head => transposed(sums, conv.outputs),
            };
            Folded { weight, bias: grads.biases[at][..conv.outputs].to_vec() }
        };
        convs.map(folded).collect()
    }
}

impl Gradients {
    pub fn add(&mut self, other: &Self) {
        let pairs = self.weights.iter_mut().zip(&other.weights).chain(self.biases.iter_mut().zip(&other.biases));
        for (to, from) in pairs {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
    }
}

/// Adds the gradient through mean and deviation of each channel to every pixel of the map.
fn unpool(map: &[f32], size: Size, row: &[f32], d_row: &[f32], d: &mut [f32]) {
    let channels = row.len() / 2;
    let count = size.pixels() as f32;
    let ((mean, deviation), (d_mean, d_deviation)) = (row.split_at(channels), d_row.split_at(channels));
    let shares: Vec<(f32, f32)> = (d_mean.iter().zip(d_deviation).zip(deviation))
        .map(|((mean, spread), deviation)| (mean / count, spread / (count * deviation)))
        .collect();
    for (d, pixel) in d.chunks_exact_mut(size.step).zip(map.chunks_exact(size.step)) {
        for ((d, v), (mean, (share, spread))) in d.iter_mut().zip(pixel).zip(mean.iter().zip(&shares)) {
            *d += share + spread * (v - mean);
        }
    }
}
