//! The twin of tests/reference/formula.py: weights and pictures that both sides compute.

#![allow(dead_code, reason = "every test program uses its own part")]

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use base::pixels::Pixels;
use base::random::mixed;
use networks::checkpoint::{Checkpoint, WeightsError};
use safetensors::tensor::{Dtype, TensorView};

const SIZES: [(u32, u32); 12] = [
    (300, 400),
    (400, 300),
    (256, 256),
    (224, 500),
    (640, 250),
    (333, 257),
    (224, 224),
    (257, 700),
    (512, 384),
    (301, 299),
    (480, 360),
    (230, 1000),
];

fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// Number `index` of a tensor, in -1..1: splitmix64 from the hash of the name on.
fn noise(hash: u64, index: usize) -> f64 {
    let z = mixed(hash.wrapping_add((index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    (z >> 40) as f64 / 8_388_608.0 - 1.0
}

fn values(name: &str, shape: &[usize]) -> Vec<f32> {
    let (hash, count) = (fnv1a(name), shape.iter().product());
    let last = name.rsplit('.').next().unwrap_or_default();
    let (base, factor) = match last {
        "num_batches_tracked" => (0.0, 0.0),
        "running_var" => (1.0, 0.5),
        "running_mean" | "bias" => (0.0, 0.1),
        "gamma" | "lambda1" => (0.3, 0.1),
        "cls_token" | "pos_embed" | "position_embeddings" | "register_tokens" | "mask_token" => (0.0, 0.5),
        _ if shape.len() == 1 && name.contains("bn3") => (0.3, 0.1),
        _ if shape.len() == 1 => (1.0, 0.2),
        _ => {
            let fan_in: usize = shape[1..].iter().product();
            let gain = if shape.len() == 4 { 6.0 } else { 3.0 };
            (0.0, (gain / fan_in as f64).sqrt())
        }
    };
    (0..count).map(|i| (base + factor * noise(hash, i)) as f32).collect()
}

/// A checkpoint whose numbers follow from its names.
#[derive(Debug)]
pub struct Formula {
    pub shapes: BTreeMap<String, Vec<usize>>,
    /// Tensors that were changed after filling.
    pub changed: HashMap<String, Vec<f32>>,
}

impl Formula {
    pub fn new(tensors: &serde_json::Value) -> Self {
        let shape = |value: &serde_json::Value| {
            value.as_str().unwrap().split_whitespace().map(|side| side.parse().unwrap()).collect()
        };
        let shapes = tensors.as_object().unwrap().iter().map(|(name, value)| (name.clone(), shape(value))).collect();
        Self { shapes, changed: HashMap::new() }
    }

    /// Of a network whose tensors `tests/parity` records.
    pub fn recorded(name: &str) -> Self {
        let path = format!("{}/tests/parity/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let record: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        Self::new(&record["tensors"])
    }

    /// As a file of weights that says `about` of itself.
    pub fn safetensors(&self, about: Option<HashMap<String, String>>) -> Vec<u8> {
        let bytes = |name: &String| self.values(name).iter().flat_map(|v| v.to_le_bytes()).collect();
        let bytes: BTreeMap<&String, Vec<u8>> = self.shapes.keys().map(|name| (name, bytes(name))).collect();
        let view = |(name, shape): (&String, &Vec<usize>)| {
            (name.clone(), TensorView::new(Dtype::F32, shape.clone(), &bytes[name]).unwrap())
        };
        safetensors::serialize(self.shapes.iter().map(view), about).unwrap()
    }

    pub fn values(&self, name: &str) -> Vec<f32> {
        self.changed.get(name).cloned().unwrap_or_else(|| values(name, &self.shapes[name]))
    }
}

impl Checkpoint for Formula {
    fn file(&self) -> PathBuf {
        PathBuf::from("(formula)")
    }

    fn names(&self) -> Vec<String> {
        self.shapes.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.shapes.get(name).cloned()
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        Ok(self.values(name))
    }
}

/// A smooth scene, edges and some noise; every index has shapes and colours of its own.
pub fn picture(index: u64) -> Pixels {
    let (width, height) = SIZES[index as usize % SIZES.len()];
    let mut data = Vec::new();
    for y in 0..u64::from(height) {
        for x in 0..u64::from(width) {
            for c in 0..3 {
                data.push(level(index, x, y, c));
            }
        }
    }
    Pixels::new(width, height, data).unwrap()
}

fn level(index: u64, x: u64, y: u64, c: u64) -> u8 {
    let h = (x * 73_856_093) ^ (y * 19_349_663) ^ ((c + 3 * index + 1) * 83_492_791);
    let h = (h ^ (h >> 13)) & 0xffff_ffff;
    let h = h.wrapping_mul(0x5bd1_e995) & 0xffff_ffff;
    let grain = (h >> 15) & 255;
    let period = 9 + 7 * ((index * 5 + c * 3) % 11);
    let edge = if (x / period + y / (period + index)).is_multiple_of(3) { 255 } else { 0 };
    let slope = (x * (1 + (index + c) % 4) + y * (1 + (index * 3 + c) % 5)) / 4 % 256;
    let weight = 1 + index % 4;
    ((grain + edge * weight + slope * (6 - index % 4)) / (7 + weight - index % 4)) as u8
}
