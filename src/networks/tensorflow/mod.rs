//! Frozen TensorFlow graphs: protocol buffers of the messages `GraphDef` and `NodeDef`.
//!
//! Only the part between a named tensor and named outputs is read; what lies around it, such as loops over pictures, may be
//! anything. Maps are (images, height, width, channels) in a file, and (images, channels, height, width) in a [`Graph`].

mod attributes;
mod constant;
mod operator;

use std::collections::HashMap;

use self::attributes::Attributes;
use self::operator::Builder;
use crate::graph::protobuf::Message;
use crate::graph::{Graph, GraphError, MOST_LINKS, MOST_NODES, short};

type Result<T> = std::result::Result<T, GraphError>;

const NOT_TENSORFLOW: GraphError = GraphError::Format { format: "a TensorFlow graph" };
/// Maximum nodes of a file, read or not.
const MOST_IN_FILE: usize = 1 << 15;

/// The messages of all nodes, by name; most are never read.
type Nodes<'a> = HashMap<&'a str, &'a [u8]>;

/// Reads the part of a file that computes `outputs` from the picture `input`. The outputs are (images, height, width,
/// channels). Everything is checked, and unsupported operators are refused by name.
pub fn parse(bytes: &[u8], input: &str, outputs: &[&str]) -> Result<Graph> {
    let nodes = listed(bytes)?;
    let order = in_order(&nodes, input, outputs)?;
    let mut builder = Builder::new(&nodes, input);
    for node in &order {
        builder.add(node)?;
    }
    builder.finish(outputs)?.checked()
}

fn listed(bytes: &[u8]) -> Result<Nodes<'_>> {
    let mut nodes = HashMap::new();
    for field in Message::new(bytes) {
        let field = field.map_err(|damaged| if nodes.is_empty() { NOT_TENSORFLOW } else { damaged })?;
        let (1, field) = field else { continue };
        if nodes.len() >= MOST_IN_FILE {
            return Err(GraphError::TooLarge { what: "the number of operators" });
        }
        let bytes = field.bytes().map_err(|_| NOT_TENSORFLOW)?;
        let name = name_of(bytes).map_err(|damaged| if nodes.is_empty() { NOT_TENSORFLOW } else { damaged })?;
        if nodes.insert(name, bytes).is_some() {
            return Err(problem(name, "is written twice"));
        }
    }
    if nodes.is_empty() { Err(NOT_TENSORFLOW) } else { Ok(nodes) }
}

fn name_of(node: &[u8]) -> Result<&str> {
    for field in Message::new(node) {
        if let (1, field) = field? {
            return field.text();
        }
    }
    Ok("")
}

/// A node of the part that is read.
struct Node<'a> {
    name: &'a str,
    operator: &'a str,
    /// The names of what it reads.
    inputs: Vec<&'a str>,
    attributes: Attributes<'a>,
}

impl<'a> Node<'a> {
    fn read(nodes: &Nodes<'a>, name: &str) -> Result<Self> {
        let (&name, &bytes) = nodes.get_key_value(name).ok_or_else(|| problem(name, "is written by no operator"))?;
        let mut node = Self { name, operator: "", inputs: Vec::new(), attributes: Attributes::default() };
        for field in Message::new(bytes) {
            match field? {
                (2, field) => node.operator = field.text()?,
                (3, field) => {
                    let input = field.text()?;
                    // Names that begin with ^ order the execution and carry no numbers.
                    if !input.starts_with('^') {
                        node.inputs.push(input.strip_suffix(":0").unwrap_or(input));
                    }
                    if node.inputs.len() > MOST_LINKS {
                        return Err(GraphError::TooLarge { what: "a list of tensors" });
                    }
                }
                (5, field) => node.attributes.read(field.bytes()?)?,
                _ => {}
            }
        }
        Ok(node)
    }

    /// What must be computed before it: weights are not, they are read with the operator that has them.
    fn computed(&self) -> &[&'a str] {
        let all = if operator::has_weights(self.operator) { 1 } else { self.inputs.len() };
        self.inputs.get(..all).unwrap_or(&self.inputs)
    }
}

/// The nodes that the outputs need, each after those that it reads.
fn in_order<'a>(nodes: &Nodes<'a>, input: &str, outputs: &[&str]) -> Result<Vec<Node<'a>>> {
    let mut order = Vec::new();
    // False while what a node reads is being visited.
    let mut visited: HashMap<&str, bool> = HashMap::new();
    for &output in outputs.iter().filter(|&&output| output != input) {
        let mut open = vec![(Node::read(nodes, output)?, 0)];
        while let Some((node, at)) = open.pop() {
            match (at, visited.insert(node.name, false)) {
                (0, Some(false)) => return Err(problem(node.name, "depends on itself")),
                (0, Some(true)) => drop(visited.insert(node.name, true)),
                _ => {
                    if let Some(next) = node.computed().get(at).copied() {
                        open.push((node, at + 1));
                        if next != input {
                            open.push((Node::read(nodes, next)?, 0));
                        }
                    } else {
                        visited.insert(node.name, true);
                        order.push(node);
                    }
                }
            }
            if order.len() + open.len() > MOST_NODES {
                return Err(GraphError::TooLarge { what: "the number of operators" });
            }
        }
    }
    Ok(order)
}

fn problem(name: &str, problem: &str) -> GraphError {
    GraphError::Tensor { name: short(name), problem: problem.to_owned() }
}
