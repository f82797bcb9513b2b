//! The form that trains: variables of candle, weights standardised on the way, the convolutions as one operation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, DType, Device, Result, Shape, Tensor, Var};
use rayon::prelude::*;

use super::by_candle::{self, nchw};
use super::passes::{Convs, Grad, Tape};
use super::{DEGRADATIONS, EMBEDDING, Kind, Layer, MEASURES, POOLED, TRUNK, layers};
use crate::fused::Workspace;
use kernels::{Arena, Engine, Map, Scratch};

/// A rectifier's output has this much less deviation than its input; the gains begin by giving it back.
const GAIN: f32 = 1.7;
/// What a block adds begins small.
const BRANCH_GAIN: f32 = 0.4;
/// Photos that go through the layers together on one thread.
pub const GROUP: usize = 4;
/// Gradients are summed in this many parts, whatever the number of threads, and then in order: the same digits always.
const PARTS: usize = 4;

/// The variables by name; each is f32.
#[derive(Debug)]
pub struct Mini {
    pub vars: BTreeMap<String, Var>,
    engine: Engine,
    idle: Arc<Mutex<Vec<Workspace>>>,
}

/// What the heads say of a batch.
#[derive(Debug)]
pub struct Outputs {
    /// `[photos]`
    pub opinion: Tensor,
    /// `[photos]`
    pub preference: Tensor,
    /// `[photos, 5]`, before the logistic curve.
    pub degradation: Tensor,
    /// `[photos, 128]`, of length 1.
    pub embedding: Tensor,
}

