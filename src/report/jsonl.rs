//! JSON lines: one object per line with every key in a fixed order.

use std::io::{self, Write};

use serde_json::ser::{Formatter, Serializer};

use super::Record;
use base::escape::steers;

pub fn write<R: Record>(out: &mut dyn Write, record: &R) -> io::Result<()> {
    record.serialize(&mut Serializer::with_formatter(&mut *out, Escaping))?;
    out.write_all(b"\n")
}

/// Escapes all characters that a terminal interprets. JSON requires it only up to U+001F, but U+009B acts like ESC.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(steers) {
            let (before, from) = rest.split_at(at);
            out.write_all(before.as_bytes())?;
            let mut after = from.chars();
            if let Some(character) = after.next() {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
            rest = after.as_str();
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_read_back_unchanged() {
        let text = "a\u{9b}31m\u{7f}\u{202e}é\u{e0041}\u{1b}\n.jpg";
        let mut out = Vec::new();
        serde::Serialize::serialize(text, &mut Serializer::with_formatter(&mut out, Escaping)).unwrap();
        let line = String::from_utf8(out).unwrap();
        assert_eq!(line, r#""a\u009b31m\u007f\u202eé\udb40\udc41\u001b\n.jpg""#);
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }
}
