//! SigLIP, and the models of SigLIP 2 with one size of pictures: vectors of pictures and texts that can be compared.
//!
//! Written over `candle-nn`, like the other networks that run on a card: `candle-transformers` has a SigLIP among a hundred
//! networks that would all be compiled (`tests/bench/results/search.md`).

use candle_core::{D, Device, IndexOp, Tensor};
use candle_nn::{
    Conv2d, Conv2dConfig, LayerNorm, Linear, Module, VarBuilder, conv2d, layer_norm, linear, ops::softmax,
};

use super::checkpoint::{Checkpoint, WeightsError, var_builder};

const EPS: f64 = 1e-6;
const PICTURES: &str = "vision_model.";
const TEXTS: &str = "text_model.";
const TOKENS: &str = "text_model.embeddings.token_embedding.weight";
const PATCHES: &str = "vision_model.embeddings.patch_embedding.weight";
const PICTURE_POSITIONS: &str = "vision_model.embeddings.position_embedding.weight";
const TEXT_POSITIONS: &str = "text_model.embeddings.position_embedding.weight";

#[derive(Debug, thiserror::Error)]
pub enum SiglipError {
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Run(#[from] candle_core::Error),
}

/// The part of the network for pictures.
#[derive(Debug)]
pub struct SiglipPictures {
    patches: Conv2d,
    positions: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
    pooling: Pooling,
    side: usize,
    device: Device,
    bytes: usize,
}

/// The part of the network for texts. The table of tokens stays in the file: a text needs a few rows of it.
pub struct SiglipTexts<'a> {
    file: &'a dyn Checkpoint,
    positions: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
    device: Device,
}

impl std::fmt::Debug for SiglipTexts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SiglipTexts").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

/// How the cosine of a picture and a text becomes the logit that they belong together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogitScale {
    pub scale: f32,
    pub bias: f32,
}

impl LogitScale {
    pub fn of(file: &dyn Checkpoint) -> Result<Self, WeightsError> {
        let number = |name: &str| {
            let why = || "a single number is expected".to_owned();
            let none = || WeightsError::Tensor { file: file.file(), name: name.to_owned(), why: why() };
            file.read(name)?.first().copied().filter(|number| number.is_finite()).ok_or_else(none)
        };
        Ok(Self { scale: number("logit_scale")?.exp(), bias: number("logit_bias")? })
    }

    /// Of unit vectors.
    pub fn logit(&self, picture: &[f32], text: &[f32]) -> f32 {
        let cosine: f32 = picture.iter().zip(text).map(|(a, b)| a * b).sum();
        self.scale * cosine + self.bias
    }
}

/// The tensors of a file whose names begin with `prefix`, without those of the table of tokens.
struct PrefixedTensors<'a> {
    whole: &'a dyn Checkpoint,
    prefix: &'static str,
}

impl Checkpoint for PrefixedTensors<'_> {
    fn file(&self) -> std::path::PathBuf {
        self.whole.file()
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.whole.names();
        names.retain(|name| name.starts_with(self.prefix) && name != TOKENS);
        names
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.whole.shape(name)
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        self.whole.read(name)
    }
}

#[derive(Debug)]
struct Block {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    feed_forward: FeedForward,
}

#[derive(Debug)]
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
}

#[derive(Debug)]
struct FeedForward(Linear, Linear);

/// One vector of all patches: what a learned query finds in them.
#[derive(Debug)]
struct Pooling {
    probe: Tensor,
    attention: Attention,
    norm: LayerNorm,
    feed_forward: FeedForward,
}

impl Attention {
    fn forward(&self, from: &Tensor, to: &Tensor) -> candle_core::Result<Tensor> {
        let (batch, tokens, width) = from.dims3()?;
        let size = width / self.heads;
        let heads = |x: Tensor| x.reshape((batch, (), self.heads, size))?.transpose(1, 2)?.contiguous();
        let queries = (heads(self.query.forward(from)?)? * (size as f64).sqrt().recip())?;
        let shares = softmax(&queries.matmul(&heads(self.key.forward(to)?)?.t()?)?, D::Minus1)?;
        let mixed = shares.matmul(&heads(self.value.forward(to)?)?)?;
        self.out.forward(&mixed.transpose(1, 2)?.reshape((batch, tokens, width))?)
    }
}

