//! Small graphs of all operators, written here, against candle; and files that must be refused.

use kernels::Cpu;
use networks::graph::Place;
use networks::tflite::{Graph, Network, TfliteError};
use proptest::prelude::*;

use crate::oracle;
use crate::test_numbers::numbers;
use crate::writer::{Field, Writer};

const ADD: i32 = 0;
const CONCAT: i32 = 2;
const CONV: i32 = 3;
const DEPTHWISE: i32 = 4;
const DEPTH_TO_SPACE: i32 = 5;
const MAX_POOL: i32 = 17;
const MULTIPLY: i32 = 18;
const RELU: i32 = 19;
const RESHAPE: i32 = 22;
const RESIZE: i32 = 23;
const PAD: i32 = 34;
const PRELU: i32 = 54;

/// Options of a convolution: padding, strides, activation where `field` has it.
fn window(same: bool, stride: i32, relu: bool, field: usize) -> Vec<Field> {
    let mut options = vec![Field::Byte(u8::from(!same)), Field::Word(stride), Field::Word(stride)];
    if field == 4 {
        options.push(Field::Word(1));
    }
    options.push(Field::Byte(u8::from(relu)));
    options
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Nothing,
    Relu,
    Prelu,
}

/// What a block of a face network may look like.
#[derive(Clone, Debug)]
struct Block {
    height: usize,
    width: usize,
    channels: usize,
    outputs: usize,
    stride: usize,
    explicit_border: bool,
    residual: bool,
    ending: Ending,
    filtered_twice: bool,
}

impl Block {
    /// stem 3×3 → [border] → depthwise 3×3 → 1×1 → [+ pooled and padded skip] → ending → several rearrangements.
    fn write(&self) -> Vec<u8> {
        let Self { height, width, channels, outputs, stride, .. } = *self;
        let mut w = Writer::new();
        let image = w.tensor(&[1, 2 * height, 2 * width, 3]);
        let (weights, bias) =
            (w.halves(&[channels, 3, 3, 3], &numbers(channels * 27, 1)), w.halves(&[channels], &numbers(channels, 2)));
        let stem = w.tensor(&[1, height, width, channels]);
        w.operator(CONV, "", &[image, weights, bias], stem, window(true, 2, true, 3));
        let (low, wide) = (height.div_ceil(stride), width.div_ceil(stride));
        let taps = w.floats(&[1, 3, 3, channels], &numbers(9 * channels, 3));
        let bias = w.floats(&[channels], &numbers(channels, 4));
        let filtered = w.tensor(&[1, low, wide, channels]);
        if self.explicit_border {
            let pads = w.integers(&[4, 2], &[0, 0, 1, 1, 1, 1, 0, 0]);
            let bordered = w.tensor(&[1, height + 2, width + 2, channels]);
            w.operator(PAD, "", &[stem, pads], bordered, vec![]);
            w.operator(DEPTHWISE, "", &[bordered, taps, bias], filtered, window(false, stride as i32, false, 4));
        } else {
            w.operator(DEPTHWISE, "", &[stem, taps, bias], filtered, window(true, stride as i32, true, 4));
        }
        let weights = w.floats(&[outputs, 1, 1, channels], &numbers(outputs * channels, 5));
        let bias = w.floats(&[outputs], &numbers(outputs, 6));
        let mut last = w.tensor(&[1, low, wide, outputs]);
        w.operator(CONV, "", &[filtered, weights, bias], last, window(false, 1, false, 3));
        if self.residual && (stride == 1 || (height % 2 == 0 && width % 2 == 0)) && outputs >= channels {
            let mut skip = stem;
            if stride == 2 {
                skip = w.tensor(&[1, low, wide, channels]);
                let two = || Field::Word(2);
                w.operator(MAX_POOL, "", &[stem], skip, vec![Field::Byte(0), two(), two(), two(), two()]);
            }
            if outputs > channels {
                let pads = w.integers(&[4, 2], &[0, 0, 0, 0, 0, 0, 0, (outputs - channels) as i32]);
                let padded = w.tensor(&[1, low, wide, outputs]);
                w.operator(PAD, "", &[skip, pads], padded, vec![]);
                skip = padded;
            }
            let sum = w.tensor(&[1, low, wide, outputs]);
            w.operator(ADD, "", &[skip, last], sum, vec![]);
            last = sum;
        }
        let ended = w.tensor(&[1, low, wide, outputs]);
        match self.ending {
            Ending::Nothing => w.operator(ADD, "", &[last, last], ended, vec![Field::Byte(1)]),
            Ending::Relu => w.operator(RELU, "", &[last], ended, vec![]),
            Ending::Prelu => {
                let slopes = w.floats(&[1, 1, outputs], &numbers(outputs, 7));
                w.operator(PRELU, "", &[last, slopes], ended, vec![]);
            }
        }
        self.write_rearrangements(w, image, ended, (low, wide))
    }

