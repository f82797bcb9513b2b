//! Operators in candle's operations. Maps have the axes images, channels, rows, columns.

use candle_core::{Device, Error, Result, Tensor};
use candle_nn::ops;
use kernels::pointwise::Rectifier;

use super::super::matrix::product_of;
use super::super::operator::{Arithmetic, BIAS, Function, Operator, RESIDUAL};
use super::super::ready::Fused;
use super::super::rearrange::{shape_of, slices, squeezed_shape, unsqueezed_shape};
use super::super::tensor::{Value, elements};
use super::placed::{Bounds, Placed};
use super::windows;
use crate::axes::{axes_of, axis_of, together};

/// The inputs of an operator.
pub(super) struct Inputs<'a> {
    pub inputs: &'a [Option<Placed>],
    pub device: &'a Device,
}

impl Inputs<'_> {
    /// An input on the device, copied there if need be; `None` if it is omitted.
    pub fn optional(&self, at: usize) -> Result<Option<Tensor>> {
        let Some(Some(input)) = self.inputs.get(at) else { return Ok(None) };
        match &input.device {
            Some(tensor) => Ok(Some(tensor.clone())),
            None => Ok(Placed::on(self.device, input.in_memory()?)?.device),
        }
    }

    pub fn tensor(&self, at: usize) -> Result<Tensor> {
        self.optional(at)?.ok_or_else(|| Error::Msg("an input is missing".into()))
    }

    /// An input in memory, if there is one; `None` otherwise.
    fn value(&self, at: usize) -> Option<&Value> {
        self.inputs.get(at)?.as_ref()?.memory.as_ref()
    }

    fn integers(&self, at: usize) -> Result<&[i64]> {
        let value = self.value(at).ok_or_else(|| "no whole numbers".to_owned());
        value.and_then(Value::integers).map_err(Error::msg)
    }
}

/// The result on the device; `None` if candle lacks the operator.
pub(super) fn apply(step: &Fused, inputs: &Inputs<'_>, bounds: &mut Bounds) -> Result<Option<Tensor>> {
    let x = || inputs.tensor(0);
    let y = match &step.node.operator {
        Operator::Identity => x()?,
        Operator::Unary(function) => unary(*function, &x()?)?,
        Operator::Binary(arithmetic) => {
            let Some(y) = binary(*arithmetic, inputs, bounds)? else { return Ok(None) };
            y
        }
        Operator::Conv(sliding, groups) => {
            let y = windows::convolved(&x()?, &inputs.tensor(1)?, *sliding, *groups, bounds)?;
            finished(step, y, inputs)?
        }
        Operator::ConvTranspose(sliding) => {
            finished(step, windows::spread(&x()?, &inputs.tensor(1)?, *sliding, bounds)?, inputs)?
        }
        Operator::MaxPool(sliding) => windows::largest(&x()?, *sliding, bounds)?,
        Operator::AveragePool(sliding) => windows::averages(&x()?, *sliding, bounds)?,
        Operator::Pad(borders) => windows::padded(x()?, borders, bounds)?,
        Operator::Prelu => leaky(&x()?, &inputs.tensor(1)?)?,
        Operator::BatchNormalization(eps) => normalised(inputs, (*eps).into())?,
        Operator::Concat(axis) => {
            let parts = (0..inputs.inputs.len()).map(|at| inputs.tensor(at)).collect::<Result<Vec<_>>>()?;
            let count: usize = parts.iter().map(Tensor::elem_count).sum();
            bounds.claim(&[count]).map_err(Error::msg)?;
            Tensor::cat(&parts, axis_of(*axis, parts[0].rank()).map_err(Error::msg)?)?
        }
        Operator::MatMul => finished(step, product(&x()?, &inputs.tensor(1)?, bounds)?, inputs)?,
        Operator::Mean(axes, keeps) => {
            let x = x()?;
            let all: Vec<i64> = (2..x.rank() as i64).collect();
            over(&x, axes.as_deref().unwrap_or(&all), *keeps, Tensor::mean_keepdim)?
        }
        Operator::Sum(axes, keeps) => over(&x()?, axes, *keeps, Tensor::sum_keepdim)?,
        Operator::Resize => {
            let Some(Value::Floats(factors)) = inputs.value(2) else { return Ok(None) };
            if inputs.optional(3)?.is_some() {
                return Ok(None);
            }
            windows::enlarged(&x()?, &factors.data, bounds)?
        }
        Operator::Bilinear([rows, columns]) => {
            let x = x()?.contiguous()?;
            let (images, channels, ..) = x.dims4()?;
            bounds.claim(&[images, channels, *rows, *columns]).map_err(Error::msg)?;
            x.upsample_bilinear2d(*rows, *columns, false)?
        }
        Operator::DepthToSpace(block) => windows::to_blocks(&x()?, *block)?,
        Operator::Reshape => {
            let x = x()?;
            x.reshape(shape_of(x.dims(), inputs.integers(1)?).map_err(Error::msg)?)?
        }
        Operator::Slice => {
            let integers = |at: usize| inputs.value(at).map(|_| inputs.integers(at)).transpose();
            let (begins, ends, axes) = (inputs.integers(1)?, inputs.integers(2)?, integers(3)?);
            let mut y = x()?;
            let parts = slices(y.dims(), (begins, ends), axes, integers(4)?).map_err(Error::msg)?;
            for (axis, part) in parts {
                y = y.narrow(axis, part.start, part.len())?;
            }
            y
        }
        Operator::Softmax(axis) => {
            let x = x()?;
            if axis_of(*axis, x.rank()).map_err(Error::msg)? + 1 != x.rank() {
                return Ok(None);
            }
            ops::softmax_last_dim(&x.contiguous()?)?
        }
        Operator::Squeeze(axes) => {
            let x = x()?;
            x.reshape(squeezed_shape(x.dims(), axes).map_err(Error::msg)?)?
        }
        Operator::Unsqueeze(axes) => {
            let x = x()?;
            x.reshape(unsqueezed_shape(x.dims(), axes).map_err(Error::msg)?)?
        }
        Operator::Transpose(order) => x()?.permute(axes_of(order, order.len()).map_err(Error::msg)?)?,
        Operator::Shape | Operator::RegionMatrix(_) | Operator::Crop(_) | Operator::MoveLandmarks => return Ok(None),
    };
    Ok(Some(y.contiguous()?))
}

