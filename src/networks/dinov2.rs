//! DINOv2: a vision transformer. Its features are the class token after the last norm.
//!
//! Small, base, large and giant, with and without registers; the variant follows from the tensor shapes. candle's `dinov2`
//! does not fit: it resizes positions by nearest neighbour, uses another epsilon and approximates GELU.

mod fused;
mod positions;
mod trained;

pub use fused::FusedDinov2;
pub use trained::Dinov2;

use super::checkpoint::{Names, WeightsError};

const PATCH: usize = 14;
const HEAD: usize = 64;
const EPS: f64 = 1e-6;

/// The naming scheme of a file's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// `patch_embed.proj`, `blocks.0.attn.qkv` …: the files of the torch hub.
    Hub,
    /// `embeddings.patch_embeddings.projection`, `encoder.layer.0.attention.attention.query` …: Hugging Face's files.
    HuggingFace,
}

/// The parameters that distinguish the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub naming: Naming,
    pub width: usize,
    pub depth: usize,
    /// Hidden width of the feed-forward layers.
    pub hidden: usize,
    /// Whether the feed-forward layers are gated, as in the giant variant.
    pub gated: bool,
    pub registers: usize,
    /// Side, in patches, of the square grid that the positions were trained on.
    pub trained_side: usize,
}

/// An upper bound above every variant.
const MOST_BLOCKS: usize = 1000;

impl Config {
    /// Determines the variant from the tensor shapes.
    pub fn of(names: &Names<'_>) -> Result<Self, WeightsError> {
        let naming = if names.has("patch_embed.proj.weight") { Naming::Hub } else { Naming::HuggingFace };
        let [_, tokens, width] = names.dims(naming.positions())?;
        let trained_side = (tokens.saturating_sub(1)).isqrt();
        let depth = (0..MOST_BLOCKS).take_while(|&i| naming.block(names, i).has("norm1.weight")).count();
        let first = naming.block(names, 0).under("mlp");
        let gated = !first.has("fc1.weight");
        let [inner, _] = first.dims(naming.feed_forward(gated).0)?;
        let registers = if names.has(naming.registers()) { names.dims::<3>(naming.registers())?[1] } else { 0 };
        let hidden = if gated { inner / 2 } else { inner };
        let config = Self { naming, width, depth, hidden, gated, registers, trained_side };
        if width == 0 || hidden == 0 || !width.is_multiple_of(HEAD) || trained_side * trained_side + 1 != tokens {
            let why = format!("not a DINOv2 with 64-wide heads and square positions: {config:?}");
            return Err(WeightsError::Config { file: names.file(), why });
        }
        Ok(config)
    }

    pub fn heads(&self) -> usize {
        self.width / HEAD
    }

    /// The number of tokens before the patches: the class token and the registers.
    fn leading(&self) -> usize {
        1 + self.registers
    }
}

impl Naming {
    fn class_token(self) -> &'static str {
        match self {
            Self::Hub => "cls_token",
            Self::HuggingFace => "embeddings.cls_token",
        }
    }

    fn positions(self) -> &'static str {
        match self {
            Self::Hub => "pos_embed",
            Self::HuggingFace => "embeddings.position_embeddings",
        }
    }

    fn registers(self) -> &'static str {
        match self {
            Self::Hub => "register_tokens",
            Self::HuggingFace => "embeddings.register_tokens",
        }
    }

    fn mask_token(self) -> &'static str {
        match self {
            Self::Hub => "mask_token",
            Self::HuggingFace => "embeddings.mask_token",
        }
    }

    fn patches(self) -> &'static str {
        match self {
            Self::Hub => "patch_embed.proj",
            Self::HuggingFace => "embeddings.patch_embeddings.projection",
        }
    }

    fn block<'a>(self, names: &Names<'a>, index: usize) -> Names<'a> {
        match self {
            Self::Hub => names.under("blocks").under(index),
            Self::HuggingFace => names.under("encoder.layer").under(index),
        }
    }

    fn block_prefix(self, index: usize) -> String {
        match self {
            Self::Hub => format!("blocks.{index}"),
            Self::HuggingFace => format!("encoder.layer.{index}"),
        }
    }

    /// The layers that compute queries, keys and values: one fused layer, or three.
    fn attention_inputs(self) -> &'static [&'static str] {
        match self {
            Self::Hub => &["attn.qkv"],
            Self::HuggingFace => &["attention.attention.query", "attention.attention.key", "attention.attention.value"],
        }
    }

    fn attention_output(self) -> &'static str {
        match self {
            Self::Hub => "attn.proj",
            Self::HuggingFace => "attention.output.dense",
        }
    }

    /// The scales of the two residual branches.
    fn layer_scales(self) -> [&'static str; 2] {
        match self {
            Self::Hub => ["ls1.gamma", "ls2.gamma"],
            Self::HuggingFace => ["layer_scale1.lambda1", "layer_scale2.lambda1"],
        }
    }

    /// The input weights and the output layer of the feed-forward part, below `mlp`.
    fn feed_forward(self, gated: bool) -> (&'static str, &'static str) {
        match (self, gated) {
            (_, false) => ("fc1.weight", "fc2"),
            (Self::Hub, true) => ("w12.weight", "w3"),
            (Self::HuggingFace, true) => ("weights_in.weight", "weights_out"),
        }
    }

    fn last_norm(self) -> &'static str {
        match self {
            Self::Hub => "norm",
            Self::HuggingFace => "layernorm",
        }
    }
}
