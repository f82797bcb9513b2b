//! The layers of a network: read from a file, and applied to a map of the line.

use kernels::{Activation, Engine, Linear, Scratch};

use super::file::Bytes;
use crate::graph::GraphError;

type Result<T> = std::result::Result<T, GraphError>;

/// Numbers in a map at most; a line of 3,200 pixels has a fiftieth of that.
const LARGEST: usize = 1 << 26;
/// Published networks nest three deep and have a dozen layers.
const DEEPEST: usize = 16;
const MOST_LAYERS: usize = 64;
/// Outputs of a layer; Chinese has the most characters.
const WIDEST: usize = 1 << 16;
/// Bounds the state of a recurrent layer.
const MOST_STATE: f32 = 100.0;
/// The layer has a learning rate of its own in the file.
const OWN_RATE: i32 = 64;

/// Numbers for each place of a line: rows of columns of `depth` numbers.
#[derive(Debug, Clone)]
pub(super) struct Map {
    pub height: usize,
    pub width: usize,
    pub depth: usize,
    pub data: Vec<f32>,
}

#[derive(Debug)]
pub(super) enum Layer {
    Series(Vec<Self>),
    /// The numbers of a window around each place, column by column; outside there are zeros.
    Window {
        across: usize,
        down: usize,
    },
    /// The largest number of each block.
    Largest {
        across: usize,
        down: usize,
    },
    /// Another layer along columns instead of rows.
    Turned(Box<Self>),
    /// Another layer from the right to the left.
    Reversed(Box<Self>),
    Recurrent(Recurrent),
    Full(Linear, Function),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Function {
    Linear,
    Relu,
    Tanh,
    Logistic,
    Softmax,
}

/// A long short-term memory along each row.
#[derive(Debug)]
pub(super) struct Recurrent {
    /// The gates from the input, with their bias, and from the output before: candidate, input, forget, output.
    from_input: Linear,
    from_output: Linear,
    width: usize,
    /// Whether only the last output of a row counts.
    last: bool,
}

/// A network, with what its file says besides.
#[derive(Debug)]
pub(super) struct Loaded {
    pub layer: Layer,
    /// The height of a line.
    pub height: usize,
    pub outputs: usize,
    /// Whether weights are whole numbers, which the network was made for.
    pub integers: bool,
}

/// Reads layers one after the other.
#[derive(Debug)]
pub(super) struct Reader<'a, 'b> {
    bytes: &'b mut Bytes<'a>,
    engine: Engine,
    layers: usize,
    height: Option<usize>,
    integers: bool,
}

pub(super) fn read(bytes: &mut Bytes<'_>, engine: Engine) -> Result<Loaded> {
    let mut reader = Reader { bytes, engine, layers: 0, height: None, integers: false };
    let (layer, outputs) = reader.layer(1, 0)?;
    let height = reader.height.ok_or_else(|| problem("Input", "it has none"))?;
    Ok(Loaded { layer, height, outputs, integers: reader.integers })
}

impl Reader<'_, '_> {
    /// The next layer for maps of `depth`, and the depth of its output.
    fn layer(&mut self, depth: usize, level: usize) -> Result<(Layer, usize)> {
        self.layers += 1;
        if level > DEEPEST || self.layers > MOST_LAYERS {
            return Err(GraphError::TooLarge { what: "the nesting of layers" });
        }
        if self.bytes.u8()? != 0 {
            return Err(GraphError::Format { format: "a traineddata" });
        }
        let name = self.bytes.text()?;
        // Whether it is being trained, and passes errors on.
        self.bytes.skip(2)?;
        let flags = self.bytes.i32()?;
        let (inputs, outputs) = (self.bytes.i32()?, self.bytes.i32()?);
        let outputs = usize::try_from(outputs).ok().filter(|outputs| (1..=WIDEST).contains(outputs));
        let outputs = outputs.ok_or(GraphError::TooLarge { what: "a layer" })?;
        self.bytes.skip(4)?;
        self.bytes.text()?;
        // A series and the input name the height of a line there.
        let fits = usize::try_from(inputs).is_ok_and(|inputs| inputs == depth);
        if !fits && !matches!(name.as_str(), "Series" | "Input") {
            return Err(problem(&name, &format!("{inputs} inputs where {depth} belong")));
        }
        match name.as_str() {
            "Input" => {
                let shape = [(); 5].map(|()| self.bytes.i32());
                let [_, height, _, depth, _] = shape;
                let height = usize::try_from(height?).ok().filter(|height| (1..=256).contains(height));
                self.height = Some(height.ok_or_else(|| problem(&name, "lines without a fixed height"))?);
                if depth? != 1 {
                    return Err(problem(&name, "not a grey picture"));
                }
                Ok((Layer::Series(Vec::new()), 1))
            }
            "Series" => self.series(depth, level, flags),
            "XYTranspose" | "RTLReversed" => {
                let (layer, depth) = self.series(depth, level, flags)?;
                let of = if name == "XYTranspose" { Layer::Turned } else { Layer::Reversed };
                Ok((of(Box::new(layer)), depth))
            }
            "Convolve" => {
                let [across, down] = self.sizes(0, &name)?;
                let depth = depth * (2 * across + 1) * (2 * down + 1);
                if depth > WIDEST {
                    return Err(GraphError::TooLarge { what: "a layer" });
                }
                Ok((Layer::Window { across, down }, depth))
            }
            "Maxpool" => {
                let [across, down] = self.sizes(1, &name)?;
                Ok((Layer::Largest { across, down }, depth))
            }
            "LSTM" | "SummLSTM" => self.recurrent(depth, outputs, name == "SummLSTM"),
            _ => {
                let function = match name.as_str() {
                    "Linear" => Function::Linear,
                    "Relu" => Function::Relu,
                    "Tanh" => Function::Tanh,
                    "Logistic" => Function::Logistic,
                    "Softmax" | "SoftmaxNoCTC" => Function::Softmax,
                    _ => return Err(GraphError::Operator { name: format!("{name} of Tesseract") }),
                };
                let (weights, bias) = self.weights(outputs, depth)?;
                Ok((Layer::Full(Linear::new(self.engine, &weights, &bias), function), outputs))
            }
        }
    }