impl Mini {
    /// Fresh variables; `normal` draws from the standard normal distribution.
    pub fn new(engine: Engine, device: &Device, mut normal: impl FnMut() -> f32) -> Result<Self> {
        let mut vars = BTreeMap::new();
        let mut add = |name: String, shape: &[usize], value: &mut dyn FnMut() -> f32| -> Result<()> {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| value()).collect();
            vars.insert(name, Var::from_tensor(&Tensor::from_vec(values, shape, device)?)?);
            Ok(())
        };
        for (name, layer) in layers() {
            let side = layer.window().side;
            let scale = (layer.fan_in() as f32).sqrt().recip();
            let gain = if layer.kind == Kind::Point { GAIN * BRANCH_GAIN } else { GAIN };
            add(format!("{name}.weight"), &[layer.outputs, layer.inputs, side, side], &mut || normal() * scale)?;
            add(format!("{name}.gain"), &[layer.outputs], &mut || gain)?;
            add(format!("{name}.bias"), &[layer.outputs], &mut || 0.0)?;
        }
        for (name, inputs, outputs, size) in [
            ("trunk", POOLED + MEASURES, TRUNK, 1.4),
            ("opinion", TRUNK, 1, 0.3),
            ("preference", TRUNK, 1, 0.3),
            ("degradation", TRUNK, DEGRADATIONS.len(), 0.3),
            ("embedding", POOLED, EMBEDDING, 1.0),
        ] {
            let scale = size * (inputs as f32).sqrt().recip();
            add(format!("{name}.weight"), &[outputs, inputs], &mut || normal() * scale)?;
            // Opinions lie around 0.65.
            let bias = if name == "opinion" { 0.65 } else { 0.0 };
            add(format!("{name}.bias"), &[outputs], &mut || bias)?;
        }
        Ok(Self { vars, engine, idle: Arc::default() })
    }

    fn get(&self, name: &str) -> Result<&Tensor> {
        match self.vars.get(name) {
            Some(var) => Ok(var.as_tensor()),
            None => candle_core::bail!("no variable `{name}`"),
        }
    }

    /// The weights as the convolutions take them, standardised for each output; and the bias.
    fn effective(&self, name: &str, layer: &Layer) -> Result<(Tensor, Tensor)> {
        let weight = self.get(&format!("{name}.weight"))?;
        let flat = weight.reshape((layer.outputs, layer.fan_in()))?;
        let even = flat.broadcast_sub(&flat.mean_keepdim(1)?)?;
        let size = (even.sqr()?.sum_keepdim(1)? + 1e-8)?.sqrt()?;
        let gain = self.get(&format!("{name}.gain"))?.reshape((layer.outputs, 1))?;
        let weight = even.broadcast_mul(&gain.broadcast_div(&size)?)?.reshape(weight.shape())?;
        Ok((weight, self.get(&format!("{name}.bias"))?.clone()))
    }

    /// All weights in one row, as [`Pooling`] takes them.
    fn flat(&self) -> Result<Tensor> {
        let mut parts = Vec::new();
        for (name, layer) in layers() {
            let (weight, bias) = self.effective(&name, &layer)?;
            parts.extend([weight.flatten_all()?, bias]);
        }
        Tensor::cat(&parts, 0)
    }

    /// The pooled features of maps of up to [`GROUP`] photos each, with a gradient.
    pub fn pooled(&self, maps: Vec<Map>, device: &Device) -> Result<Tensor> {
        if device.is_cpu() {
            let photos = maps.iter().map(|map| map.shape().images).sum();
            let op = Pooling {
                engine: self.engine,
                idle: self.idle.clone(),
                photos,
                maps: Mutex::new(Some(maps)),
                kept: Mutex::new(None),
            };
            return self.flat()?.apply_op1(op);
        }
        let x = maps.iter().map(|map| nchw(map, device)).collect::<Result<Vec<_>>>()?;
        self.pooled_by_candle(&Tensor::cat(&x, 0)?)
    }

    /// The same on candle's own convolutions: for cards, and to hold the other form against.
    pub fn pooled_by_candle(&self, x: &Tensor) -> Result<Tensor> {
        by_candle::pooled(x, |_, name, layer| self.effective(name, layer))
    }

    /// What the heads make of pooled features and scaled measures; `dropped` is laid over the trunk while it trains.
    pub fn heads(&self, pooled: &Tensor, measures: &Tensor, dropped: Option<&Tensor>) -> Result<Outputs> {
        let linear = |name: &str, x: &Tensor| -> Result<Tensor> {
            let (weight, bias) = (self.get(&format!("{name}.weight"))?, self.get(&format!("{name}.bias"))?);
            x.matmul(&weight.t()?)?.broadcast_add(bias)
        };
        let mut trunk = linear("trunk", &Tensor::cat(&[pooled, measures], 1)?)?.relu()?;
        if let Some(mask) = dropped {
            trunk = (trunk * mask)?;
        }
        let embedding = linear("embedding", pooled)?;
        let length = (embedding.sqr()?.sum_keepdim(1)? + 1e-8)?.sqrt()?;
        Ok(Outputs {
            opinion: linear("opinion", &trunk)?.squeeze(1)?,
            preference: linear("preference", &trunk)?.squeeze(1)?,
            degradation: linear("degradation", &trunk)?,
            embedding: embedding.broadcast_div(&length)?,
        })
    }

    /// The tensors that [`super::FusedMini`] reads: weights as they act, without their gains.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut all = BTreeMap::new();
        for (name, layer) in layers() {
            let (weight, bias) = self.effective(&name, &layer)?;
            all.insert(format!("{name}.weight"), weight.detach());
            all.insert(format!("{name}.bias"), bias.detach());
        }
        for (name, var) in &self.vars {
            if !name.starts_with("stages.") {
                all.insert(name.clone(), var.as_tensor().detach());
            }
        }
        Ok(all)
    }
}

/// All convolutions and the pooling as one operation on the row of weights; the photos are part of the operation.
struct Pooling {
    engine: Engine,
    idle: Arc<Mutex<Vec<Workspace>>>,
    photos: usize,
    maps: Mutex<Option<Vec<Map>>>,
    kept: Mutex<Option<Kept>>,
}

