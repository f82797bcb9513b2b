//! The form that infers on candle's own operations: what the other form is held against.

use candle_core::{D, Device, Result, Tensor};
use candle_nn::{Linear, Module, VarBuilder, ops::sigmoid};

use super::input::MEASURES;
use super::passes::Convs;
use super::{EMBEDDING, Kind, Layer, POOLED, TRUNK, View, answer, layers};
use kernels::{Arena, Map};

#[derive(Debug)]
pub struct CandleMini {
    /// Weight and bias of each layer, in order.
    convs: Vec<(Tensor, Tensor)>,
    /// Mean and deviation of what the trunk expects.
    measures: (Tensor, Tensor),
    trunk: Linear,
    opinion: Linear,
    preference: Linear,
    degradation: Linear,
    embedding: Linear,
}

impl CandleMini {
    pub fn new(vb: &VarBuilder<'_>) -> Result<Self> {
        let conv = |(name, layer): (String, Layer)| {
            let (side, vb) = (layer.window().side, vb.pp(name));
            Ok((vb.get((layer.outputs, layer.inputs, side, side), "weight")?, vb.get(layer.outputs, "bias")?))
        };
        let linear = |name: &str, inputs: usize, outputs: usize| -> Result<Linear> {
            let vb = vb.pp(name);
            Ok(Linear::new(vb.get((outputs, inputs), "weight")?, Some(vb.get(outputs, "bias")?)))
        };
        let measures = vb.pp("measures");
        Ok(Self {
            convs: layers().into_iter().map(conv).collect::<Result<_>>()?,
            measures: (measures.get(MEASURES, "mean")?, measures.get(MEASURES, "std")?),
            trunk: linear("trunk", POOLED + MEASURES, TRUNK)?,
            opinion: linear("opinion", TRUNK, 1)?,
            preference: linear("preference", TRUNK, 1)?,
            degradation: linear("degradation", TRUNK, answer::DEGRADED.len())?,
            embedding: linear("embedding", POOLED, EMBEDDING)?,
        })
    }

    /// `[photos, 3, height, width]` to `[photos, answer::LEN]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (photos, _, height, width) = x.dims4()?;
        let data: Vec<f32> = x.permute((0, 2, 3, 1))?.contiguous()?.flatten_all()?.to_vec1()?;
        let mut map = Arena::default().take(Convs::input(photos, height, width));
        let mut measures = Vec::with_capacity(photos * MEASURES);
        for (image, data) in data.chunks_exact(data.len() / photos).enumerate() {
            measures.extend_from_slice(&View { width, height, data }.prepare(&mut map, image).measures);
        }
        let pooled = pooled(&nchw(&map, x.device())?, |index, _, _| Ok(self.convs[index].clone()))?;
        let measures = Tensor::from_vec(measures, (photos, MEASURES), x.device())?;
        let (mean, std) = &self.measures;
        let measures = measures.broadcast_sub(mean)?.broadcast_div(std)?.clamp(-4f32, 4f32)?;
        let trunk = self.trunk.forward(&Tensor::cat(&[&pooled, &measures], 1)?)?.relu()?;
        let degraded = sigmoid(&self.degradation.forward(&trunk)?)?;
        let judged = [self.opinion.forward(&trunk)?, self.preference.forward(&trunk)?, degraded];
        let [opinion, preference, degraded] = &judged;
        Tensor::cat(&[opinion, preference, degraded, &self.embedding.forward(&pooled)?], 1)
    }
}

/// The convolutions and the pooling; `weights` gives weight and bias of a layer by its place and name.
pub fn pooled(x: &Tensor, weights: impl Fn(usize, &str, &Layer) -> Result<(Tensor, Tensor)>) -> Result<Tensor> {
    let mut chain = vec![x.clone()];
    let mut pooled = Vec::new();
    for (index, (name, layer)) in layers().into_iter().enumerate() {
        let (weight, bias) = weights(index, &name, &layer)?;
        let window = layer.window();
        let last = &chain[chain.len() - 1];
        let mut y = last.conv2d(&weight, window.padding, window.stride, 1, 1)?;
        y = y.broadcast_add(&bias.reshape((1, layer.outputs, 1, 1))?)?;
        if layer.kind == Kind::Point {
            y = (y + &chain[chain.len() - 2])?;
        }
        let y = y.relu()?;
        if layer.pooled {
            let flat = y.flatten_from(2)?;
            let mean = flat.mean_keepdim(D::Minus1)?;
            let spread = ((flat.sqr()?.mean_keepdim(D::Minus1)? - mean.sqr()?)?.relu()? + 1e-4)?.sqrt()?;
            pooled.extend([mean.squeeze(D::Minus1)?, spread.squeeze(D::Minus1)?]);
        }
        chain.push(y);
    }
    Tensor::cat(&pooled, 1)
}

pub fn nchw(map: &Map, device: &Device) -> Result<Tensor> {
    let shape = map.shape();
    let mut data = Vec::with_capacity(shape.len());
    for image in 0..shape.images {
        (0..shape.height).for_each(|y| data.extend_from_slice(map.row(image, y)));
    }
    let dims = (shape.images, shape.height, shape.width, shape.channels);
    Tensor::from_vec(data, dims, device)?.permute((0, 3, 1, 2))?.contiguous()
}
