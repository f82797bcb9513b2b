//! Tensors. Maps are stored with channels innermost, as the kernels need them.

use std::sync::Arc;

use crate::axes::{Checked, require};

/// Maximum elements of a tensor; enough for pictures of four megapixels.
pub(super) const MOST_ELEMENTS: usize = 1 << 27;

#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The shape in file order: maps are (images, channels, height, width).
    pub shape: Vec<usize>,
    /// Whether the data of a map is stored as (images, height, width, channels). The channels of a pixel may then be
    /// padded with zeros to whole vectors, see [`Self::step`].
    pub(super) channels_last: bool,
    pub data: Vec<f32>,
}

/// A value that an operator reads or writes.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Floats(Arc<Tensor>),
    /// Shapes and positions.
    Integers(Vec<usize>, Vec<i64>),
}

impl Value {
    pub fn floats(self) -> Checked<Arc<Tensor>> {
        if let Self::Floats(tensor) = self { Ok(tensor) } else { Err("whole numbers where others belong".into()) }
    }

    pub fn integers(&self) -> Checked<&[i64]> {
        if let Self::Integers(_, numbers) = self { Ok(numbers) } else { Err("no whole numbers".into()) }
    }

    pub fn elements(&self) -> usize {
        match self {
            Self::Floats(tensor) => tensor.data.len(),
            Self::Integers(_, numbers) => numbers.len(),
        }
    }

    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Floats(tensor) => &tensor.shape,
            Self::Integers(shape, _) => shape,
        }
    }

    pub(super) fn unpadded(self) -> Self {
        if let Self::Floats(tensor) = self { Self::Floats(tensor.unpadded()) } else { self }
    }
}

/// The number of elements of a shape, if within the limit.
pub(crate) fn elements(shape: &[usize]) -> Checked<usize> {
    let count = shape.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis));
    let count = count.filter(|&count| count <= MOST_ELEMENTS);
    count.ok_or_else(|| format!("a tensor of {shape:?} is more than this reader allows"))
}

/// Reads numbers of four bytes; a rest is left out.
pub(crate) fn in_fours<T>(bytes: &[u8], number: impl Fn([u8; 4]) -> T) -> Vec<T> {
    bytes.as_chunks::<4>().0.iter().map(|four| number(*four)).collect()
}