    fn write_rearrangements(&self, mut w: Writer, image: usize, map: usize, (low, wide): (usize, usize)) -> Vec<u8> {
        let outputs = self.outputs;
        let size = w.integers(&[2], &[2 * low as i32, 2 * wide as i32]);
        let larger = w.tensor(&[1, 2 * low, 2 * wide, outputs]);
        w.operator(
            RESIZE,
            "",
            &[map, size],
            larger,
            vec![Field::Absent, Field::Absent, Field::Byte(0), Field::Byte(1)],
        );
        let weights = w.floats(&[8, 2, 2, outputs], &numbers(32 * outputs, 8));
        let bias = w.floats(&[8], &numbers(8, 9));
        let (rows, columns) = (2 * low - 1, 2 * wide - 1);
        let narrowed = w.tensor(&[1, rows, columns, 8]);
        w.operator(CONV, "", &[larger, weights, bias], narrowed, window(false, 1, false, 3));
        let blocks = w.tensor(&[1, 2 * rows, 2 * columns, 2]);
        w.operator(DEPTH_TO_SPACE, "", &[narrowed], blocks, vec![Field::Word(2)]);
        let count = 4 * rows * columns;
        let list = w.tensor(&[1, count, 2]);
        w.operator(RESHAPE, "", &[blocks], list, vec![]);
        let half = w.floats(&[1], &[0.5]);
        let halved = w.tensor(&[1, count, 2]);
        w.operator(MULTIPLY, "", &[list, half], halved, vec![]);
        let both = w.tensor(&[1, 2 * count, 2]);
        w.operator(CONCAT, "", &[list, halved], both, vec![Field::Word(1)]);
        let mut outputs_of_graph = vec![both, map];
        if self.filtered_twice {
            // A filter nothing follows.
            let taps = w.floats(&[1, 3, 3, outputs], &numbers(9 * outputs, 10));
            let bias = w.floats(&[outputs], &numbers(outputs, 11));
            let alone = w.tensor(&[1, low, wide, outputs]);
            w.operator(DEPTHWISE, "", &[map, taps, bias], alone, window(true, 1, true, 4));
            outputs_of_graph.push(alone);
        }
        w.finish(&[image], &outputs_of_graph)
    }
}

