//! Python pickles as data: a machine that builds values and never calls anything.
//!
//! What a pickle asks to construct is understood where checkpoints need it (tensors, dictionaries, numpy scalars, paths)
//! and is otherwise an opaque value. Containers live in one arena, so that hostile cycles neither leak nor recurse,
//! and every value takes at least a byte of the file, so that memory is bounded by it.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Number, Value as Json};

/// Deepest nesting that is turned to JSON.
const DEEPEST: usize = 32;
/// Most values that are turned to JSON: shared containers can name more of them than the file has bytes.
const MOST: usize = 100_000;

#[derive(Clone, Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    /// Into [`Pickle::lists`].
    List(usize),
    Tuple(Rc<[Value]>),
    /// Into [`Pickle::dicts`].
    Dict(usize),
    /// A class or function, by its full name.
    Global(Rc<str>),
    Storage(Rc<Storage>),
    Tensor(Rc<Tensor>),
    /// `numpy.dtype`, by its short name.
    NumpyType(Rc<str>),
    /// Something of a class that means nothing here.
    Opaque,
}

#[derive(Debug)]
pub(super) struct Storage {
    /// `FloatStorage` and the like.
    pub kind: Rc<str>,
    pub key: Rc<str>,
    /// Numbers in it.
    pub len: usize,
}

/// A view into a storage.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub storage: Rc<Storage>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Pickle {
    lists: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
}

/// Reads a pickle; the message says what is wrong with one that cannot be.
pub(super) fn parse(bytes: &[u8]) -> Result<(Pickle, Value), String> {
    let mut machine = Machine { rest: bytes, all: bytes.len(), ..Machine::default() };
    loop {
        let at = machine.position();
        let failed = |why| format!("byte {at} of the pickle: {why}");
        if let Some(value) = machine.step().map_err(failed)? {
            return Ok((machine.made, value));
        }
    }
}

impl Pickle {
    pub fn dict(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match value {
            Value::Dict(at) => Some(&self.dicts[*at]),
            _ => None,
        }
    }

    /// The value of a text key; the last one where it is set twice, as in Python.
    pub fn get(&self, dict: &Value, key: &str) -> Option<&Value> {
        let is_key = |(k, _): &&(Value, Value)| matches!(k, Value::Text(text) if &**text == key);
        self.dict(dict)?.iter().rev().find(is_key).map(|(_, value)| value)
    }

    /// Everything but tensors, as JSON. Too deep or too many: `null`.
    pub fn json(&self, value: &Value) -> Json {
        self.json_within(value, DEEPEST, &mut { MOST })
    }

    fn json_within(&self, value: &Value, depth: usize, budget: &mut usize) -> Json {
        if depth == 0 || *budget == 0 {
            return Json::Null;
        }
        *budget -= 1;
        let array = |items: &[Value], budget: &mut usize| -> Json {
            items.iter().take(*budget).map(|item| self.json_within(item, depth - 1, budget)).collect()
        };
        match value {
            Value::Bool(v) => Json::Bool(*v),
            Value::Int(v) => Json::from(*v),
            Value::Float(v) => Number::from_f64(*v).map_or(Json::Null, Json::Number),
            Value::Text(text) => Json::from(&**text),
            Value::List(at) => array(&self.lists[*at], budget),
            Value::Tuple(items) => array(items, budget),
            Value::Dict(at) => {
                let mut map = Map::new();
                for (key, value) in self.dicts[*at].iter().take(*budget) {
                    let key = match key {
                        Value::Text(text) => text.to_string(),
                        Value::Int(v) => v.to_string(),
                        _ => continue,
                    };
                    if !matches!(value, Value::Tensor(_) | Value::Storage(_)) {
                        map.insert(key, self.json_within(value, depth - 1, budget));
                    }
                }
                Json::Object(map)
            }
            _ => Json::Null,
        }
    }
}

#[derive(Default)]
struct Machine<'a> {
    rest: &'a [u8],
    all: usize,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<usize, Value>,
    made: Pickle,
}

type Step<T> = Result<T, String>;

