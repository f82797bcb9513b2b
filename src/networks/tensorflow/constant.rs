//! Constants of a file: `TensorProto`.

use super::Result;
use crate::graph::protobuf::Message;
use crate::graph::{GraphError, HIGHEST_RANK, Tensor, elements, in_fours, short};

/// `DT_FLOAT`.
const FLOAT: i64 = 1;

/// Reads a tensor of floats.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Tensor> {
    let (mut kind, mut shape, mut content, mut floats) = (0, Vec::new(), None, Vec::new());
    let complain = |problem: &str| GraphError::Tensor { name: short(name), problem: problem.to_owned() };
    for field in Message::new(bytes) {
        match field? {
            (1, field) => kind = field.number()?,
            (2, field) => shape = self::shape(field.bytes()?)?,
            (4, field) => content = Some(field.bytes()?),
            // A list of numbers, packed or not.
            (5, field) => match field.bytes() {
                Ok(packed) => floats.extend(in_fours(packed, f32::from_le_bytes)),
                Err(_) => floats.push(field.float()?),
            },
            _ => {}
        }
    }
    if kind != FLOAT {
        return Err(complain(&format!("numbers of kind {kind} are not supported")));
    }
    if shape.len() > HIGHEST_RANK {
        return Err(complain("too many axes"));
    }
    let shape = shape.iter().map(|&axis| usize::try_from(axis)).collect::<std::result::Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| complain("an axis below zero"))?;
    let count = elements(&shape).map_err(|problem| complain(&problem))?;
    let data = match content {
        Some(content) => in_fours(content, f32::from_le_bytes),
        // The last number stands for all that follow. Only small tensors are written so.
        None if (1..=count).contains(&floats.len()) && count <= bytes.len() << 8 => {
            let last = floats[floats.len() - 1];
            floats.resize(count, last);
            floats
        }
        None => floats,
    };
    Tensor::new(shape, data).ok_or_else(|| complain("not as many numbers as its shape says"))
}

/// `TensorShapeProto`.
fn shape(bytes: &[u8]) -> Result<Vec<i64>> {
    let mut shape = Vec::new();
    for field in Message::new(bytes) {
        if let (2, field) = field? {
            let mut size = 0;
            for field in Message::new(field.bytes()?) {
                if let (1, field) = field? {
                    size = field.number()?;
                }
            }
            shape.push(size);
            if shape.len() > HIGHEST_RANK {
                break;
            }
        }
    }
    Ok(shape)
}
