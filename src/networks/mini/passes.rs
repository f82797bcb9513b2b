//! Forward and backward through the convolutions, for a few photos at a time.

use super::{INPUTS, Kind, Layer, POOLED, layers};
use kernels::gradient::{Matrix, add_pixels, add_product, add_weight_gradient, rectify};
use kernels::{Activation, Arena, Conv, Engine, Map, Scratch, Shape};

/// Adds to variances before the root, whose slope at zero has no end.
const EPS: f32 = 1e-4;

/// The convolutions packed for the kernels.
#[derive(Debug)]
pub struct Convs {
    forward: Vec<(Layer, Conv)>,
    /// What takes gradients back through each; none where nothing asks for it.
    backward: Vec<Back>,
}

#[derive(Debug)]
enum Back {
    None,
    Conv(Conv),
    /// `[outputs][4 * inputs]`.
    Merge(Vec<f32>),
}

/// Gradients of all weights (as `[side][side * inputs][outputs]`) and biases, layer by layer.
#[derive(Debug, Clone)]
pub struct Grad {
    pub weights: Vec<Vec<f32>>,
    pub biases: Vec<Vec<f32>>,
}

impl Grad {
    pub fn zeros() -> Self {
        let layers = layers();
        Self {
            weights: layers.iter().map(|(_, layer)| vec![0.0; layer.weights()]).collect(),
            biases: layers.iter().map(|(_, layer)| vec![0.0; layer.outputs]).collect(),
        }
    }

    pub fn clear(&mut self) {
        self.weights.iter_mut().chain(&mut self.biases).for_each(|values| values.fill(0.0));
    }

    pub fn add(&mut self, other: &Self) {
        let pairs = self.weights.iter_mut().zip(&other.weights).chain(self.biases.iter_mut().zip(&other.biases));
        for (to, from) in pairs {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
    }
}

/// What a forward pass leaves for the backward one: the input and every layer's output.
#[derive(Debug)]
pub struct Tape {
    maps: Vec<Map>,
}

impl Tape {
    /// All but the input goes back to where it came from.
    pub fn give(self, arena: &mut Arena) -> Option<Map> {
        let mut maps = self.maps.into_iter();
        let input = maps.next();
        maps.for_each(|map| arena.give(map));
        input
    }
}

impl Convs {
    /// From the weights of each layer (`[outputs][inputs][side][side]`) and its bias; `trains` packs the way back, too.
    pub fn new(engine: Engine, weights: &[(Vec<f32>, Vec<f32>)], trains: bool) -> Self {
        let layers: Vec<Layer> = layers().into_iter().map(|(_, layer)| layer).collect();
        let conv = |(layer, (weight, bias)): (&Layer, &(Vec<f32>, Vec<f32>))| {
            (*layer, Conv::new(engine, layer.window(), weight, bias))
        };
        let back = |(at, (layer, (weight, _))): (usize, (&Layer, &(Vec<f32>, Vec<f32>)))| {
            if at == 0 || !trains { Back::None } else { Back::new(engine, layer, weight) }
        };
        let forward = layers.iter().zip(weights).map(conv).collect();
        let backward = layers.iter().zip(weights).enumerate().map(back).collect();
        Self { forward, backward }
    }

    pub fn bytes(&self) -> usize {
        self.forward.iter().map(|(_, conv)| conv.bytes()).sum()
    }

    /// The shape of the input map for pictures of this size.
    pub fn input(images: usize, height: usize, width: usize) -> Shape {
        Shape { images, height: height / 2, width: width / 2, channels: INPUTS, border: 0 }
    }

    /// Fills `pooled`, a row of [`POOLED`] a photo, and keeps what the way back needs.
    pub fn forward(&self, input: Map, pooled: &mut [f32], arena: &mut Arena, scratch: &mut Scratch) -> Tape {
        let mut maps = vec![input];
        let mut at = 0;
        for (layer, conv) in &self.forward {
            let from = &maps[maps.len() - 1];
            let mut out = arena.take(conv.output(from.shape(), 1));
            let residual = (layer.kind == Kind::Point).then(|| &maps[maps.len() - 2]);
            conv.apply(from, &mut out, residual, Activation::Relu, scratch);
            if layer.pooled {
                pool(&out, pooled, at);
                at += 2 * layer.outputs;
            }
            maps.push(out);
        }
        Tape { maps }
    }

