//! The attributes of a node: map entries of `AttrValue`.

use std::collections::HashMap;

use super::Result;
use crate::graph::protobuf::Message;
use crate::graph::{GraphError, MOST_LINKS};

/// An attribute of the kinds that the supported operators have.
#[derive(Clone, Debug, Default)]
struct Attribute<'a> {
    text: Option<&'a str>,
    float: Option<f32>,
    flag: bool,
    numbers: Vec<i64>,
    tensor: Option<&'a [u8]>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Attributes<'a>(HashMap<&'a str, Attribute<'a>>);

impl<'a> Attributes<'a> {
    /// Reads one entry.
    pub fn read(&mut self, bytes: &'a [u8]) -> Result<()> {
        let (mut name, mut attribute) = ("", Attribute::default());
        for field in Message::new(bytes) {
            match field? {
                (1, field) => name = field.text()?,
                (2, field) => attribute = value(field.bytes()?)?,
                _ => {}
            }
        }
        self.0.insert(name, attribute);
        if self.0.len() > MOST_LINKS { Err(GraphError::TooLarge { what: "a list of attributes" }) } else { Ok(()) }
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.text
    }

    pub fn float(&self, name: &str, otherwise: f32) -> f32 {
        self.0.get(name).and_then(|attribute| attribute.float).unwrap_or(otherwise)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|attribute| attribute.flag)
    }

    /// A list of numbers; empty if it is not there.
    pub fn numbers(&self, name: &str) -> &[i64] {
        self.0.get(name).map_or(&[], |attribute| &attribute.numbers)
    }

    pub fn tensor(&self, name: &str) -> Option<&'a [u8]> {
        self.0.get(name)?.tensor
    }
}

fn value(bytes: &[u8]) -> Result<Attribute<'_>> {
    let mut attribute = Attribute::default();
    for field in Message::new(bytes) {
        match field? {
            (1, field) => {
                for field in Message::new(field.bytes()?) {
                    if let (3, field) = field? {
                        field.numbers(&mut attribute.numbers)?;
                    }
                }
            }
            // Texts that are not UTF-8 are none of the words that we know.
            (2, field) => attribute.text = Some(std::str::from_utf8(field.bytes()?).unwrap_or("?")),
            (4, field) => attribute.float = Some(field.float()?),
            (5, field) => attribute.flag = field.number()? != 0,
            (8, field) => attribute.tensor = Some(field.bytes()?),
            _ => {}
        }
    }
    Ok(attribute)
}
