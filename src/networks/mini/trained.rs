//! The heads in training: candle variables over precomputed features of the trunk.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, Var};

use super::{DEGRADATIONS, INPUTS, KINDS, LAYER};

/// The variables by name; each is f32.
#[derive(Debug)]
pub struct Mini {
    pub vars: BTreeMap<String, Var>,
}

/// The outputs of the heads for a batch.
#[derive(Debug)]
pub struct Outputs {
    /// `[photos]`
    pub opinion: Tensor,
    /// `[photos]`
    pub preference: Tensor,
    /// `[photos, 5]`, logits.
    pub degradation: Tensor,
    /// `[photos, 7]`, logits.
    pub kind: Tensor,
}

impl Mini {
    /// Creates fresh variables; `normal` draws from the standard normal distribution.
    pub fn new(device: &Device, mut normal: impl FnMut() -> f32) -> Result<Self> {
        let mut vars = BTreeMap::new();
        for (name, inputs, outputs, size) in [
            ("layer", INPUTS, LAYER, 1.4),
            ("opinion", LAYER, 1, 0.3),
            ("preference", LAYER, 1, 0.3),
            ("degradation", LAYER, DEGRADATIONS.len(), 0.3),
            ("kind", LAYER, KINDS.len(), 0.3),
        ] {
            let scale = size * (inputs as f32).sqrt().recip();
            let weight: Vec<f32> = (0..inputs * outputs).map(|_| normal() * scale).collect();
            // The mean of the opinions is about 0.65.
            let bias = vec![if name == "opinion" { 0.65f32 } else { 0.0 }; outputs];
            vars.insert(format!("{name}.weight"), Var::from_vec(weight, (outputs, inputs), device)?);
            vars.insert(format!("{name}.bias"), Var::from_vec(bias, outputs, device)?);
        }
        Ok(Self { vars })
    }

    fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let get = |part: &str| match self.vars.get(&format!("{name}.{part}")) {
            Some(var) => Ok(var.as_tensor()),
            None => candle_core::bail!("no variable `{name}.{part}`"),
        };
        x.matmul(&get("weight")?.t()?)?.broadcast_add(get("bias")?)
    }

    /// The outputs for standardised rows of [`INPUTS`] inputs. `dropped` holds the dropout masks of the inputs and of the
    /// hidden layer.
    pub fn heads(&self, seen: &Tensor, dropped: Option<&[Tensor; 2]>) -> Result<Outputs> {
        let shown = match dropped {
            Some([mask, _]) => (seen * mask)?,
            None => seen.clone(),
        };
        let mut layer = self.linear("layer", &shown)?.relu()?;
        if let Some([_, mask]) = dropped {
            layer = (layer * mask)?;
        }
        Ok(Outputs {
            opinion: self.linear("opinion", &layer)?.squeeze(1)?,
            preference: self.linear("preference", &layer)?.squeeze(1)?,
            degradation: self.linear("degradation", &layer)?,
            kind: self.linear("kind", &layer)?,
        })
    }

    /// The tensors for [`super::Heads`], except those of the embedding and of the standardisation.
    pub fn tensors(&self) -> Result<BTreeMap<String, (Vec<usize>, Vec<f32>)>> {
        let tensor = |(name, var): (&String, &Var)| {
            Ok((name.clone(), (var.dims().to_vec(), var.as_tensor().flatten_all()?.to_vec1()?)))
        };
        self.vars.iter().map(tensor).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{InMemory, Ledger};
    use crate::mini::{EMBEDDING, Heads, POOLED, answer};
    use kernels::{Cpu, Engine, Precision};

    #[test]
    fn inference_agrees_with_training() -> Result<()> {
        let mut state = 5u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        let mini = Mini::new(&Device::Cpu, &mut noise)?;
        let seen: Vec<f32> = (0..INPUTS).map(|_| noise()).collect();
        let outputs = mini.heads(&Tensor::from_slice(&seen, (1, INPUTS), &Device::Cpu)?, None)?;
        let mut file = InMemory { tensors: mini.tensors()? };
        file.tensors.insert("seen.mean".into(), (vec![INPUTS], vec![0.0; INPUTS]));
        file.tensors.insert("seen.std".into(), (vec![INPUTS], vec![1.0; INPUTS]));
        let embedding: Vec<f32> = (0..EMBEDDING * POOLED).map(|_| noise()).collect();
        file.tensors.insert("embedding.weight".into(), (vec![EMBEDDING, POOLED], embedding));
        file.tensors.insert("embedding.bias".into(), (vec![EMBEDDING], vec![0.0; EMBEDDING]));
        for cpu in Cpu::available() {
            let ledger = Ledger::new(&file);
            let heads = Heads::new(Engine { cpu, precision: Precision::Full }, &ledger.root());
            let heads = heads.map_err(candle_core::Error::wrap)?;
            assert!(ledger.close(|_| false).is_ok());
            let row = heads.answer(&seen[..POOLED], &seen[POOLED..]);
            let close = |at: std::ops::Range<usize>, theirs: &Tensor| -> Result<bool> {
                let theirs = theirs.flatten_all()?.to_vec1::<f32>()?;
                Ok(row[at].iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-3))
            };
            assert!(close(answer::OPINION..answer::OPINION + 1, &outputs.opinion)?, "{cpu}");
            assert!(close(answer::PREFERENCE..answer::PREFERENCE + 1, &outputs.preference)?, "{cpu}");
            assert!(close(answer::KIND, &candle_nn::ops::softmax(&outputs.kind, 1)?)?, "{cpu}");
            let length: f32 = row[answer::EMBEDDED].iter().map(|v| v * v).sum();
            assert!((length - 1.0).abs() < 1e-4, "{cpu}: {length}");
        }
        Ok(())
    }
}
