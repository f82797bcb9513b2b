//! CSV: every field a column; lists and objects as JSON inside their cell. Cells are exact, but for a terminal.

use std::io::{self, Write};

use serde_json::Value;

use super::Record;
use base::escape::visible;

/// Writes one record, and before the first one the names of the columns.
pub fn write<R: Record>(out: &mut dyn Write, record: &R, first: bool, terminal: bool) -> io::Result<()> {
    let Value::Object(fields) = serde_json::to_value(record)? else {
        return Err(io::Error::other("a record that is no object"));
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
