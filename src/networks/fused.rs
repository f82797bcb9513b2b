//! Networks built on the fused kernels, and how their work is spread over cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Layout, Shape};

use kernels::{Arena, Map, Scratch, Shape as MapShape};

/// Photos as networks take them: normalised, channels innermost, one after the other.
#[derive(Clone, Debug)]
pub struct Batch {
    pub photos: usize,
    pub height: usize,
    pub width: usize,
    pub data: Vec<f32>,
}

impl Batch {
    pub const CHANNELS: usize = 3;

    pub fn new(photos: usize, height: usize, width: usize, data: Vec<f32>) -> Option<Self> {
        let expected = photos.checked_mul(height)?.checked_mul(width)?.checked_mul(Self::CHANNELS)?;
        (data.len() == expected).then_some(Self { photos, height, width, data })
    }

    /// The floats of one photo.
    pub fn photo_len(&self) -> usize {
        self.height * self.width * Self::CHANNELS
    }
}

/// Some photos of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Photos<'a> {
    pub count: usize,
    pub height: usize,
    pub width: usize,
    pub data: &'a [f32],
}

impl Photos<'_> {
    /// As a map with so wide a border of zeros.
    pub fn map(&self, border: usize, arena: &mut Arena) -> Map {
        let Self { count, height, width, data } = *self;
        let mut map = arena.take(MapShape { images: count, height, width, channels: Batch::CHANNELS, border });
        for (line, row) in data.chunks_exact(width * Batch::CHANNELS).enumerate() {
            map.row_mut(line / height, line % height).copy_from_slice(row);
        }
        map
    }
}

/// What a thread keeps between photos.
#[derive(Debug)]
pub struct Workspace {
    pub arena: Arena,
    pub scratch: Scratch,
}

/// A network on the fused kernels: photos in, a row of features each out.
pub trait Network: Send + Sync {
    fn features(&self) -> usize;
    /// Memory that the packed weights take.
    fn bytes(&self) -> usize;
    /// Photos that one thread works on at a time: more of them read the weights less often.
    fn group(&self) -> usize {
        4
    }
    /// Whether photos of this size can be taken. Halvings that are rounded up always leave a pixel.
    fn accepts(&self, height: usize, width: usize) -> bool {
        height > 0 && width > 0
    }
    /// Fills `out`, a row of [`Self::features`] for each photo.
    fn forward(&self, photos: Photos<'_>, out: &mut [f32], workspace: &mut Workspace);
}

#[derive(Debug, thiserror::Error)]
#[error("photos of {width}x{height} do not fit the network")]
pub struct SizeError {
    width: usize,
    height: usize,
}

/// A network with the workspaces of the threads that run it.
pub struct Runner {
    network: Box<dyn Network>,
    idle: Mutex<Vec<Workspace>>,
    /// Threads that are inside [`Self::run`].
    callers: AtomicUsize,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("features", &self.network.features()).finish_non_exhaustive()
    }
}

impl Runner {
    pub fn new(network: Box<dyn Network>) -> Self {
        Self { network, idle: Mutex::default(), callers: AtomicUsize::new(0) }
    }

    pub fn network(&self) -> &dyn Network {
        self.network.as_ref()
    }

    /// A row of features for each photo.
    ///
    /// As many photos as there are cores go side by side, each whole on its core: measured, two cores on one layer are
    /// little faster than one, since most layers are small. What is left over shares, layer by layer, the cores that
    /// other callers leave. Either way the numbers are the same.
    pub fn run(&self, batch: &Batch) -> Result<Vec<f32>, SizeError> {
        let Batch { photos, height, width, ref data } = *batch;
        if !self.network.accepts(height, width) {
            return Err(SizeError { width, height });
        }
        let (features, len) = (self.network.features(), batch.photo_len());
        let mut out = vec![0.0; photos * features];
        let cores = rayon::current_num_threads();
        let callers = self.callers.fetch_add(1, Ordering::Relaxed) + 1;
        let share = (cores / callers).max(1);
        let side_by_side = if share > 1 { photos - photos % share } else { 0 };
        let (whole, rest) = out.split_at_mut(side_by_side * features);
        let (whole_in, rest_in) = data.split_at(side_by_side * len);
        if side_by_side > 0 {
            let group = (side_by_side / share).clamp(1, self.network.group());
            rayon::scope(|scope| {
                for (out, data) in whole.chunks_mut(group * features).zip(whole_in.chunks(group * len)) {
                    scope.spawn(move |_| self.forward(Photos { count: data.len() / len, height, width, data }, out, 1));
                }
            });
        }
        let group = if share > 1 { share } else { self.network.group() };
        for (out, data) in rest.chunks_mut(group * features).zip(rest_in.chunks(group * len)) {
            self.forward(Photos { count: data.len() / len, height, width, data }, out, share);
        }
        self.callers.fetch_sub(1, Ordering::Relaxed);
        Ok(out)
    }

    fn forward(&self, photos: Photos<'_>, out: &mut [f32], threads: usize) {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Workspace { arena: Arena::default(), scratch: Scratch::new(1) };
        let mut workspace = idle().pop().unwrap_or_else(fresh);
        workspace.scratch.threads = threads;
        self.network.forward(photos, out, &mut workspace);
        idle().push(workspace);
    }
}

/// The same as a candle operation: `[photos, 3, height, width]` to `[photos, features]`, on the CPU.
impl CustomOp1 for Runner {
    fn name(&self) -> &'static str {
        "fused-network"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (photos, channels, height, width) = layout.shape().dims4()?;
        if channels != Batch::CHANNELS {
            candle_core::bail!("photos have {} channels, not {channels}", Batch::CHANNELS);
        }
        let from = storage.as_slice::<f32>()?;
        let (start, step) = (layout.start_offset(), layout.stride());
        let mut data = Vec::with_capacity(photos * channels * height * width);
        for photo in 0..photos {
            for y in 0..height {
                for x in 0..width {
                    let at = start + photo * step[0] + y * step[2] + x * step[3];
                    data.extend((0..channels).map(|c| from[at + c * step[1]]));
                }
            }
        }
        let out = self.run(&Batch { photos, height, width, data }).map_err(candle_core::Error::wrap)?;
        Ok((CpuStorage::F32(out), Shape::from((photos, self.network.features()))))
    }
}
