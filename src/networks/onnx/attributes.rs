//! The attributes of a node: `AttributeProto`.

use std::collections::HashMap;

use crate::graph::GraphError;
use crate::graph::protobuf::Message;

type Result<T> = std::result::Result<T, GraphError>;

/// The attributes of a node.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a> {
    floats: HashMap<&'a str, f32>,
    numbers: HashMap<&'a str, i64>,
    texts: HashMap<&'a str, &'a [u8]>,
    lists: HashMap<&'a str, Vec<i64>>,
    pub tensor: Option<&'a [u8]>,
}

impl<'a> Attributes<'a> {
    pub fn float(&self, name: &str, otherwise: f32) -> f32 {
        self.floats.get(name).copied().unwrap_or(otherwise)
    }

    pub fn number(&self, name: &str, otherwise: i64) -> i64 {
        self.numbers.get(name).copied().unwrap_or(otherwise)
    }

    pub fn numbers(&self, name: &str) -> Option<&[i64]> {
        self.lists.get(name).map(Vec::as_slice)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(|bytes| std::str::from_utf8(bytes).unwrap_or("?"))
    }

    pub fn read(&mut self, bytes: &'a [u8]) -> Result<()> {
        let (mut name, mut list) = ("", Vec::new());
        let (mut float, mut number, mut text) = (None, None, None);
        for field in Message::new(bytes) {
            match field? {
                (1, field) => name = field.text()?,
                (2, field) => float = Some(field.float()?),
                (3, field) => number = Some(field.number()?),
                (4, field) => text = Some(field.bytes()?),
                (5, field) => self.tensor = Some(field.bytes()?),
                (8, field) => field.numbers(&mut list)?,
                _ => {}
            }
        }
        float.map(|float| self.floats.insert(name, float));
        number.map(|number| self.numbers.insert(name, number));
        text.map(|text| self.texts.insert(name, text));
        if !list.is_empty() {
            self.lists.insert(name, list);
        }
        Ok(())
    }
}
