//! The five technical numbers, recorded from the original's own code.

use std::fs;

use serde_json::Value;

use crate::world::{World, report, shared_data};

const FIELDS: [(&str, &str); 5] = [
    ("iqa_score", "overall"),
    ("sharpness", "sharpness_normalized"),
    ("exposure", "exposure"),
    ("colorfulness", "colorfulness_normalized"),
    ("contrast", "contrast"),
];

#[test]
fn the_five_numbers_are_the_originals() {
    let Some(folder) = shared_data("iqa_golden") else { return };
    let golden: Vec<Value> = serde_json::from_slice(&fs::read(folder.join("golden.json")).unwrap()).unwrap();
    let world = World::new();
    let mut differences: Vec<f64> = Vec::new();
    for expected in &golden {
        let file = folder.join(expected["file"].as_str().unwrap());
        let got = &world.run(["score", file.to_str().unwrap()]).expect(0).lines()[0];
        for (ours, theirs) in FIELDS {
            let difference = (got[ours].as_f64().unwrap() - expected[theirs].as_f64().unwrap()).abs();
            assert!(difference < 1e-3, "{}: {ours} differs by {difference}", file.display());
            differences.push(difference);
        }
        assert_eq!((&got["width"], &got["height"]), (&expected["width"], &expected["height"]));
    }
    assert!(!golden.is_empty());
    differences.sort_by(f64::total_cmp);
    let (median, worst) = (differences[differences.len() / 2], differences[differences.len() - 1]);
    report(&format!("{} photos: median difference {median:.1e}, worst {worst:.1e}", golden.len()));
}
