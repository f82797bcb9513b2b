//! Bytes of a sidecar and a mark in, bytes out. The XML is read event by event to find where values lie; only these
//! places are cut and pasted, so that all else stays as its owner wrote it.

use std::ops::Range;

use quick_xml::NsReader;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{LocalName, ResolveResult};
use thiserror::Error;

use super::Mark;

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const XMP: &str = "http://ns.adobe.com/xap/1.0/";
/// Ours. A name, not an address: nobody has to answer there.
pub(super) const OURS: &str = "urn:albumctl:xmp:1/";

/// What a sidecar is before anything is in it.
const EMPTY: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
<x:xmpmeta xmlns:x=\"adobe:ns:meta/\" x:xmptk=\"albumctl\">\n \
<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n \
</rdf:RDF>\n\
</x:xmpmeta>\n";

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MergeError {
    #[error("it is no UTF-8 text")]
    Encoding,
    #[error("it is no well-formed XML ({0})")]
    Xml(String),
    #[error("it holds no XMP")]
    NoXmp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    pub bytes: Vec<u8>,
    pub rating_is_a_persons: bool,
}

/// The sidecar with the mark in it. Merging the same mark again gives the same bytes.
pub fn merge(existing: Option<&[u8]>, mark: &Mark) -> Result<Merged, MergeError> {
    let text = match existing {
        Some(bytes) if !bytes.trim_ascii().is_empty() => {
            std::str::from_utf8(bytes).map_err(|_| MergeError::Encoding)?
        }
        _ => EMPTY,
    };
    // The reader passes over a byte order mark without counting it.
    let (mark_of_order, text) = text.strip_prefix('\u{feff}').map_or(("", text), |rest| ("\u{feff}", rest));
    let found = find(text)?;
    let mut edit = Edit { found: &found, cuts: Vec::new(), added: Vec::new() };
    let rating = edit.shared("Rating", mark.rating.map(|stars| stars.to_string()));
    let label = edit.shared("Label", mark.label.clone());
    edit.set(OURS, "Decision", mark.decision.clone());
    edit.set(OURS, "Score", mark.score.map(|score| format!("{score:.4}")));
    edit.set(OURS, "Model", mark.model.clone());
    edit.set(OURS, "Version", Some(mark.version.clone()));
    let persons: Vec<&str> = [("Rating", rating), ("Label", label)]
        .into_iter()
        .filter(|(_, owner)| *owner == Owner::Person)
        .map(|(name, _)| name)
        .collect();
    edit.set(OURS, "SetByPerson", Some(persons.join(" ")));
    let merged = format!("{mark_of_order}{}", edit.apply(text));
    Ok(Merged { bytes: merged.into_bytes(), rating_is_a_persons: rating == Owner::Person })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Person,
    Us,
}

/// A value and where it lies.
#[derive(Debug)]
struct Property {
    namespace: &'static str,
    name: String,
    value: String,
    /// The value itself.
    inner: Range<usize>,
    /// All that has to go when the property goes.
    whole: Range<usize>,
    /// Inside an attribute, quotes must be escaped; `inner` of an empty element is where its tag ends.
    is_empty_element: bool,
}

struct Found {
    properties: Vec<Property>,
    /// Just before `</rdf:RDF>`.
    end_of_rdf: usize,
}

/// The namespaces whose properties concern us.
fn known(resolved: &ResolveResult) -> Option<&'static str> {
    let ResolveResult::Bound(namespace) = resolved else { return None };
    [RDF, XMP, OURS].into_iter().find(|known| known.as_bytes() == namespace.as_ref())
}

/// Where the reader is: the names that matter of the elements it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Rdf,
    Description,
    /// A property of a namespace that concerns us, by its place in `open`.
    Property,
    Other,
}

fn find(text: &str) -> Result<Found, MergeError> {
    let mut reader = NsReader::from_str(text);
    let mut levels = Vec::new();
    let mut open: Vec<Property> = Vec::new();
    let mut properties = Vec::new();
    let mut end_of_rdf = None;
    loop {
        let start = position(&reader);
        let event = reader.read_event().map_err(|failure| MergeError::Xml(failure.to_string()))?;
        let end = position(&reader);
        match event {
            Event::Start(tag) => {
                let level = level(&reader, &tag, levels.last());
                match level {
                    Level::Description => attributes(text, &reader, &tag, &mut properties)?,
                    Level::Property => open.extend(property(&reader, &tag, start, end)),
                    _ => {}
                }
                levels.push(level);
            }
            Event::Empty(tag) => match level(&reader, &tag, levels.last()) {
                Level::Description => attributes(text, &reader, &tag, &mut properties)?,
                Level::Property => properties
                    .extend(property(&reader, &tag, start, end).map(|p| Property { is_empty_element: true, ..p })),
                _ => {}
            },
            Event::End(_) => match levels.pop() {
                Some(Level::Rdf) => end_of_rdf = Some(start),
                Some(Level::Property) => properties.extend(open.pop().map(|p| closed(text, p, start, end))),
                _ => {}
            },
            Event::Eof => break,
            _ => {}
        }
    }
    let end_of_rdf = end_of_rdf.filter(|_| levels.is_empty()).ok_or(MergeError::NoXmp)?;
    Ok(Found { properties, end_of_rdf })
}

