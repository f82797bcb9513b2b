//! The layers of a network that is ready to run: each reads maps and writes one.

use std::fmt::Debug;

/// The memory layout of a tensor: pixels `step` floats apart. Tensors that are not images are one pixel.
///
/// Channels of images are padded with zeros to whole vectors, so that kernels need no remainder loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub step: usize,
}

impl Layout {
    /// The layout for vectors of `lanes` floats.
    pub fn of(shape: &[usize], lanes: usize) -> Self {
        let dense = Self::dense(shape);
        if shape.len() == 4 { Self { step: dense.channels.next_multiple_of(lanes), ..dense } } else { dense }
    }

    /// The layout without padding, used for inputs and outputs of a network.
    pub fn dense(shape: &[usize]) -> Self {
        if let [1, height, width, channels] = *shape {
            return Self { height, width, channels, step: channels };
        }
        let elements = shape.iter().product();
        Self { height: 1, width: 1, channels: elements, step: elements }
    }

    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// The total number of floats.
    pub fn len(&self) -> usize {
        self.pixels() * self.step
    }

    /// The values of each pixel of a buffer of this layout, without padding.
    pub fn each_pixel<'a>(&self, data: &'a [f32]) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let channels = self.channels;
        data[..self.len()].chunks_exact(self.step).map(move |pixel| &pixel[..channels])
    }
}

/// One step of a network. Buffers have the lengths of the layer's layouts. Padding is zero on input and must be zero on
/// output.
pub(super) trait Layer: Debug + Send + Sync {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], scratch: &mut [f32]);

    /// Floats of scratch memory needed.
    fn scratch(&self) -> usize {
        0
    }

    /// The approximate number of multiplications of a run.
    fn multiplications(&self) -> u64;
}
