//! Simplifies a graph before it runs: identities are removed, constants are folded, borders of zeros are fused into the
//! convolutions after them, biases, normalisation, residuals and activations into those before them, and depthwise
//! convolutions into the products after them.

use std::collections::HashMap;
use std::sync::Arc;

use kernels::pointwise::Rectifier;
use kernels::{Cpu, Engine, Precision};

use super::apply::apply;
use super::convolution::Conv;
use super::filter::Filter;
use super::operator::{Arithmetic, BIAS, Function, Operator, RESIDUAL};
use super::ready::{Fused, Ready};
use super::tensor::{MOST_ELEMENTS, Memory, Tensor, Value};
use super::{Graph, GraphError, Node, short};

/// Everything that this file does.
pub(super) fn fused(graph: Graph) -> Result<(Vec<Fused>, Graph), GraphError> {
    let (steps, graph) = simplified(graph)?;
    Ok((with_filters(steps, &graph), graph))
}

/// The same without what serves caches alone: depthwise convolutions stay apart.
pub(super) fn simplified(mut graph: Graph) -> Result<(Vec<Fused>, Graph), GraphError> {
    without_identities(&mut graph);
    fold(&mut graph)?;
    with_gelu(&mut graph);
    with_borders(&mut graph);
    let steps = with_conv_tails(&mut graph);
    Ok((steps, graph))
}

/// Removes identities: their readers read the input instead.
fn without_identities(graph: &mut Graph) {
    let mut stands_for = HashMap::new();
    for mut node in std::mem::take(&mut graph.nodes) {
        for input in node.inputs.iter_mut().flatten() {
            *input = stands_for.get(input).copied().unwrap_or(*input);
        }
        match (&node.operator, node.inputs.as_slice()) {
            (Operator::Identity, &[Some(input)]) if !graph.outputs.contains(&node.output) => {
                stands_for.insert(node.output, input);
            }
            _ => graph.nodes.push(node),
        }
    }
}

/// Folds constants.
fn fold(graph: &mut Graph) -> Result<(), GraphError> {
    let engine = Engine { cpu: Cpu::Plain, precision: Precision::Full };
    // A quarter of the weights of a large file.
    let (mut room, mut left) = (MOST_ELEMENTS / 16, 1 << 28);
    let mut memory = Memory::new(room);
    for (number, node) in std::mem::take(&mut graph.nodes).into_iter().enumerate() {
        let simple = !matches!(node.operator, Operator::Conv(..) | Operator::ConvTranspose(_) | Operator::Resize);
        if !simple || !node.inputs.iter().flatten().all(|&input| graph.constants[input].is_some()) {
            graph.nodes.push(node);
            continue;
        }
        let inputs = node.inputs.iter().map(|input| input.and_then(|input| graph.constants[input].clone())).collect();
        let step = (&node.operator, &Ready::Nothing);
        memory.limit(room);
        let value = apply(engine, step, inputs, &mut left, &mut memory);
        let value = value.map_err(|problem| GraphError::Use { number, name: short(&node.name), problem })?;
        room = room
            .checked_sub(value.elements())
            .ok_or(GraphError::TooLarge { what: "the size of all constants together" })?;
        graph.constants[node.output] = Some(value);
    }
    Ok(())
}

/// The number of reads of each tensor; outputs of the graph count as one more.
fn readers(graph: &Graph) -> Vec<usize> {
    let mut readers = vec![0; graph.constants.len()];
    let reads = graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten());
    reads.chain(&graph.outputs).for_each(|&tensor| readers[tensor] += 1);
    readers
}

