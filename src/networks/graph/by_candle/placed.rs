//! Values of a run on the device, and what the run may still take.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::super::tensor::{Tensor as MemoryTensor, Value, elements};
use crate::axes::{Checked, require};

/// Constants of at most so many numbers stay in memory, too: some are sizes, factors or exponents.
const FEW: usize = 16;

/// A value on the device, in memory, or both.
#[derive(Clone, Debug, Default)]
pub struct Placed {
    pub device: Option<Tensor>,
    pub memory: Option<Value>,
}

/// What the rest of a run may still take.
pub struct Bounds {
    /// Values of the next tensor.
    pub room: usize,
    pub work: u64,
}

impl Bounds {
    pub fn afford(&mut self, work: u64) -> Checked<()> {
        self.work = self.work.checked_sub(work).ok_or("the work of a run is more than this reader allows")?;
        Ok(())
    }

    /// Refuses a tensor for which there is no room, before it is made.
    pub fn claim(&self, shape: &[usize]) -> Checked<()> {
        require(elements(shape)? <= self.room, "the memory of a run is more than this reader allows")
    }

    /// The same for a tensor each of whose numbers is a sum of so many products.
    pub fn claim_sums(&mut self, shape: &[usize], products: usize) -> Checked<()> {
        self.claim(shape)?;
        self.afford((elements(shape)? as u64).saturating_mul(products as u64))
    }
}

impl Placed {
    /// A copy on the device; whole numbers stay in memory.
    pub fn on(device: &Device, value: Value) -> candle_core::Result<Self> {
        let Value::Floats(floats) = value else { return Ok(Self { device: None, memory: Some(value) }) };
        let floats = floats.plain();
        let placed = Tensor::from_slice(&floats.data, floats.shape.as_slice(), device)?;
        Ok(Self { device: Some(placed), memory: None })
    }

    pub fn constant(device: &Device, value: Value) -> candle_core::Result<Self> {
        let memory = (value.elements() <= FEW).then(|| value.clone());
        let placed = Self::on(device, value)?;
        Ok(Self { memory: placed.memory.or(memory), ..placed })
    }

    pub fn elements(&self) -> usize {
        let device = self.device.as_ref().map(Tensor::elem_count);
        device.or_else(|| self.memory.as_ref().map(Value::elements)).unwrap_or_default()
    }

    /// Copies it into memory if need be.
    pub fn in_memory(&self) -> candle_core::Result<Value> {
        match (&self.memory, &self.device) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(device)) => {
                let (shape, data) = (device.dims().to_vec(), device.flatten_all()?.to_vec1()?);
                Ok(Value::Floats(Arc::new(MemoryTensor { shape, channels_last: false, data })))
            }
            (None, None) => candle_core::bail!("an input is missing"),
        }
    }
}
