//! Runs one operator.

use kernels::Engine;

use super::activation::{prelu, unary};
use super::arithmetic::{binary, mean, normalised, softmax, sum};
use super::geometry::{padded, resized, to_blocks};
use super::matrix::{multiplied, product, product_of};
use super::operator::{Operator, RESIDUAL};
use super::ready::Ready;
use super::rearrange::{concat, reshaped, sliced, squeezed, transposed, unsqueezed};
use super::region;
use super::tensor::{Memory, Value};
use super::window::{enlarged, pooled};
use crate::axes::{Checked, require, together};

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
    let reads_padding = operator.reads_padding();
    let unpadded = |value: Value| if reads_padding { value } else { value.unpadded() };
    let mut inputs = inputs.into_iter().map(|value| value.map(unpadded));
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
            floats(conv.run_with(x, residual, memory)?)
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
        Operator::Pad(borders) => floats(padded(value()?.floats()?, borders, memory)?),
        Operator::Prelu => {
            let (x, slopes) = (value()?.floats()?, value()?.floats()?);
            floats(prelu(x, &slopes)?)
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
        Operator::Sum(axes, keeps) => floats(sum(value()?.floats()?, axes, *keeps)?),
        Operator::Bilinear(sides) => floats(resized(value()?.floats()?, *sides, memory)?),
        Operator::DepthToSpace(block) => floats(to_blocks(value()?.floats()?, *block, memory)?),
        Operator::Resize => {
            let x = value()?.floats()?;
            let _region = inputs.next();
            let (factors, sizes) = (inputs.next().flatten().ok_or("no factors")?.floats()?, inputs.next().flatten());
            require(sizes.is_none(), "sizes in place of factors")?;
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
            sliced(x, (begins.integers()?, ends.integers()?), axes, steps)?
        }
        Operator::Softmax(axis) => floats(softmax(engine.cpu, value()?.floats()?, *axis)?),
        Operator::Squeeze(axes) => squeezed(value()?, axes)?,
        Operator::Unsqueeze(axes) => unsqueezed(value()?, axes)?,
        Operator::Transpose(order) => floats(transposed(value()?.floats()?, order)?),
        Operator::RegionMatrix(_) | Operator::Crop(_) | Operator::MoveLandmarks => {
            floats(region::apply(operator, || value()?.floats(), memory)?)
        }
    })
}