fn position(reader: &NsReader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn level(reader: &NsReader<&[u8]>, tag: &BytesStart, parent: Option<&Level>) -> Level {
    let (namespace, name) = reader.resolver().resolve_element(tag.name());
    match (known(&namespace), name.as_ref(), parent) {
        (Some(RDF), b"RDF", _) => Level::Rdf,
        (Some(RDF), b"Description", Some(Level::Rdf)) => Level::Description,
        (Some(XMP | OURS), _, Some(Level::Description)) => Level::Property,
        _ => Level::Other,
    }
}

fn property(reader: &NsReader<&[u8]>, tag: &BytesStart, start: usize, end: usize) -> Option<Property> {
    let (namespace, name) = reader.resolver().resolve_element(tag.name());
    let namespace = known(&namespace)?;
    let name = utf8(name);
    Some(Property {
        namespace,
        name,
        value: String::new(),
        inner: end..end,
        whole: start..end,
        is_empty_element: false,
    })
}

fn closed(text: &str, property: Property, start: usize, end: usize) -> Property {
    let inner = property.inner.start..start;
    let whole = with_indent(text, property.whole.start)..end;
    Property { value: plain(&text[inner.clone()]), inner, whole, ..property }
}

/// The XMP properties written as attributes of a description.
fn attributes(
    text: &str,
    reader: &NsReader<&[u8]>,
    tag: &BytesStart,
    properties: &mut Vec<Property>,
) -> Result<(), MergeError> {
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|failure| MergeError::Xml(failure.to_string()))?;
        let (namespace, name) = reader.resolver().resolve_attribute(attribute.key);
        let Some(namespace @ (XMP | OURS)) = known(&namespace) else { continue };
        let (Some(key), Some(inner)) = (place(text, attribute.key.as_ref()), place(text, &attribute.value)) else {
            continue;
        };
        let value = plain(&text[inner.clone()]);
        // The closing quote goes, too.
        let whole = with_indent(text, key.start)..inner.end + 1;
        properties.push(Property { namespace, name: utf8(name), value, inner, whole, is_empty_element: false });
    }
    Ok(())
}

/// Where a slice that was borrowed from `text` lies in it.
fn place(text: &str, slice: &[u8]) -> Option<Range<usize>> {
    let start = (slice.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    (start + slice.len() <= text.len()).then_some(start..start + slice.len())
}

/// From `at` back over the white space before it.
fn with_indent(text: &str, at: usize) -> usize {
    text[..at].trim_end().len()
}

fn utf8(name: LocalName) -> String {
    String::from_utf8_lossy(name.as_ref()).into_owned()
}

fn plain(raw: &str) -> String {
    unescape(raw.trim()).map_or_else(|_| raw.trim().to_owned(), std::borrow::Cow::into_owned)
}

/// The changes to one sidecar.
struct Edit<'a> {
    found: &'a Found,
    cuts: Vec<(Range<usize>, String)>,
    /// Properties that are nowhere yet.
    added: Vec<(&'static str, String)>,
}

impl Edit<'_> {
    fn value(&self, namespace: &str, name: &str) -> Option<&str> {
        let found = self.found.properties.iter().find(|p| p.namespace == namespace && p.name == name)?;
        Some(&found.value)
    }

    /// A property that people set as well. Ours is written beside it under our name: when the two differ, a person has
    /// been here, and we remember that.
    fn shared(&mut self, name: &'static str, wish: Option<String>) -> Owner {
        let (theirs, ours) = (self.value(XMP, name), self.value(OURS, name));
        let remembered = self.value(OURS, "SetByPerson").is_some_and(|names| names.split(' ').any(|set| set == name));
        let untouched = match (theirs, ours) {
            (theirs, Some(ours)) => theirs == Some(ours),
            // By the XMP specification a rating of 0 is "unrated"; darktable writes it for every new photo.
            (Some(theirs), None) => theirs.is_empty() || (name == "Rating" && theirs == "0"),
            (None, None) => true,
        };
        if remembered || !untouched {
            return Owner::Person;
        }
        self.set(XMP, name, wish.clone());
        self.set(OURS, name, wish);
        Owner::Us
    }

    /// Gives a property its value wherever it stands, adds it where it does not, or takes it away.
    fn set(&mut self, namespace: &'static str, name: &str, wish: Option<String>) {
        let standing: Vec<&Property> =
            self.found.properties.iter().filter(|p| p.namespace == namespace && p.name == name).collect();
        let Some(value) = wish else {
            self.cuts.extend(standing.iter().map(|property| (property.whole.clone(), String::new())));
            return;
        };
        if standing.is_empty() {
            let prefix = if namespace == XMP { "xmp" } else { "albumctl" };
            self.added.push((namespace, format!("{prefix}:{name}=\"{}\"", escape(&value))));
        }
        for property in standing.into_iter().filter(|property| property.value != value) {
            if property.is_empty_element {
                // `<xmp:Rating/>` has no room for a value.
                self.cuts.push((property.whole.clone(), String::new()));
                let prefix = if namespace == XMP { "xmp" } else { "albumctl" };
                self.added.push((namespace, format!("{prefix}:{name}=\"{}\"", escape(&value))));
            } else {
                self.cuts.push((property.inner.clone(), escape(&value).into_owned()));
            }
        }
    }

    fn apply(mut self, text: &str) -> String {
        if !self.added.is_empty() {
            let at = with_indent(text, self.found.end_of_rdf);
            self.cuts.push((at..at, description(&self.added)));
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

/// A description of our own for what had no place yet.
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
