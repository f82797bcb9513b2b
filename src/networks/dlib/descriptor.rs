//! The residual network that turns a face chip into 128 numbers, read from `dlib_face_recognition_resnet_model_v1.dat`.
//!
//! A file is a list of layers in order of computation, each with its training state. The layers are known, so the file must
//! have exactly these.

use super::stream::Stream;
use super::{CHIP, DlibError};
use crate::fused::{Batch, Network, Photos, Workspace};
use kernels::{Activation, Conv, Engine, Linear, Map, Shape, Window, max_pool, mean_pool};

type Result<T> = std::result::Result<T, DlibError>;

/// Length of a descriptor.
pub const DESCRIPTOR: usize = 128;
const STEM: (usize, Window) = (32, Window { side: 7, stride: 2, padding: 0 });
const POOL: Window = Window { side: 3, stride: 2, padding: 0 };
/// Channels of each residual block, and whether it halves the sides.
const BLOCKS: [(usize, bool); 14] = [
    (32, false),
    (32, false),
    (32, false),
    (64, true),
    (64, false),
    (64, false),
    (64, false),
    (128, true),
    (128, false),
    (128, false),
    (256, true),
    (256, false),
    (256, false),
    (256, true),
];
/// Channels of the last block.
const FEATURES: usize = 256;
/// Layers, tags and references to tags between the output and the first layer; each has a number of its kind in the file.
const NESTED: usize = 129;

/// The means of red, green and blue, which are subtracted before dividing by 256.
type Means = [f32; 3];

#[derive(Debug)]
pub struct FaceDescriptor {
    means: Means,
    stem: Conv,
    engine: Engine,
    blocks: Vec<Block>,
    last: Linear,
}

#[derive(Debug)]
struct Block {
    first: Conv,
    second: Conv,
    halves: bool,
}

impl FaceDescriptor {
    pub fn read(bytes: &[u8], engine: Engine) -> Result<Self> {
        let mut file = Stream::new(bytes);
        file.expect("version of the file", 1)?;
        file.text("loss", "loss_metric_2")?;
        let _margins = [file.float("loss")?, file.float("loss")?];
        for _ in 0..NESTED {
            match file.int("kind of a layer")? {
                1 | 2 => {}
                other => return Err(unexpected("kind of a layer", &other, &"1 or 2")),
            }
        }
        file.expect("kind of the first layer", 3)?;
        file.text("input", "input_rgb_image_sized")?;
        let mut mean = || file.float("mean colour").map(|mean| mean as f32);
        let means = [mean()?, mean()?, mean()?];
        file.expect("height of the input", CHIP as i64)?;
        file.expect("width of the input", CHIP as i64)?;
        let stem = convolution(&mut file, engine, Batch::CHANNELS, STEM.0, STEM.1, true)?;
        plain(&mut file, "relu_")?;
        pooling(&mut file, "max_pool_2", POOL)?;
        let mut inputs = STEM.0;
        let mut blocks = Vec::with_capacity(BLOCKS.len());
        for (outputs, halves) in BLOCKS {
            let window = if halves { (2, 0) } else { (1, 1) };
            let first = Window { side: 3, stride: window.0, padding: window.1 };
            let first = convolution(&mut file, engine, inputs, outputs, first, false)?;
            plain(&mut file, "relu_")?;
            let second = Window { side: 3, stride: 1, padding: 1 };
            let second = convolution(&mut file, engine, outputs, outputs, second, false)?;
            if halves {
                pooling(&mut file, "avg_pool_2", Window { side: 2, stride: 2, padding: 0 })?;
            }
            plain(&mut file, "add_prev_")?;
            plain(&mut file, "relu_")?;
            blocks.push(Block { first, second, halves });
            inputs = outputs;
        }
        pooling(&mut file, "avg_pool_2", Window { side: 0, stride: 1, padding: 0 })?;
        let last = linear(&mut file, engine)?;
        file.finish()?;
        Ok(Self { means, stem, engine, blocks, last })
    }

