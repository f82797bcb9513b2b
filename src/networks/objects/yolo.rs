//! YOLOv8 of ultralytics: the graph of its operators, built from the tensors of a `.pt` of any width and depth.

use std::sync::Arc;

use base::pixels::Pixels;

use super::suppression::{Candidate, kept};
use super::{Class, LEAST_SCORE, Object, named};
use crate::bilinear::stretched;
use crate::checkpoint::{Ledger, Names, WeightsError};
use crate::graph::{Arithmetic, Function, Graph, GraphError, Network, Node, Operator, Place, Sliding, Tensor, Value};
use crate::weights::WeightsFile;

/// The longer side at which the network sees a picture.
const LONG: f32 = 640.0;
/// Sides are padded to multiples of this with grey.
const STEP: usize = 32;
const GREY: f32 = 114.0;
/// The pixels of a cell of each map of predictions.
const STRIDES: [usize; 3] = [8, 16, 32];
/// The distances of an edge that the network weighs, in cells.
const BINS: usize = 16;

const OVERLAP: f32 = 0.7;
const MOST: usize = 300;

#[derive(Debug)]
pub struct Yolo {
    network: Network,
    /// In the order of the outputs.
    classes: Arc<[Class]>,
}

/// A failure to load: the file, or what it holds.
#[derive(Debug, thiserror::Error)]
pub enum YoloError {
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl Yolo {
    /// Builds the network of a file. A file that names none but known classes gets their numbers.
    pub fn load(file: &WeightsFile, known: &[Class], place: impl Into<Place>) -> Result<Self, YoloError> {
        let ledger = Ledger::new(file);
        let (graph, classes) = Builder::new(&ledger.root()).build()?;
        // The weights of the bins are their numbers.
        ledger.close(|name| name == "model.22.dfl.conv.weight" || name.ends_with("num_batches_tracked"))?;
        Ok(Self { network: Network::new(graph, place)?, classes: classes_of(file, classes, known) })
    }

    pub fn bytes(&self) -> usize {
        self.network.bytes()
    }

    pub fn find(&self, picture: &Pixels) -> Result<Vec<Object>, GraphError> {
        let seen = Letterbox::of(picture.width() as f32, picture.height() as f32);
        let input = seen.filled(picture).ok_or(GraphError::TooLarge { what: "a picture" })?;
        let mut candidates = Vec::new();
        self.predict(input, LEAST_SCORE, |candidate| candidates.push(candidate))?;
        for candidate in &mut candidates {
            candidate.edges = seen.relative(candidate.edges);
        }
        Ok(named(kept(candidates, OVERLAP, MOST), |class| self.classes.get(class as usize)))
    }

    /// The prediction of each cell whose likeliest class has at least this score, with edges in pixels of the input.
    pub fn predict(&self, input: Tensor, least: f32, mut take: impl FnMut(Candidate)) -> Result<(), GraphError> {
        let outputs = self.network.run(input)?;
        for (scale, (maps, stride)) in outputs.chunks_exact(2).zip(STRIDES).enumerate() {
            let (edges, scores) = (&maps[0], &maps[1]);
            let misshapen = |found: &Tensor| {
                let problem = format!("{:?} is no map of predictions", found.shape);
                GraphError::Tensor { name: format!("model.22 {scale}"), problem }
            };
            let &[1, _, columns, 64] = edges.shape.as_slice() else { return Err(misshapen(edges)) };
            if scores.shape[..3] != edges.shape[..3] {
                return Err(misshapen(scores));
            }
            let cells = edges.data.chunks_exact(4 * BINS).zip(scores.data.chunks_exact(self.classes.len()));
            for (at, (edges, scores)) in cells.enumerate() {
                let (class, logit) = scores
                    .iter()
                    .enumerate()
                    .fold((0, f32::MIN), |best, (i, &v)| if v > best.1 { (i, v) } else { best });
                let score = 1.0 / (1.0 + (-logit).exp());
                if score >= least {
                    let (x, y) = ((at % columns) as f32 + 0.5, (at / columns) as f32 + 0.5);
                    let [left, top, right, bottom] =
                        std::array::from_fn(|edge| distance(&edges[edge * BINS..][..BINS]));
                    let edges = [x - left, y - top, x + right, y + bottom].map(|edge| edge * stride as f32);
                    take(Candidate { class: class as u32, score, edges });
                }
            }
        }
        Ok(())
    }
}

/// The mean of the bins by their weights.
fn distance(bins: &[f32]) -> f32 {
    let most = bins.iter().copied().fold(f32::MIN, f32::max);
    let (mut sum, mut total) = (0.0, 0.0);
    for (bin, weight) in bins.iter().enumerate() {
        let weight = (weight - most).exp();
        sum += bin as f32 * weight;
        total += weight;
    }
    sum / total
}

/// The names in the file, with the numbers of known classes if all are known.
fn classes_of(file: &WeightsFile, count: usize, known: &[Class]) -> Arc<[Class]> {
    let names = ["ema", "model"].into_iter().find_map(|key| file.metadata().get(key)?.get("names")?.as_object());
    let name = |at: usize| {
        let name = names.and_then(|names| names.get(&at.to_string())).and_then(serde_json::Value::as_str);
        name.map_or_else(|| at.to_string(), str::to_owned)
    };
    let number = |name: &String| known.iter().find(|(_, label)| label == name).map(|(number, _)| *number);
    let names: Vec<String> = (0..count).map(name).collect();
    match names.iter().map(number).collect::<Option<Vec<u32>>>() {
        Some(numbers) => numbers.into_iter().zip(names).collect(),
        None => (0..).zip(names).collect(),
    }
}

/// How a picture lies in the input: enlarged or reduced to [`LONG`], with borders.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Letterbox {
    /// The picture in the input.
    size: [usize; 2],
    /// What lies left of it and above.
    before: [usize; 2],
    whole: [usize; 2],
    /// The scale by which ultralytics converts boxes.
    scale: f32,
    picture: [f32; 2],
}

