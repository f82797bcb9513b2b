//! A graph that runs in candle's operations, for cards. What candle lacks runs on the processor, between two copies.

mod operators;
mod placed;
mod windows;

use std::sync::Arc;

use candle_core::Device;
use kernels::{Cpu, Engine, Precision};

use self::placed::{Bounds, Placed};
use super::apply::apply;
use super::fusion::simplified;
use super::last_uses::last_uses;
use super::limits::Limits;
use super::operator::Operator;
use super::ready::{Fused, Ready};
use super::tensor::{self, Memory, Value};
use super::{Graph, GraphError, short};
use crate::axes::Checked;

#[derive(Debug)]
pub(super) struct CandleNetwork {
    device: Device,
    /// For what candle lacks.
    engine: Engine,
    steps: Vec<Step>,
    constants: Vec<Option<Placed>>,
    input: usize,
    outputs: Vec<usize>,
}

#[derive(Debug)]
struct Step {
    fused: Fused,
    /// Tensors whose last use is this step.
    done: Vec<usize>,
}

impl CandleNetwork {
    pub fn new(graph: Graph, cpu: Cpu, device: Device) -> Result<Self, GraphError> {
        let (steps, Graph { constants, input, outputs, .. }) = simplified(graph)?;
        let (done, read) = last_uses(steps.iter().map(|fused| &fused.node), &outputs, constants.len());
        let steps = steps.into_iter().zip(done).map(|(fused, done)| Step { fused, done }).collect();
        let constants = constants.into_iter().zip(read).map(|(constant, read)| {
            constant.filter(|_| read).map(|constant| Placed::constant(&device, constant)).transpose()
        });
        let constants = constants
            .collect::<Result<_, _>>()
            .map_err(|error| GraphError::Tensor { name: "constant".into(), problem: error.to_string() })?;
        let engine = Engine { cpu, precision: Precision::Full };
        Ok(Self { device, engine, steps, constants, input, outputs })
    }

    pub fn bytes(&self) -> usize {
        self.constants.iter().flatten().map(|constant| 4 * constant.elements()).sum()
    }

    pub fn run(&self, input: tensor::Tensor) -> Result<Vec<tensor::Tensor>, GraphError> {
        let unplaced =
            |error: candle_core::Error| GraphError::Tensor { name: "input".into(), problem: error.to_string() };
        let numbers = input.data.len();
        let Limits { most, work } = Limits::of(numbers);
        let mut bounds = Bounds { room: most, work };
        let mut values: Vec<Option<Placed>> = vec![None; self.constants.len()];
        values[self.input] = Some(Placed::on(&self.device, Value::Floats(Arc::new(input))).map_err(unplaced)?);
        let mut live = numbers;
        for (number, step) in self.steps.iter().enumerate() {
            bounds.room = most.saturating_sub(live);
            let there = |input: usize| values[input].as_ref().or(self.constants[input].as_ref()).cloned();
            let inputs: Vec<_> = step.fused.node.inputs.iter().map(|input| input.and_then(there)).collect();
            let value = self.apply(step, &inputs, &mut bounds).map_err(|problem| {
                let name = short(&step.fused.node.name);
                GraphError::Use { number, name, problem }
            })?;
            live += value.elements();
            for &done in &step.done {
                live -= values[done].take().map_or(0, |value| value.elements());
            }
            values[step.fused.node.output] = Some(value);
        }
        let output = |&output: &usize| {
            let value = values[output].as_ref().or(self.constants[output].as_ref());
            let value = value.ok_or_else(|| "is missing".to_owned());
            let tensor = value.and_then(|value| value.in_memory().map_err(|error| error.to_string())?.floats());
            let tensor = tensor.map_err(|problem| GraphError::Tensor { name: "output".into(), problem })?;
            Ok(Arc::unwrap_or_clone(tensor.plain()))
        };
        self.outputs.iter().map(output).collect()
    }

    fn apply(&self, step: &Step, inputs: &[Option<Placed>], bounds: &mut Bounds) -> Checked<Placed> {
        bounds.afford(inputs.iter().flatten().map(|value| value.elements() as u64).sum())?;
        let on_device = inputs.iter().flatten().any(|input| input.memory.is_none());
        if on_device {
            let shape = |input: &Placed| input.device.as_ref().map(|tensor| tensor.dims().to_vec());
            if step.fused.node.operator == Operator::Shape
                && let Some(shape) = inputs.first().and_then(Option::as_ref).and_then(shape)
            {
                let numbers: Vec<i64> = shape.into_iter().map(|axis| axis as i64).collect();
                return Ok(Placed { device: None, memory: Some(Value::Integers(vec![numbers.len()], numbers)) });
            }
            let inputs = operators::Inputs { inputs, device: &self.device };
            let done = operators::apply(&step.fused, &inputs, bounds).map_err(|error| error.to_string())?;
            if let Some(tensor) = done {
                return Ok(Placed { device: Some(tensor), memory: None });
            }
        }
        let value = self.in_memory(step, inputs, bounds)?;
        if on_device {
            Placed::on(&self.device, value).map_err(|error| error.to_string())
        } else {
            Ok(Placed { device: None, memory: Some(value) })
        }
    }

    /// Runs an operator on the processor.
    fn in_memory(&self, step: &Step, inputs: &[Option<Placed>], bounds: &mut Bounds) -> Checked<Value> {
        let value = |input: &Option<Placed>| input.as_ref().map(Placed::in_memory).transpose();
        let inputs = inputs.iter().map(value).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let mut memory = Memory::new(bounds.room);
        memory.limit(bounds.room);
        apply(self.engine, (&step.fused.node.operator, &Ready::Nothing), inputs, &mut bounds.work, &mut memory)
    }
}
