//! The format of `torch.save` before the zip: pickles of a magic number, a protocol number, system information, the object
//! and the keys of its storages; then each storage in that order, as an element count and raw data.

use std::collections::BTreeMap;

use super::element::Element;
use super::pickle::{self, Pickle, Value};
use super::source::Source;
use crate::checkpoint::WeightsError;

/// The pickled magic number.
const MAGIC: [u8; 13] = [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
/// The protocol instruction and, from pickle protocol 4 on, a frame.
const LONGEST_PREAMBLE: usize = 2 + 9;
const PROTOCOL: i64 = 1001;
/// Bytes of the count before each storage.
const COUNT: u64 = 8;

/// An open file of this format, with the positions of its storages.
#[derive(Debug)]
pub(super) struct Stream {
    pub source: Source,
    ranges: BTreeMap<String, ByteRange>,
}

/// Offset and length in bytes.
#[derive(Clone, Copy, Debug)]
struct ByteRange {
    start: u64,
    len: u64,
}

impl Stream {
    /// Opens a file; returns it with the saved object.
    pub fn open(source: Source) -> Result<(Self, Pickle, Value), WeightsError> {
        let start = source.read(0, source.len().min(pickle::LONGEST))?;
        let read = Structure::read(&start);
        let structure = read.map_err(|why| {
            let whole = start.len() as u64 == source.len();
            let limit = if whole { "" } else { "; its structure alone takes more than 64 MiB" };
            source.format_error(format!("{why}{limit}"))
        })?;
        let mut at = structure.len;
        let mut ranges = BTreeMap::new();
        for (key, size, expected) in structure.storages {
            let (range, next) = byte_range(&source, &key, at, size, expected)?;
            if ranges.insert(key.clone(), range).is_some() {
                return Err(source.format_error(format!("storage `{key}` is listed twice")));
            }
            at = next;
        }
        Ok((Self { source, ranges }, structure.pickle, structure.root))
    }

    /// `len` bytes of a storage from `offset` on.
    pub fn read(&self, key: &str, offset: u64, len: u64) -> Result<Vec<u8>, WeightsError> {
        let Some(range) = self.ranges.get(key) else {
            return Err(self.source.format_error(format!("it has no storage `{key}`")));
        };
        if offset.checked_add(len).is_none_or(|end| end > range.len) {
            let what = format!("storage `{key}` has {} bytes, {len} at {offset} are needed", range.len);
            return Err(WeightsError::Truncated { file: self.source.path().to_owned(), what });
        }
        self.source.read(range.start + offset, len)
    }
}

/// The position of the storage whose count is at `at`, and the start of the next one.
fn byte_range(source: &Source, key: &str, at: u64, size: u64, expected: u64) -> Result<(ByteRange, u64), WeightsError> {
    let count = source.read(at, COUNT)?;
    let count = count.try_into().map(u64::from_le_bytes).unwrap_or_default();
    if count != expected {
        let why = format!("storage `{key}` has {count} numbers, its tensors say {expected}");
        return Err(source.format_error(why));
    }
    let start = at + COUNT;
    let end = count.checked_mul(size).and_then(|len| start.checked_add(len)).filter(|end| *end <= source.len());
    let Some(end) = end else {
        let what = format!("storage `{key}` of {count} numbers at {start} passes the end at {}", source.len());
        return Err(WeightsError::Truncated { file: source.path().to_owned(), what });
    };
    Ok((ByteRange { start, len: end - start }, end))
}

/// The part of the file before the storages.
struct Structure {
    /// Its length in bytes.
    len: u64,
    pickle: Pickle,
    root: Value,
    /// Key, element size and element count of each storage, in file order.
    storages: Vec<(String, u64, u64)>,
}

impl Structure {
    fn read(start: &[u8]) -> Result<Self, String> {
        let magic = start.windows(MAGIC.len()).take(LONGEST_PREAMBLE + 1).position(|bytes| bytes == MAGIC);
        let magic = magic.ok_or("a pickle, but not one of torch.save")?;
        let mut rest = &start[magic + MAGIC.len()..];
        let (_, protocol) = pickle::first(&mut rest)?;
        if !matches!(protocol, Value::Int(PROTOCOL)) {
            return Err(format!("its protocol is not {PROTOCOL}"));
        }
        let (machine, of_machine) = pickle::first(&mut rest)?;
        if matches!(machine.get(&of_machine, "little_endian"), Some(Value::Bool(false))) {
            return Err("its numbers are big-endian".into());
        }
        let (pickle, root) = pickle::first(&mut rest)?;
        let (keys, list) = pickle::first(&mut rest)?;
        let list = keys.list(&list).filter(|list| list.len() <= pickle::MOST_TENSORS);
        let list = list.ok_or("its storages are not listed")?;
        let kinds: BTreeMap<&str, _> = pickle.storages.iter().map(|storage| (&*storage.key, storage)).collect();
        let storage = |key: &Value| {
            let Value::Text(key) = key else { return Err("the key of a storage is no text".to_owned()) };
            let storage = kinds.get(&**key).ok_or_else(|| format!("storage `{key}` belongs to no tensor"))?;
            let element = Element::of_storage(&storage.kind);
            let element = element.ok_or_else(|| format!("numbers in a {} are not read", storage.kind))?;
            Ok((key.to_string(), element.size() as u64, storage.len as u64))
        };
        let storages = list.iter().map(storage).collect::<Result<_, _>>()?;
        let len = (start.len() - rest.len()) as u64;
        Ok(Self { len, pickle, root, storages })
    }
}
