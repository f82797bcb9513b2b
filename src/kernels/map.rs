//! Feature maps: images × rows × columns × channels, channels innermost. Each image has a border of zeros, so that
//! convolutions need no special case at the edges.

use std::ops::{Deref, DerefMut};

/// The dimensions of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub images: usize,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// The width of the border of zeros on all four sides.
    pub border: usize,
}

impl Shape {
    /// Floats from one row to the next.
    pub fn row_step(&self) -> usize {
        (self.width + 2 * self.border) * self.channels
    }

    /// Floats from one image to the next.
    pub fn image_step(&self) -> usize {
        (self.height + 2 * self.border) * self.row_step()
    }

    /// The number of floats in the map.
    pub fn len(&self) -> usize {
        self.images * self.image_step()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The positions of the pixels inside the border.
    pub(crate) fn inside(&self) -> Grid {
        Grid {
            images: self.images,
            height: self.height,
            width: self.width,
            origin: self.border * self.row_step() + self.border * self.channels,
            image_step: self.image_step(),
            row_step: self.row_step(),
            column_step: self.channels,
        }
    }
}

/// A buffer from an [`Arena`], to be given back after use.
#[derive(Debug)]
pub struct Buffer {
    /// Kept at the length of its longest use, because growing it again would clear it every time.
    storage: Vec<f32>,
    len: usize,
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.storage[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.storage[..self.len]
    }
}

/// A feature map.
#[derive(Debug)]
pub struct Map {
    shape: Shape,
    data: Buffer,
}

impl Map {
    pub fn zeros(shape: Shape) -> Self {
        Self { shape, data: Buffer { storage: vec![0.0; shape.len()], len: shape.len() } }
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// All floats, including borders.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    pub(crate) fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The channels of all pixels of one row of one image.
    pub fn row(&self, image: usize, y: usize) -> &[f32] {
        let grid = self.shape.inside();
        let start = grid.at(image, y, 0);
        &self.data[start..start + self.shape.width * self.shape.channels]
    }

    pub fn row_mut(&mut self, image: usize, y: usize) -> &mut [f32] {
        let grid = self.shape.inside();
        let start = grid.at(image, y, 0);
        &mut self.data[start..start + self.shape.width * self.shape.channels]
    }

    fn clear_border(&mut self) {
        let Shape { height, border, channels, .. } = self.shape;
        let (row_step, side) = (self.shape.row_step(), border * channels);
        if border == 0 {
            return;
        }
        for image in self.data.chunks_exact_mut(self.shape.image_step()) {
            for (y, row) in image.chunks_exact_mut(row_step).enumerate() {
                if y < border || y >= border + height {
                    row.fill(0.0);
                } else {
                    row[..side].fill(0.0);
                    row[row_step - side..].fill(0.0);
                }
            }
        }
    }
}

/// Buffers that are reused between layers and photos, because page faults of new memory take longer than small layers.
#[derive(Debug, Default)]
pub struct Arena {
    free: Vec<Vec<f32>>,
}

impl Arena {
    /// Takes a map with a border of zeros and arbitrary content inside.
    pub fn take(&mut self, shape: Shape) -> Map {
        let mut map = Map { shape, data: self.buffer(shape.len()) };
        map.clear_border();
        map
    }

    /// Takes `len` floats with arbitrary content, possibly not finite.
    pub fn buffer(&mut self, len: usize) -> Buffer {
        let fitting = (0..self.free.len()).filter(|&i| self.free[i].len() >= len);
        let best = fitting.min_by_key(|&i| self.free[i].len());
        // If none fits, the largest one grows; a new buffer would leave a small one unused forever.
        let best = best.or_else(|| (0..self.free.len()).max_by_key(|&i| self.free[i].len()));
        let mut storage = best.map_or_else(Vec::new, |i| self.free.swap_remove(i));
        if storage.len() < len {
            storage.resize(len, 0.0);
        }
        Buffer { storage, len }
    }

    pub fn give(&mut self, map: Map) {
        self.give_buffer(map.data);
    }

    pub fn give_buffer(&mut self, buffer: Buffer) {
        self.free.push(buffer.storage);
    }
}

/// The positions of a matrix's rows in a buffer: one row per image, y and x.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub images: usize,
    pub height: usize,
    pub width: usize,
    pub origin: usize,
    pub image_step: usize,
    pub row_step: usize,
    pub column_step: usize,
}

impl Grid {
    /// A plain matrix of `rows` rows of `step` floats.
    pub fn matrix(rows: usize, step: usize) -> Self {
        Self { images: 1, height: 1, width: rows, origin: 0, image_step: 0, row_step: 0, column_step: step }
    }

    pub fn rows(&self) -> usize {
        self.images * self.height * self.width
    }

    pub fn at(&self, image: usize, y: usize, x: usize) -> usize {
        self.origin + image * self.image_step + y * self.row_step + x * self.column_step
    }

    pub fn of_row(&self, row: usize) -> usize {
        let (x, line) = (row % self.width, row / self.width);
        self.at(line / self.height, line % self.height, x)
    }

    /// The largest offset of any row; 0 without rows.
    pub fn last(&self) -> usize {
        self.rows().checked_sub(1).map_or(0, |row| self.of_row(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { images: 2, height: 3, width: 4, channels: 5, border: 1 };

    #[test]
    fn a_reused_buffer_has_a_border_of_zeros() {
        let mut arena = Arena::default();
        let mut dirty = Map::zeros(SHAPE);
        dirty.data_mut().fill(7.0);
        arena.give(dirty);
        let map = arena.take(SHAPE);
        let inside = SHAPE.images * SHAPE.height * SHAPE.width * SHAPE.channels;
        assert_eq!(map.data().iter().filter(|&&v| v == 7.0).count(), inside);
        assert!(map.row(1, 2).iter().all(|&v| v == 7.0));
    }

    #[test]
    fn a_buffer_has_the_requested_length_and_keeps_its_memory() {
        let mut arena = Arena::default();
        let long = arena.buffer(100);
        let address = long.as_ptr();
        arena.give_buffer(long);
        let short = arena.buffer(10);
        assert_eq!((short.len(), short.as_ptr()), (10, address));
        arena.give_buffer(short);
        assert_eq!(arena.buffer(100).as_ptr(), address);
    }

    #[test]
    fn the_inside_grid_gives_the_offsets_of_pixels() {
        let map = Map::zeros(SHAPE);
        let grid = SHAPE.inside();
        assert_eq!(grid.rows(), 24);
        assert_eq!(grid.of_row(13), grid.at(1, 0, 1));
        assert_eq!(grid.last() + SHAPE.channels, map.data().len() - SHAPE.row_step() - SHAPE.channels);
    }
}
