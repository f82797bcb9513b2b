//! A graph that is ready to run: layers in order, and the buffer of each tensor while it lives.

use std::sync::{Mutex, PoisonError};

use super::layer::Layout;
use super::plan::{Planner, Step};
use super::{Graph, Operator, TfliteError};
use kernels::Cpu;

/// Maximum multiplications of a run; the face networks take less than 0.2 billion.
const MOST_WORK: u64 = 1 << 31;

/// Maximum floats of tensors and packed weights together, checked before any is allocated.
const MOST_MEMORY: usize = 1 << 26;

/// A network that any number of threads can run; each run has its own memory.
#[derive(Debug)]
pub struct Network {
    steps: Vec<Step>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// The buffer of each tensor.
    buffer_of: Vec<usize>,
    /// The length of each tensor in floats.
    lens: Vec<usize>,
    /// The length of each buffer in floats.
    buffers: Vec<usize>,
    scratch: usize,
    work: u64,
    idle: Mutex<Vec<Workspace>>,
}

/// An input or output tensor.
#[derive(Clone, Debug)]
struct Port {
    tensor: usize,
    shape: Vec<usize>,
    layout: Layout,
}

#[derive(Debug)]
struct Workspace {
    buffers: Vec<Vec<f32>>,
    scratch: Vec<f32>,
}

impl Network {
    /// Prepares everything that the outputs numbered `wanted` need, in that order.
    pub fn new(graph: &Graph, wanted: &[usize], cpu: Cpu) -> Result<Self, TfliteError> {
        // Tiles of bf16 are too coarse for coordinates; the vectors are the same.
        let cpu = if cpu == Cpu::Amx { Cpu::Avx512 } else { cpu };
        let output = |&number: &usize| {
            graph.outputs.get(number).copied().ok_or(TfliteError::Missing { what: "output", index: number as i64 })
        };
        let wanted: Vec<usize> = wanted.iter().map(output).collect::<Result<_, _>>()?;
        if footprint(graph) > MOST_MEMORY {
            return Err(TfliteError::TooLarge { what: "the memory of a run" });
        }
        let planner = Planner::new(graph, cpu, &wanted);
        let port = |&tensor: &usize| Port {
            tensor,
            shape: graph.tensors[tensor].shape.clone(),
            layout: planner.layout(tensor),
        };
        let (inputs, outputs) =
            (graph.inputs.iter().map(port).collect::<Vec<_>>(), wanted.iter().map(port).collect::<Vec<_>>());
        if let Some(constant) = wanted.iter().find(|&&tensor| graph.tensors[tensor].value.is_some()) {
            let tensor = graph.tensors[*constant].name.clone();
            return Err(TfliteError::Tensor { tensor, problem: "an output that is a constant".to_owned() });
        }
        let lens: Vec<usize> = (0..graph.tensors.len()).map(|tensor| planner.layout(tensor).len()).collect();
        let steps = planner.steps();
        let taking_in: usize = graph.inputs.iter().map(|&tensor| lens[tensor]).sum();
        let work = taking_in as u64 + steps.iter().map(|step| step.layer.multiplications()).sum::<u64>();
        if work > MOST_WORK {
            return Err(TfliteError::TooLarge { what: "the work of a run" });
        }
        let scratch = steps.iter().map(|step| step.layer.scratch()).max().unwrap_or(0);
        let (buffer_of, buffers) = share_buffers(&steps, &graph.inputs, &wanted, &lens);
        Ok(Self { steps, inputs, outputs, buffer_of, lens, buffers, scratch, work, idle: Mutex::default() })
    }

    /// Shapes of the inputs, images as (1, height, width, channels).
    pub fn input_shapes(&self) -> impl Iterator<Item = &[usize]> {
        self.inputs.iter().map(|port| port.shape.as_slice())
    }

    pub fn output_shapes(&self) -> impl Iterator<Item = &[usize]> {
        self.outputs.iter().map(|port| port.shape.as_slice())
    }

