//! A graph of a file that is ready to run on pictures of its one size.

use super::lower::{lowered, needed};
use super::{Graph, Node, Operator, TfliteError};
use crate::graph::{self, Place, Tensor};

/// Maximum multiplications of a run; the face networks take less than 0.2 billion.
const MOST_WORK: u64 = 1 << 31;

/// Maximum floats of all tensors together, checked before any is allocated; the largest face network has 16 million.
const MOST_MEMORY: usize = 5 << 22;

/// A network that any number of threads can run.
#[derive(Debug)]
pub struct Network {
    network: graph::Network,
    input: Vec<usize>,
    outputs: Vec<Vec<usize>>,
    work: u64,
}

impl Network {
    /// Prepares everything that the outputs numbered `wanted` need, in that order.
    pub fn new(file: &Graph, wanted: &[usize], place: impl Into<Place>) -> Result<Self, TfliteError> {
        let &[input] = file.inputs.as_slice() else { return Err(TfliteError::Inputs { found: file.inputs.len() }) };
        let output = |&number: &usize| {
            file.outputs.get(number).copied().ok_or(TfliteError::Missing { what: "output", index: number as i64 })
        };
        let wanted: Vec<usize> = wanted.iter().map(output).collect::<Result<_, _>>()?;
        if let Some(constant) = wanted.iter().find(|&&tensor| file.tensors[tensor].value.is_some()) {
            let tensor = file.tensors[*constant].name.clone();
            return Err(TfliteError::Tensor { tensor, problem: "an output that is a constant".to_owned() });
        }
        if footprint(file) > MOST_MEMORY {
            return Err(TfliteError::TooLarge { what: "the memory of a run" });
        }
        let needed = needed(file, &wanted);
        let steps = file.nodes.iter().zip(&needed).filter(|(_, needed)| **needed);
        let work = steps.map(|(node, _)| multiplications(file, node)).fold(0, u64::saturating_add);
        if work > MOST_WORK {
            return Err(TfliteError::TooLarge { what: "the work of a run" });
        }
        let graph = lowered(file, input, &wanted, &needed)?;
        let shape = |&tensor: &usize| file.tensors[tensor].shape.clone();
        let (input, outputs) = (shape(&input), wanted.iter().map(shape).collect());
        let network = Self { network: graph::Network::new(graph.checked()?, place)?, input, outputs, work };
        // Later runs differ in the numbers only, so that none can fail where this one does not.
        let zeros = vec![0.0; network.input.iter().product()];
        network.answers(zeros)?;
        Ok(network)
    }

    /// The shape of the input, an image as (1, height, width, channels).
    pub fn input_shape(&self) -> &[usize] {
        &self.input
    }

    pub fn output_shapes(&self) -> impl Iterator<Item = &[usize]> {
        self.outputs.iter().map(Vec::as_slice)
    }

    /// The approximate number of multiplications of a run.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// Returns the wanted outputs, each in row-major order.
    ///
    /// # Panics
    /// When the input is not as long as [`Self::input_shape`] says.
    pub fn run(&self, input: &[f32]) -> Vec<Vec<f32>> {
        self.answers(input.to_vec()).expect("a run of this size succeeded when the network was made")
    }

    fn answers(&self, input: Vec<f32>) -> Result<Vec<Vec<f32>>, TfliteError> {
        assert_eq!(input.len(), self.input.iter().product::<usize>(), "as long as its shape says");
        let answers = self.network.run(Tensor::of_file(&self.input, input))?;
        if !answers.iter().map(|answer| &answer.shape).eq(&self.outputs) {
            let problem = "has another shape than the file says".to_owned();
            return Err(TfliteError::Tensor { tensor: "output".to_owned(), problem });
        }
        Ok(answers.into_iter().map(|answer| answer.data).collect())
    }
}

/// The approximate number of multiplications of an operator.
fn multiplications(file: &Graph, node: &Node) -> u64 {
    let outputs = file.tensors[node.output].elements() as u64;
    let taps = match (&node.operator, node.inputs.get(1).map(|&weights| file.tensors[weights].shape.as_slice())) {
        (Operator::Conv { .. }, Some(&[_, rows, columns, inputs])) => rows * columns * inputs,
        (Operator::Depthwise { .. }, Some(&[_, rows, columns, _])) => rows * columns,
        _ => 1,
    };
    let read = node.inputs.first().map_or(0, |&input| file.tensors[input].elements() as u64);
    outputs.saturating_mul(taps as u64).saturating_add(read)
}

/// An upper bound on the floats needed, with channels padded to the widest vectors.
fn footprint(file: &Graph) -> usize {
    let padded = |shape: &[usize]| match *shape {
        [images, height, width, channels] => [images, height, width, channels.next_multiple_of(16)],
        _ => [shape.iter().product(), 1, 1, 1],
    };
    let tensors = file.tensors.iter().map(|tensor| padded(&tensor.shape));
    tensors.map(|shape| shape.into_iter().fold(1, usize::saturating_mul)).fold(0, usize::saturating_add)
}