/// What the forward pass leaves.
struct Kept {
    convs: Convs,
    tapes: Vec<(Tape, usize)>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pooling {
    fn with_workspace<T>(&self, work: impl FnOnce(&mut Workspace) -> T) -> T {
        let idle = locked(&self.idle).pop();
        let mut workspace = idle.unwrap_or_else(|| Workspace { arena: Arena::default(), scratch: Scratch::new(1) });
        let done = work(&mut workspace);
        locked(&self.idle).push(workspace);
        done
    }
}

impl CustomOp1 for Pooling {
    fn name(&self) -> &'static str {
        "mini-pooling"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &candle_core::Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("the row of weights is not contiguous");
        };
        let mut rest = &storage.as_slice::<f32>()?[start..end];
        let mut weights = Vec::new();
        for (_, layer) in layers() {
            let (weight, after) = rest.split_at(layer.weights());
            let (bias, after) = after.split_at(layer.outputs);
            weights.push((weight.to_vec(), bias.to_vec()));
            rest = after;
        }
        let convs = Convs::new(self.engine, &weights, true);
        let Some(maps) = locked(&self.maps).take() else { candle_core::bail!("the photos were used already") };
        let mut pooled = vec![0.0; self.photos * POOLED];
        let mut rows = pooled.as_mut_slice();
        let mut work = Vec::new();
        for map in maps {
            let (own, after) = rows.split_at_mut(map.shape().images * POOLED);
            work.push((map, own));
            rows = after;
        }
        let tapes = work.into_par_iter().map(|(map, rows)| {
            let images = map.shape().images;
            let tape = self.with_workspace(|work| convs.forward(map, rows, &mut work.arena, &mut work.scratch));
            (tape, images)
        });
        let tapes = tapes.collect();
        *locked(&self.kept) = Some(Kept { convs, tapes });
        Ok((CpuStorage::F32(pooled), Shape::from((self.photos, POOLED))))
    }

    fn bwd(&self, _: &Tensor, pooled: &Tensor, d: &Tensor) -> Result<Option<Tensor>> {
        let Some(Kept { convs, tapes }) = locked(&self.kept).take() else {
            candle_core::bail!("the photos were taken back already");
        };
        let (pooled, d) = (pooled.flatten_all()?.to_vec1::<f32>()?, d.flatten_all()?.to_vec1::<f32>()?);
        let mut at = 0;
        let mut work: Vec<(Tape, std::ops::Range<usize>)> = Vec::new();
        for (tape, images) in tapes {
            work.push((tape, at..at + images * POOLED));
            at += images * POOLED;
        }
        let share = work.len().div_ceil(PARTS).max(1);
        let mut parts = Vec::new();
        while !work.is_empty() {
            let rest = work.split_off(share.min(work.len()));
            parts.push(std::mem::replace(&mut work, rest));
        }
        let grads: Vec<Grad> = (parts.into_par_iter())
            .map(|part| {
                let mut grad = Grad::zeros();
                self.with_workspace(|work| {
                    for (tape, rows) in part {
                        let (arena, scratch) = (&mut work.arena, &mut work.scratch);
                        convs.backward(tape, &pooled[rows.clone()], &d[rows], &mut grad, arena, scratch);
                    }
                });
                grad
            })
            .collect();
        let mut grads = grads.into_iter();
        let mut total = grads.next().unwrap_or_else(Grad::zeros);
        grads.for_each(|grad| total.add(&grad));
        let mut row = Vec::new();
        for ((_, layer), (weight, bias)) in layers().iter().zip(total.weights.iter().zip(&total.biases)) {
            in_file_order(layer, weight, &mut row);
            row.extend_from_slice(bias);
        }
        let len = row.len();
        Ok(Some(Tensor::from_vec(row, len, &Device::Cpu)?.to_dtype(DType::F32)?))
    }
}