fn blocks() -> impl Strategy<Value = Block> {
    let ending = prop_oneof![Just(Ending::Nothing), Just(Ending::Relu), Just(Ending::Prelu)];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    ((2usize..9, 2usize..9), 1usize..40, 0usize..20, 1usize..3, flags, ending).prop_map(
        |((height, width), channels, more, stride, (explicit_border, residual, filtered_twice), ending)| Block {
            height,
            width,
            channels,
            outputs: channels + more,
            stride,
            explicit_border,
            residual,
            ending,
            filtered_twice,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is fused, every path gives what candle gives operator by operator.
    #[test]
    fn networks_equal_candle(block in blocks()) {
        let bytes = block.write();
        let graph = Graph::parse(&bytes).unwrap();
        let input = numbers(graph.tensors[graph.inputs[0]].elements(), 12);
        let expected = oracle::run(&graph, &[&input]).unwrap();
        let wanted: Vec<usize> = (0..expected.len()).collect();
        for place in Place::all_on_processor() {
            let got = Network::new(&graph, &wanted, place.clone()).unwrap().run(&input);
            for (got, expected) in got.iter().zip(&expected) {
                prop_assert_eq!(got.len(), expected.len());
                for (a, b) in got.iter().zip(expected) {
                    prop_assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{:?}: {} for {}", place, a, b);
                }
            }
        }
    }

    /// One output alone is what it is among others, though less of the graph is run for it.
    #[test]
    fn what_nobody_wants_is_not_missed(block in blocks()) {
        let graph = Graph::parse(&block.write()).unwrap();
        let input = numbers(graph.tensors[graph.inputs[0]].elements(), 12);
        let all = Network::new(&graph, &[0, 1], Cpu::best()).unwrap();
        let one = Network::new(&graph, &[1], Cpu::best()).unwrap();
        prop_assert!(one.work() < all.work());
        prop_assert_eq!(&one.run(&input)[0], &all.run(&input)[1]);
    }

    /// Damaged files are refused, or are other sound files: nothing panics, nothing runs away.
    #[test]
    fn damage_is_an_error_or_another_graph(
        block in blocks(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = block.write();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        runs_without_panic(&bytes);
    }

    /// The same of what the expression network is made of.
    #[test]
    fn damage_to_mixing_networks_too(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = mixing(5, 3);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        runs_without_panic(&bytes);
    }
}

fn runs_without_panic(bytes: &[u8]) {
    if let Ok(graph) = Graph::parse(bytes)
        && let Ok(network) = Network::new(&graph, &[0], Cpu::best())
        && network.work() < 1 << 22
    {
        let input = vec![0.5; network.input_shape().iter().product()];
        assert_eq!(network.run(&input).len(), 1);
    }
}

const LOGISTIC: i32 = 14;
const TRANSPOSE: i32 = 39;
const MEAN: i32 = 40;
const SUBTRACT: i32 = 41;
const DIVIDE: i32 = 42;
const SLICE: i32 = 45;
const NEGATE: i32 = 59;
const SUM: i32 = 74;
const ROOT: i32 = 75;
const INVERSE_ROOT: i32 = 76;
const SQUARED_DIFFERENCE: i32 = 99;

/// What the expression network is made of: points put in the middle and brought to one size, a constant in front, and
/// a block that mixes along one axis, with a layer normalisation.
fn mixing(points: usize, width: usize) -> Vec<u8> {
    let mut w = Writer::new();
    let input = w.tensor(&[1, points, 2]);
    let (middle_axis, last_axis) = (w.integers(&[], &[-2]), w.integers(&[1], &[-1]));
    let keep = || vec![Field::Byte(1)];
    let centre = w.tensor(&[1, 1, 2]);
    w.operator(MEAN, "", &[input, middle_axis], centre, keep());
    let centred = w.tensor(&[1, points, 2]);
    w.operator(SUBTRACT, "", &[input, centre], centred, vec![]);
    let squares = w.tensor(&[1, points, 2]);
    w.operator(MULTIPLY, "", &[centred, centred], squares, vec![]);
    let sums = w.tensor(&[1, points]);
    w.operator(SUM, "", &[squares, last_axis], sums, vec![]);
    let lengths = w.tensor(&[1, points]);
    w.operator(ROOT, "", &[sums], lengths, vec![]);
    let size = w.tensor(&[1, 1]);
    w.operator(MEAN, "", &[lengths, last_axis], size, keep());
    let unit = w.tensor(&[1, points, 2]);
    w.operator(DIVIDE, "", &[centred, size], unit, vec![]);
    let image = w.tensor(&[1, 1, points, 2]);
    w.operator(RESHAPE, "", &[unit], image, vec![]);
    let order = w.integers(&[4], &[0, 1, 3, 2]);
    let turned = w.tensor(&[1, 1, 2, points]);
    w.operator(TRANSPOSE, "", &[image, order], turned, vec![]);
    let (weights, bias) =
        (w.floats(&[width, 1, 1, points], &numbers(width * points, 1)), w.floats(&[width], &numbers(width, 2)));
    let mixed = w.tensor(&[1, 1, 2, width]);
    w.operator(CONV, "", &[turned, weights, bias], mixed, window(false, 1, false, 3));
    let token = w.floats(&[1, 1, 1, width], &numbers(width, 3));
    let tokens = w.tensor(&[1, 1, 3, width]);
    w.operator(CONCAT, "", &[token, mixed], tokens, vec![Field::Word(-2)]);
    let channels = w.integers(&[1], &[3]);
    let (mean, spread) = (w.tensor(&[1, 1, 3, 1]), w.tensor(&[1, 1, 3, 1]));
    w.operator(MEAN, "", &[tokens, channels], mean, keep());
    let minus = w.tensor(&[1, 1, 3, 1]);
    w.operator(NEGATE, "", &[mean], minus, vec![]);
    let deviations = w.tensor(&[1, 1, 3, width]);
    w.operator(SQUARED_DIFFERENCE, "", &[tokens, mean], deviations, vec![]);
    w.operator(MEAN, "", &[deviations, channels], spread, keep());
    let little = w.floats(&[], &[1e-3]);
    let (safe, inverse) = (w.tensor(&[1, 1, 3, 1]), w.tensor(&[1, 1, 3, 1]));
    w.operator(ADD, "", &[spread, little], safe, vec![]);
    w.operator(INVERSE_ROOT, "", &[safe], inverse, vec![]);
    let scale = w.floats(&[width], &numbers(width, 4));
    let (factors, shifted, normal) =
        (w.tensor(&[1, 1, 3, width]), w.tensor(&[1, 1, 3, width]), w.tensor(&[1, 1, 3, width]));
    w.operator(MULTIPLY, "", &[inverse, scale], factors, vec![]);
    w.operator(ADD, "", &[tokens, minus], shifted, vec![]);
    w.operator(MULTIPLY, "", &[shifted, factors], normal, vec![]);
    let (begin, end, steps) = (w.integers(&[4], &[0; 4]), w.integers(&[4], &[0, 0, -2, 0]), w.integers(&[4], &[1; 4]));
    let first = w.tensor(&[1, 1, width]);
    let masks = vec![Field::Word(15), Field::Word(11), Field::Absent, Field::Absent, Field::Word(2)];
    w.operator(SLICE, "", &[normal, begin, end, steps], first, masks);
    let answer = w.tensor(&[1, 1, width]);
    w.operator(LOGISTIC, "", &[first], answer, vec![]);
    w.finish(&[input], &[answer, normal])
}

#[test]
fn mixing_networks_equal_candle() {
    for (points, width) in [(1, 1), (5, 3), (17, 16), (146, 33)] {
        let graph = Graph::parse(&mixing(points, width)).unwrap();
        let input = numbers(2 * points, 12);
        let expected = oracle::run(&graph, &[&input]).unwrap();
        for place in Place::all_on_processor() {
            let got = Network::new(&graph, &[0, 1], place.clone()).unwrap().run(&input);
            for (a, b) in got.iter().flatten().zip(expected.iter().flatten()).filter(|(_, b)| b.is_finite()) {
                assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{points} {width} {place:?}: {a} for {b}");
            }
            assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [width, 3 * width]);
        }
    }
}

#[test]
fn axes_slices_and_tensors_that_do_not_fit_are_refused() {
    let of = |code: i32, constants: &[&[i32]], output: &[usize]| {
        let mut w = Writer::new();
        let (input, result) = (w.tensor(&[1, 4, 4, 2]), w.tensor(output));
        let constants = constants.iter().map(|numbers| w.integers(&[numbers.len()], numbers)).collect::<Vec<_>>();
        let inputs: Vec<usize> = std::iter::once(input).chain(constants).collect();
        w.operator(code, "", &inputs, result, vec![]);
        refusal(&w.finish(&[input], &[result]))
    };
    assert_eq!(of(MEAN, &[&[4]], &[1]), "operator 0 (MEAN): no axis 4 among 4");
    assert_eq!(of(SUM, &[&[1, -3]], &[1]), "operator 0 (SUM): an axis that is named twice");
    assert_eq!(of(TRANSPOSE, &[&[0, 1]], &[1]), "operator 0 (TRANSPOSE): an order of other axes");
    let (zeros, ends, ones) = (&[0; 4][..], &[1, 4, 0, 2][..], &[1; 4][..]);
    assert_eq!(of(SLICE, &[zeros, ends, ones], &[1]), "operator 0 (STRIDED_SLICE): takes nothing");
    assert_eq!(of(SLICE, &[zeros, ends, &[2; 4]], &[1]), "operator 0 (STRIDED_SLICE): steps other than 1");
    assert_eq!(of(SLICE, &[zeros, ends], &[1]), "operator 0 (STRIDED_SLICE): input 3 is missing");
    assert_eq!(of(DIVIDE, &[&[1, 2]], &[1]), "operator 0 (DIV): whole numbers where numbers belong");
    let mut w = Writer::new();
    let (input, result) = (w.tensor(&[1, 4, 4, 2]), w.tensor(&[1, 4, 4, 2]));
    let other = w.floats(&[3], &[0.0; 3]);
    w.operator(SUBTRACT, "", &[input, other], result, vec![]);
    assert_eq!(refusal(&w.finish(&[input], &[result])), "operator 0 (SUB): the two differ in shape");
}

/// A graph of one operator over a map of 4×4×2.
fn single(code: i32, custom: &'static str, output: &[usize], options: Vec<Field>) -> Vec<u8> {
    let mut w = Writer::new();
    let input = w.tensor(&[1, 4, 4, 2]);
    let result = w.tensor(output);
    w.operator(code, custom, &[input], result, options);
    w.finish(&[input], &[result])
}

fn refusal(bytes: &[u8]) -> String {
    Graph::parse(bytes).expect_err("must be refused").to_string()
}

#[test]
fn operators_outside_the_list_are_refused_by_name() {
    assert_eq!(refusal(&single(25, "", &[1, 4, 4, 2], vec![])), "operator number 25 is not supported");
    assert_eq!(refusal(&single(32, "Evil", &[1, 4, 4, 2], vec![])), "operator \"Evil\" (custom) is not supported");
    let pool = vec![Field::Byte(0), Field::Word(2), Field::Word(2), Field::Word(3), Field::Word(3)];
    let refused = refusal(&single(MAX_POOL, "", &[1, 2, 2, 2], pool));
    assert_eq!(refused, "operator MAX_POOL_2D with another window than 2×2 is not supported");
}

#[test]
fn shapes_that_do_not_follow_are_refused() {
    let refused = refusal(&single(RELU, "", &[1, 4, 4, 3], vec![]));
    assert_eq!(refused, "operator 0 (RELU): gives [1, 4, 4, 2] where the file says [1, 4, 4, 3]");
    let refused = refusal(&single(RESHAPE, "", &[1, 31], vec![]));
    assert_eq!(refused, "operator 0 (RESHAPE): another number of elements");
}

#[test]
fn sizes_that_overflow_or_exceed_all_reason_are_refused() {
    for shape in [&[1, 1 << 30, 1 << 30, 1 << 30][..], &[1, 40_000, 40_000, 2], &[1 << 27]] {
        assert!(refusal(&single(RELU, "", shape, vec![])).contains("asks for more"), "{shape:?}");
    }
    let mut w = Writer::new();
    let input = w.tensor(&[1, 500, 500, 1]);
    let weights = w.floats(&[1, 100, 100, 1], &vec![0.0; 10_000]);
    let bias = w.floats(&[1], &[0.0]);
    let output = w.tensor(&[1, 500, 500, 1]);
    w.operator(CONV, "", &[input, weights, bias], output, window(true, 1, false, 3));
    let graph = Graph::parse(&w.finish(&[input], &[output])).unwrap();
    let error = Network::new(&graph, &[0], Cpu::best()).unwrap_err();
    assert_eq!(error, TfliteError::TooLarge { what: "the work of a run" });
}

#[test]
fn what_is_no_tflite_file_is_said_to_be_none() {
    assert_eq!(Graph::parse(b"RIFF\0\0\0\0WEBPVP8 ").unwrap_err(), TfliteError::NotTflite);
    assert!(matches!(Graph::parse(b""), Err(TfliteError::Truncated { .. })));
}

#[test]
fn an_operator_may_not_read_what_comes_later() {
    let mut w = Writer::new();
    let (input, middle, output) = (w.tensor(&[1, 4, 4, 2]), w.tensor(&[1, 4, 4, 2]), w.tensor(&[1, 4, 4, 2]));
    w.operator(RELU, "", &[middle], output, vec![]);
    w.operator(RELU, "", &[input], middle, vec![]);
    assert_eq!(refusal(&w.finish(&[input], &[output])), "tensor tensor: is read before it is written");
}
