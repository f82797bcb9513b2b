//! Writes ONNX files, sound ones and such as no exporter writes.

/// A field of bytes, texts and messages.
pub fn bytes(number: u64, content: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

/// A field that is a number.
pub fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub fn integers(name: &str, values: &[u64]) -> Vec<u8> {
    [vec![bytes(1, name.as_bytes())], values.iter().map(|&value| number(8, value)).collect()].concat().concat()
}

pub fn integer(name: &str, value: u64) -> Vec<u8> {
    [bytes(1, name.as_bytes()), number(3, value)].concat()
}

pub fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|input| bytes(1, input.as_bytes()));
    let attributes = attributes.iter().flat_map(|attribute| bytes(5, attribute));
    let rest = [bytes(2, output.as_bytes()), bytes(4, operator.as_bytes())].concat();
    inputs.chain(rest).chain(attributes).collect()
}

/// A constant whose numbers are as many as its shape says, or not.
pub fn floats(name: &str, shape: &[u64], values: &[f32]) -> Vec<u8> {
    let shape: Vec<u8> = shape.iter().flat_map(|&axis| number(1, axis)).collect();
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [shape, number(2, 1), bytes(8, name.as_bytes()), bytes(9, &raw)].concat()
}

/// A model from `x` to `output`.
pub fn model(nodes: &[Vec<u8>], constants: &[Vec<u8>], output: &str, metadata: &[(&str, &str)]) -> Vec<u8> {
    let nodes = nodes.iter().flat_map(|node| bytes(1, node));
    let constants = constants.iter().flat_map(|constant| bytes(5, constant));
    let ends = [bytes(11, &bytes(1, b"x")), bytes(12, &bytes(1, output.as_bytes()))].concat();
    let graph: Vec<u8> = nodes.chain(constants).chain(ends).collect();
    let pair =
        |(key, value): &(&str, &str)| bytes(14, &[bytes(1, key.as_bytes()), bytes(2, value.as_bytes())].concat());
    let metadata: Vec<u8> = metadata.iter().flat_map(pair).collect();
    [bytes(7, &graph), bytes(8, &number(2, 11)), metadata].concat()
}
