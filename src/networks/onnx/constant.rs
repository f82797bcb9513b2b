//! Constants of a file: `TensorProto`.

use std::sync::Arc;

use crate::graph::protobuf::Message;
use crate::graph::{GraphError, HIGHEST_RANK, Tensor, Value, elements, in_fours};

type Result<T> = std::result::Result<T, GraphError>;

/// Reads the name and value of a constant.
pub(super) fn constant(bytes: &[u8]) -> Result<(&str, Value)> {
    let (mut name, mut kind, mut dims, mut raw) = ("", 0, Vec::new(), None);
    let (mut floats, mut numbers) = (None, Vec::new());
    for field in Message::new(bytes) {
        match field? {
            (1, field) => field.numbers(&mut dims)?,
            (2, field) => kind = field.number()?,
            (4, field) => floats = Some(field.bytes()?),
            (5 | 7, field) => field.numbers(&mut numbers)?,
            (8, field) => name = field.text()?,
            (9, field) => raw = Some(field.bytes()?),
            (13, _) => return Err(GraphError::Operator { name: "constants in another file".into() }),
            _ => {}
        }
    }
    let complain = |problem: &str| GraphError::Tensor { name: name.to_owned(), problem: problem.to_owned() };
    if dims.len() > HIGHEST_RANK {
        return Err(complain("too many axes"));
    }
    let shape = dims.iter().map(|&axis| usize::try_from(axis)).collect::<std::result::Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| complain("an axis below zero"))?;
    let count = elements(&shape).map_err(|problem| complain(&problem))?;
    let float = |data: Vec<f32>| Tensor::new(shape.clone(), data).map(|tensor| Value::Floats(Arc::new(tensor)));
    let value = match (kind, raw) {
        (1, _) => float(in_fours(raw.or(floats).unwrap_or_default(), f32::from_le_bytes)),
        // 8-bit integers are weights that are scaled later.
        (3, Some(raw)) => float(raw.iter().map(|&byte| f32::from(byte.cast_signed())).collect()),
        (6, Some(raw)) => {
            let numbers = in_fours(raw, |bytes| i64::from(i32::from_le_bytes(bytes)));
            (numbers.len() == count).then(|| Value::Integers(shape.clone(), numbers))
        }
        (7, Some(raw)) => {
            let numbers: Vec<i64> = raw.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
            (numbers.len() == count).then(|| Value::Integers(shape.clone(), numbers))
        }
        (6 | 7, None) => (numbers.len() == count).then(|| Value::Integers(shape.clone(), numbers)),
        (other, _) => return Err(complain(&format!("numbers of kind {other} are not supported"))),
    };
    Ok((name, value.ok_or_else(|| complain("not as many numbers as its shape says"))?))
}
