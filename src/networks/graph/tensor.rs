//! Numbers under a shape. Maps of pixels lie with their channels innermost, as the kernels take them.

use std::sync::Arc;

use crate::axes::{Checked, require};

/// Most numbers of a tensor; pictures of four megapixels stay below.
pub(super) const MOST_ELEMENTS: usize = 1 << 27;

#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// As the file tells it: maps are (images, channels, height, width).
    pub shape: Vec<usize>,
    /// Whether the numbers of a map of four axes lie as (images, height, width, channels).
    pub(super) channels_last: bool,
    pub data: Vec<f32>,
}

/// What an operator reads or writes.
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
}

/// How many numbers a shape holds, if a run may take so many.
pub(crate) fn elements(shape: &[usize]) -> Checked<usize> {
    let count = shape.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis));
    let count = count.filter(|&count| count <= MOST_ELEMENTS);
    count.ok_or_else(|| format!("a tensor of {shape:?} is more than this reader allows"))
}

impl Tensor {
    /// In the order of its shape; `None` where the numbers are not as many.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Option<Self> {
        let fits = elements(&shape).is_ok_and(|count| count == data.len());
        fits.then_some(Self { shape, channels_last: false, data })
    }

    /// A picture whose pixels lie as (height, width, channels); `None` where the numbers are not as many.
    pub fn picture(height: usize, width: usize, channels: usize, data: Vec<f32>) -> Option<Self> {
        let tensor = Self::new(vec![1, channels, height, width], data)?;
        Some(Self { channels_last: true, ..tensor })
    }

    pub(super) fn zeros(shape: Vec<usize>, channels_last: bool) -> Checked<Self> {
        let data = vec![0.0; elements(&shape)?];
        Ok(Self { shape, channels_last, data })
    }

    /// The axes in the order in which the numbers lie.
    pub(super) fn lying(&self) -> Vec<usize> {
        lying(&self.shape, self.channels_last)
    }

    /// Images, channels, height and width of a map.
    pub(super) fn map(&self) -> Checked<[usize; 4]> {
        let map = <[usize; 4]>::try_from(self.shape.as_slice()).map_err(|_| "a map of four axes belongs here")?;
        require(map.iter().all(|&axis| axis > 0), "a map without pixels")?;
        Ok(map)
    }

    /// The same numbers in the order asked for.
    pub(super) fn laid(self: Arc<Self>, channels_last: bool) -> Arc<Self> {
        let &[images, channels, height, width] = self.shape.as_slice() else { return self };
        if self.channels_last == channels_last {
            return self;
        }
        let mut turned = Arc::unwrap_or_clone(self);
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

/// Memory of tensors that nobody reads any more, for the next ones: fresh memory costs more than most operators.
#[derive(Debug)]
pub(super) struct Memory {
    free: Vec<Vec<f32>>,
    /// The most numbers that the next tensor may have.
    pub room: usize,
}

impl Memory {
    /// More pieces than this are not kept.
    const MOST: usize = 16;

    pub fn new(room: usize) -> Self {
        Self { free: Vec::new(), room }
    }

    /// Checks that there is room for a tensor of this shape.
    pub fn fits(&self, shape: &[usize]) -> Checked<()> {
        require(elements(shape)? <= self.room, "the memory of a run is more than this reader allows")
    }

    /// Numbers of any value, for who writes all of them.
    pub fn take(&mut self, len: usize) -> Vec<f32> {
        let fits = |piece: &Vec<f32>| piece.capacity() >= len && piece.capacity() / 4 <= len;
        let fitting =
            (0..self.free.len()).filter(|&at| fits(&self.free[at])).min_by_key(|&at| self.free[at].capacity());
        let Some(at) = fitting else { return vec![0.0; len] };
        let mut piece = self.free.swap_remove(at);
        piece.resize(len, 0.0);
        piece
    }

    pub fn tensor(&mut self, shape: Vec<usize>, channels_last: bool) -> Checked<Tensor> {
        self.fits(&shape)?;
        let data = self.take(elements(&shape)?);
        Ok(Tensor { shape, channels_last, data })
    }

    /// Takes back the memory of a tensor, if nobody else holds it.
    pub fn give(&mut self, tensor: Arc<Tensor>) {
        if let Ok(tensor) = Arc::try_unwrap(tensor) {
            self.keep(tensor.data);
        }
    }

    pub fn keep(&mut self, piece: Vec<f32>) {
        if piece.capacity() > 0 && self.free.len() < Self::MOST {
            self.free.push(piece);
        }
    }
}
