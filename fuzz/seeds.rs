//! Small sound files for the fuzzer to start from, a folder for each reader; `.tflite` files have every operator.

#![allow(dead_code, reason = "the tests use the rest of what writes files")]

#[path = "../tests/world/onnx_file.rs"]
mod onnx_file;
#[path = "../tests/world/raw_file.rs"]
mod raw_file;
#[path = "../tests/world/tensorflow_file.rs"]
mod tensorflow_file;
#[path = "../tests/world/traineddata_file.rs"]
mod traineddata_file;
#[path = "../tests/portrait/writer.rs"]
mod writer;

use std::path::PathBuf;

use raw_file::raw;
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

/// A crop through a matrix, and points through the same.
fn landmarks() -> Vec<u8> {
    let mut w = Writer::new();
    let (map, matrix, points) = (w.tensor(&[1, 4, 4, 2]), w.tensor(&[1, 4, 4]), w.tensor(&[1, 5, 2]));
    let crop = w.tensor(&[1, 3, 3, 2]);
    w.operator(32, "TransformTensorBilinear", &[map, matrix], crop, vec![]);
    let moved = w.tensor(&[1, 5, 2]);
    w.operator(32, "TransformLandmarks", &[points, matrix], moved, vec![]);
    w.finish(&[map, matrix, points], &[crop, moved])
}

fn photos() -> Vec<(&'static str, Vec<u8>)> {
    let picture = image::RgbImage::from_fn(19, 13, |x, y| image::Rgb([(x * 13) as u8, (y * 19) as u8, (x * y) as u8]));
    let written = |format| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).expect("written");
        bytes.into_inner()
    };
    use image::ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    let mut photos: Vec<_> = [("png", Png), ("webp", WebP), ("tiff", Tiff), ("gif", Gif), ("bmp", Bmp), ("jpeg", Jpeg)]
        .map(|(name, format)| (name, written(format)))
        .into();
    photos.push(("raw", raw(&written(Jpeg))));
    photos
}

const SIDECAR: &str = "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
    <rdf:Description rdf:about='' xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmp:Rating='3'><xmp:Label>Red</xmp:Label>\
    </rdf:Description></rdf:RDF></x:xmpmeta>";

const MANIFEST: &str = "name: net\nversion: 2\ntask: embedding\narchitecture: resnet\nlicense: MIT\ndevices: [cpu]\n\
    quality: [{metric: top-1, value: 76.1, data: ImageNet, source: its authors}]\n\
    files:\n- {name: a.pth, size: 9, sources: [https://example.org/a.pth]}\n\
    sources:\n- wheel: {package: p, version: \"1\", file: p.whl, entry: p/a.pth}\n\
    preprocess: {resize: {square: 224}, filter: bicubic, mean: [0, 0, 0], std: [1, 1, 1]}\n";

/// Twelve rows of three numbers in two row groups, with scores.
fn features() -> Vec<u8> {
    use arrow_array::builder::{Float32Builder, ListBuilder};
    use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray};
    use std::sync::Arc;
    let mut rows = ListBuilder::new(Float32Builder::new());
    for row in 0..12u8 {
        rows.append_value((0..3).map(|at| Some(f32::from((row * 7 + at * 5) % 11) + 0.5)));
    }
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(StringArray::from_iter_values((0..12).map(|row| format!("{row}.jpg")))) as ArrayRef),
        ("feature", Arc::new(rows.finish()) as ArrayRef),
        ("score", Arc::new(Float32Array::from_iter_values((0..12u8).map(f32::from))) as ArrayRef),
    ])
    .expect("a batch");
    let properties =
        parquet::file::properties::WriterProperties::builder().set_max_row_group_row_count(Some(8)).build();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.into_inner().expect("whole")
}

/// Graphs that together have every operator.
fn graphs() -> Vec<(String, Vec<u8>)> {
    use base64::Engine as _;
    let record: serde_json::Value =
        serde_json::from_str(include_str!("../tests/parity/onnx_operators.json")).expect("JSON");
    let case = |case: &serde_json::Value| {
        let text = |key: &str| case[key].as_str().expect("text").to_owned();
        (text("name"), base64::engine::general_purpose::STANDARD.decode(text("model")).expect("base64"))
    };
    record["cases"].as_array().expect("cases").iter().map(case).collect()
}