impl FeedForward {
    fn new(width: usize, vb: &VarBuilder<'_>) -> candle_core::Result<Self> {
        // The shape of the weights says the width between the layers.
        let inner = vb.get_unchecked("fc1.weight")?.dims2()?.0;
        Ok(Self(linear(width, inner, vb.pp("fc1"))?, linear(inner, width, vb.pp("fc2"))?))
    }

    /// With the GELU that is approximated by a hyperbolic tangent, as the network was trained.
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.1.forward(&self.0.forward(x)?.gelu()?)
    }
}

impl Block {
    fn new(width: usize, heads: usize, vb: &VarBuilder<'_>) -> candle_core::Result<Self> {
        let layer = |name: &str| linear(width, width, vb.pp("self_attn").pp(name));
        let attention = Attention {
            query: layer("q_proj")?,
            key: layer("k_proj")?,
            value: layer("v_proj")?,
            out: layer("out_proj")?,
            heads,
        };
        Ok(Self {
            norm1: layer_norm(width, EPS, vb.pp("layer_norm1"))?,
            attention,
            norm2: layer_norm(width, EPS, vb.pp("layer_norm2"))?,
            feed_forward: FeedForward::new(width, &vb.pp("mlp"))?,
        })
    }

    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let normed = self.norm1.forward(x)?;
        let x = (x + self.attention.forward(&normed, &normed)?)?;
        &x + self.feed_forward.forward(&self.norm2.forward(&x)?)?
    }
}

impl Pooling {
    fn new(width: usize, heads: usize, vb: &VarBuilder<'_>) -> candle_core::Result<Self> {
        let inputs = vb.pp("attention");
        let (weight, bias) =
            (inputs.get((3 * width, width), "in_proj_weight")?, inputs.get(3 * width, "in_proj_bias")?);
        let part = |at: usize| {
            let (weight, bias) = (weight.narrow(0, at * width, width)?, bias.narrow(0, at * width, width)?);
            candle_core::Result::Ok(Linear::new(weight, Some(bias)))
        };
        let out = linear(width, width, inputs.pp("out_proj"))?;
        Ok(Self {
            probe: vb.get((1, 1, width), "probe")?,
            attention: Attention { query: part(0)?, key: part(1)?, value: part(2)?, out, heads },
            norm: layer_norm(width, EPS, vb.pp("layernorm"))?,
            feed_forward: FeedForward::new(width, &vb.pp("mlp"))?,
        })
    }

    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (batch, _, width) = x.dims3()?;
        let probe = self.probe.broadcast_as((batch, 1, width))?.contiguous()?;
        let found = self.attention.forward(&probe, x)?;
        (&found + self.feed_forward.forward(&self.norm.forward(&found)?)?)?.squeeze(1)
    }
}

/// The number of heads of attention, which no shape tells.
fn heads(width: usize, file: &dyn Checkpoint) -> Result<usize, WeightsError> {
    match width {
        // SigLIP So400m.
        1152 => Ok(16),
        width if width > 0 && width.is_multiple_of(64) => Ok(width / 64),
        width => Err(WeightsError::Config { file: file.file(), why: format!("no SigLIP has a width of {width}") }),
    }
}

fn dims<const N: usize>(file: &dyn Checkpoint, name: &str) -> Result<[usize; N], WeightsError> {
    let missing = || WeightsError::Missing { file: file.file(), name: name.to_owned() };
    let found = file.shape(name).ok_or_else(missing)?;
    let why = format!("has shape {found:?}, expected {N} dimensions");
    found.try_into().map_err(|_| WeightsError::Tensor { file: file.file(), name: name.to_owned(), why })
}

fn blocks(
    file: &dyn Checkpoint,
    prefix: &str,
    [width, heads]: [usize; 2],
    vb: &VarBuilder<'_>,
) -> Result<Vec<Block>, SiglipError> {
    let is_there = |at: &usize| file.shape(&format!("{prefix}encoder.layers.{at}.layer_norm1.weight")).is_some();
    let layers = (0..).take_while(is_there);
    Ok(layers.map(|at| Block::new(width, heads, &vb.pp(format!("encoder.layers.{at}")))).collect::<Result<_, _>>()?)
}

