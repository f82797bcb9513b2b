//! A line of `config show`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::{Cell, Record};

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SettingRecord {
    pub key: String,
    pub value: serde_json::Value,
    /// The source of the value: `built-in`, a file, an environment variable, or a flag.
    pub origin: String,
}

impl Record for SettingRecord {
    const HEADINGS: &'static [&'static str] = &["key", "value", "from"];

    fn cells(&self) -> Vec<Cell> {
        let value = self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned);
        let origin = if self.origin == "built-in" { Cell::faint(&self.origin) } else { Cell::plain(&self.origin) };
        vec![Cell::plain(&self.key), Cell::plain(&value), origin]
    }
}