fn unary(function: Function, x: &Tensor) -> Result<Tensor> {
    match function {
        Function::Relu => x.relu(),
        Function::Relu6 => x.clamp(0f32, 6f32),
        Function::Sigmoid => ops::sigmoid(x),
        Function::HardSigmoid { slope, shift } => x.affine(slope.into(), shift.into())?.clamp(0f32, 1f32),
        Function::Erf => x.erf(),
        Function::Gelu => x.gelu_erf(),
        Function::Silu => x.silu(),
        Function::Sqrt => x.sqrt(),
        Function::InverseSqrt => x.sqrt()?.recip(),
        Function::Negate => x.neg(),
    }
}

fn binary(arithmetic: Arithmetic, inputs: &Inputs<'_>, bounds: &Bounds) -> Result<Option<Tensor>> {
    let (a, b) = (inputs.tensor(0)?, inputs.tensor(1)?);
    bounds.claim(&together(a.dims(), b.dims()).map_err(Error::msg)?).map_err(Error::msg)?;
    let y = match arithmetic {
        Arithmetic::Add => a.broadcast_add(&b),
        Arithmetic::Sub => a.broadcast_sub(&b),
        Arithmetic::Mul => a.broadcast_mul(&b),
        Arithmetic::Div => a.broadcast_div(&b),
        Arithmetic::SquaredDifference => a.broadcast_sub(&b)?.sqr(),
        // candle computes other powers by logarithms, which negative numbers have none of.
        Arithmetic::Pow => match inputs.value(1) {
            Some(Value::Floats(power)) if *power.data == [2.0] => a.sqr(),
            _ => return Ok(None),
        },
    };
    y.map(Some)
}

fn normalised(inputs: &Inputs<'_>, eps: f64) -> Result<Tensor> {
    let [scale, shift, mean, variance] = [1, 2, 3, 4].map(|at| inputs.tensor(at));
    let factors = (scale? / (variance? + eps)?.sqrt()?)?;
    let offsets = (shift? - (mean? * &factors)?)?;
    let x = inputs.tensor(0)?;
    x.broadcast_mul(&by_channel(&factors, x.rank())?)?.broadcast_add(&by_channel(&offsets, x.rank())?)
}

/// A number for each channel, beside tensors of so many axes.
fn by_channel(row: &Tensor, rank: usize) -> Result<Tensor> {
    let mut shape = vec![1; rank.max(2)];
    shape[1] = row.elem_count();
    row.reshape(shape)
}

fn leaky(x: &Tensor, slopes: &Tensor) -> Result<Tensor> {
    x.relu()? - x.neg()?.relu()?.broadcast_mul(&by_channel(slopes, x.rank())?)?
}

/// Adds the bias and the residual, and applies the rectifier.
fn finished(step: &Fused, mut y: Tensor, inputs: &Inputs<'_>) -> Result<Tensor> {
    let is_product = step.node.operator == Operator::MatMul;
    if let Some(bias) = inputs.optional(BIAS)? {
        let bias = if is_product { bias } else { by_channel(&bias, y.rank())? };
        y = y.broadcast_add(&bias)?;
    }
    if let Some(mut residual) = inputs.optional(RESIDUAL)? {
        if step.short_residual {
            let missing = y.dim(1)?.saturating_sub(residual.dim(1)?);
            residual = residual.pad_with_zeros(1, 0, missing)?;
        }
        y = y.broadcast_add(&residual)?;
    }
    match &step.rectifier {
        Rectifier::Identity => Ok(y),
        Rectifier::Relu => unary(Function::Relu, &y),
        Rectifier::Relu6 => unary(Function::Relu6, &y),
        Rectifier::Gelu => unary(Function::Gelu, &y),
        Rectifier::Silu => unary(Function::Silu, &y),
        Rectifier::Prelu(slopes) => leaky(&y, &Tensor::new(slopes.as_slice(), inputs.device)?),
    }
}

fn product(a: &Tensor, b: &Tensor, bounds: &mut Bounds) -> Result<Tensor> {
    let (shape, work) = product_of(a.dims(), b.dims()).map_err(Error::msg)?;
    bounds.afford(work).and_then(|()| bounds.claim(&shape)).map_err(Error::msg)?;
    if b.rank() == 2 {
        // One product in place of one for each batch.
        let rows = elements(a.dims()).map_err(Error::msg)? / b.dim(0)?;
        return a.reshape((rows, b.dim(0)?))?.matmul(b)?.reshape(shape);
    }
    a.matmul(b)
}

/// Reduces some axes, which stay with length 1 or go.
fn over(x: &Tensor, axes: &[i64], keeps: bool, f: impl Fn(&Tensor, Vec<usize>) -> Result<Tensor>) -> Result<Tensor> {
    let axes = axes_of(axes, x.rank()).map_err(Error::msg)?;
    let y = f(x, axes.clone())?;
    if keeps {
        return Ok(y);
    }
    let stays = y.dims().iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
    let shape: Vec<usize> = stays.map(|(_, size)| *size).collect();
    y.reshape(shape)
}
