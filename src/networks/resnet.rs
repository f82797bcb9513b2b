//! ResNet-18 and ResNet-50 up to the global average pooling: 512 or 2048 features.
//!
//! The stride of a down-sampling bottleneck sits in its 3x3 convolution, as in torchvision.

mod fused;
mod trained;

pub use fused::FusedResNet;
pub use trained::ResNet;

/// The epsilon of the batch normalisations.
const EPS: f64 = 1e-5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    Eighteen,
    Fifty,
}

impl Depth {
    pub fn features(self) -> usize {
        match self {
            Self::Eighteen => 512,
            Self::Fifty => 2048,
        }
    }

    fn blocks(self) -> [usize; 4] {
        match self {
            Self::Eighteen => [2, 2, 2, 2],
            Self::Fifty => [3, 4, 6, 3],
        }
    }

    /// The blocks of all stages in order.
    fn plan(self) -> Vec<BlockPlan> {
        let mut plan = Vec::new();
        let mut inputs = 64;
        for (stage, count) in self.blocks().into_iter().enumerate() {
            let width = 64 << stage;
            let outputs = if self == Self::Fifty { 4 * width } else { width };
            for index in 0..count {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                plan.push(BlockPlan { stage, index, inputs, width, outputs, stride });
                inputs = outputs;
            }
        }
        plan
    }
}

#[derive(Clone, Copy, Debug)]
struct BlockPlan {
    stage: usize,
    index: usize,
    inputs: usize,
    width: usize,
    outputs: usize,
    stride: usize,
}

impl BlockPlan {
    /// Whether the shortcut has a convolution.
    fn projects(self) -> bool {
        self.stride != 1 || self.inputs != self.outputs
    }

    /// Inputs, outputs, side and stride of the convolutions of the residual branch.
    fn convolutions(self, depth: Depth) -> Vec<[usize; 4]> {
        let Self { inputs, width, outputs, stride, .. } = self;
        match depth {
            Depth::Eighteen => vec![[inputs, width, 3, stride], [width, outputs, 3, 1]],
            Depth::Fifty => vec![[inputs, width, 1, 1], [width, width, 3, stride], [width, outputs, 1, 1]],
        }
    }
}

/// The naming scheme of a file's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// `conv1`, `bn1`, `layer1` … as torchvision's modules.
    Torchvision,
    /// `0`, `1`, `4` …: indexes in a `Sequential` of torchvision's children, as in the original's checkpoints.
    Positional,
}

impl Naming {
    fn stem(self) -> (&'static str, &'static str) {
        match self {
            Self::Torchvision => ("conv1", "bn1"),
            Self::Positional => ("0", "1"),
        }
    }

    fn stage(self, stage: usize) -> String {
        match self {
            Self::Torchvision => format!("layer{}", stage + 1),
            Self::Positional => format!("{}", stage + 4),
        }
    }
}