impl Tensor {
    /// A tensor in row-major order; `None` if the number of elements differs.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Option<Self> {
        let fits = elements(&shape).is_ok_and(|count| count == data.len());
        fits.then_some(Self { shape, channels_last: false, data })
    }

    /// A tensor whose axes, if they are those of a map, are (images, height, width, channels) in row-major order.
    pub(crate) fn of_file(shape: &[usize], data: Vec<f32>) -> Self {
        match *shape {
            [images, height, width, channels] => {
                Self { shape: vec![images, channels, height, width], channels_last: true, data }
            }
            _ => Self { shape: shape.to_vec(), channels_last: false, data },
        }
    }

    /// The channels of one map as the weights of a depthwise convolution.
    pub(crate) fn into_filters(self) -> Self {
        let mut filters = Arc::unwrap_or_clone(Arc::new(self).plain());
        filters.shape.swap(0, 1);
        filters
    }

    /// A tensor of one axis.
    pub(crate) fn row(data: Vec<f32>) -> Self {
        Self { shape: vec![data.len()], channels_last: false, data }
    }

    /// A picture stored as (height, width, channels); `None` if the number of elements differs.
    pub fn picture(height: usize, width: usize, channels: usize, data: Vec<f32>) -> Option<Self> {
        let tensor = Self::new(vec![1, channels, height, width], data)?;
        Some(Self { channels_last: true, ..tensor })
    }

    /// The axes in storage order.
    pub(super) fn lying(&self) -> Vec<usize> {
        lying(&self.shape, self.channels_last)
    }

    /// Images, channels, height and width of a map.
    pub(super) fn map(&self) -> Checked<[usize; 4]> {
        let map = <[usize; 4]>::try_from(self.shape.as_slice()).map_err(|_| "a map of four axes belongs here")?;
        require(map.iter().all(|&axis| axis > 0), "a map without pixels")?;
        Ok(map)
    }

    /// Floats from one pixel to the next where channels lie innermost, from one number to the next elsewhere.
    pub(super) fn step(&self) -> usize {
        match *self.shape.as_slice() {
            [images, _, height, width] if self.channels_last => self.data.len() / (images * height * width).max(1),
            _ => 1,
        }
    }

    /// Whether the channels of a pixel are padded.
    pub(super) fn is_padded(&self) -> bool {
        self.channels_last && self.step() != self.shape[1]
    }

    /// The numbers without padding, in storage order, as runs of one pixel or of all.
    pub(super) fn runs(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let (step, run) = if self.is_padded() {
            (self.step(), self.shape[1])
        } else {
            let all = self.data.len().max(1);
            (all, all)
        };
        self.data.chunks_exact_mut(step).map(move |pixel| &mut pixel[..run])
    }

    /// A map with channels innermost, padded or not.
    pub(super) fn by_pixels(self: Arc<Self>) -> Arc<Self> {
        if self.channels_last { self } else { self.laid(true) }
    }

    /// A map with channels innermost and `step` floats for each pixel, at least as many as there are channels.
    pub(super) fn stepped(self: Arc<Self>, step: usize) -> Arc<Self> {
        let turned = self.by_pixels();
        let (from, channels) = (turned.step(), turned.shape.get(1).copied().unwrap_or(1));
        if from == step || turned.data.is_empty() {
            return turned;
        }
        let mut data = vec![0.0; turned.data.len() / from * step];
        for (to, from) in data.chunks_exact_mut(step).zip(turned.data.chunks_exact(from)) {
            to[..channels].copy_from_slice(&from[..channels]);
        }
        Arc::new(Self { shape: turned.shape.clone(), channels_last: true, data })
    }

    pub(super) fn unpadded(self: Arc<Self>) -> Arc<Self> {
        if self.is_padded() {
            let channels = self.shape[1];
            return self.stepped(channels);
        }
        self
    }

    /// Converts to the requested storage order, without padding.
    pub(super) fn laid(self: Arc<Self>, channels_last: bool) -> Arc<Self> {
        let &[images, channels, height, width] = self.shape.as_slice() else { return self };
        let tensor = self.unpadded();
        if tensor.channels_last == channels_last {
            return tensor;
        }
        let mut turned = Arc::unwrap_or_clone(tensor);
        let pixels = height * width;
        if channels > 1 && pixels > 1 {
            let (rows, columns) = if channels_last { (channels, pixels) } else { (pixels, channels) };
            let mut data = vec![0.0; turned.data.len()];
            let each = rows * columns;
            for (from, to) in turned.data.chunks_exact(each).zip(data.chunks_exact_mut(each)).take(images) {
                for (column, to) in to.chunks_exact_mut(rows).enumerate() {
                    to.iter_mut().enumerate().for_each(|(row, to)| *to = from[row * columns + column]);
                }
            }
            turned.data = data;
        }
        turned.channels_last = channels_last;
        Arc::new(turned)
    }

    pub(super) fn plain(self: Arc<Self>) -> Arc<Self> {
        self.laid(false)
    }
}

pub(super) fn lying(shape: &[usize], channels_last: bool) -> Vec<usize> {
    match *shape {
        [images, channels, height, width] if channels_last => vec![images, height, width, channels],
        _ => shape.to_vec(),
    }
}

/// The place of an axis in storage order.
pub(super) fn lies_at(axis: usize, channels_last: bool) -> usize {
    match (channels_last, axis) {
        (true, 1) => 3,
        (true, 2 | 3) => axis - 1,
        _ => axis,
    }
}