    /// Adds the gradients of the weights, given those of the pooled rows.
    pub fn backward(
        &self,
        tape: Tape,
        pooled: &[f32],
        d_pooled: &[f32],
        grad: &mut Grad,
        arena: &mut Arena,
        scratch: &mut Scratch,
    ) {
        let mut maps = tape.maps;
        let mut at = POOLED;
        let mut d: Option<Map> = None;
        let mut around: Option<Map> = None;
        for (i, (layer, _)) in self.forward.iter().enumerate().rev() {
            let Some(y) = maps.pop() else { return };
            let mut here = d.take().unwrap_or_else(|| {
                let mut zero = arena.take(y.shape());
                for image in 0..zero.shape().images {
                    (0..zero.shape().height).for_each(|row| zero.row_mut(image, row).fill(0.0));
                }
                zero
            });
            if layer.pooled {
                at -= 2 * layer.outputs;
                unpool(&y, pooled, d_pooled, at, &mut here);
            }
            rectify(&mut here, &y);
            arena.give(y);
            let x = &maps[maps.len() - 1];
            add_pixels(&here, &mut grad.biases[i]);
            match (&self.backward[i], layer.kind) {
                (_, Kind::Merge) => {
                    let (columns, rows) = (gather(x), dense(&here));
                    let (pixels, width) = (rows.len() / layer.outputs, 4 * layer.inputs);
                    let a = Matrix { data: &columns, rows: width, columns: pixels, row_step: 1, column_step: width };
                    add_product(a, rows_of(&rows, layer.outputs), &mut grad.weights[i]);
                    if let Back::Merge(weight) = &self.backward[i] {
                        let mut back = vec![0.0; columns.len()];
                        add_product(rows_of(&rows, layer.outputs), rows_of(weight, width), &mut back);
                        let mut map = arena.take(x.shape());
                        scatter(&back, &mut map);
                        d = Some(map);
                    }
                    arena.give(here);
                }
                (Back::Conv(conv), Kind::Point) => {
                    add_weight_gradient(x, &here, 1, &mut grad.weights[i]);
                    let mut map = arena.take(x.shape());
                    conv.apply(&here, &mut map, None, Activation::Identity, scratch);
                    d = Some(map);
                    around = Some(here);
                }
                (Back::Conv(conv), Kind::Wide) => {
                    add_weight_gradient(x, &here, 3, &mut grad.weights[i]);
                    let mut map = arena.take(x.shape());
                    conv.apply(&here, &mut map, around.as_ref(), Activation::Identity, scratch);
                    d = Some(map);
                    arena.give(here);
                    if let Some(done) = around.take() {
                        arena.give(done);
                    }
                }
                (Back::None | Back::Merge(_), Kind::Wide | Kind::Point) => {
                    unreachable!("the first layer halves; the others have a way back")
                }
            }
        }
        // The input is not the arena's: given to it, it would pile up there.
    }
}

impl Back {
    fn new(engine: Engine, layer: &Layer, weight: &[f32]) -> Self {
        let (side, inputs, outputs) = (layer.window().side, layer.inputs, layer.outputs);
        if layer.kind == Kind::Merge {
            let mut rows = vec![0.0; weight.len()];
            for (n, row) in rows.chunks_exact_mut(4 * inputs).enumerate() {
                for (at, value) in row.iter_mut().enumerate() {
                    let (c, tap) = (at % inputs, at / inputs);
                    *value = weight[(n * inputs + c) * 4 + tap];
                }
            }
            return Self::Merge(rows);
        }
        // The same window turned around, inputs and outputs exchanged.
        let taps = side * side;
        let mut turned = vec![0.0; weight.len()];
        for n in 0..outputs {
            for c in 0..inputs {
                for tap in 0..taps {
                    turned[(c * outputs + n) * taps + taps - 1 - tap] = weight[(n * inputs + c) * taps + tap];
                }
            }
        }
        Self::Conv(Conv::new(engine, layer.window(), &turned, &vec![0.0; inputs]))
    }
}

fn rows_of(data: &[f32], columns: usize) -> Matrix<'_> {
    Matrix { data, rows: data.len() / columns, columns, row_step: columns, column_step: 1 }
}

