//! A face network, checked against the expected shapes.

use crate::bundle::BundleError;
use kernels::Cpu;
use networks::dlib::DlibError;
use networks::tflite::{Graph, Network, TfliteError};

#[derive(Debug, thiserror::Error)]
pub enum FacesError {
    #[error("{network}: {source}")]
    Network { network: &'static str, source: TfliteError },
    /// A valid file, but another network.
    #[error("{network}: not the network it should be: {problem}")]
    Other { network: &'static str, problem: String },
    #[error("{network}: {source}")]
    Dlib { network: &'static str, source: DlibError },
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

/// Checks that inputs and outputs are those of the expected network.
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

/// Scales bytes to the input range of a network.
pub(crate) fn scaled(bytes: &[u8], factor: f32, offset: f32) -> Vec<f32> {
    bytes.iter().map(|&v| f32::from(v) * factor + offset).collect()
}
