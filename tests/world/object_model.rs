//! A model for objects that takes what is dark for a dog: an SSD of a few numbers.

use std::fs;

use super::World;
use super::tensorflow_file::{floats, node, normalisation, window};

/// Its file. Of 25 cells of 60 pixels each tells how dark it is; only the third grid says dog, by its first anchor, half as
/// wide and high as the picture.
pub fn file() -> Vec<u8> {
    file_with(&[])
}

/// The same with further nodes.
pub fn file_with(more: &[Vec<u8>]) -> Vec<u8> {
    let mut nodes = vec![
        node("NonMaxSuppressionV2", "Postprocessor/kept", &["nobody"], &[]),
        floats("mean/weights", &[60, 60, 3, 1], &[1.0 / 3600.0; 60 * 60 * 3]),
        node("Identity", "mean/weights/read", &["mean/weights"], &[]),
        node("DepthwiseConv2dNative", "mean", &["Preprocessor/sub", "mean/weights/read"], &window(60)),
        // (x - 0) / sqrt(0.25) * -0.5 turns dark into 1.
        normalisation("mean", &[0.24; 3], &[-0.5; 3]),
        node("Relu6", "dark", &["norm/add_1"], &[]),
    ];
    for grid in 0..6 {
        let anchors = if grid == 0 { 3 } else { 6 };
        for (part, each) in [("BoxEncodingPredictor", 4), ("ClassPredictor", 91)] {
            let outputs = anchors * each;
            let is_dog = |output: usize| grid == 2 && each == 91 && output == 18;
            let weights: Vec<f32> = (0..3 * outputs).map(|at| if is_dog(at % outputs) { 4.0 } else { 0.0 }).collect();
            let bias = vec![if each == 91 { -6.0 } else { 0.0 }; outputs];
            let of = |name: &str| format!("BoxPredictor_{grid}/{part}/{name}");
            nodes.push(floats(&of("weights"), &[1, 1, 3, outputs as u64], &weights));
            nodes.push(floats(&of("biases"), &[outputs as u64], &bias));
            nodes.push(node("Conv2D", &of("Conv2D"), &["dark", &of("weights")], &window(1)));
            nodes.push(node("BiasAdd", &of("BiasAdd"), &[&of("Conv2D"), &of("biases")], &[]));
        }
    }
    nodes.extend_from_slice(more);
    nodes.concat()
}

/// Puts a file in the place of the model that finds objects unless another is named.
pub fn install(world: &World, file: &[u8]) {
    let manifest = "name: ssd-mobilenet-v2\nversion: \"2\"\ntask: detection\narchitecture: ssd\nlicense: MIT\n\
                    files: [{name: objects.pb}]\n";
    fs::write(world.path("objects.yaml"), manifest).unwrap();
    world.run(["models", "add", "--force", "objects.yaml"]).expect(0);
    let folder = world.path("home/.local/share/albumctl/models");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("objects.pb"), file).unwrap();
}