impl Letterbox {
    fn of(width: f32, height: f32) -> Self {
        let scale = (LONG / width).min(LONG / height);
        let size = [width, height].map(|side| ((side * scale).round_ties_even() as usize).max(1));
        let whole = size.map(|side| side.next_multiple_of(STEP));
        // As ultralytics rounds half of an odd border.
        let before =
            std::array::from_fn(|axis| ((whole[axis] - size[axis]) as f32 / 2.0 - 0.1).round().max(0.0) as usize);
        Self { size, before, whole, scale, picture: [width, height] }
    }

    fn filled(&self, picture: &Pixels) -> Option<Tensor> {
        let ([width, height], [left, top]) = (self.whole, self.before);
        let mut data = vec![GREY / 255.0; 3 * width * height];
        let mut pixels = stretched(picture, self.size[0], self.size[1]);
        for row in data.chunks_exact_mut(3 * width).skip(top).take(self.size[1]) {
            for (to, from) in row[3 * left..].as_chunks_mut::<3>().0.iter_mut().zip(pixels.by_ref().take(self.size[0]))
            {
                *to = from.map(|colour| colour / 255.0);
            }
        }
        Tensor::picture(height, width, 3, data)
    }

    fn relative(&self, edges: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|edge| {
            let axis = edge % 2;
            (edges[edge] - self.before[axis] as f32) / self.scale / self.picture[axis]
        })
    }
}

/// Builds the graph, an operator after the other; names and shapes are those of the file.
struct Builder<'a> {
    names: &'a Names<'a>,
    nodes: Vec<Node>,
    constants: Vec<Option<Value>>,
}

impl<'a> Builder<'a> {
    fn new(names: &'a Names<'a>) -> Self {
        Self { names, nodes: Vec::new(), constants: vec![None] }
    }

    /// The graph, and its number of classes.
    fn build(mut self) -> Result<(Graph, usize), WeightsError> {
        let mut x = self.conv(0, "model.0", 2)?;
        x = self.conv(x, "model.1", 2)?;
        x = self.c2f(x, "model.2", true)?;
        x = self.conv(x, "model.3", 2)?;
        let large = self.c2f(x, "model.4", true)?;
        x = self.conv(large, "model.5", 2)?;
        let middle = self.c2f(x, "model.6", true)?;
        x = self.conv(middle, "model.7", 2)?;
        x = self.c2f(x, "model.8", true)?;
        let small = self.pooled(x, "model.9")?;
        x = self.upsampled(small);
        x = self.concat(vec![x, middle]);
        let middle = self.c2f(x, "model.12", false)?;
        x = self.upsampled(middle);
        x = self.concat(vec![x, large]);
        let first = self.c2f(x, "model.15", false)?;
        x = self.conv(first, "model.16", 2)?;
        x = self.concat(vec![x, middle]);
        let second = self.c2f(x, "model.18", false)?;
        x = self.conv(second, "model.19", 2)?;
        x = self.concat(vec![x, small]);
        let third = self.c2f(x, "model.21", false)?;
        let (mut outputs, mut classes) = (Vec::new(), 0);
        for (scale, x) in [first, second, third].into_iter().enumerate() {
            for part in ["cv2", "cv3"] {
                let name = format!("model.22.{part}.{scale}");
                let y = self.conv(x, &format!("{name}.0"), 1)?;
                let y = self.conv(y, &format!("{name}.1"), 1)?;
                let names = self.names.under(format!("{name}.2"));
                let shape = names.dims::<4>("weight")?;
                let weight = self.tensor(shape.to_vec(), names.take("weight", &shape)?);
                let bias = self.tensor(vec![shape[0]], names.take("bias", &shape[..1])?);
                let y = self.add(Operator::Conv(window(1, 1), 1), vec![Some(y), Some(weight), Some(bias)]);
                outputs.push(self.add(Operator::Transpose(vec![0, 2, 3, 1]), vec![Some(y)]));
                classes = shape[0];
            }
        }
        let (nodes, constants) = (self.nodes, self.constants);
        Ok((Graph { nodes, constants, input: 0, outputs, metadata: std::collections::HashMap::new() }, classes))
    }