/// Exporters write the GELU as `x / √2 → Erf → + 1 → · x → · 0.5`.
fn with_gelu(graph: &mut Graph) {
    let readers = readers(graph);
    let constants = &graph.constants;
    let number = |tensor: Option<usize>| match constants[tensor?].as_ref()? {
        Value::Floats(tensor) if tensor.data.len() == 1 => Some(tensor.data[0]),
        _ => None,
    };
    let is = |tensor: Option<usize>, wanted: f32| number(tensor).is_some_and(|found| (found - wanted).abs() < 1e-3);
    let mut writers = HashMap::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        writers.insert(node.output, at);
    }
    let written_by = |tensor: Option<usize>, arithmetic: Arithmetic| {
        let at = *writers.get(&tensor?)?;
        let node = &graph.nodes[at];
        let alone = readers[node.output] == 1 && node.inputs.len() == 2;
        (node.operator == Operator::Binary(arithmetic) && alone).then_some((at, node))
    };
    // The two inputs of a node either way round.
    let either = |node: &Node| [(node.input(0), node.input(1)), (node.input(1), node.input(0))];
    let found = |last: &Node| {
        let (product, _) = either(last).into_iter().find(|(_, half)| is(*half, 0.5))?;
        let (third, product) = written_by(product, Arithmetic::Mul)?;
        either(product).into_iter().find_map(|(x, sum)| {
            let (second, sum) = written_by(sum, Arithmetic::Add)?;
            let (bent, _) = either(sum).into_iter().find(|(_, one)| is(*one, 1.0))?;
            let first = *writers.get(&bent?)?;
            let erf = &graph.nodes[first];
            let alone = erf.operator == Operator::Unary(Function::Erf) && readers[erf.output] == 1;
            let (zeroth, scaled) = written_by(erf.input(0), Arithmetic::Div)?;
            let whole = alone && scaled.input(0) == x && is(scaled.input(1), std::f32::consts::SQRT_2);
            whole.then_some((x, [zeroth, first, second, third]))
        })
    };
    let last = |node: &Node| node.operator == Operator::Binary(Arithmetic::Mul) && node.inputs.len() == 2;
    let all: Vec<_> = graph.nodes.iter().map(|node| last(node).then(|| found(node)).flatten()).collect();
    let mut gone = vec![false; graph.nodes.len()];
    for (at, found) in all.into_iter().enumerate() {
        if let Some((x, parts)) = found {
            parts.into_iter().for_each(|part| gone[part] = true);
            let node = &mut graph.nodes[at];
            (node.operator, node.inputs) = (Operator::Unary(Function::Gelu), vec![x]);
        }
    }
    let mut gone = gone.into_iter();
    graph.nodes.retain(|_| !gone.next().unwrap_or_default());
}

/// Convolutions take over the zeros around a map that only they read.
fn with_borders(graph: &mut Graph) {
    let readers = readers(graph);
    let mut borders = HashMap::new();
    for mut node in std::mem::take(&mut graph.nodes) {
        let before = node.input(0).and_then(|input| borders.get(&input).copied());
        if let (Operator::Conv(sliding, _), Some(at)) = (&mut node.operator, before)
            && !sliding.same
        {
            let bordered: &mut Node = &mut graph.nodes[at];
            if let Operator::Pad([_, [top, bottom], [left, right]]) = bordered.operator {
                sliding.pads = [(0, top), (1, left), (2, bottom), (3, right)]
                    .map(|(side, more)| sliding.pads[side].saturating_add(more));
                node.inputs[0] = bordered.input(0);
                bordered.operator = Operator::Identity;
            }
        }
        if let Operator::Pad([[0, 0], ..]) = node.operator
            && readers[node.output] == 1
        {
            borders.insert(node.output, graph.nodes.len());
        }
        graph.nodes.push(node);
    }
    graph.nodes.retain(|node| node.operator != Operator::Identity || graph.outputs.contains(&node.output));
}

/// Products take over the depthwise convolutions that only they read.
fn with_filters(steps: Vec<Fused>, graph: &Graph) -> Vec<Fused> {
    let mut readers = vec![0; graph.constants.len()];
    let reads = steps.iter().flat_map(|step| step.node.inputs.iter().flatten());
    reads.chain(&graph.outputs).for_each(|&tensor| readers[tensor] += 1);
    let mut kept: Vec<Option<Fused>> = Vec::with_capacity(steps.len());
    let mut filters = HashMap::new();
    for mut step in steps {
        let weights = |node: &Node| node.input(1).and_then(|weights| graph.constants[weights].as_ref());
        if let Operator::Conv(sliding, groups) = &step.node.operator
            && let Some(&[outputs, inputs, ref window @ ..]) = weights(&step.node).map(Value::shape)
        {
            let before = step.node.input(0).and_then(|input| filters.remove(&input));
            if *groups == 1
                && Conv::follows_filters(sliding, window)
                && let Some(at) = before
                && let Some(Fused { node, rectifier, .. }) = Option::take(&mut kept[at])
            {
                step.node.inputs[0] = node.input(0);
                step.filter = Some((node, rectifier));
            } else if *groups > 1
                && [outputs, inputs] == [*groups, 1]
                && Filter::runs_in_rows(sliding, &step.rectifier)
                && readers[step.node.output] == 1
                && step.node.input(RESIDUAL).is_none()
            {
                filters.insert(step.node.output, kept.len());
            }
        }
        kept.push(Some(step));
    }
    kept.into_iter().flatten().collect()
}

