//! The expression network and the mesh it starts from, against MediaPipe Tasks 0.10.21; and bundles that must be refused.

use std::io::Write as _;

use base::pixels::Pixels;
use hub::expressions::ExpressionNetworks;
use hub::faces::{BundleError, FacesError};
use judge::portrait::{BLENDSHAPES, Crop, Detector, Thresholds};
use kernels::Cpu;
use proptest::prelude::*;
use serde_json::Value;

use crate::golden::{analyzer, number};
use crate::shared;
use crate::writer::Writer;

const MESH: &str = "face_landmarks_detector.tflite";
const EXPRESSIONS: &str = "face_blendshapes.tflite";

pub fn picture(name: &str) -> Option<Pixels> {
    let image = image::load_from_memory(&shared::golden(&format!("png/{name}"))?).unwrap().to_rgb8();
    Pixels::new(image.width(), image.height(), image.into_raw())
}

#[test]
fn expressions_and_landmarks_equal_mediapipes() {
    let Some(golden) = shared::golden("blendshapes.json") else { return };
    let Some(analyzer) = analyzer(hub::faces::Landmarks::Attention, Thresholds::default()) else { return };
    let Some(bundle) = shared::bundle() else { return };
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    for cpu in Cpu::available() {
        let networks = ExpressionNetworks::load(&bundle, cpu).unwrap();
        let (mut worst_score, mut worst_point, mut faces) = (0.0f64, 0.0f64, 0);
        for case in golden["cases"].as_array().unwrap() {
            let name = case["png"].as_str().unwrap();
            let Some(pixels) = picture(name) else { return };
            let (width, height) = (pixels.width(), pixels.height());
            let found = analyzer.detect(&pixels, Detector::ShortRange);
            let seen: Vec<_> =
                found.iter().map(|face| networks.look(&pixels, &Crop::around(face, width, height))).collect();
            let expected = case["faces"].as_array().unwrap();
            assert_eq!(seen.iter().filter(|seen| seen.presence > 0.5).count(), expected.len(), "{name}");
            for expected in expected {
                let bbox: Vec<f64> = expected["landmarks_bbox"].as_array().unwrap().iter().map(number).collect();
                let point = |index: &str| {
                    let point = &expected["landmarks_16"][index];
                    [number(&point[0]), number(&point[1])]
                };
                let distance = |index: &str, points: &[[f64; 3]]| {
                    let ([x, y], [a, b, _]) = (point(index), points[index.parse::<usize>().unwrap()]);
                    ((x - a) / bbox[2]).hypot((y - b) / bbox[3])
                };
                let near = |a: &f64, b: &f64| a.total_cmp(b);
                let seen = seen
                    .iter()
                    .min_by(|a, b| near(&distance("13", &a.landmarks), &distance("13", &b.landmarks)))
                    .unwrap();
                for index in expected["landmarks_16"].as_object().unwrap().keys() {
                    worst_point = worst_point.max(distance(index, &seen.landmarks));
                }
                for (score, shape) in seen.blendshapes.0.iter().zip(BLENDSHAPES) {
                    let off = (f64::from(*score) - number(&expected["blendshapes"][shape])).abs();
                    assert!(off <= 0.01, "{name} {shape} {cpu}: {score}, off by {off}");
                    worst_score = worst_score.max(off);
                }
                faces += 1;
            }
        }
        println!("{cpu}: {faces} faces, scores off by {worst_score:.4}, landmarks by {worst_point:.4} of the face box");
        assert_eq!(faces, 12);
        assert!(worst_point <= 0.003, "{cpu}: landmarks off by {worst_point} of the face box");
    }
}

/// An entry of a zip archive: name, what it holds, whether that is deflated, and what it is said to take unpacked.
struct Member<'a> {
    name: &'a str,
    held: Vec<u8>,
    deflated: bool,
    said: u32,
}

fn stored(name: &str, held: Vec<u8>) -> Member<'_> {
    Member { name, deflated: false, said: held.len() as u32, held }
}

