//! Runs one operator.

use kernels::pointwise::Rectifier;
use kernels::{Engine, Linear};

use super::Node;
use super::activation::unary;
use super::arithmetic::{binary, mean, normalised, softmax};
use super::convolution::Conv;
use super::matrix::{multiplied, packed, product, product_of};
use super::operator::{Arithmetic, BIAS, Operator, RESIDUAL};
use super::rearrange::{concat, reshaped, sliced, squeezed, transposed, unsqueezed};
use super::tensor::{Memory, Tensor, Value};
use super::window::{Spread, enlarged, pooled};
use crate::axes::{Checked, require, together};

/// An operator with a fused activation.
#[derive(Debug)]
pub(super) struct Fused {
    pub node: Node,
    pub rectifier: Rectifier,
}

/// Packed weights.
#[derive(Debug)]
pub(super) enum Ready {
    Nothing,
    Conv(Conv),
    Spread(Spread),
    Matrix(Linear, Rectifier),
}

impl Ready {
    pub fn new(engine: Engine, fused: &Fused, constants: &[Option<Value>]) -> Checked<Self> {
        let Fused { node, rectifier } = fused;
        let constant = |at: usize| {
            let value = node.input(at).and_then(|tensor| constants[tensor].clone());
            value.map(Value::floats).transpose()
        };
        let weight = || Ok::<_, String>(constant(1)?.ok_or("weights that are no constants")?);
        let bias = |outputs: usize| {
            let bias = constant(BIAS)?;
            require(bias.is_some() || node.input(BIAS).is_none(), "a bias that is no constant")?;
            Ok::<_, String>(bias.map_or_else(|| vec![0.0; outputs], |bias| bias.data.clone()))
        };
        let outputs = |weight: &Tensor, at: usize| weight.shape.get(at).copied().unwrap_or(0);
        Ok(match &node.operator {
            Operator::Conv(sliding, groups) => {
                let weight = weight()?;
                let bias = bias(outputs(&weight, 0))?;
                Self::Conv(Conv::new(engine.cpu, *sliding, *groups, &weight, &bias, rectifier.clone())?)
            }
            Operator::ConvTranspose(sliding) => {
                let weight = weight()?;
                let bias = bias(outputs(&weight, 1))?;
                Self::Spread(Spread::new(engine.cpu, *sliding, &weight, &bias, rectifier.clone())?)
            }
            Operator::MatMul => match constant(1)? {
                Some(weight) if weight.shape.len() == 2 && !weight.data.is_empty() => {
                    let (inputs, outputs) = (weight.shape[0], weight.shape[1]);
                    let bias = bias(outputs)?;
                    require(bias.len() == outputs, "a bias for other columns")?;
                    Self::Matrix(packed(engine, &weight.data, inputs, &bias), rectifier.clone())
                }
                _ => {
                    require(node.inputs.len() == 2 && *rectifier == Rectifier::Identity, "a matrix of other axes")?;
                    Self::Nothing
                }
            },
            _ => Self::Nothing,
        })
    }

    pub fn bytes(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Conv(conv) => conv.bytes(),
            Self::Spread(spread) => spread.bytes(),
            Self::Matrix(linear, _) => linear.bytes(),
        }
    }
}