impl SiglipPictures {
    pub fn load(file: &dyn Checkpoint, device: &Device) -> Result<Self, SiglipError> {
        let ([width, _, patch, _], [count, _]) = (dims(file, PATCHES)?, dims(file, PICTURE_POSITIONS)?);
        let heads = heads(width, file)?;
        let across = count.isqrt();
        if across * across != count || patch == 0 {
            let why = format!("{count} positions are no square of patches");
            return Err(WeightsError::Config { file: file.file(), why }.into());
        }
        let vb = var_builder(&PrefixedTensors { whole: file, prefix: PICTURES }, candle_core::DType::F32, device)?;
        let vb = vb.pp("vision_model");
        let stride = Conv2dConfig { stride: patch, ..Default::default() };
        let names = PrefixedTensors { whole: file, prefix: PICTURES }.names();
        let numbers: usize = names.iter().filter_map(|name| Some(file.shape(name)?.iter().product::<usize>())).sum();
        Ok(Self {
            patches: conv2d(3, width, patch, stride, vb.pp("embeddings.patch_embedding"))?,
            positions: vb.get((count, width), "embeddings.position_embedding.weight")?,
            blocks: blocks(file, PICTURES, [width, heads], &vb)?,
            norm: layer_norm(width, EPS, vb.pp("post_layernorm"))?,
            pooling: Pooling::new(width, heads, &vb.pp("head"))?,
            side: across * patch,
            device: device.clone(),
            bytes: numbers * size_of::<f32>(),
        })
    }

    /// The side of its square pictures.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Memory of the weights.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The unit vector of a picture: `side` × `side` pixels of three normalised numbers.
    pub fn embed(&self, picture: &[f32]) -> Result<Vec<f32>, SiglipError> {
        let pixels = Tensor::from_slice(picture, (1, self.side, self.side, 3), &self.device)?;
        let x = self.patches.forward(&pixels.permute((0, 3, 1, 2))?.contiguous()?)?;
        let mut x = x.flatten_from(2)?.transpose(1, 2)?.broadcast_add(&self.positions)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        unit(&self.pooling.forward(&self.norm.forward(&x)?)?)
    }
}

impl<'a> SiglipTexts<'a> {
    pub fn load(file: &'a dyn Checkpoint, device: &Device) -> Result<Self, SiglipError> {
        let vb = var_builder(&PrefixedTensors { whole: file, prefix: TEXTS }, candle_core::DType::F32, device)?;
        let vb = vb.pp("text_model");
        let [count, width] = dims(file, TEXT_POSITIONS)?;
        let [outputs, _] = dims(file, "text_model.head.weight")?;
        Ok(Self {
            file,
            positions: vb.get((count, width), "embeddings.position_embedding.weight")?,
            blocks: blocks(file, TEXTS, [width, heads(width, file)?], &vb)?,
            norm: layer_norm(width, EPS, vb.pp("final_layer_norm"))?,
            head: linear(width, outputs, vb.pp("head"))?,
            device: device.clone(),
        })
    }

    /// The number of tokens of every text, padding included.
    pub fn tokens(&self) -> usize {
        self.positions.dims().first().copied().unwrap_or(0)
    }

    /// The unit vector of a text, of as many tokens as [`Self::tokens`] says. The last stands for all.
    pub fn embed(&self, ids: &[u32]) -> Result<Vec<f32>, SiglipError> {
        let rows = self.file.read_rows(TOKENS, ids)?;
        let tokens = Tensor::from_vec(rows, (1, ids.len(), self.positions.dim(1)?), &self.device)?;
        let mut x = tokens.broadcast_add(&self.positions)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        let last = self.norm.forward(&x)?.i((.., ids.len().saturating_sub(1)))?;
        unit(&self.head.forward(&last.contiguous()?)?)
    }
}

fn unit(x: &Tensor) -> Result<Vec<f32>, SiglipError> {
    let mut vector = x.squeeze(0)?.to_vec1::<f32>()?;
    let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|v| *v /= length.max(f32::MIN_POSITIVE));
    Ok(vector)
}