fn archive(members: &[Member]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for Member { name, held, deflated, said } in members {
        let offset = file.len() as u32;
        let method = if *deflated { 8u16 } else { 0 };
        let (packed, length) = (held.len() as u32, name.len() as u16);
        file.extend(b"PK\x03\x04\x14\0\0\0");
        directory.extend(b"PK\x01\x02\x14\0\x14\0\0\0");
        for part in [&mut file, &mut directory] {
            part.extend(method.to_le_bytes());
            // Neither time nor checksum is looked at: the file as a whole is held to its sha256.
            part.extend([0; 8]);
            part.extend(packed.to_le_bytes());
            part.extend(said.to_le_bytes());
            part.extend(length.to_le_bytes());
            part.extend([0; 2]);
        }
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        file.extend(name.as_bytes());
        file.extend(held);
        directory.extend(name.as_bytes());
    }
    let (begin, length, count) = (file.len() as u32, directory.len() as u32, members.len() as u16);
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend(count.to_le_bytes());
    file.extend(count.to_le_bytes());
    file.extend(length.to_le_bytes());
    file.extend(begin.to_le_bytes());
    file.extend([0; 2]);
    file
}

/// A sound graph, of another shape than any network of the bundle.
fn other_network() -> Vec<u8> {
    let mut w = Writer::new();
    let (input, output) = (w.tensor(&[1, 4, 4, 2]), w.tensor(&[1, 4, 4, 2]));
    w.operator(19, "", &[input], output, vec![]);
    let second = w.tensor(&[1, 4, 4, 2]);
    w.operator(19, "", &[output], second, vec![]);
    w.finish(&[input], &[output, second])
}

fn refusal(bundle: &[u8]) -> String {
    ExpressionNetworks::load(bundle, Cpu::best()).expect_err("must be refused").to_string()
}

#[test]
fn hostile_bundles_are_refused() {
    let zeros = |count: usize| {
        let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![0; count]).unwrap();
        packer.finish().unwrap()
    };
    let bomb = |said: u32, held: usize| Member { name: MESH, held: zeros(held), deflated: true, said };
    let graph = other_network();
    for (members, says) in [
        (vec![], "its directory is empty"),
        (vec![stored("readme", vec![1])], "it has 0 entries of the name face_landmarks_detector.tflite"),
        (vec![stored(MESH, graph.clone()), stored(MESH, graph.clone())], "it has 2 entries of the name"),
        (vec![bomb(1000, 50 << 20)], "does not have the 1000 bytes that it claims"),
        (vec![bomb(1 << 30, 1000)], "claims 1073741824 bytes"),
        (vec![Member { said: 9999, ..stored(MESH, graph.clone()) }], "does not have the 9999 bytes"),
        (vec![Member { deflated: true, ..stored(MESH, vec![255; 99]) }], "cannot be unpacked"),
        (vec![stored(MESH, b"no graph".to_vec())], "not a TensorFlow Lite file"),
        (vec![stored(MESH, graph[..graph.len() / 2].to_vec())], "face_landmarks_detector.tflite: cut short or damaged"),
        (vec![stored(MESH, graph.clone()), stored(EXPRESSIONS, graph.clone())], "not the network it should be"),
    ] {
        let said = refusal(&archive(&members));
        assert!(said.contains(says), "{said:?} where {says:?} belongs");
    }
    assert!(refusal(b"").contains("no end record"));
    let many: Vec<Member> = (0..100).map(|_| stored("x", vec![])).collect();
    let error = ExpressionNetworks::load(&archive(&many), Cpu::best()).unwrap_err();
    assert!(matches!(error, FacesError::Bundle(BundleError::Entries { found: 100 })), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_bundles_are_errors(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = archive(&[stored(MESH, other_network()), stored(EXPRESSIONS, other_network())]);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        prop_assert!(ExpressionNetworks::load(&bytes, Cpu::best()).is_err());
    }
}
