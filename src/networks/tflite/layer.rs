//! What a network is made of once it is ready to run: layers that read maps and write one.

use std::fmt::Debug;

/// How a tensor lies in memory: pixels `step` floats apart. Tensors that are no images are one pixel.
///
/// Channels of images are padded with zeros to whole vectors, so that kernels never meet a remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub step: usize,
}

impl Layout {
    /// `lanes` floats in a vector.
    pub fn of(shape: &[usize], lanes: usize) -> Self {
        let dense = Self::dense(shape);
        if shape.len() == 4 { Self { step: dense.channels.next_multiple_of(lanes), ..dense } } else { dense }
    }

    /// Without padding: how numbers go in and out of a network.
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

    /// Floats in all.
    pub fn len(&self) -> usize {
        self.pixels() * self.step
    }

    /// The numbers of each pixel of a buffer that lies like this, without padding.
    pub fn each_pixel<'a>(&self, data: &'a [f32]) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let channels = self.channels;
        data[..self.len()].chunks_exact(self.step).map(move |pixel| &pixel[..channels])
    }
}

/// One step of a network. Buffers are as long as the layouts the layer was made with; padding in is zero and must be
/// zero going out.
pub(super) trait Layer: Debug + Send + Sync {
    fn run(&self, inputs: &[&[f32]], output: &mut [f32], scratch: &mut [f32]);

    /// Floats of scratch memory it needs.
    fn scratch(&self) -> usize {
        0
    }

    /// Multiplications of a run, about.
    fn multiplications(&self) -> u64;
}