/// A pool of memory of freed tensors: fresh memory costs more than most operators. What it keeps counts in the bound of a run.
#[derive(Debug, Default)]
pub(super) struct Memory {
    free: Vec<Vec<f32>>,
    /// Maximum elements of the next tensor and of the pool together.
    room: usize,
}

impl Memory {
    /// Maximum number of pooled pieces.
    const MOST: usize = 16;

    pub fn new(room: usize) -> Self {
        Self { free: Vec::new(), room }
    }

    /// Sets what the next step may take.
    pub fn limit(&mut self, room: usize) {
        self.room = room;
        self.make_room(0);
    }

    /// Sees to room for a tensor of this shape that is not taken from here.
    pub fn claim(&mut self, shape: &[usize]) -> Checked<()> {
        let len = elements(shape)?;
        require(len <= self.room, "the memory of a run is more than this reader allows")?;
        self.make_room(len);
        Ok(())
    }

    fn make_room(&mut self, len: usize) {
        // The oldest pieces go first; they are of layers before.
        while !self.free.is_empty() && self.pooled() + len > self.room {
            self.free.remove(0);
        }
        self.room = self.room.saturating_sub(len);
    }

    pub fn pooled(&self) -> usize {
        self.free.iter().map(Vec::capacity).sum()
    }

    /// Memory with arbitrary content, for callers that write all elements.
    pub fn take(&mut self, len: usize) -> Checked<Vec<f32>> {
        require(len <= self.room, "the memory of a run is more than this reader allows")?;
        let fits = |piece: &Vec<f32>| piece.capacity() >= len && piece.capacity() / 4 <= len;
        let fitting =
            (0..self.free.len()).filter(|&at| fits(&self.free[at])).min_by_key(|&at| self.free[at].capacity());
        let mut piece = fitting.map(|at| self.free.swap_remove(at)).unwrap_or_default();
        self.make_room(piece.capacity().max(len));
        piece.resize(len, 0.0);
        Ok(piece)
    }

    pub fn tensor(&mut self, shape: Vec<usize>, channels_last: bool) -> Checked<Tensor> {
        let data = self.take(elements(&shape)?)?;
        Ok(Tensor { shape, channels_last, data })
    }

    /// A map with channels innermost and `step` floats for each pixel.
    pub fn map(&mut self, shape: [usize; 4], step: usize) -> Checked<Tensor> {
        let [images, _, height, width] = shape;
        let data = self.take(elements(&[images, height, width, step])?)?;
        Ok(Tensor { shape: shape.to_vec(), channels_last: true, data })
    }

    /// Returns the memory of a tensor to the pool, unless it is shared.
    pub fn give(&mut self, tensor: Arc<Tensor>) {
        if let Ok(tensor) = Arc::try_unwrap(tensor) {
            self.keep(tensor.data);
        }
    }

    pub fn keep(&mut self, piece: Vec<f32>) {
        self.room = self.room.saturating_add(piece.capacity());
        if piece.capacity() > 0 && self.free.len() < Self::MOST {
            self.free.push(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn what_is_pooled_counts_as_taken() {
        let mut memory = Memory::new(100);
        let mut live = Vec::new();
        for len in [10, 20, 30] {
            live.push(memory.take(len).unwrap());
        }
        assert!(memory.take(41).is_err() && memory.take(40).is_ok());
        memory.limit(40);
        live.into_iter().for_each(|piece| memory.keep(piece));
        assert_eq!((memory.pooled(), memory.room), (60, 100));
        // 30 would fit but is too small, so that the oldest go.
        assert_eq!(memory.take(50).unwrap().len(), 50);
        assert_eq!((memory.pooled(), memory.room), (50, 50));
        let again = memory.take(28).unwrap();
        assert_eq!((again.capacity(), memory.pooled(), memory.room), (30, 20, 20));
        memory.limit(10);
        assert_eq!(memory.pooled(), 0);
        assert!(memory.claim(&[2, 6]).is_err() && memory.claim(&[2, 5]).is_ok() && memory.claim(&[1]).is_err());
    }
}
