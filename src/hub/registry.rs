//! Builds networks from a manifest and an open weight file, with one arm per architecture.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, ModuleT, VarBuilder};

use super::gather::{BATCH, Gather, Photo};
use super::manifest::{Architecture, NetworkSpec};
use super::recipe::{Backbone, Recipe};
use kernels::{Cpu, Engine, Precision};
use networks::checkpoint::{Ledger, Names, WeightsError, var_builder};
use networks::dinov2::{self, Dinov2, FusedDinov2};
use networks::fused::{Batch, Runner};
use networks::head::FusedHead;
use networks::mini::{self, ComparisonHead, Heads};
use networks::mobile::{self, Family, FusedMobile, Mobile};
use networks::multihead::{self, FusedMultiHead, MultiHead};
use networks::preprocess::Preprocess;
use networks::rating::Output;
use networks::resnet::{Depth, FusedResNet, Naming, ResNet};
use networks::singlehead::{self, FusedSingleHead, SingleHead};
use networks::vgg::{FusedVgg16, Vgg16};
use networks::weights::WeightsFile;

/// A network that is ready to run.
#[derive(Debug)]
pub struct LoadedNetwork {
    pub features: FeatureNetwork,
    pub head: Head,
}

/// The head over the features.
#[derive(Debug)]
pub enum Head {
    /// None: the features are the result.
    None,
    Rating {
        layers: FusedHead,
        output: Output,
    },
    Comparison(FusedHead),
    Classes {
        layers: FusedHead,
        names: Arc<[String]>,
    },
    Mini(Box<MiniHeads>),
}

/// The heads of the built-in network, and its comparison head.
#[derive(Debug)]
pub struct MiniHeads {
    pub heads: Heads,
    pub comparison: ComparisonHead,
}

/// Computes the features of photos.
pub struct FeatureNetwork {
    runner: FeatureRunner,
    /// Features per photo.
    pub dim: usize,
    pub preprocess: Preprocess,
}

enum FeatureRunner {
    Fused(Runner),
    Candle(OnDevice),
}

type Forward = Box<dyn Fn(&Tensor) -> candle_core::Result<Tensor> + Send + Sync>;

/// A candle network, on any device.
struct OnDevice {
    forward: Forward,
    /// Memory of the weights.
    bytes: usize,
    device: Device,
    dtype: DType,
    gather: Gather,
}

impl std::fmt::Debug for FeatureNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeatureNetwork").field("dim", &self.dim).finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error("{file}: the network cannot be built on the device: {source}")]
    Device { file: String, source: candle_core::Error },
}

/// The feature network described by a manifest and file, buildable with the fused kernels or with candle.
enum Plan {
    Resnet { depth: Depth, naming: Naming, prefix: Option<&'static str> },
    Vgg16,
    Dinov2,
    Mobile(Family),
    Mini,
    MultiHead,
    SingleHead,
}

impl Plan {
    fn fused(&self, engine: Engine, names: &Names<'_>) -> Result<Runner, WeightsError> {
        Ok(Runner::new(match *self {
            Self::Resnet { depth, naming, prefix } => {
                let names = prefix.map_or_else(|| names.clone(), |prefix| names.under(prefix));
                Box::new(FusedResNet::new(depth, naming, engine, &names)?)
            }
            Self::Vgg16 => Box::new(FusedVgg16::new(engine, &names.under("backbone"))?),
            Self::Dinov2 => Box::new(FusedDinov2::new(engine, names)?),
            Self::Mobile(family) => Box::new(FusedMobile::new(family, engine, names)?),
            Self::Mini => Box::new(FusedMobile::trunk(mini::FAMILY, engine, &names.under(mini::TRUNK))?),
            Self::MultiHead => Box::new(FusedMultiHead::new(engine, names)?),
            Self::SingleHead => Box::new(FusedSingleHead::new(engine, names)?),
        }))
    }

    fn candle(&self, names: &Names<'_>, vb: &VarBuilder<'_>) -> Result<Forward, CandleError> {
        Ok(match *self {
            Self::Resnet { depth, naming, prefix } => {
                let vb = prefix.map_or_else(|| vb.clone(), |prefix| vb.pp(prefix));
                let network = ResNet::new(depth, naming, &vb)?;
                Box::new(move |x| network.forward_t(x, false))
            }
            Self::Vgg16 => {
                let network = Vgg16::new(&vb.pp("backbone"))?;
                Box::new(move |x| network.forward_t(x, false))
            }
            Self::Dinov2 => {
                let network = Dinov2::new(dinov2::Config::of(names)?, vb)?;
                Box::new(move |x| network.forward(x))
            }
            Self::Mobile(family) => {
                let engine = Engine { cpu: Cpu::Plain, precision: Precision::Full };
                let network = Mobile::new(family, engine, names, vb.device())?;
                let features = network.plan().pooled().1;
                Box::new(move |x| {
                    let rows = network.pooled_by_candle(&x.to_dtype(DType::F32)?, 0)?;
                    rows.narrow(1, features.start, features.len())
                })
            }
            Self::Mini => {
                let engine = Engine { cpu: Cpu::Plain, precision: Precision::Full };
                let network = Mobile::trunk(mini::FAMILY, engine, &names.under(mini::TRUNK), vb.device())?;
                Box::new(move |x| network.pooled_by_candle(&x.to_dtype(DType::F32)?, 0))
            }
            Self::MultiHead => {
                let network = MultiHead::new(0.0, vb)?;
                let weights = multihead::weights(names)?;
                Box::new(move |x| multihead::answer(&network.forward_t(x, false)?, &weights))
            }
            Self::SingleHead => {
                let network = SingleHead::new(vb)?;
                Box::new(move |x| candle_nn::ops::sigmoid(&network.forward(x)?))
            }
        })
    }