/// The operators after a convolution or product that can be fused into it.
enum Tail {
    Bias(usize),
    /// A factor for each output, and what is added after it.
    Scaled(Vec<f32>, Option<Vec<f32>>),
    Residual(usize),
    Rectifier(Rectifier),
}

fn with_conv_tails(graph: &mut Graph) -> Vec<Fused> {
    let readers = readers(graph);
    let mut kept: Vec<Option<Fused>> = Vec::with_capacity(graph.nodes.len());
    // The index, among the kept nodes, of the node that writes a tensor.
    let mut writers: HashMap<usize, usize> = HashMap::new();
    for node in std::mem::take(&mut graph.nodes) {
        // Of two the later first: what it writes needs to live no longer.
        let before = node.inputs.iter().take(2).flatten().filter(|&&input| readers[input] == 1);
        let mut before: Vec<_> = before.filter_map(|input| writers.get(input).copied()).collect();
        before.sort_unstable_by_key(|&at| std::cmp::Reverse(at));
        let tail = |at: usize| Some((at, tail(kept[at].as_ref()?, &node, &graph.constants)?));
        let tail = before.into_iter().find_map(tail);
        let fused = match tail.and_then(|(at, tail)| Some((kept[at].take()?, tail))) {
            Some((mut conv, tail)) => {
                conv.node.output = node.output;
                if let Tail::Residual(residual) = tail
                    && readers[residual] == 1
                    && let Some(at) = writers.get(&residual)
                    && let Some(inside) = kept[*at].as_ref().and_then(|step| grown_in_channels(&step.node))
                {
                    kept[*at] = None;
                    conv.short_residual = true;
                    take_over(&mut conv, Tail::Residual(inside), &mut graph.constants, &readers);
                } else {
                    take_over(&mut conv, tail, &mut graph.constants, &readers);
                }
                conv
            }
            None => Fused { node, rectifier: Rectifier::Identity, filter: None, short_residual: false },
        };
        // Placed here, not at the convolution, because the residual may be written in between.
        writers.insert(fused.node.output, kept.len());
        kept.push(Some(fused));
    }
    kept.into_iter().flatten().collect()
}

/// The input of an operator that only adds zeros after the channels.
fn grown_in_channels(node: &Node) -> Option<usize> {
    let only_channels = matches!(node.operator, Operator::Pad([[0, _], [0, 0], [0, 0]]));
    node.input(0).filter(|_| only_channels)
}

