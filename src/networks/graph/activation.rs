//! Functions of single numbers.

use std::sync::Arc;

use kernels::pointwise::Rectifier;

use super::operator::Function;
use super::tensor::Tensor;
use crate::axes::{Checked, require};
use crate::rectified::{erf, gelu, larger, rectified, silu};

pub(super) fn unary(function: Function, x: Arc<Tensor>) -> Arc<Tensor> {
    let mut x = Arc::unwrap_or_clone(x);
    for run in x.runs() {
        let data = run.iter_mut();
        match function {
            Function::Relu => data.for_each(|v| *v = larger(*v, 0.0)),
            Function::Relu6 => data.for_each(|v| *v = larger(*v, 0.0).min(6.0)),
            Function::Sigmoid => data.for_each(|v| *v = 1.0 / (1.0 + (-*v).exp())),
            Function::HardSigmoid { slope, shift } => data.for_each(|v| *v = (slope * *v + shift).clamp(0.0, 1.0)),
            Function::Erf => data.for_each(|v| *v = erf(*v)),
            Function::Silu => data.for_each(|v| *v = silu(*v)),
            Function::Gelu => data.for_each(|v| *v = gelu(*v)),
            Function::Sqrt => data.for_each(|v| *v = v.sqrt()),
            Function::InverseSqrt => data.for_each(|v| *v = 1.0 / v.sqrt()),
            Function::Negate => data.for_each(|v| *v = -*v),
        }
    }
    Arc::new(x)
}

/// A slope below zero for each channel of a map.
pub(super) fn prelu(x: Arc<Tensor>, slopes: &Tensor) -> Checked<Arc<Tensor>> {
    let [_, channels, ..] = x.map()?;
    require(slopes.data.len() == channels, "not a slope for each channel")?;
    let mut x = Arc::unwrap_or_clone(x.by_pixels());
    let step = x.step();
    rectified(&Rectifier::Prelu(slopes.data.clone()), &mut x.data, step);
    Ok(Arc::new(x))
}
