//! The training implementation. Normalisations use the fixed statistics of the file; their gains and shifts are trained.
//! Batch statistics would make each photo depend on the others, take two more passes over the largest maps in either
//! direction, and train another function than inference computes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, D, Device, Layout, Result, Shape, Tensor, Var};
use rayon::prelude::*;

use super::passes::{Gradients, Passes, Tape};
use super::plan::{Conv, Family, Folded, Kind, Norm, Plan};
use crate::checkpoint::Names;
use crate::depthwise::filtered;
use crate::fused::{Batch, Photos, Workspace};
use kernels::{Arena, Cpu, Engine, Scratch};

/// Photos that a thread processes together.
const GROUP: usize = 4;
/// Parts whose gradients are summed in a fixed order, so that sums do not depend on the number of threads.
const PARTS: usize = 4;
/// The same as in [`super::fused`].
const EPS: f64 = 1e-4;

/// A network with trainable convolutions, gains and shifts.
#[derive(Debug)]
pub struct Mobile {
    plan: Plan,
    cpu: Cpu,
    /// The variables, by their names in a file.
    pub vars: BTreeMap<String, Var>,
    /// The fixed mean and deviation of each convolution's output.
    statistics: Vec<[Tensor; 2]>,
    /// The means and variances as stored in files.
    stored: BTreeMap<String, Tensor>,
    idle: Arc<Mutex<Vec<Workspace>>>,
}

impl Mobile {
    pub fn new(family: Family, engine: Engine, names: &Names<'_>, device: &Device) -> Result<Self> {
        let plan = Plan::of(family, names).map_err(candle_core::Error::wrap)?;
        Self::of(plan, engine, names, device)
    }

    /// The network without its last convolution.
    pub fn trunk(family: Family, engine: Engine, names: &Names<'_>, device: &Device) -> Result<Self> {
        let plan = Plan::trunk(family, names).map_err(candle_core::Error::wrap)?;
        Self::of(plan, engine, names, device)
    }