/// The four pixels under each output of a merge, side by side.
fn gather(x: &Map) -> Vec<f32> {
    let Shape { images, height, channels, .. } = x.shape();
    let mut out = Vec::with_capacity(images * height * x.shape().width * channels);
    for image in 0..images {
        for y in 0..height / 2 {
            let (above, below) = (x.row(image, 2 * y), x.row(image, 2 * y + 1));
            for (a, b) in above.chunks_exact(2 * channels).zip(below.chunks_exact(2 * channels)) {
                out.extend_from_slice(a);
                out.extend_from_slice(b);
            }
        }
    }
    out
}

fn scatter(columns: &[f32], map: &mut Map) {
    let Shape { images, height, width, channels, .. } = map.shape();
    let len = 2 * channels;
    let mut from = columns.chunks_exact(len * width);
    for image in 0..images {
        for y in 0..height / 2 {
            let Some(line) = from.next() else { return };
            for half in 0..2 {
                let row = map.row_mut(image, 2 * y + half);
                for (to, pixels) in row.chunks_exact_mut(len).zip(line.chunks_exact(2 * len)) {
                    to.copy_from_slice(&pixels[half * len..][..len]);
                }
            }
        }
    }
}

/// The pixels without the border.
fn dense(map: &Map) -> Vec<f32> {
    let Shape { images, height, width, channels, .. } = map.shape();
    let mut out = Vec::with_capacity(images * height * width * channels);
    for image in 0..images {
        (0..height).for_each(|y| out.extend_from_slice(map.row(image, y)));
    }
    out
}

/// Mean and deviation of every channel, written at `at` of each photo's row.
fn pool(map: &Map, pooled: &mut [f32], at: usize) {
    let Shape { images, height, width, channels, .. } = map.shape();
    let count = (height * width) as f32;
    for (image, row) in pooled.chunks_exact_mut(POOLED).enumerate().take(images) {
        let (means, deviations) = row[at..at + 2 * channels].split_at_mut(channels);
        means.fill(0.0);
        deviations.fill(0.0);
        for y in 0..height {
            for pixel in map.row(image, y).chunks_exact(channels) {
                for ((mean, square), v) in means.iter_mut().zip(deviations.iter_mut()).zip(pixel) {
                    *mean += v;
                    *square += v * v;
                }
            }
        }
        for (mean, square) in means.iter_mut().zip(deviations) {
            *mean /= count;
            *square = ((*square / count - *mean * *mean).max(0.0) + EPS).sqrt();
        }
    }
}

/// Adds the gradient of [`pool`].
fn unpool(y: &Map, pooled: &[f32], d_pooled: &[f32], at: usize, d: &mut Map) {
    let Shape { images, height, width, channels, .. } = y.shape();
    let count = (height * width) as f32;
    for image in 0..images {
        let range = image * POOLED + at..image * POOLED + at + 2 * channels;
        let (means, deviations) = pooled[range.clone()].split_at(channels);
        let (d_means, d_deviations) = d_pooled[range].split_at(channels);
        let slope: Vec<f32> = d_deviations.iter().zip(deviations).map(|(d, s)| d / (s * count)).collect();
        let level: Vec<f32> =
            d_means.iter().zip(&slope).zip(means).map(|((d, slope), mean)| d / count - slope * mean).collect();
        for row in 0..height {
            let from = y.row(image, row);
            for (pixel, v) in d.row_mut(image, row).chunks_exact_mut(channels).zip(from.chunks_exact(channels)) {
                for (((to, v), slope), level) in pixel.iter_mut().zip(v).zip(&slope).zip(&level) {
                    *to += slope * v + level;
                }
            }
        }
    }
}