    /// The approximate number of multiplications of a run.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// Returns the wanted outputs, each in row-major order.
    ///
    /// # Panics
    /// When the inputs are not as many or as long as [`Self::input_shapes`] says.
    pub fn run(&self, inputs: &[&[f32]]) -> Vec<Vec<f32>> {
        let mut space = self.take_workspace();
        assert_eq!(inputs.len(), self.inputs.len(), "as many inputs as the network has");
        for (port, numbers) in self.inputs.iter().zip(inputs) {
            let pixels = numbers.chunks_exact(port.layout.channels);
            assert!(pixels.len() == port.layout.pixels() && pixels.remainder().is_empty(), "as long as its shape says");
            let buffer = &mut space.buffers[self.buffer_of[port.tensor]][..port.layout.len()];
            if buffer.len() == numbers.len() {
                buffer.copy_from_slice(numbers);
                continue;
            }
            for (to, from) in buffer.chunks_exact_mut(port.layout.step).zip(pixels) {
                to[..from.len()].copy_from_slice(from);
                to[from.len()..].fill(0.0);
            }
        }
        for step in &self.steps {
            self.run_step(step, &mut space);
        }
        let outputs = self.outputs.iter().map(|port| {
            let buffer = &space.buffers[self.buffer_of[port.tensor]];
            port.layout.each_pixel(buffer).flatten().copied().collect()
        });
        let outputs = outputs.collect();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(space);
        outputs
    }

    fn run_step(&self, step: &Step, space: &mut Workspace) {
        let written = self.buffer_of[step.writes];
        // Taken out so that the other buffers can be read meanwhile; no step writes to its own inputs.
        let mut output = std::mem::take(&mut space.buffers[written]);
        let mut inputs: [&[f32]; 16] = [&[]; 16];
        for (view, &tensor) in inputs.iter_mut().zip(&step.reads) {
            *view = &space.buffers[self.buffer_of[tensor]];
        }
        let len = self.lens[step.writes];
        step.layer.run(&inputs[..step.reads.len()], &mut output[..len], &mut space.scratch);
        space.buffers[written] = output;
    }

    fn take_workspace(&self) -> Workspace {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| Workspace {
            buffers: self.buffers.iter().map(|&len| vec![0.0; len]).collect(),
            scratch: vec![0.0; self.scratch],
        })
    }
}

/// An upper bound on the floats needed, with channels padded to the widest vectors.
fn footprint(graph: &Graph) -> usize {
    let tensors = graph.tensors.iter().map(|tensor| Layout::of(&tensor.shape, 16).len());
    let weights =
        graph.nodes.iter().filter_map(|node| match (&node.operator, graph.tensors.get(*node.inputs.get(1)?)) {
            (Operator::Conv { .. }, Some(weights)) => {
                let &[outputs, height, width, inputs] = weights.shape.as_slice() else { return None };
                Some(
                    outputs
                        .next_multiple_of(16)
                        .saturating_mul(height * width)
                        .saturating_mul(inputs.next_multiple_of(16)),
                )
            }
            _ => None,
        });
    tensors.chain(weights).fold(0, usize::saturating_add)
}

/// Assigns buffers to tensors, shared by tensors whose lifetimes do not overlap. Returns the buffer of each tensor and the
/// length of each buffer.
fn share_buffers(steps: &[Step], inputs: &[usize], wanted: &[usize], lens: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut last_read = vec![0; lens.len()];
    for (i, step) in steps.iter().enumerate() {
        step.reads.iter().for_each(|&tensor| last_read[tensor] = i);
    }
    for &tensor in wanted {
        last_read[tensor] = usize::MAX;
    }
    let mut buffer_of = vec![usize::MAX; lens.len()];
    let (mut buffers, mut free) = (Vec::new(), Vec::new());
    for &input in inputs {
        buffer_of[input] = take_buffer(lens[input], &mut free, &mut buffers);
    }
    for (i, step) in steps.iter().enumerate() {
        buffer_of[step.writes] = take_buffer(lens[step.writes], &mut free, &mut buffers);
        let mut ended: Vec<usize> = step.reads.iter().copied().filter(|&tensor| last_read[tensor] == i).collect();
        ended.sort_unstable();
        ended.dedup();
        free.extend(ended.into_iter().map(|tensor| buffer_of[tensor]));
    }
    (buffer_of, buffers)
}

/// Takes the smallest free buffer that is long enough, else extends the longest one, else adds a new one.
fn take_buffer(len: usize, free: &mut Vec<usize>, buffers: &mut Vec<usize>) -> usize {
    let fitting = (0..free.len()).filter(|&i| buffers[free[i]] >= len).min_by_key(|&i| buffers[free[i]]);
    let chosen = fitting.or_else(|| (0..free.len()).max_by_key(|&i| buffers[free[i]]));
    let buffer = chosen.map_or(buffers.len(), |i| free.swap_remove(i));
    if buffer == buffers.len() {
        buffers.push(0);
    }
    buffers[buffer] = buffers[buffer].max(len);
    buffer
}
