//! A file as a checked list of operators over tensors: operators come after their inputs, and every shape follows from
//! earlier ones.

use std::sync::Arc;

use super::constant::Value;
use super::flatbuffer::Table;
use super::operator::Code;
use super::{Operator, TfliteError, constant, shape};

type Result<T> = std::result::Result<T, TfliteError>;

/// Limits on the contents of a file; the face networks stay below a tenth of each.
const MOST_TENSORS: usize = 1 << 14;
const MOST_INPUTS: usize = 16;
const HIGHEST_RANK: usize = 5;
const MOST_ELEMENTS: usize = 1 << 26;
/// Limit on the elements of constants, which take memory when read; sparse ones take more than the file.
const MOST_CONSTANTS: usize = 1 << 23;

#[derive(Clone, Debug)]
pub struct Graph {
    pub tensors: Vec<Tensor>,
    pub nodes: Vec<Node>,
    pub inputs: Vec<usize>,
    pub outputs: Vec<usize>,
}

#[derive(Clone, Debug)]
pub struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    /// The value of a constant; `None` for computed tensors.
    pub value: Option<Value>,
}

impl Tensor {
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn floats(&self) -> Option<&Arc<[f32]>> {
        if let Some(Value::F32(values)) = &self.value { Some(values) } else { None }
    }

    pub fn integers(&self) -> Option<&[i32]> {
        if let Some(Value::I32(values)) = &self.value { Some(values) } else { None }
    }
}

#[derive(Clone, Debug)]
pub struct Node {
    pub operator: Operator,
    pub inputs: Vec<usize>,
    pub output: usize,
}

impl Graph {
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let model = Table::root(bytes, *b"TFL3")?;
        let buffers = model.tables(4)?;
        let mut graphs = model.tables(2)?;
        let found = graphs.len();
        let (Some(graph), 1) = (graphs.next(), found) else { return Err(TfliteError::Graphs { found }) };
        let graph = graph?;
        let codes = model.tables(1)?.take(1024).map(|entry| Code::read(&entry?)).collect::<Result<Vec<_>>>()?;

        let mut tensors = read_tensors(&graph, buffers)?;
        let count = tensors.len();
        let index = |value: i32| match usize::try_from(value) {
            Ok(index) if index < count => Ok(index),
            _ => Err(TfliteError::Missing { what: "tensor", index: i64::from(value) }),
        };
        let list = |table: &Table, field: usize| -> Result<Vec<usize>> {
            let entries = table.i32s(field)?;
            if entries.len() > MOST_INPUTS {
                return Err(TfliteError::TooLarge { what: "a list of tensors" });
            }
            entries.map(index).collect()
        };
        let (inputs, outputs) = (list(&graph, 1)?, list(&graph, 2)?);

        let entries = graph.tables(3)?;
        if entries.len() > MOST_TENSORS {
            return Err(TfliteError::TooLarge { what: "the number of operators" });
        }
        let mut uses = Vec::with_capacity(entries.len());
        for entry in entries {
            let entry = entry?;
            let code = entry.u32(0)? as usize;
            let code = codes.get(code).ok_or(TfliteError::Missing { what: "operator code", index: code as i64 })?;
            uses.push((code, entry, list(&entry, 1)?, list(&entry, 2)?));
        }

