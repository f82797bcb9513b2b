//! Small sound `.tflite` files for the fuzzer to start from, one with each operator; into the folder given.

#[path = "../tests/portrait/writer.rs"]
mod writer;

use std::path::PathBuf;

use writer::{Field, Writer};

fn window(stride: i32, multiplier: bool) -> Vec<Field> {
    let mut options = vec![Field::Byte(0), Field::Word(stride), Field::Word(stride)];
    if multiplier {
        options.push(Field::Word(1));
    }
    options.push(Field::Byte(1));
    options
}

/// Convolutions, padding, pooling, sums and rectifiers, as in a block of a face network.
fn block() -> Vec<u8> {
    let mut w = Writer::new();
    let image = w.tensor(&[1, 8, 8, 3]);
    let (weights, bias) = (w.halves(&[4, 3, 3, 3], &[0.1; 108]), w.halves(&[4], &[0.2; 4]));
    let stem = w.tensor(&[1, 4, 4, 4]);
    w.operator(3, "", &[image, weights, bias], stem, window(2, false));
    let (taps, bias) = (w.floats(&[1, 3, 3, 4], &[0.3; 36]), w.floats(&[4], &[0.0; 4]));
    let filtered = w.tensor(&[1, 2, 2, 4]);
    w.operator(4, "", &[stem, taps, bias], filtered, window(2, true));
    let (weights, bias) = (w.floats(&[6, 1, 1, 4], &[0.5; 24]), w.floats(&[6], &[0.1; 6]));
    let mixed = w.tensor(&[1, 2, 2, 6]);
    w.operator(3, "", &[filtered, weights, bias], mixed, vec![Field::Byte(1), Field::Word(1), Field::Word(1)]);
    let pooled = w.tensor(&[1, 2, 2, 4]);
    let two = || Field::Word(2);
    w.operator(17, "", &[stem], pooled, vec![Field::Byte(0), two(), two(), two(), two()]);
    let pads = w.integers(&[4, 2], &[0, 0, 0, 0, 0, 0, 0, 2]);
    let padded = w.tensor(&[1, 2, 2, 6]);
    w.operator(34, "", &[pooled, pads], padded, vec![]);
    let sum = w.tensor(&[1, 2, 2, 6]);
    w.operator(0, "", &[padded, mixed], sum, vec![]);
    let slopes = w.floats(&[1, 1, 6], &[0.25; 6]);
    let bent = w.tensor(&[1, 2, 2, 6]);
    w.operator(54, "", &[sum, slopes], bent, vec![]);
    w.finish(&[image], &[bent])
}

/// Resizing, blocks, shapes, products and joins.
fn rearrangements() -> Vec<u8> {
    let mut w = Writer::new();
    let map = w.tensor(&[1, 3, 3, 4]);
    let size = w.integers(&[2], &[6, 6]);
    let larger = w.tensor(&[1, 6, 6, 4]);
    w.operator(23, "", &[map, size], larger, vec![Field::Absent, Field::Absent, Field::Byte(0), Field::Byte(1)]);
    let blocks = w.tensor(&[1, 12, 12, 1]);
    w.operator(5, "", &[larger], blocks, vec![Field::Word(2)]);
    let list = w.tensor(&[1, 144, 1]);
    w.operator(22, "", &[blocks], list, vec![]);
    let half = w.floats(&[1], &[0.5]);
    let halved = w.tensor(&[1, 144, 1]);
    w.operator(18, "", &[list, half], halved, vec![]);
    let both = w.tensor(&[1, 288, 1]);
    w.operator(2, "", &[list, halved], both, vec![Field::Word(1)]);
    let relu = w.tensor(&[1, 3, 3, 4]);
    w.operator(19, "", &[map], relu, vec![]);
    w.finish(&[map], &[both, relu])
}

/// Landmarks, a matrix, a crop and the way back. The attributes are those of `RegionOfLandmarks` for two points.
fn landmarks() -> Vec<u8> {
    let mut w = Writer::new();
    let (map, matrix, points) = (w.tensor(&[1, 4, 4, 2]), w.tensor(&[1, 4, 4]), w.tensor(&[1, 5, 2]));
    let crop = w.tensor(&[1, 3, 3, 2]);
    w.operator(32, "TransformTensorBilinear", &[map, matrix], crop, vec![]);
    let moved = w.tensor(&[1, 5, 2]);
    w.operator(32, "TransformLandmarks", &[points, matrix], moved, vec![]);
    w.finish(&[map, matrix, points], &[crop, moved])
}

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).expect("a folder"));
    std::fs::create_dir_all(&folder)?;
    for (name, bytes) in [("block", block()), ("rearrangements", rearrangements()), ("landmarks", landmarks())] {
        std::fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