    /// Normalises a chip for the network.
    pub fn batch(chip: &[u8]) -> Batch {
        Batch { photos: 1, height: CHIP, width: CHIP, data: chip.iter().copied().map(f32::from).collect() }
    }
}

fn unexpected(what: &'static str, found: &dyn ToString, expected: &dyn ToString) -> DlibError {
    DlibError::Unexpected { what, found: found.to_string(), expected: expected.to_string() }
}

/// Reads the end of a layer: three flags, and three tensors that are empty in a published file.
fn trailer(file: &mut Stream<'_>, is_first: bool) -> Result<()> {
    for _ in 0..3 {
        file.flag("flag of a layer")?;
    }
    for _ in 0..3 {
        file.tensor("training state of a layer", [0; 4])?;
    }
    if is_first { file.expect("photos of a sample", 1) } else { Ok(()) }
}

/// A layer without weights.
fn plain(file: &mut Stream<'_>, name: &'static str) -> Result<()> {
    file.text("layer", name)?;
    trailer(file, false)
}

fn window(file: &mut Stream<'_>, what: &'static str, window: Window) -> Result<()> {
    for expected in [window.side, window.side, window.stride, window.stride, window.padding, window.padding] {
        file.expect(what, expected as i64)?;
    }
    Ok(())
}

fn pooling(file: &mut Stream<'_>, name: &'static str, of: Window) -> Result<()> {
    file.text("layer", name)?;
    window(file, "window of a pooling", of)?;
    trailer(file, false)
}

/// Four learning rates.
fn rates(file: &mut Stream<'_>) -> Result<()> {
    (0..4).try_for_each(|_| file.float("rate of learning").map(drop))
}

/// A convolution, with the scale and shift of each channel folded in.
fn convolution(
    file: &mut Stream<'_>,
    engine: Engine,
    inputs: usize,
    outputs: usize,
    of: Window,
    is_first: bool,
) -> Result<Conv> {
    const WHAT: &str = "convolution";
    let each = inputs * of.side * of.side;
    file.text("layer", "con_4")?;
    let mut weight = file.tensor(WHAT, [outputs * each + outputs, 1, 1, 1])?;
    file.expect(WHAT, outputs as i64)?;
    window(file, WHAT, of)?;
    file.alias(WHAT, [outputs, inputs, of.side, of.side])?;
    file.alias(WHAT, [1, outputs, 1, 1])?;
    rates(file)?;
    trailer(file, is_first)?;
    file.text("layer", "affine_")?;
    let affine = file.tensor("scale and shift", [2 * outputs, 1, 1, 1])?;
    for _ in 0..2 {
        file.alias("scale and shift", [1, outputs, 1, 1])?;
    }
    file.expect("mode of scale and shift", 0)?;
    trailer(file, false)?;
    let mut bias = weight.split_off(outputs * each);
    let (scale, shift) = affine.split_at(outputs);
    for (n, weight) in weight.chunks_exact_mut(each).enumerate() {
        weight.iter_mut().for_each(|w| *w *= scale[n]);
        bias[n] = bias[n] * scale[n] + shift[n];
    }
    Ok(Conv::new(engine, of, &weight, &bias))
}

/// The last layer, which has no bias. Files have its weights by input.
fn linear(file: &mut Stream<'_>, engine: Engine) -> Result<Linear> {
    const WHAT: &str = "last layer";
    file.text("layer", "fc_2")?;
    file.expect(WHAT, DESCRIPTOR as i64)?;
    file.expect(WHAT, FEATURES as i64)?;
    let by_input = file.tensor(WHAT, [FEATURES, DESCRIPTOR, 1, 1])?;
    file.alias(WHAT, [FEATURES, DESCRIPTOR, 1, 1])?;
    file.alias(WHAT, [0; 4])?;
    file.expect(WHAT, 1)?;
    rates(file)?;
    trailer(file, false)?;
    let weight: Vec<f32> = (0..DESCRIPTOR)
        .flat_map(|out| (0..FEATURES).map(move |from| (from, out)))
        .map(|(from, out)| by_input[from * DESCRIPTOR + out])
        .collect();
    Ok(Linear::new(engine, &weight, &[0.0; DESCRIPTOR]))
}

