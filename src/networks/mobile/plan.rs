//! The layers of a network of either family, from the names and shapes of a file's tensors.

use std::ops::Range;

use crate::checkpoint::{Names, WeightsError};

/// The family, which decides names and padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `_conv_stem`, `_blocks.0._expand_conv` … as in efficientnet-pytorch; TensorFlow's "same" padding.
    EfficientNetLite,
    /// `features.0.0`, `features.1.conv` … of torchvision, in the older or the newer numbering; symmetric padding.
    MobileNetV2,
}

const WIDEST: usize = 1 << 13;

/// The role of a convolution in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 3x3 at stride 2, from the RGB channels.
    Stem,
    Expand,
    Depthwise,
    /// Has no activation.
    Project,
    Head,
}

/// A convolution and the batch normalisation after it.
#[derive(Clone, Debug)]
pub struct Conv {
    pub kind: Kind,
    pub conv: String,
    pub norm: String,
    pub inputs: usize,
    pub outputs: usize,
    pub side: usize,
    pub stride: usize,
}

impl Conv {
    /// Reads a convolution's parameters from a file's tensors.
    fn of(
        family: Family,
        names: &Names<'_>,
        block: usize,
        kind: Kind,
        [inputs, stride]: [usize; 2],
    ) -> Result<Self, WeightsError> {
        let [conv, norm] = family.part(names, block, kind);
        let tensor = format!("{conv}.weight");
        let [outputs, _, side, _] = names.dims(&tensor)?;
        let right = match kind {
            Kind::Stem => side == 3,
            Kind::Depthwise => (side == 3 || side == 5) && outputs == inputs,
            Kind::Expand | Kind::Project | Kind::Head => side == 1,
        };
        if !right || outputs == 0 || outputs > WIDEST {
            let why = format!("no {kind:?} convolution has {outputs} outputs and a side of {side}");
            return Err(WeightsError::Tensor { file: names.file(), name: tensor, why });
        }
        Ok(Self { kind, conv, norm, inputs, outputs, side, stride })
    }

    /// The shape of the weights in files.
    pub fn shape(&self) -> [usize; 4] {
        let inputs = if self.kind == Kind::Depthwise { 1 } else { self.inputs };
        [self.outputs, inputs, self.side, self.side]
    }

    pub fn weights(&self) -> usize {
        self.shape().iter().product()
    }
}

/// A block, as indexes into [`Plan::convs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The expansion; in the first block the stem.
    pub expand: usize,
    pub depthwise: usize,
    pub project: usize,
    /// Whether the input is added to the output.
    pub skips: bool,
    /// Whether the block ends a stage, whose output is pooled.
    pub ends_stage: bool,
}

/// All layers of a network.
#[derive(Clone, Debug)]
pub struct Plan {
    pub family: Family,
    pub convs: Vec<Conv>,
    pub blocks: Vec<Block>,
}

impl Family {
    /// The epsilon that the normalisation adds to variances.
    pub fn eps(self) -> f64 {
        match self {
            Self::EfficientNetLite => 1e-3,
            Self::MobileNetV2 => 1e-5,
        }
    }

    /// Zeros before the first of `pixels` along an axis. As many follow as the last window needs.
    pub fn before(self, pixels: usize, side: usize, stride: usize) -> usize {
        match self {
            Self::EfficientNetLite => ((pixels.div_ceil(stride) - 1) * stride + side).saturating_sub(pixels) / 2,
            Self::MobileNetV2 => side / 2,
        }
    }

    /// The name of the classifier layer, which a file may lack.
    pub fn classifier(self) -> &'static str {
        match self {
            Self::EfficientNetLite => "_fc",
            Self::MobileNetV2 => "classifier.1",
        }
    }

    /// Blocks per stage, given the number of blocks in a file.
    fn stages(self, blocks: usize) -> Option<&'static [usize]> {
        Some(match (self, blocks) {
            (Self::EfficientNetLite, 16) => &[1, 2, 2, 3, 3, 4, 1],
            (Self::EfficientNetLite, 21) => &[1, 3, 3, 4, 4, 5, 1],
            (Self::EfficientNetLite, 24) => &[1, 3, 3, 5, 5, 6, 1],
            (Self::EfficientNetLite, 30) => &[1, 4, 4, 6, 6, 8, 1],
            (Self::MobileNetV2, 17) => &[1, 2, 3, 4, 3, 3, 1],
            _ => return None,
        })
    }

    /// The names of a convolution and its normalisation in a block.
    fn part(self, names: &Names<'_>, block: usize, kind: Kind) -> [String; 2] {
        match self {
            Self::EfficientNetLite => {
                let (conv, norm) = match kind {
                    Kind::Stem => return ["_conv_stem".into(), "_bn0".into()],
                    Kind::Head => return ["_conv_head".into(), "_bn1".into()],
                    Kind::Expand => ("_expand_conv", "_bn0"),
                    Kind::Depthwise => ("_depthwise_conv", "_bn1"),
                    Kind::Project => ("_project_conv", "_bn2"),
                };
                [conv, norm].map(|name| format!("_blocks.{block}.{name}"))
            }
            Self::MobileNetV2 => {
                let place = format!("features.{}", block + 1);
                // The first block has no expansion.
                let at = match kind {
                    Kind::Stem => return ["features.0.0".into(), "features.0.1".into()],
                    Kind::Head => return [format!("{place}.0"), format!("{place}.1")],
                    Kind::Expand => 0,
                    Kind::Depthwise => usize::from(block > 0),
                    Kind::Project => 1 + usize::from(block > 0),
                };
                if names.has("features.1.conv.0.0.weight") {
                    match kind {
                        Kind::Project => [at, at + 1].map(|at| format!("{place}.conv.{at}")),
                        _ => [0, 1].map(|inner| format!("{place}.conv.{at}.{inner}")),
                    }
                } else {
                    [3 * at, 3 * at + 1].map(|at| format!("{place}.conv.{at}"))
                }
            }
        }
    }
}

