//! The interface of networks on the fused kernels, and the distribution of their work over cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Layout, Shape};

use kernels::{Arena, Map, Scratch, Shape as MapShape};

/// A batch of normalised photos, channels innermost.
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

    /// Floats per photo.
    pub fn photo_len(&self) -> usize {
        self.height * self.width * Self::CHANNELS
    }
}

/// A view of some photos of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Photos<'a> {
    pub count: usize,
    pub height: usize,
    pub width: usize,
    pub data: &'a [f32],
}

impl Photos<'_> {
    /// Copies the photos into a map with a border of zeros.
    pub fn map(&self, border: usize, arena: &mut Arena) -> Map {
        let Self { count, height, width, data } = *self;
        let mut map = arena.take(MapShape { images: count, height, width, channels: Batch::CHANNELS, border });
        for (line, row) in data.chunks_exact(width * Batch::CHANNELS).enumerate() {
            map.row_mut(line / height, line % height).copy_from_slice(row);
        }
        map
    }
}

/// Memory that a thread reuses from photo to photo.
#[derive(Debug)]
pub struct Workspace {
    pub arena: Arena,
    pub scratch: Scratch,
}

/// A network on the fused kernels: one row of features per photo.
pub trait Network: Send + Sync {
    fn features(&self) -> usize;
    /// Memory of the packed weights.
    fn bytes(&self) -> usize;
    /// Photos that one thread processes together. More photos mean fewer reads of the weights.
    fn group(&self) -> usize {
        4
    }
    /// Whether photos of this size fit. Most networks round up when they halve, so any size does.
    fn accepts(&self, height: usize, width: usize) -> bool {
        height > 0 && width > 0
    }
    /// Fills `out` with a row of [`Self::features`] for each photo.
    fn forward(&self, photos: Photos<'_>, out: &mut [f32], workspace: &mut Workspace);
}

#[derive(Debug, thiserror::Error)]
#[error("photos of {width}x{height} do not fit the network")]
pub struct SizeError {
    width: usize,
    height: usize,
}

/// A network together with the workspaces of its threads.
pub struct Runner {
    network: Box<dyn Network>,
    idle: Mutex<Vec<Workspace>>,
    /// The number of threads inside [`Self::run`].
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

    /// Returns a row of features for each photo.
    ///
    /// Each core processes a whole photo: measured, two cores on one layer are hardly faster than one, because most layers
    /// are small. Remaining photos share the idle cores layer by layer. The results are the same either way.
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

/// The network as a candle operation on the CPU: `[photos, 3, height, width]` to `[photos, features]`.
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
