//! The supported operators. Files with others are refused by name.

use super::TfliteError;
use super::flatbuffer::Table;
use super::flexbuffer::Attributes;
use crate::graph::RegionOfLandmarks;

type Result<T> = std::result::Result<T, TfliteError>;

#[derive(Clone, Debug, PartialEq)]
pub enum Operator {
    /// Inputs: map, weights (output, row, column, input), bias.
    Conv {
        stride: usize,
        padding: Padding,
        activation: Activation,
    },
    /// Inputs: map, weights (1, row, column, channel), bias.
    Depthwise {
        stride: usize,
        padding: Padding,
        activation: Activation,
    },
    Relu,
    /// Inputs: map, slopes (1, 1, channel).
    Prelu,
    Add(Activation),
    /// Combines two tensors element by element, with broadcasting.
    Combine(Arithmetic),
    /// Applies a function to each element.
    Map(Function),
    /// Reduces the axes named by a constant, which stay with length 1 or are removed.
    Reduce {
        mean: bool,
        keeps_axes: bool,
    },
    /// Reorders the axes as given by a constant.
    Transpose,
    /// Takes a part of each axis, from constants: begins, ends, and steps of 1. A set bit of `from_start` or `to_end` takes
    /// the axis from its start or to its end instead. Axes with a set bit of `drops` have one element and are removed.
    Slice {
        from_start: i32,
        to_end: i32,
        drops: i32,
    },
    /// Zero padding. Inputs: map, and a constant of pairs (before, after) for each axis.
    Pad,
    /// Max pooling of 2×2 windows.
    MaxPool,
    /// Bilinear resizing with pixel centres at halves and repeated edges, to the output's shape.
    Resize,
    /// Turns the channels of a pixel into a block of `n × n` pixels.
    DepthToSpace(usize),
    /// Changes the shape only.
    Reshape,
    Concat {
        /// Negative values count from the last axis.
        axis: i32,
    },
    /// From landmarks (1, n, 3), the matrix (1, 4, 4) that maps a crop's pixels to the map's.
    RegionMatrix(RegionOfLandmarks),
    /// Crops a map by such a matrix: bilinear, zero outside.
    Crop,
    /// Transforms points (1, n, 2) by such a matrix.
    MoveLandmarks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    None,
    Relu,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    SquaredDifference,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Logistic,
    Negate,
    Root,
    /// The reciprocal square root.
    InverseRoot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Padding so that the output has `input / stride` pixels; an odd zero goes to the end.
    Same,
    Valid,
}

/// The meaning of an entry in the file's operator table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Code {
    /// Converts constants: half precision to single, sparse to dense.
    Constant,
    Known(&'static str),
}

impl Code {
    pub fn read(entry: &Table) -> Result<Self> {
        // Old files keep the code in a byte, newer ones in a word; whichever is larger counts.
        let code = entry.i32(3)?.max(i32::from(entry.u8(0)? as i8));
        let custom = String::from_utf8_lossy(&entry.bytes(1)?[..entry.bytes(1)?.len().min(64)]).into_owned();
        Ok(Self::Known(match code {
            6 | 124 => return Ok(Self::Constant),
            0 => "ADD",
            2 => "CONCATENATION",
            3 => "CONV_2D",
            4 => "DEPTHWISE_CONV_2D",
            5 => "DEPTH_TO_SPACE",
            14 => "LOGISTIC",
            17 => "MAX_POOL_2D",
            18 => "MUL",
            19 => "RELU",
            22 => "RESHAPE",
            23 => "RESIZE_BILINEAR",
            34 => "PAD",
            39 => "TRANSPOSE",
            40 => "MEAN",
            41 => "SUB",
            42 => "DIV",
            45 => "STRIDED_SLICE",
            54 => "PRELU",
            59 => "NEG",
            74 => "SUM",
            75 => "SQRT",
            76 => "RSQRT",
            99 => "SQUARED_DIFFERENCE",
            32 => match custom.as_str() {
                "Landmarks2TransformMatrix" => "Landmarks2TransformMatrix",
                "TransformTensorBilinear" => "TransformTensorBilinear",
                "TransformLandmarks" => "TransformLandmarks",
                _ => return Err(TfliteError::Operator { name: format!("{custom:?} (custom)") }),
            },
            other => return Err(TfliteError::Operator { name: format!("number {other}") }),
        }))
    }
}

