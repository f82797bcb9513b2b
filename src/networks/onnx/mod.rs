//! ONNX files as graphs: protocol buffers of the messages `ModelProto`, `GraphProto` and `NodeProto`.

mod attributes;
mod constant;
mod operator;

use std::collections::HashMap;

use self::attributes::Attributes;
use self::constant::constant;
use crate::graph::protobuf::{Field, Message};
use crate::graph::{Graph, GraphError, MOST_LINKS, MOST_NODES, NamedTensors, Node};

type Result<T> = std::result::Result<T, GraphError>;

const NOT_ONNX: GraphError = GraphError::Format { format: "an ONNX" };

/// Reads a file. Everything is checked, and unsupported operators are refused by name.
pub fn parse(bytes: &[u8]) -> Result<Graph> {
    let (mut graph, mut metadata, mut version) = (None, HashMap::new(), 0);
    for field in Message::new(bytes) {
        match field.map_err(|damaged| if graph.is_none() { NOT_ONNX } else { damaged })? {
            (7, field) => graph = Some(field.bytes()?),
            (8, field) => version = version.max(opset(field)?),
            (14, field) => {
                let (key, value) = pair(field)?;
                metadata.insert(key, value);
            }
            _ => {}
        }
    }
    let graph = graph.filter(|_| version > 0).ok_or(NOT_ONNX)?;
    Graph { metadata, ..read(graph)? }.checked()
}

fn read(bytes: &[u8]) -> Result<Graph> {
    let (mut tensors, mut nodes) = (NamedTensors::default(), Vec::new());
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for field in Message::new(bytes) {
        match field? {
            (1, field) => {
                let (operator, attributes, name, reads, writes) = node(field.bytes()?)?;
                let &[output] = writes.as_slice() else {
                    return Err(GraphError::Operator { name: format!("{operator} with {} outputs", writes.len()) });
                };
                if operator == "Constant" {
                    let other = || GraphError::Operator { name: "Constant of another form".into() };
                    tensors.set(output, constant(attributes.tensor.ok_or_else(other)?)?.1);
                    continue;
                }
                if nodes.len() >= MOST_NODES {
                    return Err(GraphError::TooLarge { what: "the number of operators" });
                }
                let operator = operator::read(operator, &attributes)?;
                let inputs = reads.iter().map(|name| (!name.is_empty()).then(|| tensors.number(name))).collect();
                nodes.push(Node { operator, name: name.to_owned(), inputs, output: tensors.number(output) });
            }
            (5, field) => {
                let (name, value) = constant(field.bytes()?)?;
                tensors.set(name, value);
            }
            (11, field) => inputs.push(tensors.number(name_of(field.bytes()?)?)),
            (12, field) => outputs.push(tensors.number(name_of(field.bytes()?)?)),
            (15, _) => return Err(GraphError::Operator { name: "sparse constants".into() }),
            _ => {}
        }
    }
    let constants = tensors.constants;
    // Older files name constants among their inputs.
    inputs.retain(|&input| constants[input].is_none());
    match inputs.as_slice() {
        &[input] if !outputs.is_empty() && outputs.len() <= MOST_LINKS => {
            Ok(Graph { nodes, constants, input, outputs, metadata: HashMap::new() })
        }
        _ => Err(GraphError::Operator { name: format!("{} inputs and {} outputs", inputs.len(), outputs.len()) }),
    }
}

type Parts<'a> = (&'a str, Attributes<'a>, &'a str, Vec<&'a str>, Vec<&'a str>);

fn node(bytes: &[u8]) -> Result<Parts<'_>> {
    let (mut operator, mut name, mut attributes) = ("", "", Attributes::default());
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for field in Message::new(bytes) {
        match field? {
            (1, field) => reads.push(field.text()?),
            (2, field) => writes.push(field.text()?),
            (3, field) => name = field.text()?,
            (4, field) => operator = field.text()?,
            (5, field) => attributes.read(field.bytes()?)?,
            (7, field) if !field.bytes()?.is_empty() => {
                return Err(GraphError::Operator { name: "of another domain".into() });
            }
            _ => {}
        }
    }
    if reads.len() > MOST_LINKS || writes.len() > MOST_LINKS {
        return Err(GraphError::TooLarge { what: "a list of tensors" });
    }
    Ok((operator, attributes, name, reads, writes))
}

fn opset(field: Field) -> Result<i64> {
    let (mut ours, mut version) = (true, 0);
    for field in Message::new(field.bytes()?) {
        match field? {
            (1, field) => ours = field.bytes()?.is_empty(),
            (2, field) => version = field.number()?,
            _ => {}
        }
    }
    Ok(if ours { version } else { 0 })
}

fn pair(field: Field) -> Result<(String, String)> {
    let (mut key, mut value) = (String::new(), String::new());
    for field in Message::new(field.bytes()?) {
        match field? {
            (1, field) => field.text()?.clone_into(&mut key),
            (2, field) => field.text()?.clone_into(&mut value),
            _ => {}
        }
    }
    Ok((key, value))
}

fn name_of(bytes: &[u8]) -> Result<&str> {
    for field in Message::new(bytes) {
        if let (1, field) = field? {
            return field.text();
        }
    }
    Ok("")
}