impl Machine<'_> {
    fn position(&self) -> usize {
        self.all - self.rest.len()
    }

    fn bytes(&mut self, len: usize) -> Step<&[u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or("it ends too early")?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        self.bytes(N)?.try_into().map_err(|_| "it ends too early".to_owned())
    }

    fn u8(&mut self) -> Step<usize> {
        Ok(self.array::<1>()?[0].into())
    }

    fn u32(&mut self) -> Step<usize> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn u64(&mut self) -> Step<usize> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| "a length beyond any file".to_owned())
    }

    fn line(&mut self) -> Step<String> {
        let end = self.rest.iter().position(|&b| b == b'\n').ok_or("a line without end")?;
        let line = String::from_utf8_lossy(&self.rest[..end]).into_owned();
        self.rest = &self.rest[end + 1..];
        Ok(line)
    }

    fn text(&mut self, len: usize) -> Step<Value> {
        // Python writes lone surrogates; a name with one is still a name.
        Ok(Value::Text(String::from_utf8_lossy(self.bytes(len)?).into()))
    }

    fn raw(&mut self, len: usize) -> Step<Value> {
        Ok(Value::Bytes(self.bytes(len)?.into()))
    }

    /// A little-endian two's complement number; those beyond 64 bits saturate.
    fn long(&mut self, len: usize) -> Step<Value> {
        let bytes = self.bytes(len)?;
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        if len > 8 {
            return Ok(Value::Int(if negative { i64::MIN } else { i64::MAX }));
        }
        let mut whole = if negative { [0xff; 8] } else { [0; 8] };
        whole[..len].copy_from_slice(bytes);
        Ok(Value::Int(i64::from_le_bytes(whole)))
    }

    fn pop(&mut self) -> Step<Value> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("it takes a value where there is none".into());
        }
        self.stack.pop().ok_or_else(|| "it takes a value where there is none".into())
    }

    fn top(&self) -> Step<&Value> {
        self.stack.last().ok_or_else(|| "it looks at a value where there is none".into())
    }

    fn since_mark(&mut self) -> Step<Vec<Value>> {
        let mark = self.marks.pop().ok_or("a mark is missing")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn last(&mut self, count: usize) -> Step<Vec<Value>> {
        let from = self.stack.len().checked_sub(count).ok_or("it takes values where there are none")?;
        Ok(self.stack.split_off(from))
    }

    fn new_list(&mut self, items: Vec<Value>) -> Value {
        self.made.lists.push(items);
        Value::List(self.made.lists.len() - 1)
    }

    fn new_dict(&mut self, items: Vec<Value>) -> Value {
        self.made.dicts.push(pairs(items));
        Value::Dict(self.made.dicts.len() - 1)
    }

    fn append(&mut self, items: Vec<Value>) -> Step<()> {
        // A list may also be wrapped in something opaque, which swallows what is put in.
        if let Value::List(at) = *self.top()? {
            self.made.lists[at].extend(items);
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value>) -> Step<()> {
        if let Value::Dict(at) = *self.top()? {
            self.made.dicts[at].extend(pairs(items));
        }
        Ok(())
    }

    fn remember(&mut self, at: usize) -> Step<()> {
        let value = self.top()?.clone();
        self.memo.insert(at, value);
        Ok(())
    }

    fn recall(&mut self, at: usize) -> Step<Value> {
        self.memo.get(&at).cloned().ok_or_else(|| "it recalls what was never remembered".into())
    }

    /// One instruction; the result when it was the last.
    fn step(&mut self) -> Step<Option<Value>> {
        let code = self.array::<1>()?[0];
        let value = match code {
            b'.' => return self.pop().map(Some),
            0x80 => {
                let protocol = self.u8()?;
                if protocol > 5 {
                    return Err(format!("protocol {protocol} is not known"));
                }
                return Ok(None);
            }
            // A frame only announces how much follows.
            0x95 => return self.u64().map(|_| None),
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(None);
            }
            b'0' => return self.pop().map(|_| None),
            b'1' => return self.since_mark().map(|_| None),
            b'q' => return self.u8().and_then(|at| self.remember(at)).map(|()| None),
            b'r' => return self.u32().and_then(|at| self.remember(at)).map(|()| None),
            b'p' => {
                let at = self.line()?.trim().parse().map_err(|_| "a memo place that is no number")?;
                return self.remember(at).map(|()| None);
            }
            0x94 => return self.remember(self.memo.len()).map(|()| None),
            b'a' => {
                let item = self.pop()?;
                return self.append(vec![item]).map(|()| None);
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                return self.append(items).map(|()| None);
            }
            b's' => {
                let pair = self.last(2)?;
                return self.set_items(pair).map(|()| None);
            }
            b'u' => {
                let items = self.since_mark()?;
                return self.set_items(items).map(|()| None);
            }
            // State for an object: of those understood here, none keeps any.
            b'b' => return self.pop().map(|_| None),
            b'h' => self.u8().and_then(|at| self.recall(at))?,
            b'j' => self.u32().and_then(|at| self.recall(at))?,
            b'g' => {
                let at = self.line()?.trim().parse().map_err(|_| "a memo place that is no number")?;
                self.recall(at)?
            }
            b'2' => self.top()?.clone(),
            _ => self.literal(code)?,
        };
        self.stack.push(value);
        Ok(None)
    }

    /// Instructions that push a new value.
    fn literal(&mut self, code: u8) -> Step<Value> {
        Ok(match code {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Value::Int(self.u8()? as i64),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            0x8a => self.u8().and_then(|len| self.long(len))?,
            0x8b => self.u32().and_then(|len| self.long(len))?,
            b'I' | b'L' => {
                let line = self.line()?;
                match line.trim().trim_end_matches('L') {
                    "00" => Value::Bool(false),
                    "01" => Value::Bool(true),
                    digits => Value::Int(digits.parse().map_err(|_| "a number that is none")?),
                }
            }
            b'G' => Value::Float(f64::from_be_bytes(self.array()?)),
            b'F' => Value::Float(self.line()?.trim().parse().map_err(|_| "a number that is none")?),
            b'X' => self.u32().and_then(|len| self.text(len))?,
            0x8c => self.u8().and_then(|len| self.text(len))?,
            0x8d => self.u64().and_then(|len| self.text(len))?,
            b'V' => Value::Text(self.line()?.into()),
            // Python 2 strings are bytes or text; checkpoints keep names in them.
            b'T' => self.u32().and_then(|len| self.text(len))?,
            b'U' => self.u8().and_then(|len| self.text(len))?,
            b'B' => self.u32().and_then(|len| self.raw(len))?,
            b'C' => self.u8().and_then(|len| self.raw(len))?,
            0x8e | 0x96 => self.u64().and_then(|len| self.raw(len))?,
            b')' => Value::Tuple(Rc::new([])),
            0x85 => Value::Tuple(self.last(1)?.into()),
            0x86 => Value::Tuple(self.last(2)?.into()),
            0x87 => Value::Tuple(self.last(3)?.into()),
            b't' => Value::Tuple(self.since_mark()?.into()),
            b']' | 0x8f => self.new_list(Vec::new()),
            b'l' | 0x91 => {
                let items = self.since_mark()?;
                self.new_list(items)
            }
            b'}' => self.new_dict(Vec::new()),
            b'd' => {
                let items = self.since_mark()?;
                self.new_dict(items)
            }
            b'c' => Value::Global(format!("{}.{}", self.line()?, self.line()?).into()),
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => Value::Global(format!("{module}.{name}").into()),
                _ => return Err("a class whose name is no text".into()),
            },
            b'Q' => {
                let id = self.pop()?;
                storage(&id).ok_or("a persistent id that is no storage")?
            }
            b'R' | 0x81 => {
                let arguments = self.pop()?;
                let class = self.pop()?;
                self.construct(&class, &arguments)
            }
            0x92 => {
                let _named = self.pop()?;
                let arguments = self.pop()?;
                let class = self.pop()?;
                self.construct(&class, &arguments)
            }
            _ => return Err(format!("instruction {code:#04x} is not known")),
        })
    }

    /// What a class or function would make of its arguments, for the few that matter.
    fn construct(&mut self, class: &Value, arguments: &Value) -> Value {
        let (Value::Global(name), Value::Tuple(arguments)) = (class, arguments) else {
            return Value::Opaque;
        };
        let module = name.split('.').next().unwrap_or_default();
        let last = name.rsplit('.').next().unwrap_or_default();
        let made = match (module, last) {
            ("collections", "OrderedDict" | "defaultdict" | "Counter") => Some(self.new_dict(Vec::new())),
            ("torch", "_rebuild_tensor_v2" | "_rebuild_tensor") => tensor(arguments),
            ("torch", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                arguments.first().filter(|value| matches!(value, Value::Tensor(_))).cloned()
            }
            ("numpy", "dtype") => match arguments.first() {
                Some(Value::Text(kind)) => Some(Value::NumpyType(kind.clone())),
                _ => None,
            },
            ("numpy", "scalar") => numpy_scalar(arguments),
            // Bytes in old protocols: text whose characters are the bytes.
            ("_codecs", "encode") => match arguments.first() {
                Some(Value::Text(text)) => Some(Value::Bytes(text.chars().map(|c| c as u32 as u8).collect())),
                _ => None,
            },
            ("pathlib", "WindowsPath" | "PureWindowsPath") => path(arguments, "\\"),
            ("pathlib", "PosixPath" | "PurePosixPath" | "Path") => path(arguments, "/"),
            ("torch", "Size" | "device") | ("builtins" | "__builtin__", "set" | "frozenset" | "list" | "tuple") => {
                arguments.first().cloned()
            }
            _ => None,
        };
        made.unwrap_or(Value::Opaque)
    }
}

