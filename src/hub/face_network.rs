//! A face network, checked against the expected shapes.

use std::fmt::Debug;

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

/// Checks that input and outputs are those of the expected network.
pub(crate) fn expect(
    name: &'static str,
    network: &Network,
    input: &[usize],
    outputs: &[Vec<usize>],
) -> Result<(), FacesError> {
    let differ = |what: &str, found: &dyn Debug, expected: &dyn Debug| {
        Err(FacesError::Other { network: name, problem: format!("{what} {found:?} where {expected:?} belong") })
    };
    if network.input_shape() != input {
        return differ("inputs", &network.input_shape(), &input);
    }
    let found: Vec<&[usize]> = network.output_shapes().collect();
    if found != outputs {
        return differ("outputs", &found, &outputs);
    }
    Ok(())
}

/// Scales bytes to the input range of a network.
pub(crate) fn scaled(bytes: &[u8], factor: f32, offset: f32) -> Vec<f32> {
    bytes.iter().map(|&v| f32::from(v) * factor + offset).collect()
}