    fn of(plan: Plan, engine: Engine, names: &Names<'_>, device: &Device) -> Result<Self> {
        let eps = plan.family.eps();
        let (mut vars, mut stored, mut statistics) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for conv in &plan.convs {
            let Norm { scale, shift, mean, variance } =
                Norm::read(conv, eps, names).map_err(candle_core::Error::wrap)?;
            let weight = names.under(&conv.conv).take("weight", &conv.shape()).map_err(candle_core::Error::wrap)?;
            let row = |values: Vec<f32>| Tensor::from_vec(values, conv.outputs, device);
            vars.insert(format!("{}.weight", conv.conv), Var::from_vec(weight, &conv.shape(), device)?);
            vars.insert(format!("{}.weight", conv.norm), Var::from_vec(scale, conv.outputs, device)?);
            vars.insert(format!("{}.bias", conv.norm), Var::from_vec(shift, conv.outputs, device)?);
            let (mean, variance) = (row(mean)?, row(variance)?);
            statistics.push([mean.clone(), (&variance + eps)?.sqrt()?]);
            stored.insert(format!("{}.running_mean", conv.norm), mean);
            stored.insert(format!("{}.running_var", conv.norm), variance);
        }
        Ok(Self { plan, cpu: engine.cpu, vars, statistics, stored, idle: Arc::default() })
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    fn get(&self, name: &str) -> Result<&Tensor> {
        match self.vars.get(name) {
            Some(var) => Ok(var.as_tensor()),
            None => candle_core::bail!("no variable `{name}`"),
        }
    }

    /// The effective weights and bias of a convolution with its normalisation.
    fn effective(&self, at: usize) -> Result<(Tensor, Tensor)> {
        let (conv, [mean, deviation]) = (&self.plan.convs[at], &self.statistics[at]);
        let factor = (self.get(&format!("{}.weight", conv.norm))? / deviation)?;
        let weight =
            self.get(&format!("{}.weight", conv.conv))?.broadcast_mul(&factor.reshape((conv.outputs, 1, 1, 1))?)?;
        let bias = (self.get(&format!("{}.bias", conv.norm))? - (mean * factor)?)?;
        Ok((weight, bias))
    }

    /// The number of convolutions in the frozen blocks.
    fn frozen(&self, blocks: usize) -> usize {
        let first = self.plan.blocks.get(blocks.min(self.plan.blocks.len()).wrapping_sub(1));
        first.map_or(0, |block| block.project + 1)
    }

    /// One row per photo in the layout of [`Plan::pooled`], with gradients for all but the first `frozen` blocks.
    pub fn pooled(&self, photos: Batch, frozen: usize) -> Result<Tensor> {
        let device = self.stored.values().next().map_or(&Device::Cpu, Tensor::device);
        if !device.is_cpu() {
            let shape = (photos.photos, photos.height, photos.width, Batch::CHANNELS);
            let x = Tensor::from_vec(photos.data, shape, device)?.permute((0, 3, 1, 2))?.contiguous()?;
            return self.pooled_by_candle(&x, frozen);
        }
        let mut parts = Vec::new();
        for at in 0..self.plan.convs.len() {
            let (weight, bias) = self.effective(at)?;
            let both = [weight.flatten_all()?, bias];
            parts.extend(if at < self.frozen(frozen) { both.map(|tensor| tensor.detach()) } else { both });
        }
        let op = Pooling {
            cpu: self.cpu,
            plan: self.plan.clone(),
            frozen,
            idle: self.idle.clone(),
            photos,
            kept: Mutex::new(None),
        };
        Tensor::cat(&parts, 0)?.apply_op1(op)
    }

    /// The same with candle's own operations: for GPUs, and as a reference in tests.
    pub fn pooled_by_candle(&self, x: &Tensor, frozen: usize) -> Result<Tensor> {
        let through = |x: &Tensor, at: usize| -> Result<Tensor> {
            let (mut weight, mut bias) = self.effective(at)?;
            if at < self.frozen(frozen) {
                (weight, bias) = (weight.detach(), bias.detach());
            }
            let conv = &self.plan.convs[at];
            let y = match conv.kind {
                Kind::Depthwise => filtered(&self.bordered(x, conv)?, &weight, [conv.stride; 2])?,
                _ => self.bordered(x, conv)?.conv2d(&weight, 0, conv.stride, 1, 1)?,
            };
            let y = y.broadcast_add(&bias.reshape((1, conv.outputs, 1, 1))?)?;
            if conv.kind == Kind::Project { Ok(y) } else { y.clamp(0f32, 6f32) }
        };
        let (mut x, mut pooled) = (x.clone(), Vec::new());
        for block in &self.plan.blocks {
            let mut y = x.clone();
            for at in [block.expand, block.depthwise, block.project] {
                y = through(&y, at)?;
            }
            x = if block.skips { (x + y)? } else { y };
            if block.ends_stage {
                let flat = x.flatten_from(2)?;
                let mean = flat.mean_keepdim(D::Minus1)?;
                let spread = (flat.broadcast_sub(&mean)?.sqr()?.mean(D::Minus1)? + EPS)?.sqrt()?;
                pooled.extend([mean.squeeze(D::Minus1)?, spread]);
            }
        }
        if let Some(head) = self.plan.head() {
            pooled.push(through(&x, head)?.flatten_from(2)?.mean(D::Minus1)?);
        }
        Tensor::cat(&pooled, 1)
    }

    /// Adds the padding of a convolution.
    fn bordered(&self, x: &Tensor, conv: &Conv) -> Result<Tensor> {
        let mut x = x.clone();
        for axis in [2, 3] {
            let pixels = x.dim(axis)?;
            let before = if conv.side == 1 { 0 } else { self.plan.family.before(pixels, conv.side, conv.stride) };
            let reach = (pixels.div_ceil(conv.stride) - 1) * conv.stride + conv.side;
            x = x.pad_with_zeros(axis, before, reach.saturating_sub(before + pixels))?;
        }
        Ok(x)
    }

    /// All tensors under the names of the family's files.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let vars = self.vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().detach()));
        vars.chain(self.stored.iter().map(|(name, tensor)| (name.clone(), tensor.clone()))).collect()
    }
}

/// All convolutions and the pooling as one operation on a flat row of weights. The photos belong to the operation.
struct Pooling {
    cpu: Cpu,
    plan: Plan,
    frozen: usize,
    idle: Arc<Mutex<Vec<Workspace>>>,
    photos: Batch,
    kept: Mutex<Option<ForwardState>>,
}

/// What the forward pass keeps.
struct ForwardState {
    passes: Passes,
    groups: Vec<Group>,
}