/// Keys and values by turns; an odd one out is dropped.
fn pairs(items: Vec<Value>) -> Vec<(Value, Value)> {
    let mut items = items.into_iter();
    let mut pairs = Vec::with_capacity(items.len() / 2);
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

fn size(value: &Value) -> Option<usize> {
    match value {
        Value::Int(v) => usize::try_from(*v).ok(),
        _ => None,
    }
}

/// `("storage", class, key, device, numbers)`.
fn storage(id: &Value) -> Option<Value> {
    let Value::Tuple(parts) = id else { return None };
    match &**parts {
        [Value::Text(tag), Value::Global(kind), Value::Text(key), _, len] if &**tag == "storage" => {
            let kind = kind.rsplit('.').next().unwrap_or_default().into();
            Some(Value::Storage(Rc::new(Storage { kind, key: key.clone(), len: size(len)? })))
        }
        _ => None,
    }
}

/// `(storage, offset, shape, strides, …)`.
fn tensor(arguments: &[Value]) -> Option<Value> {
    let [Value::Storage(storage), offset, Value::Tuple(shape), Value::Tuple(strides), ..] = arguments else {
        return None;
    };
    let sizes = |values: &[Value]| values.iter().map(size).collect::<Option<Vec<_>>>();
    let (shape, strides) = (sizes(shape)?, sizes(strides)?);
    let tensor = Tensor { storage: storage.clone(), offset: size(offset)?, shape, strides };
    (tensor.shape.len() == tensor.strides.len()).then(|| Value::Tensor(Rc::new(tensor)))
}

/// `(dtype, bytes)`.
fn numpy_scalar(arguments: &[Value]) -> Option<Value> {
    let [Value::NumpyType(kind), Value::Bytes(bytes)] = arguments else { return None };
    let number = |len: usize| -> Option<[u8; 8]> {
        let mut whole = [0; 8];
        whole[..len].copy_from_slice(bytes.get(..len).filter(|_| bytes.len() == len)?);
        Some(whole)
    };
    Some(match &**kind {
        "f8" => Value::Float(f64::from_le_bytes(number(8)?)),
        "f4" => Value::Float(f32::from_le_bytes(bytes[..].try_into().ok()?).into()),
        "i8" => Value::Int(i64::from_le_bytes(number(8)?)),
        "i4" => Value::Int(i32::from_le_bytes(bytes[..].try_into().ok()?).into()),
        "b1" => Value::Bool(number(1)?[0] != 0),
        _ => return None,
    })
}

fn path(parts: &[Value], separator: &str) -> Option<Value> {
    let part = |value: &Value| match value {
        Value::Text(text) => Some(text.to_string()),
        _ => None,
    };
    let parts = parts.iter().map(part).collect::<Option<Vec<_>>>()?;
    Some(Value::Text(parts.join(separator).replace(&format!("{separator}{separator}"), separator).into()))
}