        let mut nodes = Vec::new();
        for (code, entry, inputs, outputs) in uses {
            let &[output] = outputs.as_slice() else {
                return Err(TfliteError::Missing { what: "the one output", index: outputs.len() as i64 });
            };
            match code {
                Code::Constant => pass_on(&mut tensors, &inputs, output)?,
                Code::Known(name) => nodes.push(Node { operator: Operator::read(name, &entry)?, inputs, output }),
            }
        }
        let graph = Self { tensors, nodes, inputs, outputs };
        graph.check_order()?;
        shape::check(&graph)?;
        Ok(graph)
    }

    /// Checks that operators read only constants, inputs and earlier outputs, and that nothing is written twice.
    fn check_order(&self) -> Result<()> {
        let complain = |tensor: usize, problem: &str| {
            Err(TfliteError::Tensor { tensor: self.tensors[tensor].name.clone(), problem: problem.to_owned() })
        };
        let mut known: Vec<bool> = self.tensors.iter().map(|t| t.value.is_some()).collect();
        for &input in &self.inputs {
            if known[input] {
                return complain(input, "an input that is given twice or is a constant");
            }
            known[input] = true;
        }
        for node in &self.nodes {
            if let Some(&unknown) = node.inputs.iter().find(|&&input| !known[input]) {
                return complain(unknown, "is read before it is written");
            }
            if known[node.output] {
                return complain(node.output, "is written twice");
            }
            known[node.output] = true;
        }
        match self.outputs.iter().find(|&&output| !known[output]) {
            Some(&output) => complain(output, "an output nobody writes"),
            None => Ok(()),
        }
    }
}

/// Copies a constant through an operator that only changes its storage.
fn pass_on(tensors: &mut [Tensor], inputs: &[usize], output: usize) -> Result<()> {
    let value = match inputs {
        &[input] if tensors[input].shape == tensors[output].shape => tensors[input].value.clone(),
        _ => None,
    };
    if value.is_none() || tensors[output].value.is_some() {
        return Err(TfliteError::Operator { name: "DEQUANTIZE or DENSIFY of what is not a constant".to_owned() });
    }
    tensors[output].value = value;
    Ok(())
}

fn read_tensors<'a>(
    graph: &Table<'a>,
    buffers: impl ExactSizeIterator<Item = Result<Table<'a>>>,
) -> Result<Vec<Tensor>> {
    let entries = graph.tables(0)?;
    if entries.len() > MOST_TENSORS || buffers.len() > 2 * MOST_TENSORS {
        return Err(TfliteError::TooLarge { what: "the number of tensors" });
    }
    let buffers = buffers.collect::<Result<Vec<_>>>()?;
    let (mut left, mut constants_left) = (MOST_ELEMENTS, MOST_CONSTANTS);
    entries
        .map(|entry| {
            let entry = entry?;
            let name = entry.bytes(3)?;
            let name = String::from_utf8_lossy(&name[..name.len().min(256)]).into_owned();
            let complain = |problem: String| TfliteError::Tensor { tensor: name.clone(), problem };
            let shape = read_shape(&entry, &mut left).map_err(|e| complain(e.to_string()))?;
            let buffer = entry.u32(2)? as usize;
            let data = match buffers.get(buffer) {
                Some(buffer) => buffer.bytes(0)?,
                None => return Err(TfliteError::Missing { what: "buffer", index: buffer as i64 }),
            };
            // An empty buffer marks a computed tensor.
            let value = match data {
                [] => None,
                data => {
                    constants_left = constants_left
                        .checked_sub(shape.iter().product())
                        .ok_or(TfliteError::TooLarge { what: "the size of all constants together" })?;
                    Some(constant::decode(&entry, data, &shape).map_err(complain)?)
                }
            };
            Ok(Tensor { name, shape, value })
        })
        .collect()
}

/// Reads a shape and subtracts its elements from those `left` to the file, so that no product overflows.
fn read_shape(entry: &Table, left: &mut usize) -> Result<Vec<usize>> {
    let axes = entry.i32s(0)?;
    if axes.len() > HIGHEST_RANK {
        return Err(TfliteError::TooLarge { what: "the number of axes" });
    }
    let shape = axes
        .map(|value| match usize::try_from(value) {
            Ok(axis) if axis > 0 => Ok(axis),
            _ => Err(TfliteError::Negative { value }),
        })
        .collect::<Result<Vec<_>>>()?;
    let elements = shape.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis));
    *left = elements
        .and_then(|elements| left.checked_sub(elements))
        .ok_or(TfliteError::TooLarge { what: "the size of all tensors together" })?;
    Ok(shape)
}