pub(super) fn apply(
    engine: Engine,
    (operator, ready): (&Operator, &Ready),
    inputs: Vec<Option<Value>>,
    left: &mut u64,
    memory: &mut Memory,
) -> Checked<Value> {
    let mut afford = |work: u64| {
        *left = left.checked_sub(work).ok_or("the work of a run is more than this reader allows")?;
        Ok::<_, String>(())
    };
    afford(inputs.iter().flatten().map(|value| value.elements() as u64).sum())?;
    let count = inputs.len();
    let mut inputs = inputs.into_iter();
    let mut next = || inputs.next().flatten();
    let mut value = || next().ok_or_else(|| "an input is missing".to_owned());
    let floats = Value::Floats;
    Ok(match operator {
        Operator::Identity => value()?,
        Operator::Unary(function) => floats(unary(*function, value()?.floats()?)),
        Operator::Binary(arithmetic) => {
            let (a, b) = (value()?.floats()?, value()?.floats()?);
            let shape = together(&a.shape, &b.shape)?;
            if shape != a.shape && shape != b.shape {
                memory.claim(&shape)?;
            }
            floats(binary(*arithmetic, a, b)?)
        }
        Operator::Conv(..) => {
            let Ready::Conv(conv) = ready else { return Err("a convolution of constants".into()) };
            let x = value()?.floats()?;
            afford(conv.work(&x)?)?;
            let residual = inputs.nth(RESIDUAL - 1).flatten().map(Value::floats).transpose()?;
            floats(match residual {
                Some(residual) if !conv.adds(&x, &residual)? => {
                    binary(Arithmetic::Add, conv.run(x, None, memory)?, residual)?
                }
                residual => conv.run(x, residual, memory)?,
            })
        }
        Operator::ConvTranspose(_) => {
            let Ready::Spread(spread) = ready else { return Err("a convolution of constants".into()) };
            let x = value()?.floats()?;
            afford(spread.work(&x)?)?;
            floats(spread.run(x, memory)?)
        }
        Operator::MaxPool(sliding) | Operator::AveragePool(sliding) => {
            let x = value()?.floats()?;
            let window = sliding.window.unwrap_or([1, 1]);
            afford((x.data.len() * window[0] * window[1]) as u64)?;
            floats(pooled(x, *sliding, matches!(operator, Operator::MaxPool(_)), memory)?)
        }
        Operator::BatchNormalization(eps) => {
            let x = value()?.floats()?;
            let mut part = || value()?.floats();
            floats(normalised(x, &[part()?, part()?, part()?, part()?], *eps)?)
        }
        Operator::Concat(axis) => concat((0..count).map(|_| value()).collect::<Checked<Vec<_>>>()?, *axis, memory)?,
        Operator::MatMul => {
            let a = value()?.floats()?;
            if let Ready::Matrix(linear, rectifier) = ready {
                afford((a.data.len() as u64).saturating_mul(linear.outputs() as u64))?;
                floats(multiplied(a, linear, rectifier, memory)?)
            } else {
                let b = value()?.floats()?;
                afford(product_of(&a.shape, &b.shape)?.1)?;
                floats(product(engine, a, &b.plain(), memory)?)
            }
        }
        Operator::Mean(axes, keeps) => floats(mean(value()?.floats()?, axes.as_deref(), *keeps)?),
        Operator::Resize => {
            let x = value()?.floats()?;
            let _region = inputs.next();
            let factors = inputs.next().flatten().ok_or("no factors")?.floats()?;
            require(inputs.next().flatten().is_none(), "sizes in place of factors")?;
            floats(enlarged(x, &factors.data, memory)?)
        }
        Operator::Reshape => {
            let x = value()?;
            reshaped(x, value()?.integers()?)?
        }
        Operator::Shape => {
            let numbers: Vec<i64> = value()?.shape().iter().map(|&axis| axis as i64).collect();
            Value::Integers(vec![numbers.len()], numbers)
        }
        Operator::Slice => {
            let (x, begins, ends) = (value()?, value()?, value()?);
            let (axes, steps) = (inputs.next().flatten(), inputs.next().flatten());
            let axes = axes.as_ref().map(Value::integers).transpose()?;
            let steps = steps.as_ref().map(Value::integers).transpose()?;
            sliced(x, begins.integers()?, ends.integers()?, axes, steps)?
        }
        Operator::Softmax(axis) => floats(softmax(value()?.floats()?, *axis)?),
        Operator::Squeeze(axes) => squeezed(value()?, axes)?,
        Operator::Unsqueeze(axes) => unsqueezed(value()?, axes)?,
        Operator::Transpose(order) => floats(transposed(value()?.floats()?, order)?),
    })
}
