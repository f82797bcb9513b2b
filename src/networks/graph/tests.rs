//! What is fused gives the numbers of the operators one by one: on every processor path and by candle, for channels that
//! fill vectors and for others, and for several images.

use std::collections::HashMap;
use std::sync::Arc;

use kernels::Cpu;

use super::{Arithmetic, Function, Graph, Network, Node, Operator, Place, Sliding, Tensor, Value};
#[path = "../../kernels/test_numbers.rs"]
mod test_numbers;

use test_numbers::numbers;

/// A graph under construction.
struct Drawn {
    nodes: Vec<Node>,
    constants: Vec<Option<Value>>,
}

impl Drawn {
    fn constant(&mut self, shape: &[usize], seed: u32) -> usize {
        let data = numbers(shape.iter().product(), seed);
        self.constants.push(Some(Value::Floats(Arc::new(Tensor::new(shape.to_vec(), data).unwrap()))));
        self.constants.len() - 1
    }

    fn add(&mut self, operator: Operator, inputs: &[usize]) -> usize {
        let output = self.constants.len();
        self.constants.push(None);
        let inputs = inputs.iter().map(|&input| Some(input)).collect();
        self.nodes.push(Node { operator, name: String::new(), inputs, output });
        output
    }

    fn conv(&mut self, x: usize, [outputs, inputs, side]: [usize; 3], stride: usize, groups: usize) -> usize {
        let pad = side / 2;
        let sliding = Sliding { strides: [stride; 2], pads: [pad; 4], ..Sliding::default() };
        let (weights, bias) = (self.constant(&[outputs, inputs, side, side], 7), self.constant(&[outputs], 8));
        self.add(Operator::Conv(sliding, groups), &[x, weights, bias])
    }
}

/// Input → 3×3 → border, depthwise 3×3, ReLU6, 1×1 → + the 3×3 with more channels → PReLU → 3×3 + a number for each
/// channel → ReLU → one row of 1×1.
fn drawn(channels: usize, outputs: usize) -> (Graph, Vec<usize>) {
    let mut drawn = Drawn { nodes: Vec::new(), constants: vec![None] };
    let stem = drawn.conv(0, [channels, 3, 3], 1, 1);
    let bordered = drawn.add(Operator::Pad([[0, 0], [1, 1], [1, 1]]), &[stem]);
    let taps = drawn.constant(&[channels, 1, 3, 3], 3);
    let window = Sliding { strides: [1, 1], ..Sliding::default() };
    let filtered = drawn.add(Operator::Conv(window, channels), &[bordered, taps]);
    let clamped = drawn.add(Operator::Unary(Function::Relu6), &[filtered]);
    let mixed = drawn.conv(clamped, [outputs, channels, 1], 1, 1);
    let grown = drawn.add(Operator::Pad([[0, outputs - channels], [0, 0], [0, 0]]), &[stem]);
    let sum = drawn.add(Operator::Binary(Arithmetic::Add), &[grown, mixed]);
    let slopes = drawn.constant(&[outputs], 4);
    let bent = drawn.add(Operator::Prelu, &[sum, slopes]);
    let narrowed = drawn.conv(bent, [channels, outputs, 3], 2, 1);
    let average = drawn.add(Operator::Mean(None, true), &[stem]);
    let shifted = drawn.add(Operator::Binary(Arithmetic::Add), &[narrowed, average]);
    let rectified = drawn.add(Operator::Unary(Function::Relu), &[shifted]);
    let last = drawn.conv(rectified, [1, channels, 1], 1, 1);
    let every = vec![stem, bordered, filtered, clamped, mixed, grown, sum, bent, narrowed, average, shifted, rectified];
    let Drawn { nodes, constants } = drawn;
    (Graph { nodes, constants, input: 0, outputs: vec![last, bent], metadata: HashMap::new() }, every)
}

#[test]
fn what_is_fused_gives_the_same_numbers() {
    for (channels, outputs, images) in [(1, 1, 1), (3, 5, 2), (8, 8, 1), (12, 20, 1), (24, 24, 2), (33, 64, 1)] {
        let (graph, every) = drawn(channels, outputs);
        // Nothing is fused into what is an output itself.
        let mut apart = graph.clone();
        apart.outputs.extend(every);
        let input = Tensor::new(vec![images, 3, 7, 9], numbers(images * 3 * 63, 1)).unwrap();
        for place in Place::all_on_processor() {
            let run = |graph: &Graph| Network::new(graph.clone(), place.clone()).unwrap().run(input.clone()).unwrap();
            let (fused, apart) = (run(&graph), run(&apart));
            for (fused, apart) in fused.iter().zip(&apart) {
                assert_eq!(fused.shape, apart.shape);
                for (a, b) in fused.data.iter().zip(&apart.data) {
                    assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{channels} {outputs} {place:?}: {a} for {b}");
                }
            }
        }
    }
}

#[test]
fn a_second_run_has_the_numbers_of_the_first() {
    let network = Network::new(drawn(12, 20).0, Cpu::best()).unwrap();
    let [small, large] = [5, 11].map(|side| Tensor::new(vec![1, 3, side, side], numbers(3 * side * side, 2)).unwrap());
    let first = [&large, &small].map(|input| network.run(input.clone()).unwrap());
    assert_eq!(first, [&large, &small].map(|input| network.run(input.clone()).unwrap()));
}