/// Photos that were processed together. Their workspace goes with them into the backward pass: buffers that are given back to
/// another than they were taken from gather there, while the first makes new ones at every step.
struct Group {
    tape: Tape,
    photos: usize,
    workspace: Workspace,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pooling {
    fn workspace(&self) -> Workspace {
        let idle = locked(&self.idle).pop();
        idle.unwrap_or_else(|| Workspace { arena: Arena::default(), scratch: Scratch::new(1) })
    }
}

impl CustomOp1 for Pooling {
    fn name(&self) -> &'static str {
        "mobile-pooling"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("the row of weights is not contiguous");
        };
        let mut rest = &storage.as_slice::<f32>()?[start..end];
        let mut folded = Vec::new();
        for conv in &self.plan.convs {
            let (weight, after) = rest.split_at(conv.weights());
            let (bias, after) = after.split_at(conv.outputs);
            folded.push(Folded { weight: weight.to_vec(), bias: bias.to_vec() });
            rest = after;
        }
        let passes = Passes::new(self.cpu, &self.plan, &folded, self.frozen);
        let (width, len) = (self.plan.pooled().1.end, self.photos.photo_len());
        let Batch { photos, height, width: pixels, ref data } = self.photos;
        let mut pooled = vec![0.0; photos * width];
        let groups = pooled.par_chunks_mut(GROUP * width).zip(data.par_chunks(GROUP * len));
        let groups = groups.map(|(rows, data)| {
            let group = Photos { count: data.len() / len, height, width: pixels, data };
            let mut workspace = self.workspace();
            let tape = passes.forward(group, rows, &mut workspace);
            Group { tape, photos: group.count, workspace }
        });
        let groups = groups.collect();
        *locked(&self.kept) = Some(ForwardState { passes, groups });
        Ok((CpuStorage::F32(pooled), Shape::from((photos, width))))
    }

    fn bwd(&self, _: &Tensor, pooled: &Tensor, d: &Tensor) -> Result<Option<Tensor>> {
        let Some(ForwardState { passes, groups }) = locked(&self.kept).take() else {
            candle_core::bail!("the photos were taken back already");
        };
        let width = self.plan.pooled().1.end;
        let (pooled, d) = (pooled.flatten_all()?.to_vec1::<f32>()?, d.flatten_all()?.to_vec1::<f32>()?);
        let share = groups.len().div_ceil(PARTS).max(1);
        let mut parts: Vec<Vec<(Group, std::ops::Range<usize>)>> = Vec::new();
        let mut at = 0;
        for (i, group) in groups.into_iter().enumerate() {
            let end = at + group.photos * width;
            if i % share == 0 {
                parts.push(Vec::new());
            }
            if let Some(part) = parts.last_mut() {
                part.push((group, at..end));
            }
            at = end;
        }
        let grads: Vec<Gradients> = (parts.into_par_iter())
            .map(|part| {
                let mut grads = passes.zeros();
                for (Group { tape, mut workspace, .. }, rows) in part {
                    passes.backward(tape, &pooled[rows.clone()], &d[rows], &mut grads, &mut workspace);
                    locked(&self.idle).push(workspace);
                }
                grads
            })
            .collect();
        let mut grads = grads.into_iter();
        let mut total = grads.next().unwrap_or_else(|| passes.zeros());
        grads.for_each(|grad| total.add(&grad));
        let mut row = Vec::new();
        for Folded { weight, bias } in passes.in_file_order(&total) {
            row.extend(weight);
            row.extend(bias);
        }
        let len = row.len();
        Ok(Some(Tensor::from_vec(row, len, &Device::Cpu)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::FusedMobile;
    use super::*;
    use crate::checkpoint::{InMemory, Ledger};
    use kernels::Precision;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        let mut state = seed as u32 * 2_654_435 + 12345;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// A narrow network with the fewest blocks of a family.
    fn file(family: Family) -> InMemory {
        let mut file = InMemory::default();
        let mut add = |conv: String, norm: String, shape: [usize; 4]| {
            let (count, seed): (usize, usize) = (shape.iter().product(), file.tensors.len());
            let size = (9.0 / (count / shape[0]) as f32).sqrt();
            let weight = numbers(count, seed).iter().map(|v| v * size).collect();
            file.tensors.insert(format!("{conv}.weight"), (shape.to_vec(), weight));
            for (at, (name, base, spread)) in
                [("weight", 1.0, 0.3), ("bias", 0.3, 0.3), ("running_mean", 0.0, 0.2), ("running_var", 1.0, 0.5)]
                    .into_iter()
                    .enumerate()
            {
                let values = numbers(shape[0], seed + at + 1).iter().map(|v| base + spread * v).collect();
                file.tensors.insert(format!("{norm}.{name}"), (vec![shape[0]], values));
            }
        };
        let lite = family == Family::EfficientNetLite;
        let stages: &[usize] = if lite { &[1, 2, 2, 3, 3, 4, 1] } else { &[1, 2, 3, 4, 3, 3, 1] };
        let (widths, sides) = ([5, 4, 6, 7, 8, 9, 10], [3, 3, 5, 3, 5, 5, 3]);
        let name = |block: usize, conv: &str, at: usize| {
            if lite {
                let norm = ["_bn0", "_bn1", "_bn2"][at];
                (format!("_blocks.{block}.{conv}"), format!("_blocks.{block}.{norm}"))
            } else {
                let at = 3 * (at - usize::from(block == 0));
                (format!("features.{}.conv.{at}", block + 1), format!("features.{}.conv.{}", block + 1, at + 1))
            }
        };
        let outside = |lite_name: [&str; 2], place: usize| {
            let names =
                if lite { lite_name.map(str::to_owned) } else { [0, 1].map(|at| format!("features.{place}.{at}")) };
            names.into()
        };
        let (conv, norm): (String, String) = outside(["_conv_stem", "_bn0"], 0);
        add(conv, norm, [6, 3, 3, 3]);
        let (mut inputs, mut block) = (6, 0);
        for (stage, &count) in stages.iter().enumerate() {
            for _ in 0..count {
                let wide = if block == 0 { inputs } else { 3 * inputs };
                if block > 0 {
                    let (conv, norm) = name(block, "_expand_conv", 0);
                    add(conv, norm, [wide, inputs, 1, 1]);
                }
                let side = if lite { sides[stage] } else { 3 };
                let (conv, norm) = name(block, "_depthwise_conv", 1);
                add(conv, norm, [wide, 1, side, side]);
                let (conv, norm) = name(block, "_project_conv", 2);
                add(conv, norm, [widths[stage], wide, 1, 1]);
                (inputs, block) = (widths[stage], block + 1);
            }
        }
        let (conv, norm): (String, String) = outside(["_conv_head", "_bn1"], block + 1);
        add(conv, norm, [20, inputs, 1, 1]);
        file
    }

    const FAMILIES: [Family; 2] = [Family::EfficientNetLite, Family::MobileNetV2];

    fn engine(cpu: Cpu) -> Engine {
        Engine { cpu, precision: Precision::Full }
    }

    fn photos(count: usize, height: usize, width: usize) -> Batch {
        Batch { photos: count, height, width, data: numbers(count * height * width * 3, 77) }
    }

    fn nchw(batch: &Batch) -> Result<Tensor> {
        let shape = (batch.photos, batch.height, batch.width, 3);
        Tensor::from_slice(&batch.data, shape, &Device::Cpu)?.permute((0, 3, 1, 2))?.contiguous()
    }

    fn apart(a: &Tensor, b: &Tensor) -> Result<f32> {
        let size = b.abs()?.max_all()?.to_scalar::<f32>()?;
        Ok((a - b)?.abs()?.max_all()?.to_scalar::<f32>()? / (size + 1e-6))
    }

    #[test]
    fn pooled_numbers_and_gradients_equal_those_of_candle() -> Result<()> {
        for (family, cpu) in
            FAMILIES.into_iter().flat_map(|family| Cpu::available().into_iter().map(move |c| (family, c)))
        {
            let file = file(family);
            let ledger = Ledger::new(&file);
            let network = Mobile::new(family, engine(cpu), &ledger.root(), &Device::Cpu)?;
            assert!(ledger.close(|_| false).is_ok(), "all tensors are taken");
            let batch = photos(5, 47, 66);
            // A loss with a different weight for every value, over photos in two groups.
            let width = network.plan().pooled().1.end;
            let loss = Tensor::from_vec(numbers(5 * width, 3), (5, width), &Device::Cpu)?;
            let frozen = 3;
            let theirs = network.pooled_by_candle(&nchw(&batch)?, frozen)?;
            let ours = network.pooled(batch, frozen)?;
            assert!(apart(&ours, &theirs)? < 1e-4, "{family:?} {cpu}: {}", apart(&ours, &theirs)?);
            let (a, b) = ((ours * &loss)?.sum_all()?.backward()?, (theirs * &loss)?.sum_all()?.backward()?);
            let mut learned = 0;
            for (name, var) in &network.vars {
                let (a, b) = (a.get(var), b.get(var));
                assert_eq!(a.is_some(), b.is_some(), "{family:?}: {name}");
                if let (Some(a), Some(b)) = (a, b) {
                    let apart = apart(a, b)?;
                    assert!(apart < 2e-3, "{family:?} {cpu} {name}: {apart}");
                    learned += 1;
                }
            }
            assert_eq!(learned, network.vars.len() - 3 * network.frozen(frozen), "all but the frozen ones learn");
        }
        Ok(())
    }

    #[test]
    fn a_trunk_pools_its_stages_and_has_gradients() -> Result<()> {
        let (family, cpu) = (Family::EfficientNetLite, Cpu::best());
        let file = file(family);
        let whole = Mobile::new(family, engine(cpu), &Ledger::new(&file).root(), &Device::Cpu)?;
        let ledger = Ledger::new(&file);
        let trunk = Mobile::trunk(family, engine(cpu), &ledger.root(), &Device::Cpu)?;
        assert!(ledger.close(|name| name.starts_with("_conv_head") || name.starts_with("_bn1")).is_ok());
        let (stages, features) = whole.plan().pooled();
        let width = stages.last().map_or(0, |range| range.end);
        assert_eq!(trunk.plan().pooled(), (stages, features.start..features.start));
        let batch = photos(3, 64, 96);
        let ours = trunk.pooled(batch.clone(), 2)?;
        assert!(apart(&ours, &whole.pooled(batch.clone(), 2)?.narrow(1, 0, width)?)? < 1e-5);
        let theirs = trunk.pooled_by_candle(&nchw(&batch)?, 2)?;
        let loss = Tensor::from_vec(numbers(3 * width, 3), (3, width), &Device::Cpu)?;
        let (a, b) = ((&ours * &loss)?.sum_all()?.backward()?, (theirs * &loss)?.sum_all()?.backward()?);
        for (name, var) in &trunk.vars {
            if let (Some(a), Some(b)) = (a.get(var), b.get(var)) {
                assert!(apart(a, b)? < 2e-3, "{name}");
            }
        }
        // Folds the trunk, and reads it again under the names of the built-in network's files.
        let folded = crate::mini::folded(&Ledger::new(&file).root()).map_err(candle_core::Error::wrap)?;
        let ledger = Ledger::new(&folded);
        let fused = FusedMobile::trunk(family, engine(cpu), &ledger.root().under(crate::mini::TRUNK));
        let fused = fused.map_err(candle_core::Error::wrap)?;
        assert!(ledger.close(|_| false).is_ok());
        let rows = crate::fused::Runner::new(Box::new(fused)).run(&batch).map_err(candle_core::Error::wrap)?;
        assert!(apart(&Tensor::from_vec(rows, (3, width), &Device::Cpu)?, &ours)? < 1e-4);
        Ok(())
    }

    #[test]
    fn gradients_of_the_stem_agree_with_candles() -> Result<()> {
        let (family, cpu) = (Family::EfficientNetLite, Cpu::best());
        let file = file(family);
        let network = Mobile::new(family, engine(cpu), &Ledger::new(&file).root(), &Device::Cpu)?;
        let batch = photos(2, 64, 32);
        let theirs = network.pooled_by_candle(&nchw(&batch)?, 0)?.sqr()?.mean_all()?.backward()?;
        let ours = network.pooled(batch, 0)?.sqr()?.mean_all()?.backward()?;
        for name in ["_conv_stem.weight", "_bn0.weight", "_bn0.bias", "_blocks.0._depthwise_conv.weight"] {
            let (Some(a), Some(b)) = (ours.get(&network.vars[name]), theirs.get(&network.vars[name])) else {
                panic!("{name} has no gradient")
            };
            let apart = apart(a, b)?;
            assert!(apart < 2e-3, "{name}: {apart}");
        }
        Ok(())
    }

    #[test]
    fn inference_agrees_with_training() -> Result<()> {
        for family in FAMILIES {
            let file = file(family);
            let network = Mobile::new(family, engine(Cpu::best()), &Ledger::new(&file).root(), &Device::Cpu)?;
            let mut stored = InMemory::default();
            for (name, tensor) in network.tensors() {
                stored.tensors.insert(name, (tensor.dims().to_vec(), tensor.flatten_all()?.to_vec1()?));
            }
            for (height, width) in [(64, 64), (33, 100), (7, 1)] {
                let batch = photos(3, height, width);
                let expected = network.pooled(batch.clone(), 0)?.to_vec2::<f32>()?;
                for cpu in Cpu::available() {
                    let fused = FusedMobile::new(family, engine(cpu), &Ledger::new(&stored).root());
                    let fused = fused.map_err(candle_core::Error::wrap)?;
                    for threads in [1, 3] {
                        let mut work = Workspace { arena: Arena::default(), scratch: Scratch::new(threads) };
                        let mut rows = vec![0.0; 3 * fused.pooled()];
                        let Batch { height, width, ref data, .. } = batch;
                        fused.pool(Photos { count: 3, height, width, data }, &mut rows, &mut work);
                        for (row, expected) in rows.chunks_exact(fused.pooled()).zip(&expected) {
                            let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-3 * (1.0 + b.abs());
                            assert!(row.iter().zip(expected).all(close), "{family:?} {cpu} {height}x{width}");
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
