//! `albumctl detect`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::world::{World, object_model, report, shared_data, skipped};

/// A white picture with a black square in its middle.
fn dog(world: &World, name: &str) {
    let inside = |x: u32, y: u32| (120..180).contains(&x) && (120..180).contains(&y);
    let picture = image::RgbImage::from_fn(300, 300, |x, y| image::Rgb([if inside(x, y) { 0 } else { 255 }; 3]));
    picture.save(world.photos().join(name)).unwrap();
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn objects_are_found_and_named() {
    let world = World::new();
    object_model::install(&world, &object_model::file());
    dog(&world, "dog.png");
    image::RgbImage::from_pixel(64, 64, image::Rgb([255; 3])).save(world.photos().join("empty.png")).unwrap();
    let lines = world.run(["detect", "photos"]).expect(0).lines();
    let [object] = lines[0]["objects"].as_array().unwrap().as_slice() else { panic!("{}", lines[0]) };
    assert_eq!((&object["label"], &object["class_id"]), (&json!("dog"), &json!(18)));
    // Three channels of 4 each, less 6: the sigmoid of 6.
    assert!((object["score"].as_f64().unwrap() - 0.9975).abs() < 1e-3, "{object}");
    let off =
        numbers(&object["bbox"]).iter().zip([0.25, 0.25, 0.5, 0.5]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(off < 1e-6, "{object}");
    assert_eq!(lines[0]["model"], "ssd-mobilenet-v2@2");
    assert_eq!(lines[1]["objects"], json!([]));
    // From the store, the same.
    assert_eq!(world.run(["detect", "photos"]).expect(0).lines(), lines);
    let sure = world.run(["detect", "photos", "--min-score", "0.999"]).expect(0).lines();
    assert_eq!(sure[0]["objects"], json!([]));
    let table = world.run(["detect", "photos", "--format", "table"]).expect(0).text();
    assert!(table.contains("dog.png") && table.contains("dog 1.00"), "{table}");
    let csv = world.run(["detect", "photos", "--format", "csv"]).expect(0).text();
    assert!(csv.starts_with("image_path,image_path_b64,objects,model"), "{csv}");
    // `analyze` has them, too, and a selection from its file does with them.
    let analysed = world.run(["analyze", "photos", "-o", "analysis.jsonl"]).expect(0);
    assert!(analysed.text().is_empty());
    let first = fs::read_to_string(world.path("analysis.jsonl")).unwrap();
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert_eq!(first["objects"], lines[0]["objects"]);
    world.run(["select", "--from", "analysis.jsonl"]).expect(0);
}

#[test]
fn annotated_copies_show_the_boxes() {
    let world = World::new();
    object_model::install(&world, &object_model::file());
    dog(&world, "dog.png");
    let before = fs::read(world.photos().join("dog.png")).unwrap();
    for _ in 0..2 {
        world.run(["detect", "photos", "--annotate", "drawn"]).expect(0);
        let names: Vec<_> = fs::read_dir(world.path("drawn")).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(names, ["dog.objects.png"], "a second run writes nothing new");
    }
    let drawn = image::open(world.path("drawn/dog.objects.png")).unwrap().to_rgb8();
    assert_ne!(drawn.get_pixel(75, 150).0, [255; 3], "the left edge of the box");
    assert_eq!(drawn.get_pixel(20, 280).0, [255; 3]);
    assert_eq!(fs::read(world.photos().join("dog.png")).unwrap(), before);
    world.run(["detect", "photos", "--annotate", "photos"]).expect(2);
}

#[test]
fn without_the_model_it_says_how_to_get_it() {
    let world = World::new();
    world.photo("a.png", 1);
    let seen = world.run(["detect", "photos"]).expect(1);
    let told = ["albumctl models pull ssd-mobilenet-v2", "frozen_inference_graph.pb"];
    assert!(told.iter().all(|part| seen.stderr.contains(part)), "{}", seen.stderr);
    let seen = world.run(["detect", "--model", "dinov2-s", "photos"]).expect(2);
    assert!(seen.stderr.contains("`dinov2-s` does not do this"), "{}", seen.stderr);
    let seen = world.run(["detect", "--min-score", "0.01", "photos"]).expect(2);
    assert!(seen.stderr.contains("between 0.05 and 1"), "{}", seen.stderr);
    assert!(world.run(["analyze", "photos"]).expect(0).lines()[0]["objects"].is_null());
}

/// A file of ultralytics, with random weights.
#[test]
fn yolov8_runs_from_a_file_of_ones_own() {
    let world = World::new();
    dog(&world, "dog.png");
    let seen = world.run(["detect", "--model", "yolov8n", "photos"]).expect(1);
    let told = ["github.com/ultralytics", "models import FILE --as yolov8n@8.0.0 --trust-first"];
    assert!(told.iter().all(|part| seen.stderr.contains(part)), "{}", seen.stderr);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/yolov8_tiny.pt");
    let import = ["models", "import", file, "--as", "yolov8n", "--trust-first"];
    let refused = world.run(import.into_iter().chain(["--license-policy", "no-agpl"])).expect(1);
    assert!(refused.stderr.contains("AGPL-3.0"), "{}", refused.stderr);
    world.run(import).expect(0);
    let lines = world.run(["detect", "--model", "yolov8n", "--min-score", "0.05", "photos"]).expect(0).lines();
    let objects = lines[0]["objects"].as_array().unwrap();
    assert!(!objects.is_empty() && lines[0]["model"] == "yolov8n@8.0.0", "{}", lines[0]);
    for object in objects {
        // The file's names are COCO's, so they have COCO's numbers.
        let known = [("person", 1), ("dog", 18), ("teddy bear", 88)];
        let class = (object["label"].as_str().unwrap(), object["class_id"].as_u64().unwrap());
        assert!(known.contains(&class), "{object}");
        assert!(numbers(&object["bbox"]).iter().all(|share| (0.0..=1.0).contains(share)), "{object}");
    }
    // A file of another network is refused by what it lacks.
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/checkpoints/nested.pt");
    world.run(["models", "import", other, "--as", "yolov8s", "--trust-first"]).expect(0);
    let seen = world.run(["detect", "--model", "yolov8s", "photos"]).expect(1);
    assert!(seen.stderr.contains("no tensor `model.0.conv.weight`"), "{}", seen.stderr);
}

/// What both boxes cover, as a share of what either covers.
fn shared([a, b]: [&[f64]; 2]) -> f64 {
    let area = |edges: [f64; 4]| (edges[2] - edges[0]).max(0.0) * (edges[3] - edges[1]).max(0.0);
    let [a, b] = [a, b].map(|edges| <[f64; 4]>::try_from(edges).unwrap());
    let both = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    both / (area(a) + area(b) - both)
}

/// The objects that OpenCV finds with the same file, of a score above 0.4: found with a score within 0.02 and a box that
/// shares 0.9 with it.
#[test]
fn published_weights_find_what_opencv_finds() {
    let Some(folder) = shared_data("content") else { return };
    let Some(weights) = std::env::var_os("ALBUMCTL_WEIGHTS") else {
        return skipped("ALBUMCTL_WEIGHTS names no folder with the published weights");
    };
    let file = Path::new(&weights).join("frozen_inference_graph.pb");
    if !file.exists() {
        return skipped(&format!("no {}", file.display()));
    }
    let world = World::new();
    world.run(["models", "import", file.to_str().unwrap()]).expect(0);
    let (mut wanted, mut found, mut ours) = (0, 0, 0);
    for (answers, photos) in [("detect_faces_golden", "faces_golden/png"), ("detect_iqa_golden", "iqa_golden")] {
        let answers = fs::read_to_string(folder.join(answers).with_extension("json")).unwrap();
        let answers: Value = serde_json::from_str(&answers).unwrap();
        let photos = folder.parent().unwrap().join(photos);
        let lines = world.run(["detect", photos.to_str().unwrap(), "--min-score", "0.3"]).expect(0).lines();
        for case in answers["cases"].as_array().unwrap() {
            let name = case["file"].as_str().unwrap();
            let line = lines.iter().find(|line| line["image_path"].as_str().unwrap().ends_with(name)).unwrap();
            let mut left = line["objects"].as_array().unwrap().clone();
            ours += left.iter().filter(|object| object["score"].as_f64().unwrap() > 0.4).count();
            let surest = case["objects"].as_array().unwrap().iter();
            for theirs in surest.filter(|theirs| theirs["score"].as_f64().unwrap() > 0.4) {
                wanted += 1;
                let edges = numbers(&theirs["box_xyxy"]);
                let same = |ours: &Value| {
                    let bbox = numbers(&ours["bbox"]);
                    let bbox = [bbox[0], bbox[1], bbox[0] + bbox[2], bbox[1] + bbox[3]];
                    let score = ours["score"].as_f64().unwrap() - theirs["score"].as_f64().unwrap();
                    ours["class_id"] == theirs["class_id"] && score.abs() <= 0.02 && shared([&bbox, &edges]) >= 0.9
                };
                match left.iter().position(same) {
                    Some(at) => {
                        left.remove(at);
                        found += 1;
                    }
                    None => report(&format!("{name}: {theirs} is not among {left:?}")),
                }
            }
        }
    }
    report(&format!("ssd-mobilenet-v2: {found} of OpenCV's {wanted} objects, {ours} in all"));
    assert!(f64::from(found) >= 0.97 * f64::from(wanted) && ours <= wanted as usize + 2, "{found} of {wanted}, {ours}");
}
