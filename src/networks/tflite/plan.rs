//! Turns a graph into layers. Nodes that no wanted output needs are dropped, and nodes that can share a pass over memory are
//! fused. The pattern of all face networks, `[PAD] → depthwise → 1×1 convolution → [ADD a residual, its channels padded] →
//! [RELU or PRELU]`, becomes one layer.

use super::axes;
use super::convolution::{Convolution, Filter, Separable};
use super::layer::{Layer, Layout};
use super::operator::{Activation, Arithmetic, Operator, Padding};
use super::rearrange::{Concat, DepthToSpace, Elementwise, MaxPool, Pad, Reshape, Resize};
use super::region::{Crop, MoveLandmarks, RegionMatrix};
use super::shape;
use super::strided::{Combine, Constant, Map, Move, Reduce};
use super::{Graph, Node};
use kernels::Cpu;
use kernels::depthwise::{Depthwise, Slide};
use kernels::pointwise::{Pointwise, Rectifier, vector_width};

/// A layer, its input tensors and its output tensor.
#[derive(Debug)]
pub(super) struct Step {
    pub layer: Box<dyn Layer>,
    pub reads: Vec<usize>,
    pub writes: usize,
}

pub(super) struct Planner<'a> {
    graph: &'a Graph,
    cpu: Cpu,
    /// The node that writes each tensor.
    writer: Vec<Option<usize>>,
    /// The number of live nodes and wanted outputs that read each tensor.
    readers: Vec<usize>,
    /// Whether a wanted output depends on each node and it was not fused into a later one.
    pending: Vec<bool>,
}

/// Zeros before rows and columns, which a following window can include.
type Border = [usize; 2];

impl<'a> Planner<'a> {
    pub fn new(graph: &'a Graph, cpu: Cpu, wanted: &[usize]) -> Self {
        let mut writer = vec![None; graph.tensors.len()];
        for (i, node) in graph.nodes.iter().enumerate() {
            writer[node.output] = Some(i);
        }
        let mut readers = vec![0; graph.tensors.len()];
        for &output in wanted {
            readers[output] += 1;
        }
        let mut pending = vec![false; graph.nodes.len()];
        for (i, node) in graph.nodes.iter().enumerate().rev() {
            if readers[node.output] > 0 {
                pending[i] = true;
                for &input in &node.inputs {
                    readers[input] += 1;
                }
            }
        }
        Self { graph, cpu, writer, readers, pending }
    }

    /// The layers in order.
    pub fn steps(mut self) -> Vec<Step> {
        // Backwards, so that a node can absorb earlier ones before they become layers of their own.
        let mut steps = Vec::new();
        for i in (0..self.graph.nodes.len()).rev() {
            if self.pending[i] {
                steps.push(self.step(i));
            }
        }
        steps.reverse();
        self.with_constants(steps)
    }

    /// Inserts a layer for each constant before the first step that reads it.
    fn with_constants(&self, steps: Vec<Step>) -> Vec<Step> {
        let mut whole: Vec<Step> = Vec::with_capacity(steps.len());
        let mut written = vec![false; self.graph.tensors.len()];
        for step in steps {
            for &tensor in &step.reads {
                if let Some(values) = self.graph.tensors[tensor].floats()
                    && !std::mem::replace(&mut written[tensor], true)
                {
                    let layer = Box::new(Constant { values: values.clone(), output: self.layout(tensor) });
                    whole.push(Step { layer, reads: Vec::new(), writes: tensor });
                }
            }
            whole.push(step);
        }
        whole
    }

    /// The memory layout of a tensor.
    pub fn layout(&self, tensor: usize) -> Layout {
        let shape = &self.graph.tensors[tensor].shape;
        if self.is_dense_input(tensor) { Layout::dense(shape) } else { Layout::of(shape, vector_width(self.cpu)) }
    }

    /// Whether a tensor is an input picture of three channels that only convolutions read; it needs no padding.
    fn is_dense_input(&self, tensor: usize) -> bool {
        let mut reading = self.graph.nodes.iter().filter(|node| node.inputs.contains(&tensor));
        self.graph.inputs.contains(&tensor)
            && reading.all(|node| match node.operator {
                Operator::Conv { .. } => true,
                Operator::Pad => {
                    let mut next = self.graph.nodes.iter().filter(|next| next.inputs.contains(&node.output));
                    self.border(node).is_some()
                        && next.all(|next| matches!(next.operator, Operator::Conv { padding: Padding::Valid, .. }))
                }
                _ => false,
            })
    }

