//! `.pt` and `.pth` files of `torch.save`: a zip since version 1.6, a stream before.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

use super::archive::Archive;
use super::element::{Element, count};
use super::pickle::{self, Pickle, Tensor, Value};
use super::source::Source;
use super::stream::Stream;
use crate::checkpoint::WeightsError;

#[derive(Debug)]
pub(super) struct TorchFile {
    storages: Storages,
    pub metadata: Json,
    tensors: BTreeMap<String, View>,
}

/// The container of the storages.
#[derive(Debug)]
enum Storages {
    /// A zip with a member per storage; all names start with `prefix`.
    Zip {
        archive: Archive,
        prefix: String,
    },
    Stream(Stream),
}

impl Storages {
    fn source(&self) -> &Source {
        match self {
            Self::Zip { archive, .. } => &archive.source,
            Self::Stream(stream) => &stream.source,
        }
    }

    /// `len` bytes of a storage from `offset` on.
    fn read(&self, key: &str, offset: u64, len: u64) -> Result<Vec<u8>, WeightsError> {
        match self {
            Self::Zip { archive, prefix } => archive.read(&format!("{prefix}data/{key}"), offset, len),
            Self::Stream(stream) => stream.read(key, offset, len),
        }
    }
}

/// The position of a tensor's elements.
#[derive(Clone, Debug)]
struct View {
    kind: String,
    key: String,
    storage_len: usize,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl TorchFile {
    pub fn open_zip(source: Source) -> Result<Self, WeightsError> {
        let archive = Archive::open(source)?;
        let pickle_name = archive.names().find(|name| *name == "data.pkl" || name.ends_with("/data.pkl"));
        let Some(pickle_name) = pickle_name.map(str::to_owned) else {
            return Err(archive.source.format_error("a zip, but not one of torch.save: it has no `data.pkl`"));
        };
        let prefix = pickle_name.trim_end_matches("data.pkl").to_owned();
        let order = format!("{prefix}byteorder");
        if let Some(len) = archive.len_of(&order).filter(|len| *len < 64)
            && archive.read(&order, 0, len)? != b"little"
        {
            return Err(archive.source.format_error("its numbers are big-endian"));
        }
        let len = archive.len_of(&pickle_name).unwrap_or(0);
        if len > pickle::LONGEST {
            return Err(archive.source.format_error(format!("its structure alone takes {len} bytes")));
        }
        let bytes = archive.read(&pickle_name, 0, len)?;
        let (pickle, root) = pickle::parse(&bytes).map_err(|why| archive.source.format_error(why))?;
        Self::of(Storages::Zip { archive, prefix }, &pickle, &root)
    }

    pub fn open_stream(source: Source) -> Result<Self, WeightsError> {
        let (stream, pickle, root) = Stream::open(source)?;
        Self::of(Storages::Stream(stream), &pickle, &root)
    }

    fn of(storages: Storages, pickle: &Pickle, root: &Value) -> Result<Self, WeightsError> {
        let Some(state) = state_dict(pickle, root) else {
            return Err(storages.source().format_error("it holds no tensors"));
        };
        let tensors = tensors(pickle, state);
        Ok(Self { storages, metadata: pickle.json(root), tensors })
    }

    pub fn source(&self) -> &Source {
        self.storages.source()
    }

    pub fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|view| view.shape.clone())
    }

    pub fn read(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let file = || self.source().path().to_owned();
        let Some(view) = self.tensors.get(name) else {
            return Err(WeightsError::Missing { file: file(), name: name.to_owned() });
        };
        let failed = |why: String| WeightsError::Tensor { file: file(), name: name.to_owned(), why };
        let Some(element) = Element::of_storage(&view.kind) else {
            return Err(failed(format!("numbers in a {} are not read", view.kind)));
        };
        let (len, span) = view.extent().ok_or_else(|| failed("shape and strides are beyond any storage".into()))?;
        if view.offset.checked_add(span).is_none_or(|end| end > view.storage_len) {
            return Err(failed(format!("reaches beyond its storage of {} numbers", view.storage_len)));
        }
        let size = element.size() as u64;
        let numbers = element.decode(&self.storages.read(&view.key, view.offset as u64 * size, span as u64 * size)?);
        Ok(if view.is_row_major() { numbers } else { view.gather(&numbers, len) })
    }
}

impl View {
    fn of(tensor: &Tensor) -> Self {
        Self {
            kind: tensor.storage.kind.to_string(),
            key: tensor.storage.key.to_string(),
            storage_len: tensor.storage.len,
            offset: tensor.offset,
            shape: tensor.shape.clone(),
            strides: tensor.strides.clone(),
        }
    }

