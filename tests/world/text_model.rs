//! A model for text of two tiny networks: what is dark is a line, and every stretch of it is read as an I.

use std::fs;

use super::World;
use super::onnx_file::{floats, integers, model, node};

pub fn finder() -> Vec<u8> {
    let constants = [floats("w", &[1, 3, 1, 1], &[-2.0; 3]), floats("b", &[1], &[-1.0])];
    let window = integers("kernel_shape", &[1, 1]);
    model(&[node("Conv", &["x", "w", "b"], "y", &[window]), node("Sigmoid", &["y"], "z", &[])], &constants, "z", &[])
}

pub fn reader() -> Vec<u8> {
    reader_of(&["I"])
}

/// A reader that knows these characters, of which it reads the first.
pub fn reader_of(characters: &[&str]) -> Vec<u8> {
    let (share, taps, outputs) = (40.0 / (3.0 * 48.0 * 8.0), 3 * 48 * 8, characters.len() + 2);
    let weights: Vec<f32> = (0..outputs * taps).map(|at| if at / taps == 1 { -share } else { 0.0 }).collect();
    let biases: Vec<f32> = (0..outputs).map(|at| [0.0, 20.0, -9.0][at.min(2)]).collect();
    let constants = [floats("w", &[outputs as u64, 3, 48, 8], &weights), floats("b", &[outputs as u64], &biases)];
    let window = [integers("kernel_shape", &[48, 8]), integers("strides", &[48, 8])];
    let nodes = [
        node("Conv", &["x", "w", "b"], "c", &window),
        node("Squeeze", &["c"], "s", &[integers("axes", &[2])]),
        node("Transpose", &["s"], "t", &[integers("perm", &[0, 2, 1])]),
        node("Softmax", &["t"], "y", &[super::onnx_file::integer("axis", 2)]),
    ];
    model(&nodes, &constants, "y", &[("character", &characters.join("\n"))])
}

/// Puts two networks in the place of the model that reads unless another is named.
pub fn install(world: &World, finder: &[u8], reader: &[u8]) {
    let manifest = "name: pp-ocrv6-small\nversion: \"1\"\ntask: text\narchitecture: pp-ocr\nlicense: MIT\n\
                    files: [{name: finder.onnx}, {name: reader.onnx}]\n";
    fs::write(world.path("text.yaml"), manifest).unwrap();
    world.run(["models", "add", "--force", "text.yaml"]).expect(0);
    let folder = world.path("home/.local/share/albumctl/models");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("finder.onnx"), finder).unwrap();
    fs::write(folder.join("reader.onnx"), reader).unwrap();
}