impl Operator {
    /// Reads the operator `name` with its options.
    pub(super) fn read(name: &'static str, entry: &Table) -> Result<Self> {
        let refuse = |what: &str| Err(TfliteError::Operator { name: format!("{name} with {what}") });
        let options = entry.table(4)?;
        let number = |field: usize| options.map_or(Ok(0), |o| o.i32(field));
        let flag = |field: usize| options.map_or(Ok(0), |o| o.u8(field));
        let activation = |field: usize| match flag(field)? {
            0 => Ok(Activation::None),
            1 => Ok(Activation::Relu),
            other => Err(TfliteError::Operator { name: format!("{name} with fused activation number {other}") }),
        };
        let stride = |height: i32, width: i32| match usize::try_from(height) {
            Ok(stride @ 1..=16) if height == width => Ok(stride),
            _ => Err(TfliteError::Operator { name: format!("{name} with stride {height}×{width}") }),
        };
        let padding = || match flag(0)? {
            0 => Ok(Padding::Same),
            1 => Ok(Padding::Valid),
            other => Err(TfliteError::Operator { name: format!("{name} with padding number {other}") }),
        };
        // Dilation defaults to 1 when the field is absent, which reads as 0.
        let dilated = |w: usize, h: usize| Ok::<_, TfliteError>(number(w)? > 1 || number(h)? > 1);
        Ok(match name {
            "ADD" => Self::Add(activation(0)?),
            "CONCATENATION" => {
                if activation(1)? != Activation::None {
                    return refuse("an activation");
                }
                Self::Concat { axis: number(0)? }
            }
            "CONV_2D" if dilated(4, 5)? => return refuse("dilation"),
            "CONV_2D" => {
                Self::Conv { stride: stride(number(2)?, number(1)?)?, padding: padding()?, activation: activation(3)? }
            }
            "DEPTHWISE_CONV_2D" if dilated(5, 6)? => return refuse("dilation"),
            "DEPTHWISE_CONV_2D" if number(3)? != 1 => return refuse("a channel multiplier"),
            "DEPTHWISE_CONV_2D" => Self::Depthwise {
                stride: stride(number(2)?, number(1)?)?,
                padding: padding()?,
                activation: activation(4)?,
            },
            "DEPTH_TO_SPACE" => match number(0)? {
                block @ 1..=16 => Self::DepthToSpace(block as usize),
                _ => return refuse("such a block"),
            },
            "MAX_POOL_2D" => {
                let two_by_two = [1, 2, 3, 4].map(number).into_iter().collect::<Result<Vec<_>>>()? == [2; 4];
                if !two_by_two || activation(5)? != Activation::None {
                    return refuse("another window than 2×2");
                }
                Self::MaxPool
            }
            "MUL" | "SUB" | "DIV" if activation(0)? != Activation::None => return refuse("an activation"),
            "MUL" => Self::Combine(Arithmetic::Multiply),
            "SUB" => Self::Combine(Arithmetic::Subtract),
            "DIV" => Self::Combine(Arithmetic::Divide),
            "SQUARED_DIFFERENCE" => Self::Combine(Arithmetic::SquaredDifference),
            "LOGISTIC" => Self::Map(Function::Logistic),
            "NEG" => Self::Map(Function::Negate),
            "SQRT" => Self::Map(Function::Root),
            "RSQRT" => Self::Map(Function::InverseRoot),
            "MEAN" | "SUM" => Self::Reduce { mean: name == "MEAN", keeps_axes: flag(0)? != 0 },
            "TRANSPOSE" => Self::Transpose,
            "RELU" => Self::Relu,
            "STRIDED_SLICE" if [number(2)?, number(3)?] != [0; 2] => return refuse("added axes"),
            "STRIDED_SLICE" => Self::Slice { from_start: number(0)?, to_end: number(1)?, drops: number(4)? },
            "RESHAPE" => Self::Reshape,
            "RESIZE_BILINEAR" if flag(2)? != 0 || flag(3)? == 0 => return refuse("another grid than half pixels"),
            "RESIZE_BILINEAR" => Self::Resize,
            "PAD" => Self::Pad,
            "PRELU" => Self::Prelu,
            "Landmarks2TransformMatrix" => Self::RegionMatrix(region_of(entry.bytes(5)?)?),
            "TransformTensorBilinear" => Self::Crop,
            "TransformLandmarks" => Self::MoveLandmarks,
            other => return Err(TfliteError::Operator { name: other.to_owned() }),
        })
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv { .. } => "CONV_2D",
            Self::Depthwise { .. } => "DEPTHWISE_CONV_2D",
            Self::Relu => "RELU",
            Self::Prelu => "PRELU",
            Self::Add(_) | Self::Combine(Arithmetic::Add) => "ADD",
            Self::Combine(Arithmetic::Subtract) => "SUB",
            Self::Combine(Arithmetic::Multiply) => "MUL",
            Self::Combine(Arithmetic::Divide) => "DIV",
            Self::Combine(Arithmetic::SquaredDifference) => "SQUARED_DIFFERENCE",
            Self::Map(Function::Logistic) => "LOGISTIC",
            Self::Map(Function::Negate) => "NEG",
            Self::Map(Function::Root) => "SQRT",
            Self::Map(Function::InverseRoot) => "RSQRT",
            Self::Reduce { mean: true, .. } => "MEAN",
            Self::Reduce { .. } => "SUM",
            Self::Transpose => "TRANSPOSE",
            Self::Slice { .. } => "STRIDED_SLICE",
            Self::Pad => "PAD",
            Self::MaxPool => "MAX_POOL_2D",
            Self::Resize => "RESIZE_BILINEAR",
            Self::DepthToSpace(_) => "DEPTH_TO_SPACE",
            Self::Reshape => "RESHAPE",
            Self::Concat { .. } => "CONCATENATION",
            Self::RegionMatrix(_) => "Landmarks2TransformMatrix",
            Self::Crop => "TransformTensorBilinear",
            Self::MoveLandmarks => "TransformLandmarks",
        }
    }
}

fn region_of(attributes: &[u8]) -> Result<RegionOfLandmarks> {
    let attributes = Attributes::read(attributes)?;
    if attributes.number("target_rotation_radians")?.abs() > f32::EPSILON {
        return Err(TfliteError::Attributes { what: "target_rotation_radians other than 0" });
    }
    Ok(RegionOfLandmarks {
        left: attributes.index("left_rotation_idx")?,
        right: attributes.index("right_rotation_idx")?,
        subset: attributes.indices("subset_idxs")?,
        scale: (attributes.number("scale_x")?, attributes.number("scale_y")?),
        height: attributes.index("output_height")?,
        width: attributes.index("output_width")?,
    })
}