/// Convolutions, a normalisation and rectifiers, as in the blocks of a frozen detector.
fn frozen_graph() -> Vec<u8> {
    use tensorflow_file::{floats, node, normalisation, window};
    [
        floats("w", &[3, 3, 3, 2], &[0.1; 54]),
        node("Identity", "w/read", &["w"], &[]),
        node("Conv2D", "conv", &["Preprocessor/sub", "w/read"], &window(2)),
        floats("taps", &[3, 3, 2, 1], &[0.2; 18]),
        node("DepthwiseConv2dNative", "filtered", &["conv", "taps"], &window(1)),
        normalisation("filtered", &[0.24; 2], &[0.5; 2]),
        node("Relu6", "dark", &["norm/add_1"], &[]),
    ]
    .concat()
}

/// What passes over rows of two numbers compute: rows, sums, counts.
fn outputs() -> [(&'static str, Vec<u8>); 4] {
    let row = |key: f64, cluster: u64| {
        let numbers = [0.5f32, -1.0].map(f32::to_le_bytes).concat();
        [&key.to_le_bytes()[..], &cluster.to_le_bytes(), &numbers].concat()
    };
    let told = |header: &str, content: Vec<u8>| [header.as_bytes(), b"\n", &content].concat();
    let (sums, counts, norms) = ([3i64, -4].map(i64::to_le_bytes), [2u64], [25i128]);
    let sums = [&sums.concat()[..], &counts[0].to_le_bytes(), &norms[0].to_le_bytes()].concat();
    [
        ("sampled", told(r#"{"Sampled":{"dim":2,"rows":9,"longest":0,"wanted":2}}"#, [row(0.1, 0), row(0.2, 1)].concat())),
        ("sums", told(r#"{"Sums":{"dim":2,"clusters":1,"scale":{"bits":20}}}"#, sums)),
        ("splinters", told(r#"{"Splinters":{"dim":2,"rows":9,"drawn":[[2,24],[1,0]]}}"#, row(0.1, 0))),
        ("pairs", told(r#"{"Pairs":{"rows":9,"pairs":3,"met":2}}"#, Vec::new())),
    ]
}

/// Rows of two numbers around two centroids, none of them removed.
fn division() -> Vec<u8> {
    let header = r#"{"dim":2,"centroids":2,"limit":2,"similarity":0.9,"keep":"Best","scores":1,"rows":9}"#;
    let numbers = [1.0f32, 0.0, 0.0, 1.0, 0.5].map(f32::to_le_bytes).concat();
    [header.as_bytes(), b"\n", &numbers, &[0; 16]].concat()
}

/// A stored and a deflated entry, as in a wheel.
fn wheel() -> Vec<u8> {
    use std::io::Write as _;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for name in ["p/a.pth", "p-1.dist-info/RECORD"] {
        archive.start_file(name, stored).expect("begun");
        archive.write_all(b"some bytes").expect("written");
    }
    archive.finish().expect("whole").into_inner()
}

/// Into a folder for each reader below the folder given.
fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).expect("a folder"));
    let write = |reader: &str, name: &str, bytes: &[u8]| {
        let folder = folder.join(reader);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), bytes)
    };
    for (name, bytes) in [("block", block()), ("rearrangements", rearrangements()), ("landmarks", landmarks())] {
        write("tflite", name, &bytes)?;
    }
    for (reader, bytes) in photos() {
        write(reader, "drawn", &bytes)?;
    }
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    for (reader, folder) in [("jpeg", "jpeg"), ("weights", "checkpoints")] {
        for entry in std::fs::read_dir(fixtures.join(folder))?.flatten().filter(|entry| entry.path().is_file()) {
            write(reader, &entry.file_name().to_string_lossy(), &std::fs::read(entry.path())?)?;
        }
    }
    for entry in std::fs::read_dir(fixtures.join("photo"))?.flatten() {
        if let Some(reader) =
            entry.path().extension().and_then(|it| it.to_str()).filter(|it| matches!(*it, "avif" | "heic" | "jxl"))
        {
            write(reader, &entry.file_name().to_string_lossy(), &std::fs::read(entry.path())?)?;
        }
    }
    write("resize", "up", &[18, 12, 30, 3, 0, 9])?;
    write("xmp", "rated", SIDECAR.as_bytes())?;
    write("manifest", "net", MANIFEST.as_bytes())?;
    write("features", "rows", &features())?;
    write("wheel", "two", &wheel())?;
    for (name, output) in outputs() {
        write("outputs", name, &output)?;
    }
    write("divisions", "two", &division())?;
    for (name, graph) in graphs() {
        write("onnx", &name, &graph)?;
    }
    write("tensorflow", "block", &frozen_graph())?;
    for (name, integers) in [("fractions", false), ("whole-numbers", true)] {
        write("traineddata", name, &traineddata_file::dark_is_an_i(integers))?;
    }
    Ok(())
}
