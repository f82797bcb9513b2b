//! Models of graphs that are not what they claim.

use std::time::Duration;

use crate::world::onnx_file::{bytes, floats, integer, integers, model, node, number};
use crate::world::{World, object_model, tensorflow_file, text_model};

#[cfg(target_os = "linux")]
#[test]
fn hostile_graphs() {
    let world = World::new();
    world.photo("a.png", 1);
    let sound = text_model::finder();
    let relu = |from: &str, to: &str| node("Relu", &[from], to, &[]);
    let of = |nodes: &[Vec<u8>], constants: &[Vec<u8>], output: &str| model(nodes, constants, output, &[]);
    let four = [1.0, 1.0, 64.0, 64.0];
    let grown = |count: usize| {
        let text = |name: &str, value: &str| [bytes(1, name.as_bytes()), bytes(4, value.as_bytes())].concat();
        let rule = [text("nearest_mode", "floor"), text("coordinate_transformation_mode", "asymmetric")];
        let names: Vec<String> = (0..=count).map(|at| if at == 0 { "x".into() } else { format!("t{at}") }).collect();
        let nodes: Vec<Vec<u8>> =
            names.windows(2).map(|pair| node("Resize", &[&pair[0], "", "f"], &pair[1], &rule)).collect();
        of(&nodes, &[floats("f", &[4], &four)], &names[count])
    };
    let joined = |count: usize| {
        let names: Vec<String> = (0..=count).map(|at| if at == 0 { "x".into() } else { format!("t{at}") }).collect();
        let nodes: Vec<Vec<u8>> = names
            .windows(2)
            .map(|pair| node("Concat", &[&pair[0], &pair[0], &pair[0], &pair[0]], &pair[1], &[integer("axis", 1)]))
            .collect();
        of(&nodes, &[], &names[count])
    };
    // Each larger than the one before, so that what was freed fits nothing that comes.
    let growing = {
        let names: Vec<String> = (0..=6).map(|at| if at == 0 { "x".into() } else { format!("t{at}") }).collect();
        let nodes: Vec<Vec<u8>> =
            names.windows(2).map(|pair| node("Concat", &[&pair[0], "x"], &pair[1], &[integer("axis", 1)])).collect();
        of(&nodes, &[], &names[6])
    };
    // A window of 64 rows over a picture that is one long row.
    let long = {
        let window = [integers("kernel_shape", &[64, 1]), integers("pads", &[63, 0, 0, 0])];
        let row = [number(1, 4), number(2, 7), bytes(8, b"s")].concat();
        let shape: Vec<u8> = [1i64, 1, 1, -1].iter().flat_map(|axis| axis.to_le_bytes()).collect();
        let nodes = [node("Reshape", &["x", "s"], "r", &[]), node("Conv", &["r", "w"], "y", &window)];
        of(&nodes, &[[row, bytes(9, &shape)].concat(), floats("w", &[1, 1, 64, 1], &[0.0; 64])], "y")
    };
    // Constants that double their number forty times, from which nothing of the picture is computed.
    let folded = {
        let names: Vec<String> = (0..=40).map(|at| format!("c{at}")).collect();
        let mut nodes: Vec<Vec<u8>> = names
            .windows(2)
            .map(|pair| node("Concat", &[&pair[0], &pair[0]], &pair[1], &[integer("axis", 0)]))
            .collect();
        nodes.push(relu("x", "y"));
        of(&nodes, &[floats("c0", &[1], &[1.0])], "y")
    };
    let wide = [integers("kernel_shape", &[64, 64]), integers("strides", &[1, 1]), integers("pads", &[64; 4])];
    let cases = [
        (b"not a model".to_vec(), "not an ONNX file"),
        (sound[..sound.len() / 2].to_vec(), "not an ONNX file"),
        (of(&[relu("b", "a"), relu("a", "b")], &[], "b"), "reads what nothing wrote before"),
        (of(&[relu("x", "x")], &[], "x"), "writes what is there already"),
        (of(&[node("Exploit", &["x"], "y", &[])], &[], "y"), "operator Exploit is not supported"),
        (of(&[relu("x", "y")], &[floats("w", &[1 << 40, 1 << 40], &[])], "y"), "more than this reader allows"),
        (of(&[relu("x", "y")], &[floats("w", &[1 << 20], &[0.0; 3])], "y"), "not as many numbers as its shape says"),
        (of(&[node("Conv", &["x", "w"], "y", &[])], &[floats("w", &[1, 9, 1, 1], &[0.0; 9])], "y"), "other channels"),
        (of(&[node("Conv", &["x", "w"], "y", &wide)], &[floats("w", &[1, 1, 64, 64], &[0.0; 4096])], "y"), "channels"),
        (of(&[node("MaxPool", &["x"], "y", &[integers("kernel_shape", &[1 << 50, 2])])], &[], "y"), "kernel_shape"),
        (grown(3), "more than this reader allows"),
        (joined(12), "more than this reader allows"),
        (growing, "more than this reader allows"),
        (long, "more than this reader allows"),
        (folded, "more than this reader allows"),
        (of(&vec![relu("x", "y"); 1 << 14], &[], "y"), "more than this reader allows"),
        (of(&[relu("x", "y")], &[], "y"), "where a map of the picture belongs"),
        ([bytes(7, &[]), bytes(8, &number(2, 11))].concat(), "0 inputs and 0 outputs"),
    ];
    for (at, (file, why)) in cases.into_iter().enumerate() {
        text_model::install(&world, &file, &text_model::reader());
        refused(&world, "ocr", ["pp-ocrv6-small@1", why], at);
    }
}

