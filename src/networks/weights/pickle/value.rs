//! The values of a pickle, and their conversion to JSON.

use std::ops::Deref;
use std::rc::Rc;

use serde_json::{Map, Number, Value as Json};

/// Maximum nesting that is converted to JSON.
const DEEPEST: usize = 32;
/// Maximum nesting of tuples; checkpoints nest three or four. Dropping a tuple recurses to this depth.
const DEEPEST_TUPLE: usize = 100;
/// Maximum values that are converted to JSON: shared containers can hold more than the file has bytes.
const MOST: usize = 100_000;

#[derive(Clone, Debug)]
pub(in crate::weights) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    /// An index into [`Pickle::lists`].
    List(usize),
    Tuple(Tuple),
    /// An index into [`Pickle::dicts`].
    Dict(usize),
    /// A class or function, by its full name.
    Global(Rc<str>),
    Storage(Rc<Storage>),
    Tensor(Rc<Tensor>),
    /// `numpy.dtype`, by its short name.
    NumpyType(Rc<str>),
    /// An object of a class that is not understood here, an index into [`Pickle::objects`].
    Object(usize),
    /// The result of a function that is not understood here.
    Opaque,
}

/// An immutable tuple. Its items exist before it, so it cannot contain itself.
#[derive(Clone, Debug)]
pub(in crate::weights) struct Tuple {
    items: Rc<[Value]>,
    depth: usize,
}

impl Tuple {
    /// Returns `None` if the tuple would be nested too deeply.
    pub(super) fn of(items: &[Value]) -> Option<Self> {
        let inner = items.iter().map(|item| if let Value::Tuple(tuple) = item { tuple.depth } else { 0 }).max();
        let depth = 1 + inner.unwrap_or(0);
        (depth <= DEEPEST_TUPLE).then(|| Self { items: items.into(), depth })
    }
}

impl Deref for Tuple {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.items
    }
}

#[derive(Debug)]
pub(in crate::weights) struct Storage {
    /// `FloatStorage` and the like.
    pub kind: Rc<str>,
    pub key: Rc<str>,
    /// Number of elements.
    pub len: usize,
}

/// A view into a storage.
#[derive(Clone, Debug)]
pub(in crate::weights) struct Tensor {
    pub storage: Rc<Storage>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

#[derive(Debug, Default)]
pub(in crate::weights) struct Pickle {
    pub(super) lists: Vec<Vec<Value>>,
    pub(super) dicts: Vec<Vec<(Value, Value)>>,
    /// The state of each object, mostly a dictionary of its attributes; `None` until it is set.
    pub(super) objects: Vec<Value>,
    /// Every reference to a storage, in order.
    pub storages: Vec<Rc<Storage>>,
}

impl Pickle {
    pub fn new_list(&mut self, items: Vec<Value>) -> Value {
        self.lists.push(items);
        Value::List(self.lists.len() - 1)
    }

    pub fn new_dict(&mut self, items: Vec<(Value, Value)>) -> Value {
        self.dicts.push(items);
        Value::Dict(self.dicts.len() - 1)
    }

    pub fn new_object(&mut self) -> Value {
        self.objects.push(Value::None);
        Value::Object(self.objects.len() - 1)
    }

    /// An attribute of an object.
    pub fn attribute(&self, object: &Value, name: &str) -> Option<&Value> {
        match object {
            Value::Object(at) => self.get(&self.objects[*at], name),
            _ => None,
        }
    }

    pub fn list(&self, value: &Value) -> Option<&[Value]> {
        match value {
            Value::List(at) => Some(&self.lists[*at]),
            _ => None,
        }
    }

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

    /// Everything but tensors, as JSON; `null` beyond the limits.
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
            Value::Dict(at) => self.json_object(&self.dicts[*at], |_| true, depth, budget),
            // What begins with an underscore is how an object works.
            Value::Object(at) => {
                let attributes = self.dict(&self.objects[*at]).unwrap_or_default();
                self.json_object(attributes, |name| !name.starts_with('_'), depth, budget)
            }
            _ => Json::Null,
        }
    }

    fn json_object(
        &self,
        pairs: &[(Value, Value)],
        wanted: impl Fn(&str) -> bool,
        depth: usize,
        budget: &mut usize,
    ) -> Json {
        let mut map = Map::new();
        for (key, value) in pairs.iter().take(*budget) {
            let key = match key {
                Value::Text(text) => text.to_string(),
                Value::Int(v) => v.to_string(),
                _ => continue,
            };
            if !matches!(value, Value::Tensor(_) | Value::Storage(_)) && wanted(&key) {
                map.insert(key, self.json_within(value, depth - 1, budget));
            }
        }
        Json::Object(map)
    }
}
