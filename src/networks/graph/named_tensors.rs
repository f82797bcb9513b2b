//! The tensors of a file, numbered by their names.

use std::collections::HashMap;

use super::Value;

#[derive(Default)]
pub(crate) struct NamedTensors<'a> {
    numbers: HashMap<&'a str, usize>,
    /// The value of each constant tensor.
    pub constants: Vec<Option<Value>>,
}

impl<'a> NamedTensors<'a> {
    pub fn number(&mut self, name: &'a str) -> usize {
        let next = self.constants.len();
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.constants.push(None);
        }
        number
    }

    pub fn set(&mut self, name: &'a str, value: Value) {
        let number = self.number(name);
        self.constants[number] = Some(value);
    }

    /// A tensor that has no name in the file.
    pub fn unnamed(&mut self, value: Option<Value>) -> usize {
        self.constants.push(value);
        self.constants.len() - 1
    }
}
