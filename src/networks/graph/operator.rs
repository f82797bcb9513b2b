//! The supported operators, independent of the file format.

use crate::axes::Checked;

/// Input positions of convolutions and products: the bias and the residual.
pub(super) const BIAS: usize = 2;
pub(super) const RESIDUAL: usize = 3;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operator {
    Identity,
    Unary(Function),
    Binary(Arithmetic),
    /// Weights as (outputs, inputs of a group, rows, columns), and the number of groups.
    Conv(Sliding, usize),
    /// A transposed convolution whose windows do not overlap; weights as (inputs, outputs, rows, columns).
    ConvTranspose(Sliding),
    MaxPool(Sliding),
    AveragePool(Sliding),
    /// Adds zeros before and after channels, rows and columns of a map.
    Pad([[usize; 2]; 3]),
    /// The second input is a slope for each channel.
    Prelu,
    /// Inputs: scale, shift, mean and variance of each channel. The number is added to the variance.
    BatchNormalization(f32),
    Concat(i64),
    MatMul,
    /// The axes, `None` for those of pixels, and whether they stay with length 1.
    Mean(Option<Vec<i64>>, bool),
    /// The axes, and whether they stay with length 1.
    Sum(Vec<i64>, bool),
    /// Nearest-neighbour enlargement by integer factors.
    Resize,
    /// Bilinear resizing to these rows and columns, with pixel centres at halves and repeated edges.
    Bilinear([usize; 2]),
    /// Turns the channels of a pixel, in the order (row, column, channel), into a block of `n × n` pixels.
    DepthToSpace(usize),
    Reshape,
    Shape,
    Slice,
    Softmax(i64),
    Squeeze(Vec<i64>),
    Unsqueeze(Vec<i64>),
    Transpose(Vec<i64>),
    /// From landmarks (1, n, 3), the matrix (1, 4, 4) that maps a crop's pixels to the map's.
    RegionMatrix(RegionOfLandmarks),
    /// Crops a map by such a matrix to these rows and columns: bilinear, zero outside.
    Crop([usize; 2]),
    /// Transforms points (1, n, 2) by such a matrix.
    MoveLandmarks,
}

impl Operator {
    /// Whether the operator reads maps whose channels are padded.
    pub(super) fn reads_padding(&self) -> bool {
        matches!(
            self,
            Self::Identity
                | Self::Unary(_)
                | Self::Binary(_)
                | Self::Conv(..)
                | Self::ConvTranspose(_)
                | Self::MaxPool(_)
                | Self::AveragePool(_)
                | Self::Pad(_)
                | Self::Prelu
                | Self::Bilinear(_)
                | Self::DepthToSpace(_)
                | Self::Crop(_)
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Function {
    Relu,
    Relu6,
    Sigmoid,
    HardSigmoid {
        slope: f32,
        shift: f32,
    },
    Erf,
    Gelu,
    Silu,
    Sqrt,
    /// The reciprocal square root.
    InverseSqrt,
    Negate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    SquaredDifference,
}

/// The part of a face that a crop shows, and the size of the crop.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionOfLandmarks {
    /// The crop is rotated so that these two landmarks are level.
    pub left: usize,
    pub right: usize,
    /// The landmarks that the crop must contain.
    pub subset: Vec<usize>,
    /// The ratio of the crop's size to the bounding box of the subset.
    pub scale: (f32, f32),
    pub height: usize,
    pub width: usize,
}

/// The parameters of a sliding window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sliding {
    /// `None` if it follows from the weights.
    pub window: Option<[usize; 2]>,
    pub strides: [usize; 2],
    /// Zeros above, left, below and right.
    pub pads: [usize; 4],
    /// Padding that keeps the size; an odd zero goes to the end.
    pub same: bool,
}

impl Sliding {
    /// The padding before the first pixel and the number of outputs along one axis.
    pub fn along(&self, axis: usize, pixels: usize, window: usize) -> Option<(usize, usize)> {
        let stride = self.strides[axis];
        if self.same {
            let outputs = pixels.div_ceil(stride);
            return Some((((outputs.checked_sub(1)?) * stride + window).saturating_sub(pixels) / 2, outputs));
        }
        let before = self.pads[axis];
        let room = (pixels + before + self.pads[axis + 2]).checked_sub(window)?;
        Some((before, room / stride + 1))
    }

    /// The same for both axes.
    pub fn over(&self, [height, width]: [usize; 2], window: [usize; 2]) -> Checked<([usize; 2], [usize; 2])> {
        let both = self.along(0, height, window[0]).zip(self.along(1, width, window[1]));
        let ((top, rows), (left, columns)) = both.ok_or("a window larger than the map")?;
        Ok(([top, left], [rows, columns]))
    }
}
