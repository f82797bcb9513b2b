//! What a clustering says of itself: the original's `cluster_stats.json` and `clusters.csv`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Method, NOISE};

/// What only some methods know.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Details {
    /// By the method's own label.
    pub persistence: BTreeMap<i32, f64>,
    /// Further keys of the original's statistics, as they are written.
    pub more: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    algorithm: &'static str,
    params: Value,
    photos: usize,
    /// Photos a group, by group number.
    pub sizes: Vec<usize>,
    pub noise: usize,
    /// How long each group lasts while the density rises (0–1), by group number; methods that know only.
    pub persistence: BTreeMap<usize, f64>,
    more: Map<String, Value>,
}

impl Stats {
    /// `origin[group]` is the label the method itself gave.
    pub(crate) fn new(method: &Method, sizes: Vec<usize>, is_noise: &[bool], details: Details, origin: &[i32]) -> Self {
        let persistence = origin
            .iter()
            .enumerate()
            .filter(|&(_, &label)| label != NOISE)
            .filter_map(|(group, label)| Some((group, *details.persistence.get(label)?)))
            .collect();
        let params = serde_json::to_value(method).map_or(Value::Null, |mut value| value["params"].take());
        let noise = is_noise.iter().filter(|&&is| is).count();
        let photos = is_noise.len();
        Self { algorithm: method.name(), params, photos, sizes, noise, persistence, more: details.more }
    }

    /// `cluster_stats.json`: the original's keys, plus what the method adds.
    pub fn to_json(&self) -> Value {
        let noise_ratio = if self.photos == 0 { 0.0 } else { self.noise as f64 / self.photos as f64 };
        let mut object = Map::new();
        object.insert("algorithm".into(), json!(self.algorithm));
        object.insert("n_clusters".into(), json!(self.sizes.len()));
        object.insert("n_noise".into(), json!(self.noise));
        object.insert("noise_ratio".into(), json!(noise_ratio));
        object.insert("cluster_sizes".into(), by_group(self.sizes.iter().enumerate()));
        if !self.persistence.is_empty() {
            object.insert("cluster_persistence".into(), by_group(self.persistence.iter().map(|(&id, v)| (id, v))));
        }
        object.extend(self.more.clone());
        object.insert("params".into(), self.params.clone());
        Value::Object(object)
    }
}

fn by_group<T: Serialize>(values: impl Iterator<Item = (usize, T)>) -> Value {
    Value::Object(values.map(|(group, value)| (group.to_string(), json!(value))).collect())
}
