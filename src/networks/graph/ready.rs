//! Operators with packed weights.

use std::sync::Arc;

use kernels::pointwise::Rectifier;
use kernels::{Cpu, Engine, Linear};

use super::Node;
use super::convolution::Conv;
use super::matrix::packed;
use super::operator::{BIAS, Operator};
use super::tensor::{Tensor, Value};
use super::window::Spread;
use crate::axes::{Checked, require};

/// An operator with what is fused into it.
#[derive(Debug)]
pub(super) struct Fused {
    pub node: Node,
    pub rectifier: Rectifier,
    /// A depthwise convolution in front, with its activation.
    pub filter: Option<(Node, Rectifier)>,
    /// Whether the channels that the residual lacks are zeros.
    pub short_residual: bool,
}

/// Packed weights.
#[derive(Debug)]
pub(super) enum Ready {
    Nothing,
    Conv(Box<Conv>),
    Spread(Spread),
    Matrix(Linear, Rectifier),
}

impl Ready {
    pub fn new(engine: Engine, fused: &Fused, constants: &[Option<Value>]) -> Checked<Self> {
        let Fused { node, rectifier, filter, short_residual } = fused;
        let parts = Parts { node, constants };
        Ok(match &node.operator {
            Operator::Conv(..) => {
                let conv = parts.conv(engine.cpu, rectifier)?;
                let conv = match filter {
                    Some((node, rectifier)) => conv.after(Parts { node, constants }.conv(engine.cpu, rectifier)?)?,
                    None => conv,
                };
                Self::Conv(Box::new(conv.with_short_residual(*short_residual)))
            }
            Operator::ConvTranspose(sliding) => {
                let weight = parts.weight()?;
                let bias = parts.bias(weight.shape.get(1).copied().unwrap_or(0))?;
                Self::Spread(Spread::new(engine.cpu, *sliding, &weight, &bias, rectifier.clone())?)
            }
            Operator::MatMul => match parts.constant(1)? {
                Some(weight) if weight.shape.len() == 2 && !weight.data.is_empty() => {
                    let (inputs, outputs) = (weight.shape[0], weight.shape[1]);
                    let bias = parts.bias(outputs)?;
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

/// The constant inputs of a node.
struct Parts<'a> {
    node: &'a Node,
    constants: &'a [Option<Value>],
}

impl Parts<'_> {
    fn constant(&self, at: usize) -> Checked<Option<Arc<Tensor>>> {
        let value = self.node.input(at).and_then(|tensor| self.constants[tensor].clone());
        value.map(Value::floats).transpose()
    }

    fn weight(&self) -> Checked<Arc<Tensor>> {
        self.constant(1)?.ok_or_else(|| "weights that are no constants".to_owned())
    }

    fn bias(&self, outputs: usize) -> Checked<Vec<f32>> {
        let bias = self.constant(BIAS)?;
        require(bias.is_some() || self.node.input(BIAS).is_none(), "a bias that is no constant")?;
        Ok(bias.map_or_else(|| vec![0.0; outputs], |bias| bias.data.clone()))
    }

    fn conv(&self, cpu: Cpu, rectifier: &Rectifier) -> Checked<Conv> {
        let Operator::Conv(sliding, groups) = self.node.operator else { return Err("no convolution".into()) };
        let weight = self.weight()?;
        let bias = self.bias(weight.shape.first().copied().unwrap_or(0))?;
        Conv::new(cpu, sliding, groups, &weight, &bias, rectifier.clone())
    }
}
