//! A graph that runs on the kernels of processors; every tensor is freed after its last use.

use std::sync::{Arc, Mutex, PoisonError};

use kernels::{Cpu, Engine, Precision};

use super::apply::apply;
use super::fusion::fused;
use super::last_uses::last_uses;
use super::limits::Limits;
use super::ready::{Fused, Ready};
use super::tensor::{Memory, Tensor, Value};
use super::{Graph, GraphError, Node, short};

/// Maximum values of memory that waits for the next runs, of all threads together: that of two which find text in a megapixel.
/// Fresh memory would cost such a run a tenth of its time.
const IDLE: usize = 1 << 26;

#[derive(Debug)]
pub(super) struct KernelNetwork {
    engine: Engine,
    steps: Vec<Step>,
    constants: Vec<Option<Value>>,
    input: usize,
    outputs: Vec<usize>,
    bytes: usize,
    /// Memory of earlier runs.
    idle: Mutex<Vec<Memory>>,
}

#[derive(Debug)]
struct Step {
    node: Node,
    ready: Ready,
    /// Tensors whose last use is this step.
    done: Vec<usize>,
}

impl KernelNetwork {
    pub fn new(graph: Graph, cpu: Cpu) -> Result<Self, GraphError> {
        let engine = Engine { cpu, precision: Precision::Full };
        let (nodes, Graph { constants, input, outputs, .. }) = fused(graph)?;
        let mut network =
            Self { engine, steps: Vec::new(), constants, input, outputs, bytes: 0, idle: Mutex::default() };
        for (number, fused) in nodes.into_iter().enumerate() {
            let ready = Ready::new(engine, &fused, &network.constants);
            let ready = ready.map_err(|problem| told(number, &fused, problem))?;
            network.bytes += ready.bytes();
            network.steps.push(Step { node: fused.node, ready, done: Vec::new() });
        }
        network.plan_ends();
        Ok(network)
    }

    pub fn bytes(&self) -> usize {
        let constants = self.constants.iter().flatten().map(|value| 4 * value.elements());
        self.bytes + constants.sum::<usize>()
    }

    /// Notes the last uses of tensors, and drops constants that are no longer read because they are packed.
    fn plan_ends(&mut self) {
        for step in self.steps.iter_mut().filter(|step| !matches!(step.ready, Ready::Nothing)) {
            // Weights and bias are packed; the first input and what is added are read.
            step.node.inputs.iter_mut().skip(1).take(2).for_each(|packed| *packed = None);
        }
        let (done, read) = last_uses(self.steps.iter().map(|step| &step.node), &self.outputs, self.constants.len());
        self.steps.iter_mut().zip(done).for_each(|(step, done)| step.done = done);
        for (constant, read) in self.constants.iter_mut().zip(read) {
            constant.take_if(|_| !read);
        }
    }

    pub fn run(&self, input: Tensor) -> Result<Vec<Tensor>, GraphError> {
        let mut values: Vec<Option<Value>> = vec![None; self.constants.len()];
        let numbers = input.data.len();
        let Limits { most, work: mut left } = Limits::of(numbers);
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (mut live, mut memory) = (numbers, idle.unwrap_or_else(|| Memory::new(most)));
        values[self.input] = Some(Value::Floats(Arc::new(input)));
        for (number, step) in self.steps.iter().enumerate() {
            memory.limit(most.saturating_sub(live));
            let mut inputs = Vec::with_capacity(step.node.inputs.len());
            for &input in &step.node.inputs {
                let value = input.and_then(|input| {
                    // The last reader may overwrite it.
                    let last = step.done.contains(&input)
                        && step.node.inputs.iter().filter(|&&i| i == Some(input)).count() == 1;
                    let there = if last { values[input].take() } else { values[input].clone() };
                    if last {
                        live -= there.as_ref().map_or(0, Value::elements);
                    }
                    there.or_else(|| self.constants[input].clone())
                });
                inputs.push(value);
            }
            let value = apply(self.engine, (&step.node.operator, &step.ready), inputs, &mut left, &mut memory);
            let value = value.map_err(|problem| {
                let name = short(&step.node.name);
                GraphError::Use { number, name, problem }
            })?;
            live += value.elements();
            if live > most {
                return Err(GraphError::TooLarge { what: "the memory of a run" });
            }
            for &done in &step.done {
                if let Some(value) = values[done].take() {
                    live -= value.elements();
                    value.floats().into_iter().for_each(|tensor| memory.give(tensor));
                }
            }
            values[step.node.output] = Some(value);
        }
        let output = |&output: &usize| {
            let value = values[output].clone().or_else(|| self.constants[output].clone());
            let tensor = value.ok_or_else(|| "is missing".to_owned()).and_then(Value::floats);
            let tensor = tensor.map_err(|problem| GraphError::Tensor { name: "output".into(), problem })?;
            Ok(Arc::unwrap_or_clone(tensor.plain()))
        };
        let outputs = self.outputs.iter().map(output).collect();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.iter().map(Memory::pooled).sum::<usize>() + memory.pooled() <= IDLE {
            idle.push(memory);
        }
        outputs
    }
}

fn told(number: usize, fused: &Fused, problem: String) -> GraphError {
    GraphError::Use { number, name: short(&fused.node.name), problem }
}
