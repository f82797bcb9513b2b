//! The supported ONNX operators and their attributes.

use super::attributes::Attributes;
use crate::graph::{Arithmetic, Function, GraphError, Operator, Sliding, short};

/// The parameters of a sliding window.
fn sliding_of(attributes: &Attributes) -> Result<Sliding, String> {
    let counts = |name: &str, limit: i64| -> Result<Option<Vec<usize>>, String> {
        let Some(numbers) = attributes.numbers(name) else { return Ok(None) };
        let all = numbers.iter().all(|number| (0..=limit).contains(number));
        if all { Ok(Some(numbers.iter().map(|&n| n as usize).collect())) } else { Err(format!("{name} {numbers:?}")) }
    };
    let pair = |name: &str| -> Result<Option<[usize; 2]>, String> {
        let Some(found) = counts(name, 64)? else { return Ok(None) };
        let pair = <[usize; 2]>::try_from(found).ok().filter(|pair| !pair.contains(&0));
        pair.map(Some).ok_or_else(|| format!("{name} other than two"))
    };
    if pair("dilations")?.is_some_and(|dilations| dilations != [1, 1]) || attributes.number("ceil_mode", 0) != 0 {
        return Err("dilations and ceil_mode are not supported".into());
    }
    let same = match attributes.text("auto_pad") {
        None | Some("NOTSET" | "VALID") => false,
        Some("SAME_UPPER") => true,
        Some(other) => return Err(format!("auto_pad {other}")),
    };
    let pads = counts("pads", 64)?.map_or(Ok([0; 4]), |pads| pads.try_into().map_err(|_| "pads other than four"))?;
    Ok(Sliding { window: pair("kernel_shape")?, strides: pair("strides")?.unwrap_or([1, 1]), pads, same })
}

/// Reads an operator, if it is supported with these attributes.
pub(super) fn read(name: &str, attributes: &Attributes) -> Result<Operator, GraphError> {
    let problem = |problem: String| GraphError::Operator { name: format!("{name} with {problem}") };
    let axes = || attributes.numbers("axes").map(<[i64]>::to_vec).ok_or_else(|| problem("axes as an input".into()));
    let sliding = || sliding_of(attributes).map_err(problem);
    Ok(match name {
        // Numbers are converted to floats when they are read.
        "Identity" | "Cast" if name == "Identity" || attributes.number("to", 0) == 1 => Operator::Identity,
        "Relu" => Operator::Unary(Function::Relu),
        "Sigmoid" => Operator::Unary(Function::Sigmoid),
        "HardSigmoid" => {
            let (slope, shift) = (attributes.float("alpha", 0.2), attributes.float("beta", 0.5));
            Operator::Unary(Function::HardSigmoid { slope, shift })
        }
        "Erf" => Operator::Unary(Function::Erf),
        "Sqrt" => Operator::Unary(Function::Sqrt),
        "Add" => Operator::Binary(Arithmetic::Add),
        "Sub" => Operator::Binary(Arithmetic::Sub),
        "Mul" => Operator::Binary(Arithmetic::Mul),
        "Div" => Operator::Binary(Arithmetic::Div),
        "Pow" => Operator::Binary(Arithmetic::Pow),
        "Conv" => {
            let groups = usize::try_from(attributes.number("group", 1)).unwrap_or(0);
            Operator::Conv(sliding()?, groups)
        }
        "ConvTranspose" => {
            let sliding = sliding()?;
            let apart = sliding.window == Some(sliding.strides) && sliding.pads == [0; 4] && !sliding.same;
            if !apart || attributes.number("group", 1) != 1 || attributes.numbers("output_padding").is_some() {
                return Err(problem("windows that overlap".into()));
            }
            Operator::ConvTranspose(sliding)
        }
        "MaxPool" => Operator::MaxPool(sliding()?),
        "AveragePool" => {
            let sliding = sliding()?;
            if sliding.pads != [0; 4] || sliding.same {
                return Err(problem("a border".into()));
            }
            Operator::AveragePool(sliding)
        }
        "BatchNormalization" => Operator::BatchNormalization(attributes.float("epsilon", 1e-5)),
        "Concat" => Operator::Concat(attributes.number("axis", 0)),
        "MatMul" => Operator::MatMul,
        "ReduceMean" => Operator::Mean(Some(axes()?), attributes.number("keepdims", 1) != 0),
        "GlobalAveragePool" => Operator::Mean(None, true),
        "Resize" => {
            let nearest = attributes.text("mode").unwrap_or("nearest") == "nearest";
            let floor = attributes.text("nearest_mode") == Some("floor");
            let asymmetric = attributes.text("coordinate_transformation_mode") == Some("asymmetric");
            if !(nearest && floor && asymmetric) {
                return Err(problem("another rule than the nearest pixel above".into()));
            }
            Operator::Resize
        }
        "Reshape" => Operator::Reshape,
        "Shape" => Operator::Shape,
        "Slice" => Operator::Slice,
        "Softmax" => Operator::Softmax(attributes.number("axis", 1)),
        "Squeeze" => Operator::Squeeze(axes()?),
        "Unsqueeze" => Operator::Unsqueeze(axes()?),
        "Transpose" => {
            let order = attributes.numbers("perm").ok_or_else(|| problem("no order".into()))?;
            Operator::Transpose(order.to_vec())
        }
        other => return Err(GraphError::Operator { name: short(other) }),
    })
}
