//! Writes frozen TensorFlow graphs, sound ones and such as no exporter writes.

use super::onnx_file::{bytes, number};

/// An attribute: a map entry of its name and a value.
fn attribute(name: &str, value: &[u8]) -> Vec<u8> {
    bytes(5, &[bytes(1, name.as_bytes()), bytes(2, value)].concat())
}

pub fn text(name: &str, value: &str) -> Vec<u8> {
    attribute(name, &bytes(2, value.as_bytes()))
}

pub fn integers(name: &str, values: &[u64]) -> Vec<u8> {
    attribute(name, &bytes(1, &values.iter().flat_map(|&value| number(3, value)).collect::<Vec<_>>()))
}

pub fn node(operator: &str, name: &str, inputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|input| bytes(3, input.as_bytes())).collect();
    let rest = attributes.concat();
    bytes(1, &[bytes(1, name.as_bytes()), bytes(2, operator.as_bytes()), inputs, rest].concat())
}

/// A constant whose numbers are as many as its shape says, or not.
pub fn floats(name: &str, shape: &[u64], values: &[f32]) -> Vec<u8> {
    let axes: Vec<u8> = shape.iter().flat_map(|&axis| bytes(2, &number(1, axis))).collect();
    let content: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensor = [number(1, 1), bytes(2, &axes), bytes(4, &content)].concat();
    node("Const", name, &[], &[attribute("value", &bytes(8, &tensor))])
}

/// A normalisation as frozen graphs have it: `norm/add_1` is `input` divided by the root of the variance and 0.01, times gamma.
pub fn normalisation(input: &str, variance: &[f32], gamma: &[f32]) -> Vec<u8> {
    let channels = [gamma.len() as u64];
    [
        floats("variance", &channels, variance),
        floats("epsilon", &[], &[0.01]),
        floats("gamma", &channels, gamma),
        floats("beta", &channels, &vec![0.0; gamma.len()]),
        node("Add", "norm/add", &["variance", "epsilon"], &[]),
        node("Rsqrt", "norm/Rsqrt", &["norm/add:0"], &[]),
        node("Mul", "norm/mul", &["norm/Rsqrt", "gamma"], &[]),
        node("Mul", "norm/mul_1", &[input, "norm/mul", "^beta"], &[]),
        node("Add", "norm/add_1", &["norm/mul_1", "beta"], &[]),
    ]
    .concat()
}

/// A window that moves by as many pixels both ways.
pub fn window(stride: u64) -> [Vec<u8>; 2] {
    [integers("strides", &[1, stride, stride, 1]), text("padding", "SAME")]
}