    fn tensor(&mut self, shape: Vec<usize>, data: Vec<f32>) -> usize {
        self.constants.push(Tensor::new(shape, data).map(|tensor| Value::Floats(Arc::new(tensor))));
        self.constants.len() - 1
    }

    fn add(&mut self, operator: Operator, inputs: Vec<Option<usize>>) -> usize {
        self.constants.push(None);
        let output = self.constants.len() - 1;
        self.nodes.push(Node { operator, name: String::new(), inputs, output });
        output
    }

    /// A convolution with normalisation and SiLU.
    fn conv(&mut self, x: usize, name: &str, stride: usize) -> Result<usize, WeightsError> {
        let names = self.names.under(name);
        let shape = names.dims::<4>("conv.weight")?;
        let weight = self.tensor(shape.to_vec(), names.take("conv.weight", &shape)?);
        let x = self.add(Operator::Conv(window(shape[2], stride), 1), vec![Some(x), Some(weight)]);
        let mut inputs = vec![Some(x)];
        for part in ["weight", "bias", "running_mean", "running_var"] {
            let part = names.take(&format!("bn.{part}"), &shape[..1])?;
            inputs.push(Some(self.tensor(vec![shape[0]], part)));
        }
        let x = self.add(Operator::BatchNormalization(1e-3), inputs);
        Ok(self.add(Operator::Unary(Function::Silu), vec![Some(x)]))
    }

    /// Half of the channels go through a row of bottlenecks, each of whose outputs is kept.
    fn c2f(&mut self, x: usize, name: &str, shortcut: bool) -> Result<usize, WeightsError> {
        let half = self.names.under(name).dims::<4>("cv1.conv.weight")?[0] / 2;
        let x = self.conv(x, &format!("{name}.cv1"), 1)?;
        let mut parts = [(0, half), (half, 2 * half)].map(|(begin, end)| self.channels(x, begin, end)).to_vec();
        let mut last = parts[1];
        for number in 0.. {
            let bottleneck = format!("{name}.m.{number}");
            if !self.names.has(&format!("{bottleneck}.cv1.conv.weight")) {
                break;
            }
            let y = self.conv(last, &format!("{bottleneck}.cv1"), 1)?;
            let y = self.conv(y, &format!("{bottleneck}.cv2"), 1)?;
            last = if shortcut { self.add(Operator::Binary(Arithmetic::Add), vec![Some(last), Some(y)]) } else { y };
            parts.push(last);
        }
        let joined = self.concat(parts);
        self.conv(joined, &format!("{name}.cv2"), 1)
    }

    fn channels(&mut self, x: usize, begin: usize, end: usize) -> usize {
        let [begin, end, axis] = [begin, end, 1].map(|number| {
            self.constants.push(Some(Value::Integers(vec![1], vec![number as i64])));
            Some(self.constants.len() - 1)
        });
        self.add(Operator::Slice, vec![Some(x), begin, end, axis])
    }

    /// Pooled over ever larger windows, by pooling three times.
    fn pooled(&mut self, x: usize, name: &str) -> Result<usize, WeightsError> {
        let mut parts = vec![self.conv(x, &format!("{name}.cv1"), 1)?];
        for pool in 0..3 {
            let window = Sliding { window: Some([5, 5]), ..window(5, 1) };
            parts.push(self.add(Operator::MaxPool(window), vec![Some(parts[pool])]));
        }
        let joined = self.concat(parts);
        self.conv(joined, &format!("{name}.cv2"), 1)
    }

    fn upsampled(&mut self, x: usize) -> usize {
        let factors = self.tensor(vec![4], vec![1.0, 1.0, 2.0, 2.0]);
        self.add(Operator::Resize, vec![Some(x), None, Some(factors)])
    }

    fn concat(&mut self, parts: Vec<usize>) -> usize {
        self.add(Operator::Concat(1), parts.into_iter().map(Some).collect())
    }
}

/// A square window with a border of half its size.
fn window(side: usize, stride: usize) -> Sliding {
    Sliding { window: None, strides: [stride; 2], pads: [side / 2; 4], same: false }
}
