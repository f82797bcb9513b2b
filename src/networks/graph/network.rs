//! A graph that is ready to run, on kernels of our own or on candle.

use candle_core::Device;
use kernels::Cpu;

use super::by_candle::CandleNetwork;
use super::by_kernels::KernelNetwork;
use super::tensor::Tensor;
use super::{Graph, GraphError};

/// What runs a network.
#[derive(Clone, Debug)]
pub struct Place {
    /// The code for this processor.
    pub cpu: Cpu,
    /// Where candle runs it instead.
    pub candle: Option<Device>,
}

impl From<Cpu> for Place {
    fn from(cpu: Cpu) -> Self {
        Self { cpu, candle: None }
    }
}

impl Place {
    /// Every way to run a network on this processor, for comparisons.
    pub fn all_on_processor() -> Vec<Self> {
        let candle = Self { cpu: Cpu::best(), candle: Some(Device::Cpu) };
        Cpu::available().into_iter().map(Self::from).chain([candle]).collect()
    }
}

/// A network that several threads can run.
#[derive(Debug)]
pub struct Network(Runs);

#[derive(Debug)]
enum Runs {
    Kernels(KernelNetwork),
    Candle(CandleNetwork),
}

impl Network {
    pub fn new(graph: Graph, place: impl Into<Place>) -> Result<Self, GraphError> {
        let Place { cpu, candle } = place.into();
        // Tiles of bf16 are too coarse for sums over so many layers; the vectors are the same.
        let cpu = if cpu == Cpu::Amx { Cpu::Avx512 } else { cpu };
        Ok(Self(match candle {
            Some(device) => Runs::Candle(CandleNetwork::new(graph, cpu, device)?),
            None => Runs::Kernels(KernelNetwork::new(graph, cpu)?),
        }))
    }

    /// Memory that the weights take.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Runs::Kernels(network) => network.bytes(),
            Runs::Candle(network) => network.bytes(),
        }
    }

    /// Computes the outputs for a picture (images, channels, height, width), in the order of the graph.
    pub fn run(&self, input: Tensor) -> Result<Vec<Tensor>, GraphError> {
        match &self.0 {
            Runs::Kernels(network) => network.run(input),
            Runs::Candle(network) => network.run(input),
        }
    }
}
