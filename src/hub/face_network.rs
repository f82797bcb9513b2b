//! One network of those that look at faces: read, and held to the shapes that are expected of it.

use crate::bundle::BundleError;
use kernels::Cpu;
use networks::tflite::{Graph, Network, TfliteError};

#[derive(Debug, thiserror::Error)]
pub enum FacesError {
    #[error("{network}: {source}")]
    Network { network: &'static str, source: TfliteError },
    /// A sound file, but not the network it stands for.
    #[error("{network}: not the network it should be: {problem}")]
    Other { network: &'static str, problem: String },
    #[error("face landmarker bundle: {0}")]
    Bundle(BundleError),
}

pub(crate) fn network(
    name: &'static str,
    bytes: &[u8],
    wanted: &[usize],
    cpu: Cpu,
) -> Result<(Graph, Network), FacesError> {
    let graph = Graph::parse(bytes).map_err(|source| FacesError::Network { network: name, source })?;
    let network = Network::new(&graph, wanted, cpu).map_err(|source| FacesError::Network { network: name, source })?;
    Ok((graph, network))
}

/// Refuses a file whose inputs or outputs are not those of the network it is said to be.
pub(crate) fn expect(
    name: &'static str,
    network: &Network,
    inputs: &[Vec<usize>],
    outputs: &[Vec<usize>],
) -> Result<(), FacesError> {
    let differ = |what: &str, found: Vec<&[usize]>, expected: &[Vec<usize>]| {
        let problem = format!("{what} {found:?} where {expected:?} belong");
        if found == expected { Ok(()) } else { Err(FacesError::Other { network: name, problem }) }
    };
    differ("inputs", network.input_shapes().collect(), inputs)?;
    differ("outputs", network.output_shapes().collect(), outputs)
}

/// Bytes to the numbers a network expects.
pub(crate) fn scaled(bytes: &[u8], factor: f32, offset: f32) -> Vec<f32> {
    let table: [f32; 256] = std::array::from_fn(|v| v as f32 * factor + offset);
    bytes.iter().map(|&v| table[usize::from(v)]).collect()
}