#[cfg(target_os = "linux")]
fn refused(world: &World, command: &str, told: [&str; 2], at: usize) {
    let (seen, peak, took) = super::files::cost_of(world.command([command, "photos", "--isolate", "off"]));
    assert!(seen.code == Some(1) && seen.stdout.is_empty(), "{at}: exit {:?}: {}", seen.code, seen.stderr);
    assert!(told.iter().all(|part| seen.stderr.contains(part)), "{at} ({told:?}): {}", seen.stderr);
    assert!(peak < 200, "{at} ({told:?}): {peak} MB");
    assert!(took < Duration::from_secs(1), "{at} ({told:?}): {took:.2?}");
}

#[cfg(target_os = "linux")]
#[test]
fn hostile_tensorflow_graphs() {
    use tensorflow_file::{floats, integers, node, text, window};
    let world = World::new();
    world.photo("a.png", 1);
    let sound = object_model::file();
    let relu = |name: &str, input: &str| node("Relu", name, &[input], &[]);
    // Graphs in which the first predictor of boxes is what is given, and the others are anything.
    let first = "BoxPredictor_0/BoxEncodingPredictor/BiasAdd";
    let names = (0..6).flat_map(|grid| ["BoxEncoding", "Class"].map(|part| (grid, part)));
    let others: Vec<u8> = names
        .skip(1)
        .flat_map(|(grid, part)| relu(&format!("BoxPredictor_{grid}/{part}Predictor/BiasAdd"), "Preprocessor/sub"))
        .collect();
    let of = |nodes: &[Vec<u8>]| [nodes.concat(), others.clone()].concat();
    let conv = |attributes: &[Vec<u8>], shape: &[u64]| {
        let count = shape.iter().fold(1, |product: u64, axis| product.saturating_mul(*axis)).min(1 << 16) as usize;
        of(&[floats("w", shape, &vec![0.0; count]), node("Conv2D", first, &["Preprocessor/sub", "w"], attributes)])
    };
    let chain: Vec<Vec<u8>> = (0..1 << 14)
        .map(|at| relu(&if at == 0 { first.to_owned() } else { format!("t{at}") }, &format!("t{}", at + 1)))
        .collect();
    let many: Vec<&str> = vec!["a"; 1 << 16];
    let attributes: Vec<Vec<u8>> = (0..1 << 12).map(|at| text(&format!("a{at}"), "x")).collect();
    let cases = [
        (b"not a model".to_vec(), "not a TensorFlow graph"),
        (Vec::new(), "not a TensorFlow graph"),
        (sound[..sound.len() / 2].to_vec(), "cut short or damaged"),
        (of(&[relu("a", "b")]), "is written by no operator"),
        (of(&[relu(first, "a"), relu("a", "b"), relu("b", "a")]), "depends on itself"),
        (of(&[relu(first, first)]), "depends on itself"),
        (of(&[relu("a", "b"), relu("a", "c")]), "is written twice"),
        (of(&[node("Exploit", first, &["Preprocessor/sub"], &[])]), "operator Exploit is not supported"),
        (of(&[node("Exploit", first, &["a"], &[])]), "is written by no operator"),
        (of(&[node("Relu", first, &[], &[])]), "Relu with 0 inputs"),
        (of(&chain), "the number of operators asks for more"),
        (of(&[node("Relu", first, &many, &[])]), "a list of tensors asks for more"),
        (of(&[node("Relu", first, &["Preprocessor/sub"], &attributes)]), "a list of attributes asks for more"),
        (conv(&window(1), &[1 << 40, 1 << 40, 3, 1]), "more than this reader allows"),
        (conv(&window(1), &[1 << 10, 1 << 10, 3, 1]), "not as many numbers as its shape says"),
        (conv(&window(1), &[3, 3, 3]), "is not of four axes"),
        (conv(&[integers("strides", &[1, 1 << 50, 1, 1]), text("padding", "SAME")], &[1, 1, 3, 12]), "strides"),
        (conv(&[integers("strides", &[1, 1, 1, 1]), text("padding", "ROUND")], &[1, 1, 3, 12]), "padding ROUND"),
        (of(&[node("Conv2D", first, &["Preprocessor/sub"], &window(1))]), "has no weights"),
        (
            of(&[relu("w", "Preprocessor/sub"), node("Conv2D", first, &["Preprocessor/sub", "w"], &window(1))]),
            "weights that are no constants",
        ),
        (of(&[floats(first, &[3], &[0.0; 3])]), "is not computed from the picture"),
        (of(&[relu(first, "Preprocessor/sub")]), "does not fit its grid"),
        (object_model::file_with(&[relu("dark", "mean")]), "is written twice"),
    ];
    for (at, (file, why)) in cases.into_iter().enumerate() {
        object_model::install(&world, &file);
        refused(&world, "detect", ["ssd-mobilenet-v2@2", why], at);
    }
}
