//! Statistics of a clustering, in the format of the original's `cluster_stats.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Method, NOISE};

/// Statistics that only some methods provide.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Details {
    /// The persistence of each group, by the method's own label.
    pub persistence: BTreeMap<i32, f64>,
    /// Additional keys for the JSON output.
    pub extra: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    algorithm: &'static str,
    params: Value,
    photos: usize,
    /// The number of photos in each group, by group number.
    pub sizes: Vec<usize>,
    pub noise: usize,
    /// The persistence of each group from 0 to 1, by group number; empty if the method does not compute it.
    pub persistence: BTreeMap<usize, f64>,
    extra: Map<String, Value>,
}

impl Stats {
    /// `origin[group]` is the method's own label of the group.
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
        Self { algorithm: method.name(), params, photos, sizes, noise, persistence, extra: details.extra }
    }

    /// The content of `cluster_stats.json`: the original's keys and those that the method adds.
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
        object.extend(self.extra.clone());
        object.insert("params".into(), self.params.clone());
        Value::Object(object)
    }
}

fn by_group<T: Serialize>(values: impl Iterator<Item = (usize, T)>) -> Value {
    Value::Object(values.map(|(group, value)| (group.to_string(), json!(value))).collect())
}