impl Plan {
    /// Takes widths and kernel sizes from the file. Their consistency is checked when the weights are read.
    pub fn of(family: Family, names: &Names<'_>) -> Result<Self, WeightsError> {
        let mut plan = Self::trunk(family, names)?;
        let (block, inputs) = (plan.blocks.len(), plan.convs.last().map_or(0, |conv| conv.outputs));
        plan.convs.push(Conv::of(family, names, block, Kind::Head, [inputs, 1])?);
        Ok(plan)
    }

    /// The same without the last convolution, for use as a trunk.
    pub fn trunk(family: Family, names: &Names<'_>) -> Result<Self, WeightsError> {
        let has = |block: usize| {
            let [conv, _] = family.part(names, block, Kind::Depthwise);
            names.has(&format!("{conv}.weight"))
        };
        let count = (0..64).take_while(|block| has(*block)).count();
        let Some(stages) = family.stages(count) else {
            let why = format!("{family:?} with {count} blocks is not known");
            return Err(WeightsError::Config { file: names.file(), why });
        };
        let conv = |block, kind, inputs, stride| Conv::of(family, names, block, kind, [inputs, stride]);
        let mut convs = vec![conv(0, Kind::Stem, 3, 2)?];
        let mut blocks = Vec::new();
        let strides = [1, 2, 2, 2, 1, 2, 1];
        for (stage, &length) in stages.iter().enumerate() {
            for place in 0..length {
                let (index, expand) = (blocks.len(), convs.len() - usize::from(blocks.is_empty()));
                let stride = if place == 0 { strides[stage] } else { 1 };
                let inputs = convs[convs.len() - 1].outputs;
                if index > 0 {
                    convs.push(conv(index, Kind::Expand, inputs, 1)?);
                }
                let wide = convs[convs.len() - 1].outputs;
                convs.push(conv(index, Kind::Depthwise, wide, stride)?);
                convs.push(conv(index, Kind::Project, wide, 1)?);
                let skips = index > 0 && stride == 1 && convs[convs.len() - 1].outputs == inputs;
                let ends_stage = place + 1 == length;
                blocks.push(Block { expand, depthwise: convs.len() - 2, project: convs.len() - 1, skips, ends_stage });
            }
        }
        Ok(Self { family, convs, blocks })
    }

    /// The index of the convolution after the blocks, if there is one.
    pub fn head(&self) -> Option<usize> {
        self.convs.iter().position(|conv| conv.kind == Kind::Head)
    }

    /// Channels of the last convolution.
    pub fn features(&self) -> usize {
        self.head().map_or(0, |head| self.convs[head].outputs)
    }

    /// The layout of a pooled row: mean and deviation of each stage, then the features.
    pub fn pooled(&self) -> (Vec<Range<usize>>, Range<usize>) {
        let mut at = 0;
        let ends = self.blocks.iter().filter(|block| block.ends_stage);
        let stages = ends.map(|block| {
            let start = at;
            at += 2 * self.convs[block.project].outputs;
            start..at
        });
        let stages: Vec<_> = stages.collect();
        (stages, at..at + self.features())
    }

    /// The weights and biases of all layers, with normalisations folded in.
    pub fn folded(&self, names: &Names<'_>) -> Result<Vec<Folded>, WeightsError> {
        self.convs.iter().map(|conv| Folded::read(conv, self.family.eps(), names)).collect()
    }
}

/// The effective weights of a convolution, `[outputs][inputs][side][side]`, and its bias.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// A normalisation as stored in a file.
#[derive(Clone, Debug)]
pub struct Norm {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
}

impl Norm {
    /// A convolution that has a bias already contains its normalisation.
    pub fn read(conv: &Conv, eps: f64, names: &Names<'_>) -> Result<Self, WeightsError> {
        let (norm, shape) = (names.under(&conv.norm), [conv.outputs]);
        if names.has(&format!("{}.bias", conv.conv)) {
            let shift = names.under(&conv.conv).take("bias", &shape)?;
            let all = |value: f32| vec![value; conv.outputs];
            return Ok(Self { scale: all(1.0), shift, mean: all(0.0), variance: all((1.0 - eps) as f32) });
        }
        norm.skip("num_batches_tracked");
        Ok(Self {
            scale: norm.take("weight", &shape)?,
            shift: norm.take("bias", &shape)?,
            mean: norm.take("running_mean", &shape)?,
            variance: norm.take("running_var", &shape)?,
        })
    }
}

impl Folded {
    fn read(conv: &Conv, eps: f64, names: &Names<'_>) -> Result<Self, WeightsError> {
        let mut weight = names.under(&conv.conv).take("weight", &conv.shape())?;
        let Norm { scale, mut shift, mean, variance } = Norm::read(conv, eps, names)?;
        let rows = weight.chunks_exact_mut(conv.weights() / conv.outputs).zip(&mut shift);
        for ((row, shift), ((scale, mean), variance)) in rows.zip(scale.iter().zip(&mean).zip(&variance)) {
            let factor = f64::from(*scale) / (f64::from(*variance) + eps).sqrt();
            row.iter_mut().for_each(|w| *w = (f64::from(*w) * factor) as f32);
            *shift = (f64::from(*shift) - f64::from(*mean) * factor) as f32;
        }
        Ok(Self { weight, bias: shift })
    }
}