impl Block {
    fn apply(&self, input: Map, work: &mut Workspace) -> Map {
        let Workspace { arena, scratch } = work;
        let mut between = arena.take(self.first.output(input.shape(), 1));
        self.first.apply(&input, &mut between, None, Activation::Relu, scratch);
        let shape = self.second.output(between.shape(), 1);
        let out = if self.halves {
            let mut long = arena.take(Shape { border: 0, ..shape });
            self.second.apply(&between, &mut long, None, Activation::Identity, scratch);
            let short = input.shape();
            let (height, width) = (shape.height.max(short.height / 2), shape.width.max(short.width / 2));
            let mut out = arena.take(Shape { height, width, ..shape });
            add_halved(&input, &long, &mut out);
            arena.give(long);
            out
        } else {
            let mut out = arena.take(shape);
            self.second.apply(&between, &mut out, Some(&input), Activation::Relu, scratch);
            out
        };
        arena.give(between);
        arena.give(input);
        out
    }
}

/// The sum of a map and the 2×2 average pooling of another, clamped at zero. Missing channels and edges count as zero.
fn add_halved(input: &Map, long: &Map, out: &mut Map) {
    let (short, from, to) = (input.shape(), long.shape(), out.shape());
    for image in 0..to.images {
        for y in 0..to.height {
            let mut row = vec![0.0; to.width * to.channels];
            if y < from.height {
                row[..from.width * from.channels].copy_from_slice(long.row(image, y));
            }
            if y < short.height / 2 {
                let [above, below] = [2 * y, 2 * y + 1].map(|y| input.row(image, y));
                for x in 0..short.width / 2 {
                    let [left, right] = [2 * x, 2 * x + 1].map(|x| x * short.channels);
                    for c in 0..short.channels {
                        let sum = above[left + c] + above[right + c] + below[left + c] + below[right + c];
                        row[x * to.channels + c] += sum / 4.0;
                    }
                }
            }
            row.iter_mut().for_each(|v| *v = v.max(0.0));
            out.row_mut(image, y).copy_from_slice(&row);
        }
    }
}

impl Network for FaceDescriptor {
    fn features(&self) -> usize {
        DESCRIPTOR
    }

    fn bytes(&self) -> usize {
        let block = |block: &Block| block.first.bytes() + block.second.bytes();
        self.stem.bytes() + self.blocks.iter().map(block).sum::<usize>() + self.last.bytes()
    }

    fn accepts(&self, height: usize, width: usize) -> bool {
        (height, width) == (CHIP, CHIP)
    }

    fn forward(&self, photos: Photos<'_>, out: &mut [f32], work: &mut Workspace) {
        let mut input = photos.map(0, &mut work.arena);
        for line in 0..photos.count * CHIP {
            let pixels = input.row_mut(line / CHIP, line % CHIP).as_chunks_mut::<3>().0;
            pixels
                .iter_mut()
                .for_each(|pixel| pixel.iter_mut().zip(self.means).for_each(|(v, mean)| *v = (*v - mean) / 256.0));
        }
        let mut stem = work.arena.take(self.stem.output(input.shape(), 0));
        self.stem.apply(&input, &mut stem, None, Activation::Relu, &mut work.scratch);
        work.arena.give(input);
        let from = stem.shape();
        let (height, width) = (POOL.outputs(from.height), POOL.outputs(from.width));
        let mut map = work.arena.take(Shape { height, width, border: 1, ..from });
        max_pool(self.engine.cpu, POOL, &stem, &mut map, work.scratch.threads);
        work.arena.give(stem);
        for block in &self.blocks {
            map = block.apply(map, work);
        }
        for (mean, out) in mean_pool(&map).chunks_exact(FEATURES).zip(out.chunks_exact_mut(DESCRIPTOR)) {
            self.last.apply(mean, out, Activation::Identity, &mut work.scratch);
        }
        work.arena.give(map);
    }
}