    fn features(&self, names: &Names<'_>) -> Result<usize, WeightsError> {
        Ok(match self {
            Self::Resnet { depth, .. } => depth.features(),
            Self::Vgg16 => networks::vgg::FEATURES,
            Self::Dinov2 => dinov2::Config::of(names)?.width,
            Self::Mobile(family) => mobile::Plan::of(*family, names)?.features(),
            Self::Mini => mini::POOLED,
            Self::MultiHead => multihead::OUTPUTS,
            Self::SingleHead => singlehead::OUTPUTS,
        })
    }
}

enum CandleError {
    Weights(WeightsError),
    Candle(candle_core::Error),
}

impl From<WeightsError> for CandleError {
    fn from(error: WeightsError) -> Self {
        Self::Weights(error)
    }
}

impl From<candle_core::Error> for CandleError {
    fn from(error: candle_core::Error) -> Self {
        Self::Candle(error)
    }
}

/// The plan, the head's part of the file, and the classifier layer, which an embedding does not use.
fn plan(
    architecture: Architecture,
    names: &Names<'_>,
    recipe: &Recipe,
) -> Result<(Plan, Option<&'static str>, Option<&'static str>), WeightsError> {
    Ok(match architecture {
        Architecture::RatedResnet | Architecture::Classifier => (resnet_by_names(names), Some("head"), None),
        Architecture::Siamese => match recipe.backbone()? {
            Backbone::Resnet => (resnet_by_names(names), Some("mlp"), None),
            Backbone::Vgg16 => (Plan::Vgg16, Some("mlp"), None),
        },
        Architecture::Resnet => (resnet_by_names(names), None, Some("fc")),
        Architecture::Dinov2 => (Plan::Dinov2, None, None),
        Architecture::EfficientnetLite => of_mobile(Family::EfficientNetLite),
        Architecture::MobilenetV2 => of_mobile(Family::MobileNetV2),
        Architecture::AlbumMini => (Plan::Mini, None, None),
        Architecture::MultiHead => (Plan::MultiHead, None, None),
        Architecture::SingleHead => (Plan::SingleHead, None, None),
    })
}

/// The number of outputs per photo, from the names and shapes in the file alone.
pub fn dim(spec: &NetworkSpec, file: &WeightsFile) -> Result<usize, WeightsError> {
    let ledger = Ledger::new(file);
    let names = ledger.root();
    plan(spec.architecture, &names, &Recipe::of(file))?.0.features(&names)
}

/// Builds the network. On the CPU it uses the fused kernels of `engine`; on a card, or with `by_candle`, it uses candle.
pub fn build(
    spec: &NetworkSpec,
    file: &WeightsFile,
    engine: Engine,
    device: &Device,
    by_candle: bool,
) -> Result<LoadedNetwork, BuildError> {
    let ledger = Ledger::new(file);
    let names = ledger.root();
    let recipe = Recipe::of(file);
    let (plan, head_part, classifier) = plan(spec.architecture, &names, &recipe)?;
    let dim = plan.features(&names)?;
    let layers = |part: &str| {
        let config = recipe.head(part, dim)?;
        Ok::<_, WeightsError>((FusedHead::new(&config, engine, &names.under(part))?, config))
    };
    let head = match (head_part.map(layers).transpose()?, spec.architecture) {
        (Some((layers, config)), Architecture::RatedResnet) => Head::Rating { output: recipe.output(&config)?, layers },
        (Some((layers, config)), Architecture::Classifier) => {
            Head::Classes { names: recipe.classes(&config)?.into(), layers }
        }
        (Some((layers, _)), _) => Head::Comparison(layers),
        (None, Architecture::AlbumMini) => {
            let comparison = ComparisonHead::new(&names.under("referee"))?;
            Head::Mini(Box::new(MiniHeads { heads: Heads::new(engine, &names)?, comparison }))
        }
        (None, _) => {
            let (shape, layer) = ([spec.classes.len(), dim], classifier.map(|layer| names.under(layer)));
            let layer = layer.filter(|layer| layer.shape("weight").is_some_and(|found| found == shape));
            match layer.map(|layer| FusedHead::layer(engine, &layer, shape)).transpose()? {
                Some(layers) => Head::Classes { layers, names: spec.classes.clone() },
                None => Head::None,
            }
        }
    };
    let preprocess = match spec.architecture {
        Architecture::Siamese => recipe.ranker_preprocess(spec)?,
        _ => recipe.preprocess(spec)?,
    };
    // For the built-in network, the transfer to the card takes longer than the CPU does.
    let runner = if !by_candle && (device.is_cpu() || matches!(plan, Plan::Mini)) {
        let runner = plan.fused(engine, &names)?;
        let is_in = |layer: &str, name: &str| name.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'));
        ledger.close(|name| classifier.is_some_and(|layer| is_in(layer, name)))?;
        FeatureRunner::Fused(runner)
    } else {
        // The fused implementation checks every tensor's name and shape; here the same check is made without building it.
        FeatureRunner::Candle(on_device(&plan, file, &names, engine.precision, device)?)
    };
    Ok(LoadedNetwork { features: FeatureNetwork { runner, dim, preprocess }, head })
}

fn of_mobile(family: Family) -> (Plan, Option<&'static str>, Option<&'static str>) {
    (Plan::Mobile(family), None, Some(family.classifier()))
}

fn resnet_by_names(names: &Names<'_>) -> Plan {
    let (naming, prefix) = if names.has("conv1.weight") {
        (Naming::Torchvision, None)
    } else if names.has("backbone.conv1.weight") {
        (Naming::Torchvision, Some("backbone"))
    } else if names.has("0.weight") {
        (Naming::Positional, None)
    } else {
        (Naming::Positional, Some("backbone"))
    };
    let place = prefix.map_or_else(|| names.clone(), |prefix| names.under(prefix));
    let deep = place.has("layer1.0.conv3.weight") || place.has("4.0.conv3.weight");
    Plan::Resnet { depth: if deep { Depth::Fifty } else { Depth::Eighteen }, naming, prefix }
}

fn on_device(
    plan: &Plan,
    file: &WeightsFile,
    names: &Names<'_>,
    precision: Precision,
    device: &Device,
) -> Result<OnDevice, BuildError> {
    let dtype = if precision == Precision::Fast && !device.is_cpu() { DType::BF16 } else { DType::F32 };
    let vb = var_builder(file, dtype, device)?;
    match plan.candle(names, &vb) {
        Ok(forward) => {
            let bytes = usize::try_from(file.bytes()).unwrap_or(usize::MAX);
            Ok(OnDevice { forward, bytes, device: device.clone(), dtype, gather: Gather::default() })
        }
        Err(CandleError::Weights(error)) => Err(error.into()),
        Err(CandleError::Candle(source)) => {
            Err(BuildError::Device { file: names.file().display().to_string(), source })
        }
    }
}

impl LoadedNetwork {
    /// The approximate memory of the weights.
    pub fn bytes(&self) -> usize {
        let head = match &self.head {
            Head::None => 0,
            Head::Rating { layers, .. } | Head::Classes { layers, .. } | Head::Comparison(layers) => layers.bytes(),
            Head::Mini(mini) => mini.heads.bytes(),
        };
        match &self.features.runner {
            FeatureRunner::Fused(runner) => head + runner.network().bytes(),
            FeatureRunner::Candle(on_device) => on_device.bytes,
        }
    }
}

impl FeatureNetwork {
    /// Returns a row of features for each photo.
    pub fn run(&self, batch: &Batch) -> Result<Vec<Vec<f32>>, candle_core::Error> {
        if batch.photos == 0 {
            return Ok(Vec::new());
        }
        match &self.runner {
            FeatureRunner::Fused(runner) => {
                let rows = runner.run(batch).map_err(candle_core::Error::wrap)?;
                Ok(rows.chunks_exact(runner.network().features()).map(<[f32]>::to_vec).collect())
            }
            FeatureRunner::Candle(on_device) => on_device.features(batch),
        }
    }
}

impl OnDevice {
    fn features(&self, batch: &Batch) -> Result<Vec<Vec<f32>>, candle_core::Error> {
        let size = (batch.height, batch.width);
        if self.device.is_cpu() {
            return self.run(batch.photos, size, &batch.data);
        }
        let photos = batch.data.chunks_exact(batch.photo_len()).map(|photo| (size.0, size.1, photo.to_vec())).collect();
        let together = |photos: &[Photo]| {
            let size = photos.first().map_or(size, |photo| (photo.0, photo.1));
            let mut data = photos.iter().map(|photo| photo.2.as_slice()).collect::<Vec<_>>().concat();
            data.resize(BATCH * size.0 * size.1 * Batch::CHANNELS, 0.0);
            self.run(BATCH, size, &data).map_err(|error| error.to_string())
        };
        self.gather.answers(photos, together).map_err(candle_core::Error::msg)
    }

    fn run(&self, photos: usize, (height, width): (usize, usize), data: &[f32]) -> candle_core::Result<Vec<Vec<f32>>> {
        let shape = (photos, height, width, Batch::CHANNELS);
        let x = Tensor::from_slice(data, shape, &self.device)?.permute((0, 3, 1, 2))?.contiguous()?;
        (self.forward)(&x.to_dtype(self.dtype)?)?.to_dtype(DType::F32)?.to_vec2()
    }
}