fn tail(conv: &Fused, node: &Node, constants: &[Option<Value>]) -> Option<Tail> {
    if conv.rectifier != Rectifier::Identity {
        return None;
    }
    let value = |tensor: Option<usize>| constants[tensor?].as_ref();
    let ((Operator::Conv(..), &[outputs, ..])
    | (Operator::ConvTranspose(_), &[_, outputs, _, _])
    | (Operator::MatMul, &[_, outputs])) = (&conv.node.operator, value(conv.node.input(1))?.shape())
    else {
        return None;
    };
    let is_conv = matches!(conv.node.operator, Operator::Conv(..));
    let is_dense = matches!(conv.node.operator, Operator::Conv(_, 1));
    let whole = conv.node.input(RESIDUAL).is_none();
    let bias_known = conv.node.input(BIAS).is_none_or(|bias| matches!(constants[bias], Some(Value::Floats(_))));
    match &node.operator {
        Operator::Unary(Function::Relu) => Some(Tail::Rectifier(Rectifier::Relu)),
        Operator::Unary(Function::Relu6) if is_conv => Some(Tail::Rectifier(Rectifier::Relu6)),
        Operator::Unary(Function::Silu) if is_conv => Some(Tail::Rectifier(Rectifier::Silu)),
        Operator::Unary(Function::Gelu) => Some(Tail::Rectifier(Rectifier::Gelu)),
        Operator::Prelu if is_conv && node.input(0) == Some(conv.node.output) => match value(node.input(1))? {
            Value::Floats(slopes) if slopes.data.len() == outputs => {
                Some(Tail::Rectifier(Rectifier::Prelu(slopes.data.clone())))
            }
            _ => None,
        },
        Operator::Binary(Arithmetic::Add) if whole => {
            let other = node.inputs.iter().flatten().find(|&&input| input != conv.node.output).copied()?;
            let Some(value) = constants[other].as_ref() else { return is_dense.then_some(Tail::Residual(other)) };
            let row: &[usize] = if conv.node.operator == Operator::MatMul { &[outputs] } else { &[1, outputs, 1, 1] };
            let fits = value.shape() == row && matches!(value, Value::Floats(_));
            (fits && conv.node.input(BIAS).is_none()).then_some(Tail::Bias(other))
        }
        Operator::Binary(Arithmetic::Mul) if is_conv && whole && bias_known => {
            let other = node.inputs.iter().flatten().find(|&&input| input != conv.node.output).copied()?;
            match value(Some(other))? {
                Value::Floats(row) if row.shape == [1, outputs, 1, 1] => Some(Tail::Scaled(row.data.clone(), None)),
                _ => None,
            }
        }
        Operator::BatchNormalization(eps)
            if is_conv && whole && bias_known && node.input(0) == Some(conv.node.output) =>
        {
            let part = |at: usize| match value(node.input(at))? {
                Value::Floats(tensor) if tensor.data.len() == outputs => Some(&tensor.data),
                _ => None,
            };
            let [scale, shift, mean, variance] = [part(1)?, part(2)?, part(3)?, part(4)?];
            let factors: Vec<f32> = scale.iter().zip(variance).map(|(scale, v)| scale / (v + eps).sqrt()).collect();
            let offsets = shift.iter().zip(mean).zip(&factors).map(|((shift, mean), f)| shift - mean * f).collect();
            Some(Tail::Scaled(factors, Some(offsets)))
        }
        _ => None,
    }
}

fn take_over(conv: &mut Fused, tail: Tail, constants: &mut Vec<Option<Value>>, readers: &[usize]) {
    let inputs = &mut conv.node.inputs;
    match tail {
        Tail::Rectifier(rectifier) => conv.rectifier = rectifier,
        Tail::Bias(bias) => {
            inputs.resize(BIAS.max(inputs.len()), None);
            inputs.truncate(BIAS);
            inputs.push(Some(bias));
        }
        Tail::Residual(residual) => {
            inputs.resize(RESIDUAL, None);
            inputs.push(Some(residual));
        }
        Tail::Scaled(factors, offsets) => {
            let floats = |tensor: Option<usize>| constants[tensor?].clone()?.floats().ok();
            let (Some(at), bias) = (conv.node.input(1), floats(conv.node.input(BIAS))) else { return };
            // A copy is made only if something else reads the weights.
            let alone = readers.get(at).is_none_or(|&readers| readers == 1);
            let weight = if alone { constants[at].take() } else { constants[at].clone() };
            let Some(Ok(weight)) = weight.map(Value::floats) else { return };
            let mut weight = Arc::unwrap_or_clone(weight);
            let each = weight.data.len() / factors.len().max(1);
            if each > 0 {
                for (row, factor) in weight.data.chunks_exact_mut(each).zip(&factors) {
                    row.iter_mut().for_each(|v| *v *= factor);
                }
            }
            let bias = bias.map(|bias| bias.data.iter().zip(&factors).map(|(b, f)| b * f).collect::<Vec<f32>>());
            let bias = match (bias, offsets) {
                (Some(bias), Some(offsets)) => Some(bias.iter().zip(&offsets).map(|(b, offset)| b + offset).collect()),
                (bias, offsets) => bias.or(offsets),
            };
            conv.node.inputs.truncate(1);
            for tensor in [Some(weight), bias.map(Tensor::row)].into_iter().flatten() {
                conv.node.inputs.push(Some(constants.len()));
                constants.push(Some(Value::Floats(Arc::new(tensor))));
            }
        }
    }
}
