//! CSV: one column for each field, lists and objects as JSON in their cell. On a terminal control characters are escaped.

use std::io::{self, Write};

use serde_json::Value;

use super::Record;
use base::escape::visible;

/// Writes one record, preceded by the column names if it is the first.
pub fn write<R: Record>(out: &mut dyn Write, record: &R, first: bool, terminal: bool) -> io::Result<()> {
    let Value::Object(fields) = serde_json::to_value(record)? else {
        return Err(io::Error::other("a record is not an object"));
    };
    let mut writer = csv::WriterBuilder::new().from_writer(out);
    if first {
        writer.write_record(fields.keys())?;
    }
    let shown = |text: String| if terminal { visible(&text).into_owned() } else { text };
    writer.write_record(fields.values().map(|value| shown(cell(value))))?;
    writer.flush()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