    /// The number of elements, and the span of the storage they cover. Views with more elements than their storage (strides
    /// of zero) are refused: no checkpoint has one, and it could ask for any amount of memory.
    fn extent(&self) -> Option<(usize, usize)> {
        let len = count(&self.shape)?;
        if len == 0 {
            return Some((0, 0));
        }
        let mut sides = self.shape.iter().zip(&self.strides);
        let last = sides.try_fold(0usize, |at, (side, stride)| at.checked_add((side - 1).checked_mul(*stride)?))?;
        (len <= self.storage_len).then_some((len, last.checked_add(1)?))
    }

    fn is_row_major(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(side, stride)| {
            let fits = *side <= 1 || *stride == expected;
            expected *= side;
            fits
        })
    }

    fn gather(&self, numbers: &[f32], len: usize) -> Vec<f32> {
        let mut at = vec![0usize; self.shape.len()];
        let mut out = Vec::with_capacity(len);
        for _ in 0..len {
            out.push(numbers[at.iter().zip(&self.strides).map(|(i, stride)| i * stride).sum::<usize>()]);
            for (i, side) in at.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < *side {
                    break;
                }
                *i = 0;
            }
        }
        out
    }
}

/// Where the tensors are: in a dictionary, the root itself or under one of the keys that training scripts use; or in a
/// pickled module, of which ultralytics prefers the average over the training.
fn state_dict<'a>(pickle: &'a Pickle, root: &'a Value) -> Option<&'a Value> {
    let candidates = ["model_state_dict", "state_dict", "ema", "model"];
    let nested = candidates.iter().filter_map(|key| pickle.get(root, key));
    nested.chain([root]).find(|value| {
        pickle.attribute(value, MODULES).is_some()
            || pickle.dict(value).is_some_and(|pairs| pairs.iter().any(|(_, value)| matches!(value, Value::Tensor(_))))
    })
}

/// The attributes in which a module of torch has its tensors, and the modules in it.
const TENSORS: [&str; 2] = ["_parameters", "_buffers"];
const MODULES: &str = "_modules";
/// Maximum depth of modules in modules.
const DEEPEST: usize = 32;

/// Adds the tensors of a module and of all modules in it, named as `state_dict` would. Modules may be shared and even
/// contain themselves in a hostile file, so their visits are counted.
fn of_module(pickle: &Pickle, module: &Value, prefix: &str, left: &mut usize, found: &mut Vec<(String, Rc<Tensor>)>) {
    let entries = |name: &str| {
        let dict = pickle.attribute(module, name).and_then(|dict| pickle.dict(dict)).unwrap_or_default();
        dict.iter().filter_map(|(key, value)| match key {
            Value::Text(key) => Some((format!("{prefix}{key}"), value)),
            _ => None,
        })
    };
    for (name, value) in TENSORS.into_iter().flat_map(entries) {
        if let Value::Tensor(tensor) = value
            && found.len() < pickle::MOST_TENSORS
        {
            found.push((name, tensor.clone()));
        }
    }
    if prefix.split('.').count() > DEEPEST {
        return;
    }
    for (name, value) in entries(MODULES) {
        if *left == 0 {
            return;
        }
        *left -= 1;
        of_module(pickle, value, &format!("{name}."), left, found);
    }
}

fn tensors(pickle: &Pickle, state: &Value) -> BTreeMap<String, View> {
    if pickle.attribute(state, MODULES).is_some() {
        let mut found = Vec::new();
        of_module(pickle, state, "", &mut { pickle::MOST_TENSORS }, &mut found);
        return found.into_iter().map(|(name, tensor)| (name, View::of(&tensor))).collect();
    }
    let entry = |(key, value): &(Value, Value)| -> Option<(Rc<str>, Rc<Tensor>)> {
        match (key, value) {
            (Value::Text(name), Value::Tensor(tensor)) => Some((name.clone(), tensor.clone())),
            _ => None,
        }
    };
    let found: Vec<_> =
        pickle.dict(state).unwrap_or_default().iter().filter_map(entry).take(pickle::MOST_TENSORS).collect();
    // Models trained on several devices are saved inside a wrapper called `module`.
    let wrapped = found.iter().all(|(name, _)| name.starts_with("module."));
    let bare = |name: &str| if wrapped { name["module.".len()..].to_owned() } else { name.to_owned() };
    found.into_iter().map(|(name, tensor)| (bare(&name), View::of(&tensor))).collect()
}
