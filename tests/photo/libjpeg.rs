//! JPEG pixels equal libjpeg-turbo's, bit for bit. `tests/reference/jpeg_pixels.py` made the files and the table.

use std::fmt::Write;
use std::path::Path;

use photo::{Limits, Scale, decode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::shared::read;

const SHRINKS: [u32; 4] = [1, 2, 4, 8];

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string");
        text
    })
}

#[test]
fn every_coding_and_scale_gives_its_pixels() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table: Value = serde_json::from_slice(&read(&root.join("tests/reference/jpeg_pixels.json"))).expect("JSON");
    let rows = table["sha256"].as_object().expect("a table");
    assert!(rows.len() >= 25);
    let mut wrong = Vec::new();
    for (name, wanted) in rows {
        let bytes = read(&root.join("fixtures").join(name));
        let long = decode(&bytes, Scale::Full, &Limits::default()).expect(name).pixels.long_side();
        for (at, shrink) in SHRINKS.into_iter().enumerate() {
            let side = long.div_ceil(shrink);
            if shrink < 8 && long.div_ceil(shrink * 2) == side {
                // So small that a further step changes nothing, and would be taken.
                continue;
            }
            let scale = if shrink == 1 { Scale::Full } else { Scale::AtLeast(side) };
            let photo = decode(&bytes, scale, &Limits::default()).expect(name);
            if sha256(photo.pixels.data()) != wanted[at] {
                wrong.push(format!("{name} at 1/{shrink}"));
            }
        }
    }
    assert!(wrong.is_empty(), "other pixels: {wrong:?}");
}
