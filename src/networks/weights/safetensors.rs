//! `.safetensors`: a JSON header with the position of each tensor, then the data.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::element::{Element, count};
use super::source::Source;
use crate::checkpoint::WeightsError;

/// Maximum bytes of a header; those of real files are well below a megabyte.
const LONGEST_HEADER: u64 = 32 << 20;

#[derive(Debug)]
pub(super) struct SafeTensors {
    pub source: Source,
    pub metadata: Value,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    element: Option<Element>,
    spelled: String,
    shape: Vec<usize>,
    start: u64,
    len: u64,
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

impl SafeTensors {
    pub fn open(source: Source) -> Result<Self, WeightsError> {
        let prefix = source.read(0, 8)?;
        let header_len = u64::from_le_bytes(prefix.try_into().unwrap_or_default());
        if header_len > LONGEST_HEADER {
            return Err(source.format_error(format!("a header of {header_len} bytes is no safetensors header")));
        }
        let header = source.read(8, header_len)?;
        let raw: BTreeMap<String, Value> = serde_json::from_slice(&header)
            .map_err(|error| source.format_error(format!("the header is no JSON object: {error}")))?;
        let (mut metadata, mut entries) = (Value::Null, BTreeMap::new());
        for (name, value) in raw {
            if name == "__metadata__" {
                metadata = value;
                continue;
            }
            let raw: RawEntry = serde_json::from_value(value)
                .map_err(|error| source.format_error(format!("tensor `{name}`: {error}")))?;
            let entry = Entry::new(raw, 8 + header_len);
            let entry = entry.map_err(|why| tensor_error(&source, &name, why))?;
            if entry.start + entry.len > source.len() {
                let what = format!("tensor `{name}` ends at {}, the file at {}", entry.start + entry.len, source.len());
                return Err(WeightsError::Truncated { file: source.path().to_owned(), what });
            }
            entries.insert(name, entry);
        }
        Ok(Self { source, metadata, entries })
    }

    pub fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.entries.get(name).map(|entry| entry.shape.clone())
    }

    pub fn read(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let (entry, element) = self.entry(name)?;
        Ok(element.decode(&self.source.read(entry.start, entry.len)?))
    }

    /// Rows of `width` numbers, which must be inside the tensor.
    pub fn read_rows(&self, name: &str, rows: &[u32], width: usize) -> Result<Vec<f32>, WeightsError> {
        let (entry, element) = self.entry(name)?;
        let len = (width * element.size()) as u64;
        let row = |&row: &u32| Ok(element.decode(&self.source.read(entry.start + u64::from(row) * len, len)?));
        Ok(rows.iter().map(row).collect::<Result<Vec<_>, WeightsError>>()?.concat())
    }

    fn entry(&self, name: &str) -> Result<(&Entry, Element), WeightsError> {
        let Some(entry) = self.entries.get(name) else {
            return Err(WeightsError::Missing { file: self.source.path().to_owned(), name: name.to_owned() });
        };
        let Some(element) = entry.element else {
            let why = format!("numbers of type {} are not read", entry.spelled);
            return Err(tensor_error(&self.source, name, why));
        };
        Ok((entry, element))
    }
}

impl Entry {
    fn new(raw: RawEntry, data: u64) -> Result<Self, String> {
        let [start, end] = raw.data_offsets;
        let len = end.checked_sub(start).ok_or("ends before it begins")?;
        let start = data.checked_add(start).ok_or("begins beyond any file")?;
        start.checked_add(len).ok_or("ends beyond any file")?;
        let element = Element::of_safetensors(&raw.dtype);
        let expected = element.and_then(|element| count(&raw.shape)?.checked_mul(element.size()));
        if element.is_some() && expected != Some(len as usize) {
            return Err(format!("shape {:?} of {} does not fill {len} bytes", raw.shape, raw.dtype));
        }
        Ok(Self { element, spelled: raw.dtype, shape: raw.shape, start, len })
    }
}

fn tensor_error(source: &Source, name: &str, why: String) -> WeightsError {
    WeightsError::Tensor { file: source.path().to_owned(), name: name.to_owned(), why }
}
