//! Python pickles read as data: a stack machine that builds values and never calls anything.
//!
//! Objects that checkpoints need (tensors, dictionaries, numpy scalars, paths) are understood; all others become opaque
//! values. Containers live in one arena, so that hostile cycles neither leak nor recurse. Every value takes at least one
//! byte of the file, which bounds the memory.

mod construct;
mod value;

use self::value::Tuple;
pub(super) use self::value::{Pickle, Tensor, Value};
use std::collections::HashMap;

/// Maximum bytes of a pickle. The structure of a checkpoint without its tensors is small.
pub(super) const LONGEST: u64 = 64 << 20;
/// Maximum number of tensors, many times that of the largest network here.
pub(super) const MOST_TENSORS: usize = 1 << 17;

/// Reads a pickle, or returns a message that describes the damage.
pub(super) fn parse(bytes: &[u8]) -> Result<(Pickle, Value), String> {
    first(&mut { bytes })
}

/// Reads the pickle at the start of `bytes` and advances `bytes` past it.
pub(super) fn first(bytes: &mut &[u8]) -> Result<(Pickle, Value), String> {
    let mut machine = Machine { rest: bytes, all: bytes.len(), ..Machine::default() };
    loop {
        let at = machine.position();
        let failed = |why| format!("byte {at} of the pickle: {why}");
        if let Some(value) = machine.step().map_err(failed)? {
            *bytes = machine.rest;
            return Ok((machine.made, value));
        }
    }
}

#[derive(Default)]
struct Machine<'a> {
    rest: &'a [u8],
    all: usize,
    stack: Vec<Value>,
    /// Stack heights at the open marks.
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
        // Python may write lone surrogates; such names are kept, lossily.
        Ok(Value::Text(String::from_utf8_lossy(self.bytes(len)?).into()))
    }

    fn raw(&mut self, len: usize) -> Step<Value> {
        Ok(Value::Bytes(self.bytes(len)?.into()))
    }

    /// A little-endian two's complement integer; those beyond 64 bits saturate.
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

    fn append(&mut self, items: Vec<Value>) -> Step<()> {
        // The target may be an opaque value, which ignores what is appended.
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

    /// Executes one instruction; returns the result after the last one.
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
            // A frame only states the length of what follows.
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
            // The state of an object; none of the understood objects has any.
            b'b' => {
                let state = self.pop()?;
                if let Value::Object(at) = *self.top()? {
                    self.made.objects[at] = state;
                }
                return Ok(None);
            }
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

    /// Executes an instruction that pushes a new value.
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
            // Python 2 strings are bytes or text; checkpoints use them for names.
            b'T' => self.u32().and_then(|len| self.text(len))?,
            b'U' => self.u8().and_then(|len| self.text(len))?,
            b'B' => self.u32().and_then(|len| self.raw(len))?,
            b'C' => self.u8().and_then(|len| self.raw(len))?,
            0x8e | 0x96 => self.u64().and_then(|len| self.raw(len))?,
            b')' => tuple(&[])?,
            0x85 => tuple(&self.last(1)?)?,
            0x86 => tuple(&self.last(2)?)?,
            0x87 => tuple(&self.last(3)?)?,
            b't' => tuple(&self.since_mark()?)?,
            b']' | 0x8f => self.made.new_list(Vec::new()),
            b'l' | 0x91 => {
                let items = self.since_mark()?;
                self.made.new_list(items)
            }
            b'}' => self.made.new_dict(Vec::new()),
            b'd' => {
                let items = self.since_mark()?;
                self.made.new_dict(pairs(items))
            }
            b'c' => Value::Global(format!("{}.{}", self.line()?, self.line()?).into()),
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => Value::Global(format!("{module}.{name}").into()),
                _ => return Err("a class whose name is no text".into()),
            },
            b'Q' => {
                let id = self.pop()?;
                let storage = construct::storage(&id).ok_or("a persistent id that is no storage")?;
                self.made.storages.push(storage.clone());
                Value::Storage(storage)
            }
            b'R' | 0x81 => {
                let arguments = self.pop()?;
                let class = self.pop()?;
                match construct::construct(&mut self.made, &class, &arguments) {
                    Value::Opaque if code == 0x81 => self.made.new_object(),
                    value => value,
                }
            }
            0x92 => {
                let _named = self.pop()?;
                let arguments = self.pop()?;
                let class = self.pop()?;
                construct::construct(&mut self.made, &class, &arguments)
            }
            _ => return Err(format!("instruction {code:#04x} is not known")),
        })
    }
}

fn tuple(items: &[Value]) -> Step<Value> {
    Tuple::of(items).map(Value::Tuple).ok_or_else(|| "tuples are nested too deeply for a checkpoint".into())
}

/// Pairs up alternating keys and values; a key without value is dropped.
fn pairs(items: Vec<Value>) -> Vec<(Value, Value)> {
    let mut items = items.into_iter();
    let mut pairs = Vec::with_capacity(items.len() / 2);
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}