    /// The node that writes `tensor`, if it has only one reader.
    fn sole_writer(&self, tensor: usize) -> Option<usize> {
        self.writer[tensor].filter(|&i| self.readers[tensor] == 1 && self.pending[i])
    }

    fn node(&self, i: usize) -> &'a Node {
        &self.graph.nodes[i]
    }

    /// The padding of a PAD node, by axis.
    fn paddings(&self, node: &Node) -> [[usize; 2]; 4] {
        let numbers = self.graph.tensors[node.inputs[1]].integers().unwrap_or_default();
        let pairs = shape::pairs(numbers).ok().and_then(|pairs| pairs.try_into().ok());
        pairs.expect("paddings were checked with the shapes")
    }

    /// The rows and columns before the map, for a PAD that adds no channels.
    fn border(&self, node: &Node) -> Option<Border> {
        match self.paddings(node) {
            [_, [top, _], [left, _], [0, 0]] => Some([top, left]),
            _ => None,
        }
    }

    fn step(&mut self, i: usize) -> Step {
        let node = self.node(i);
        if let Some(step) = self.fused(node) {
            return step;
        }
        let output = self.layout(node.output);
        let input = self.layout(node.inputs[0]);
        let mut reads = vec![node.inputs[0]];
        let layer: Box<dyn Layer> = match &node.operator {
            Operator::Conv { .. } => unreachable!("every convolution is fused, if only with itself"),
            Operator::Depthwise { .. } => {
                let (tensor, depthwise) = self.depthwise(node);
                reads = vec![tensor];
                Box::new(Filter { depthwise, output })
            }
            Operator::Relu => Box::new(Elementwise { output, add: false, rectifier: Rectifier::Relu }),
            Operator::Prelu => Box::new(Elementwise { output, add: false, rectifier: self.slopes(node) }),
            Operator::Add(_) if !self.is_of_one_shape(node) => {
                reads.push(node.inputs[1]);
                self.combine(Arithmetic::Add, node)
            }
            Operator::Combine(arithmetic) => {
                reads.push(node.inputs[1]);
                self.combine(*arithmetic, node)
            }
            Operator::Map(function) => Box::new(Map { function: *function, output }),
            Operator::Reduce { .. } | Operator::Transpose | Operator::Slice { .. } => self.along_axes(node),
            Operator::Add(activation) => {
                reads.push(node.inputs[1]);
                Box::new(Elementwise { output, add: true, rectifier: rectifier(*activation) })
            }
            Operator::Pad => {
                let [_, [top, _], [left, _], [first, _]] = self.paddings(node);
                Box::new(Pad { input, output, before: [top, left, first] })
            }
            Operator::MaxPool => Box::new(MaxPool { input, output }),
            Operator::Resize => Box::new(Resize::new(input, output)),
            Operator::DepthToSpace(block) => Box::new(DepthToSpace { input, output, block: *block }),
            Operator::Reshape => Box::new(Reshape { input, output }),
            Operator::Concat { axis } => {
                reads.clone_from(&node.inputs);
                let axis = axes::axis_of(*axis, self.shape(node.output).len());
                let axis = axis.expect("axes were checked with the shapes");
                let run = |&tensor: &usize| self.shape(tensor)[axis..].iter().product();
                let parts = node.inputs.iter().map(|tensor| (self.layout(*tensor), run(tensor))).collect();
                Box::new(Concat { parts, output })
            }
            Operator::RegionMatrix(region) => Box::new(RegionMatrix(region.clone())),
            Operator::Crop => {
                reads.push(node.inputs[1]);
                Box::new(Crop { input, output })
            }
            Operator::MoveLandmarks => {
                reads.push(node.inputs[1]);
                Box::new(MoveLandmarks)
            }
        };
        Step { layer, reads, writes: node.output }
    }

    /// The fused convolution that ends in `last`.
    fn fused(&mut self, last: &'a Node) -> Option<Step> {
        let is_plain_conv = |node: &Node| matches!(node.operator, Operator::Conv { activation: Activation::None, .. });
        // [RELU or PRELU] after [ADD]:
        let mut absorbed = Vec::new();
        let (mut rectifier, mut core) = (None, last);
        if matches!(last.operator, Operator::Relu | Operator::Prelu) {
            let before = self.sole_writer(last.inputs[0])?;
            core = self.node(before);
            if !is_plain_conv(core) && core.operator != Operator::Add(Activation::None) {
                return None;
            }
            absorbed.push(before);
            rectifier = Some(if last.operator == Operator::Relu { Rectifier::Relu } else { self.slopes(last) });
        }
        let mut residual = None;
        if let Operator::Add(activation) = core.operator {
            if !self.is_of_one_shape(core) {
                return None;
            }
            let of_conv = |&tensor: &usize| self.sole_writer(tensor).filter(|&i| is_plain_conv(self.node(i)));
            let conv = core.inputs.iter().filter_map(of_conv).max()?;
            let other = usize::from(core.inputs[0] == self.node(conv).output);
            residual = Some(core.inputs[other]);
            rectifier = rectifier.or_else(|| Some(self::rectifier(activation)));
            absorbed.push(conv);
            core = self.node(conv);
        }
        let Operator::Conv { stride, activation, .. } = core.operator else { return None };
        let rectifier = rectifier.unwrap_or_else(|| self::rectifier(activation));
        for i in absorbed {
            self.pending[i] = false;
        }
        let residual = residual.map(|tensor| self.without_channel_padding(tensor));
        let one_by_one = self.graph.tensors[core.inputs[1]].shape[1..3] == [1, 1] && stride == 1;
        let (input, layer) = if one_by_one {
            self.separable(core, rectifier, residual)
        } else {
            self.convolution(core, rectifier, residual)
        };
        let reads = [input].into_iter().chain(residual).collect();
        Some(Step { layer, reads, writes: last.output })
    }

    /// Skips a PAD of channels after a residual: missing channels are zero anyway.
    fn without_channel_padding(&mut self, tensor: usize) -> usize {
        let Some(i) = self.sole_writer(tensor) else { return tensor };
        let node = self.node(i);
        if node.operator != Operator::Pad {
            return tensor;
        }
        let [_, rows, columns, [first, _]] = self.paddings(node);
        let fits = self.layout(node.inputs[0]).step.is_multiple_of(vector_width(self.cpu));
        if [rows, columns] != [[0; 2]; 2] || first != 0 || !fits {
            return tensor;
        }
        self.pending[i] = false;
        node.inputs[0]
    }

    fn separable(&mut self, conv: &'a Node, rectifier: Rectifier, residual: Option<usize>) -> (usize, Box<dyn Layer>) {
        let mut tensor = conv.inputs[0];
        let mut depthwise = None;
        if let Some(i) = self.sole_writer(tensor)
            && matches!(self.node(i).operator, Operator::Depthwise { .. })
        {
            self.pending[i] = false;
            let (input, filter) = self.depthwise(self.node(i));
            tensor = input;
            depthwise = Some(filter);
        }
        let product = Pointwise::pack(self.cpu, self.floats(conv.inputs[1]), self.floats(conv.inputs[2]), rectifier);
        let residual = residual.map(|tensor| self.layout(tensor).step);
        let output = self.layout(conv.output);
        (tensor, Box::new(Separable { input: self.layout(tensor), depthwise, product, output, residual }))
    }

    fn convolution(
        &mut self,
        conv: &'a Node,
        rectifier: Rectifier,
        residual: Option<usize>,
    ) -> (usize, Box<dyn Layer>) {
        let (tensor, slide) = self.slide(conv);
        let input = self.layout(tensor);
        // Rows of the window include padded channels, whose weights are zero.
        let weights = self.floats(conv.inputs[1]);
        let mut padded = Vec::with_capacity(weights.len() / input.channels * input.step);
        for pixel in weights.chunks_exact(input.channels) {
            padded.extend_from_slice(pixel);
            padded.resize(padded.len() + input.step - input.channels, 0.0);
        }
        let product = Pointwise::pack(self.cpu, &padded, self.floats(conv.inputs[2]), rectifier);
        let residual = residual.map(|tensor| self.layout(tensor).step);
        (tensor, Box::new(Convolution { input, slide, product, output: self.layout(conv.output), residual }))
    }

    fn depthwise(&mut self, node: &'a Node) -> (usize, Depthwise) {
        let (tensor, slide) = self.slide(node);
        let relu = matches!(node.operator, Operator::Depthwise { activation: Activation::Relu, .. });
        let rectifier = if relu { Rectifier::Relu } else { Rectifier::Identity };
        let (weights, bias) = (self.floats(node.inputs[1]), self.floats(node.inputs[2]));
        (tensor, Depthwise::pack(self.cpu, slide, weights, bias, rectifier))
    }

    /// The sliding window of a convolution, over its input or, if that only adds a border, over the map inside.
    fn slide(&mut self, node: &'a Node) -> (usize, Slide) {
        let (Operator::Conv { stride, padding, .. } | Operator::Depthwise { stride, padding, .. }) = node.operator
        else {
            unreachable!("only windows slide")
        };
        let mut tensor = node.inputs[0];
        let (height, width) = self.sides(node.inputs[1]);
        let (input_height, input_width) = self.sides(tensor);
        let (output_height, output_width) = self.sides(node.output);
        let along = |size, window| shape::slide(size, window, stride, padding).map_or(0, |(_, before)| before);
        let mut before = [along(input_height, height), along(input_width, width)];
        if let Some(i) = self.sole_writer(tensor)
            && self.node(i).operator == Operator::Pad
            && padding == Padding::Valid
            && let Some(border) = self.border(self.node(i))
        {
            self.pending[i] = false;
            tensor = self.node(i).inputs[0];
            before = border;
        }
        let (input_height, input_width) = self.sides(tensor);
        let [top, left] = before;
        let slide = Slide { input_height, input_width, output_height, output_width, height, width, stride, top, left };
        (tensor, slide)
    }

    fn sides(&self, tensor: usize) -> (usize, usize) {
        let shape = &self.graph.tensors[tensor].shape;
        (shape[1], shape[2])
    }

    fn shape(&self, tensor: usize) -> &'a [usize] {
        &self.graph.tensors[tensor].shape
    }

    fn is_of_one_shape(&self, node: &Node) -> bool {
        self.shape(node.inputs[0]) == self.shape(node.inputs[1])
    }

    fn combine(&self, arithmetic: Arithmetic, node: &Node) -> Box<dyn Layer> {
        let whole = |tensor: usize| (self.shape(tensor), self.layout(tensor));
        Box::new(Combine::new(arithmetic, whole(node.output), [0, 1].map(|k| whole(node.inputs[k]))))
    }

    /// The layer of a reduction, transposition or slice.
    fn along_axes(&self, node: &Node) -> Box<dyn Layer> {
        let whole = |tensor: usize| (self.shape(tensor), self.layout(tensor));
        let (input, output) = (whole(node.inputs[0]), whole(node.output));
        let checked = "axes were checked with the shapes";
        let named = || axes::axes_of(self.integers(node.inputs[1]), input.0.len()).expect(checked);
        match node.operator {
            Operator::Reduce { mean, .. } => Box::new(Reduce::new(mean, &named(), output, input)),
            Operator::Transpose => Box::new(Move::transpose(&named(), output, input)),
            _ => {
                let constants = [1, 2, 3].map(|k| self.integers(node.inputs[k]));
                let parts = axes::slice_of(&node.operator, input.0, constants).expect(checked);
                Box::new(Move::slice(&parts, output, input))
            }
        }
    }

    fn integers(&self, tensor: usize) -> &'a [i32] {
        self.graph.tensors[tensor].integers().expect("constants were checked with the shapes")
    }

    fn floats(&self, tensor: usize) -> &'a [f32] {
        self.graph.tensors[tensor].floats().expect("constants were checked with the shapes")
    }

    fn slopes(&self, prelu: &Node) -> Rectifier {
        Rectifier::Prelu(self.floats(prelu.inputs[1]).to_vec())
    }
}

fn rectifier(activation: Activation) -> Rectifier {
    match activation {
        Activation::None => Rectifier::Identity,
        Activation::Relu => Rectifier::Relu,
    }
}