    fn series(&mut self, mut depth: usize, level: usize, flags: i32) -> Result<(Layer, usize)> {
        let count = self.bytes.count("a series", MOST_LAYERS)?;
        let mut layers = Vec::with_capacity(count);
        for _ in 0..count {
            let (layer, outputs) = self.layer(depth, level + 1)?;
            layers.push(layer);
            depth = outputs;
        }
        if flags & OWN_RATE != 0 {
            let rates = self.bytes.count("rates", MOST_LAYERS)?;
            self.bytes.skip(4 * rates)?;
        }
        Ok((Layer::Series(layers), depth))
    }

    fn sizes(&mut self, least: i32, name: &str) -> Result<[usize; 2]> {
        let mut size = || {
            let size = self.bytes.i32()?;
            if (least..=8).contains(&size) { Ok(size as usize) } else { Err(problem(name, "a size that is none")) }
        };
        Ok([size()?, size()?])
    }

    fn recurrent(&mut self, inputs: usize, width: usize, last: bool) -> Result<(Layer, usize)> {
        if self.bytes.i32()? != (inputs + width) as i32 {
            return Err(GraphError::Operator { name: "LSTM in two dimensions of Tesseract".into() });
        }
        let (mut from_input, mut from_output, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..4 {
            let (weights, bias) = self.weights(width, inputs + width)?;
            for row in weights.chunks_exact(inputs + width) {
                from_input.extend_from_slice(&row[..inputs]);
                from_output.extend_from_slice(&row[inputs..]);
            }
            all.extend(bias);
        }
        let from_input = Linear::new(self.engine, &from_input, &all);
        let from_output = Linear::new(self.engine, &from_output, &vec![0.0; 4 * width]);
        Ok((Layer::Recurrent(Recurrent { from_input, from_output, width, last }), width))
    }

    /// Weights and bias; in the file the bias is the last column.
    fn weights(&mut self, outputs: usize, inputs: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let (all, integers) = self.bytes.weights([outputs, inputs + 1])?;
        self.integers |= integers;
        let (mut weights, mut bias) = (Vec::with_capacity(outputs * inputs), Vec::with_capacity(outputs));
        for row in all.chunks_exact(inputs + 1) {
            weights.extend_from_slice(&row[..inputs]);
            bias.push(row[inputs]);
        }
        Ok((weights, bias))
    }
}

fn problem(name: &str, problem: &str) -> GraphError {
    GraphError::Tensor { name: name.to_owned(), problem: problem.to_owned() }
}

impl Layer {
    /// The memory of the weights.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Series(layers) => layers.iter().map(Self::bytes).sum(),
            Self::Window { .. } | Self::Largest { .. } => 0,
            Self::Turned(layer) | Self::Reversed(layer) => layer.bytes(),
            Self::Recurrent(layer) => layer.from_input.bytes() + layer.from_output.bytes(),
            Self::Full(linear, _) => linear.bytes(),
        }
    }

    pub fn apply(&self, map: Map) -> Result<Map> {
        Ok(match self {
            Self::Series(layers) => layers.iter().try_fold(map, |map, layer| layer.apply(map))?,
            Self::Window { across, down } => {
                map.room_for(map.depth * (2 * across + 1) * (2 * down + 1))?;
                map.windows(*across, *down)
            }
            Self::Largest { across, down } => map.largest(*across, *down),
            Self::Turned(layer) => layer.apply(map.turned())?.turned(),
            Self::Reversed(layer) => layer.apply(map.reversed())?.reversed(),
            Self::Recurrent(layer) => {
                map.room_for(4 * layer.width)?;
                layer.apply(&map)
            }
            Self::Full(linear, function) => {
                map.room_for(linear.outputs())?;
                full(linear, *function, &map)
            }
        })
    }
}

