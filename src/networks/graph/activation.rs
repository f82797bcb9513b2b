//! Functions of single numbers.

use std::sync::Arc;

use super::operator::Function;
use super::tensor::Tensor;
use crate::rectified::{erf, gelu, larger, silu};

pub(super) fn unary(function: Function, x: Arc<Tensor>) -> Arc<Tensor> {
    let mut x = Arc::unwrap_or_clone(x);
    let data = x.data.iter_mut();
    match function {
        Function::Relu => data.for_each(|v| *v = larger(*v, 0.0)),
        Function::Relu6 => data.for_each(|v| *v = larger(*v, 0.0).min(6.0)),
        Function::Sigmoid => data.for_each(|v| *v = 1.0 / (1.0 + (-*v).exp())),
        Function::HardSigmoid { slope, shift } => data.for_each(|v| *v = (slope * *v + shift).clamp(0.0, 1.0)),
        Function::Erf => data.for_each(|v| *v = erf(*v)),
        Function::Silu => data.for_each(|v| *v = silu(*v)),
        Function::Gelu => data.for_each(|v| *v = gelu(*v)),
        Function::Sqrt => data.for_each(|v| *v = v.sqrt()),
    }
    Arc::new(x)
}