/// `[side][side * inputs][outputs]` to `[outputs][inputs][side][side]`.
fn in_file_order(layer: &Layer, weight: &[f32], row: &mut Vec<f32>) {
    let taps = layer.window().side.pow(2);
    for n in 0..layer.outputs {
        for c in 0..layer.inputs {
            row.extend((0..taps).map(|tap| weight[(tap * layer.inputs + c) * layer.outputs + n]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{InMemory, Ledger};
    use crate::fused::{Batch, Runner};
    use crate::mini::{FusedMini, View, answer};
    use kernels::{Cpu, Precision};

    fn engine() -> Engine {
        Engine { cpu: Cpu::Plain, precision: Precision::Full }
    }

    fn noise(seed: u32) -> impl FnMut() -> f32 {
        let mut state = seed;
        move || {
            let mut draw = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / 16_777_216.0
            };
            (0..12).map(|_| draw()).sum::<f32>() - 6.0
        }
    }

    fn pictures(count: usize, side: usize) -> Vec<f32> {
        let mut next = noise(5);
        (0..count * side * side * 3).map(|i| (i as f32 * 0.01).sin() + 0.3 * next()).collect()
    }

    fn maps(data: &[f32], side: usize) -> (Vec<Map>, Vec<f32>) {
        let mut measures = Vec::new();
        let maps = data.chunks(GROUP * side * side * 3).map(|group| {
            let count = group.len() / (side * side * 3);
            let mut map = Map::zeros(Convs::input(count, side, side));
            for (image, data) in group.chunks_exact(side * side * 3).enumerate() {
                measures.extend(View { width: side, height: side, data }.prepare(&mut map, image).measures);
            }
            map
        });
        (maps.collect(), measures)
    }

    #[test]
    fn features_and_gradients_equal_those_of_candles_convolutions() -> Result<()> {
        let (device, side) = (Device::Cpu, 64);
        let mini = Mini::new(engine(), &device, noise(1))?;
        let data = pictures(6, side);
        let ours = mini.pooled(maps(&data, side).0, &device)?;
        let x = maps(&data, side).0.iter().map(|map| nchw(map, &device)).collect::<Result<Vec<_>>>()?;
        let theirs = mini.pooled_by_candle(&Tensor::cat(&x, 0)?)?;
        let apart = |a: &Tensor, b: &Tensor| -> Result<f32> {
            let size = b.abs()?.max_all()?.to_scalar::<f32>()?;
            Ok((a - b)?.abs()?.max_all()?.to_scalar::<f32>()? / (size + 1e-9))
        };
        assert!(apart(&ours, &theirs)? < 1e-4);
        // A loss that treats every feature differently.
        let mut next = noise(9);
        let weights: Vec<f32> = (0..6 * POOLED).map(|_| next()).collect();
        let weights = Tensor::from_vec(weights, (6, POOLED), &device)?;
        let (a, b) = ((&ours * &weights)?.sum_all()?.backward()?, (&theirs * &weights)?.sum_all()?.backward()?);
        for (name, var) in mini.vars.iter().filter(|(name, _)| name.starts_with("stages.")) {
            let (Some(a), Some(b)) = (a.get(var), b.get(var)) else { panic!("{name} has no gradient") };
            let apart = apart(a, b)?;
            assert!(apart < 2e-3, "{name}: {apart}");
        }
        Ok(())
    }

    #[test]
    fn the_form_that_infers_says_what_the_form_that_trains_says() -> Result<()> {
        let (device, side) = (Device::Cpu, 64);
        let mini = Mini::new(engine(), &device, noise(2))?;
        let data = pictures(3, side);
        let (maps, measures) = maps(&data, side);
        let measures = Tensor::from_vec(measures, (3, MEASURES), &device)?.clamp(-4f32, 4f32)?;
        let answers = mini.heads(&mini.pooled(maps, &device)?, &measures, None)?;
        let mut file = InMemory::default();
        for (name, tensor) in mini.tensors()? {
            file.tensors.insert(name, (tensor.dims().to_vec(), tensor.flatten_all()?.to_vec1()?));
        }
        file.tensors.insert("measures.mean".into(), (vec![MEASURES], vec![0.0; MEASURES]));
        file.tensors.insert("measures.std".into(), (vec![MEASURES], vec![1.0; MEASURES]));
        let ledger = Ledger::new(&file);
        let fused = FusedMini::new(engine(), &ledger.root()).map_err(candle_core::Error::wrap)?;
        assert!(ledger.close(|_| false).is_ok());
        let batch = Batch::new(3, side, side, data).expect("whole pictures");
        let rows = Runner::new(Box::new(fused)).run(&batch).map_err(candle_core::Error::wrap)?;
        let opinions = answers.opinion.to_vec1::<f32>()?;
        let preferences = answers.preference.to_vec1::<f32>()?;
        for (row, (opinion, preference)) in rows.chunks_exact(answer::LEN).zip(opinions.iter().zip(&preferences)) {
            assert!((row[answer::OPINION] - opinion).abs() < 1e-3, "{} {opinion}", row[answer::OPINION]);
            assert!((row[answer::PREFERENCE] - preference).abs() < 1e-3);
        }
        Ok(())
    }
}
