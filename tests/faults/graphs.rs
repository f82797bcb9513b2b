//! Models of graphs that are not what they claim.

use std::time::Duration;

use crate::world::onnx_file::{bytes, floats, integer, integers, model, node, number};
use crate::world::{World, text_model};

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
        (folded, "more than this reader allows"),
        (of(&vec![relu("x", "y"); 1 << 14], &[], "y"), "more than this reader allows"),
        (of(&[relu("x", "y")], &[], "y"), "where a map of the picture belongs"),
        ([bytes(7, &[]), bytes(8, &number(2, 11))].concat(), "0 inputs and 0 outputs"),
    ];
    for (at, (file, why)) in cases.into_iter().enumerate() {
        text_model::install(&world, &file, &text_model::reader());
        let begun = std::time::Instant::now();
        let (seen, peak) = super::files::peak_of(world.command(["ocr", "photos", "--isolate", "off"]));
        let took = begun.elapsed();
        assert!(seen.code == Some(1) && seen.stdout.is_empty(), "{at}: exit {:?}: {}", seen.code, seen.stderr);
        assert!(seen.stderr.contains("pp-ocrv6-small@1") && seen.stderr.contains(why), "{at} ({why}): {}", seen.stderr);
        assert!(peak < 200, "{at} ({why}): {peak} MB");
        assert!(took < Duration::from_secs(5), "{at} ({why}): {took:.2?}");
    }
}