fn full(linear: &Linear, function: Function, map: &Map) -> Map {
    let depth = linear.outputs();
    let mut data = vec![0.0; map.height * map.width * depth];
    let activation = if matches!(function, Function::Relu) { Activation::Relu } else { Activation::Identity };
    linear.apply(&map.data, &mut data, activation, &mut Scratch::new(1));
    match function {
        Function::Linear | Function::Relu => {}
        Function::Tanh => data.iter_mut().for_each(|v| *v = v.tanh()),
        Function::Logistic => data.iter_mut().for_each(|v| *v = logistic(*v)),
        Function::Softmax => data.chunks_exact_mut(depth).for_each(|step| {
            let most = step.iter().copied().fold(f32::MIN, f32::max);
            step.iter_mut().for_each(|v| *v = (*v - most).exp());
            let sum: f32 = step.iter().sum();
            step.iter_mut().for_each(|v| *v /= sum);
        }),
    }
    Map { depth, data, ..*map }
}

fn logistic(v: f32) -> f32 {
    1.0 / (1.0 + (-v).exp())
}

impl Map {
    /// Refuses a layer whose output for this map would be too large.
    fn room_for(&self, depth: usize) -> Result<()> {
        let count = (self.height * self.width).checked_mul(depth);
        count.filter(|count| *count <= LARGEST).map(drop).ok_or(GraphError::TooLarge { what: "a line" })
    }

    fn windows(&self, across: usize, down: usize) -> Self {
        let depth = self.depth * (2 * across + 1) * (2 * down + 1);
        let mut data = Vec::with_capacity(self.height * self.width * depth);
        for y in 0..self.height {
            for x in 0..self.width {
                for column in x..=x + 2 * across {
                    for row in y..=y + 2 * down {
                        let inside = (down..self.height + down).contains(&row)
                            && (across..self.width + across).contains(&column);
                        if inside {
                            data.extend_from_slice(self.place(row - down, column - across));
                        } else {
                            data.extend(std::iter::repeat_n(0.0, self.depth));
                        }
                    }
                }
            }
        }
        Self { depth, data, ..*self }
    }

    fn place(&self, row: usize, column: usize) -> &[f32] {
        &self.data[(row * self.width + column) * self.depth..][..self.depth]
    }

    fn largest(&self, across: usize, down: usize) -> Self {
        let (height, width) = (self.height / down, self.width / across);
        let mut data = vec![f32::MIN; height * width * self.depth];
        for (at, most) in data.chunks_exact_mut(self.depth).enumerate() {
            let (y, x) = (at / width, at % width);
            for row in y * down..(y + 1) * down {
                for column in x * across..(x + 1) * across {
                    most.iter_mut().zip(self.place(row, column)).for_each(|(most, v)| *most = most.max(*v));
                }
            }
        }
        Self { height, width, data, ..*self }
    }

    fn turned(&self) -> Self {
        let mut data = Vec::with_capacity(self.data.len());
        for column in 0..self.width {
            (0..self.height).for_each(|row| data.extend_from_slice(self.place(row, column)));
        }
        Self { height: self.width, width: self.height, data, ..*self }
    }

    fn reversed(&self) -> Self {
        let mut data = Vec::with_capacity(self.data.len());
        for row in 0..self.height {
            (0..self.width).rev().for_each(|column| data.extend_from_slice(self.place(row, column)));
        }
        Self { data, ..*self }
    }
}

impl Recurrent {
    fn apply(&self, map: &Map) -> Map {
        let (rows, steps, width) = (map.height, map.width, self.width);
        let mut scratch = Scratch::new(1);
        let mut gates = vec![0.0; rows * steps * 4 * width];
        self.from_input.apply(&map.data, &mut gates, Activation::Identity, &mut scratch);
        let outputs = if self.last { steps.min(1) } else { steps };
        let mut data = vec![0.0; rows * outputs * width];
        for (row, gates) in gates.chunks_exact_mut((steps * 4 * width).max(1)).enumerate() {
            let (mut state, mut before) = (vec![0.0_f32; width], vec![0.0; width]);
            for (step, gates) in gates.chunks_exact_mut(4 * width).enumerate() {
                self.from_output.add_to(&before, gates, &mut scratch);
                for (unit, (state, output)) in state.iter_mut().zip(&mut before).enumerate() {
                    let [candidate, input, forget, out] = [0, 1, 2, 3].map(|gate| gates[gate * width + unit]);
                    let kept = *state * logistic(forget) + candidate.tanh() * logistic(input);
                    *state = kept.clamp(-MOST_STATE, MOST_STATE);
                    *output = state.tanh() * logistic(out);
                }
                if !self.last {
                    data[(row * steps + step) * width..][..width].copy_from_slice(&before);
                }
            }
            if self.last && steps > 0 {
                data[row * width..][..width].copy_from_slice(&before);
            }
        }
        Map { height: rows, width: outputs, depth: width, data }
    }
}
