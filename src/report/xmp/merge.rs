//! Merging values into the bytes of a sidecar. Only albumctl's values are replaced; all other bytes stay unchanged.

use std::ops::Range;

use quick_xml::escape::escape;

use super::{SidecarValues, keywords, regions};
use photo::xmp::{Found, NotXmp, OURS, Property, RDF, XMP, find, with_indent};

/// An empty sidecar.
const EMPTY: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
<x:xmpmeta xmlns:x=\"adobe:ns:meta/\" x:xmptk=\"albumctl\">\n \
<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n \
</rdf:RDF>\n\
</x:xmpmeta>\n";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    pub bytes: Vec<u8>,
    pub rating_is_a_persons: bool,
}

/// Merges the values into the sidecar. Merging the same values again gives the same bytes.
pub fn merge(existing: Option<&[u8]>, values: &SidecarValues) -> Result<Merged, NotXmp> {
    let text = match existing {
        Some(bytes) if !bytes.trim_ascii().is_empty() => std::str::from_utf8(bytes).map_err(|_| NotXmp::Encoding)?,
        _ => EMPTY,
    };
    // The XML reader skips a byte order mark without counting it in its positions.
    let (byte_order_mark, text) = text.strip_prefix('\u{feff}').map_or(("", text), |rest| ("\u{feff}", rest));
    let found = find(text)?;
    let mut edit = Edit { found: &found, cuts: Vec::new(), added: Vec::new(), descriptions: String::new() };
    let rating = edit.shared("Rating", values.rating.map(|stars| stars.to_string()));
    let label = edit.shared("Label", values.label.clone());
    edit.set(OURS, "Decision", values.decision.clone());
    edit.set(OURS, "Score", values.score.map(|score| format!("{score:.4}")));
    edit.set(OURS, "Model", values.model.clone());
    edit.set(OURS, "Version", Some(values.version.clone()));
    if let Some(words) = &values.keywords {
        let change = keywords::change(text, &found, words);
        edit.cuts.extend(change.cuts);
        edit.descriptions.extend(change.description);
        edit.set(OURS, keywords::REMEMBERED, change.remembered);
    }
    if let Some(faces) = &values.faces {
        let change = regions::change(text, &found, faces);
        edit.cuts.extend(change.cut);
        edit.descriptions.extend(change.description);
        edit.set(OURS, regions::REMEMBERED, change.remembered);
    }
    let persons: Vec<&str> = [("Rating", rating), ("Label", label)]
        .into_iter()
        .filter(|(_, owner)| *owner == Owner::Person)
        .map(|(name, _)| name)
        .collect();
    edit.set(OURS, "SetByPerson", Some(persons.join(" ")));
    let merged = format!("{byte_order_mark}{}", edit.apply(text));
    Ok(Merged { bytes: merged.into_bytes(), rating_is_a_persons: rating == Owner::Person })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Person,
    Us,
}

/// The changes to one sidecar.
struct Edit<'a> {
    found: &'a Found,
    cuts: Vec<(Range<usize>, String)>,
    /// Properties that the sidecar does not have yet.
    added: Vec<(&'static str, String)>,
    /// Whole descriptions that it does not have yet.
    descriptions: String,
}

impl Edit<'_> {
    /// Sets a property that people set as well. A copy is written in albumctl's namespace: if the two differ later, a
    /// person has changed the value, and it is left alone from then on.
    fn shared(&mut self, name: &'static str, value: Option<String>) -> Owner {
        if self.found.is_a_persons(name) {
            return Owner::Person;
        }
        self.set(XMP, name, value.clone());
        self.set(OURS, name, value);
        Owner::Us
    }

    /// Sets the value of a property, adds the property, or removes it for `None`.
    fn set(&mut self, namespace: &'static str, name: &str, value: Option<String>) {
        let existing: Vec<&Property> =
            self.found.properties.iter().filter(|p| p.namespace == namespace && p.name == name).collect();
        let Some(value) = value else {
            self.cuts.extend(existing.iter().map(|property| (property.whole.clone(), String::new())));
            return;
        };
        if existing.is_empty() {
            let prefix = if namespace == XMP { "xmp" } else { "albumctl" };
            self.added.push((namespace, format!("{prefix}:{name}=\"{}\"", escape(&value))));
        }
        for property in existing.into_iter().filter(|property| property.value != value) {
            if property.is_empty_element {
                // An empty element such as `<xmp:Rating/>` cannot take a value in place.
                self.cuts.push((property.whole.clone(), String::new()));
                let prefix = if namespace == XMP { "xmp" } else { "albumctl" };
                self.added.push((namespace, format!("{prefix}:{name}=\"{}\"", escape(&value))));
            } else {
                self.cuts.push((property.inner.clone(), escape(&value).into_owned()));
            }
        }
    }

    fn apply(mut self, text: &str) -> String {
        if !self.added.is_empty() || !self.descriptions.is_empty() {
            let at = with_indent(text, self.found.end_of_rdf);
            let added = if self.added.is_empty() { String::new() } else { description(&self.added) };
            self.cuts.push((at..at, added + &self.descriptions));
        }
        self.cuts.sort_by_key(|(range, _)| (range.start, range.end));
        let (mut out, mut from) = (String::with_capacity(text.len() + 512), 0);
        for (range, replacement) in &self.cuts {
            out.push_str(&text[from..range.start]);
            out.push_str(replacement);
            from = range.end;
        }
        out.push_str(&text[from..]);
        out
    }
}

/// A new `rdf:Description` with the added properties.
fn description(added: &[(&'static str, String)]) -> String {
    let mut lines = vec!["\n  <rdf:Description rdf:about=\"\"".to_owned(), format!("    xmlns:rdf=\"{RDF}\"")];
    for (prefix, namespace) in [("xmp", XMP), ("albumctl", OURS)] {
        if added.iter().any(|(of, _)| *of == namespace) {
            lines.push(format!("    xmlns:{prefix}=\"{namespace}\""));
        }
    }
    lines.extend(added.iter().map(|(_, property)| format!("    {property}")));
    format!("{}/>", lines.join("\n"))
}
