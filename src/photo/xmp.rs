//! Reads the relevant XMP properties and their positions in the text, so that a writer can replace just these and leave
//! everything else unchanged.

use std::ops::Range;

use quick_xml::NsReader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{LocalName, ResolveResult};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
pub const XMP: &str = "http://ns.adobe.com/xap/1.0/";
/// The namespace in which some programs store picks and rejects.
const MEDIA: &str = "http://ns.adobe.com/xmp/1.0/DynamicMedia/";
pub const DUBLIN_CORE: &str = "http://purl.org/dc/elements/1.1/";
/// The namespace of regions, such as faces, by the Metadata Working Group.
pub const REGIONS: &str = "http://www.metadataworkinggroup.com/schemas/regions/";
/// The namespace in which phones mark a photo that ends with its own film.
const CAMERA: &str = "http://ns.google.com/photos/1.0/camera/";
/// The namespace of this program. It is a name, not an address.
pub const OURS: &str = "urn:albumctl:xmp:1/";

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotXmp {
    #[error("it is no UTF-8 text")]
    Encoding,
    #[error("it is no well-formed XML ({0})")]
    Xml(String),
    #[error("it holds no XMP")]
    NoXmp,
}

/// A person's rating of a photo in another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonsRating {
    Rejected,
    Picked,
    /// 1 to 5.
    Stars(u8),
}

impl PersonsRating {
    /// From a value of `xmp:Rating` or of EXIF: −1 is rejected, 0 unrated.
    pub fn of_number(rating: i64) -> Option<Self> {
        match rating {
            -1 => Some(Self::Rejected),
            1..=5 => Some(Self::Stars(rating as u8)),
            _ => None,
        }
    }

    /// The value of `xmp:Rating`; a pick counts as five stars.
    pub fn number(self) -> i8 {
        match self {
            Self::Rejected => -1,
            Self::Picked => 5,
            Self::Stars(stars) => stars as i8,
        }
    }
}

/// A property, with its value and its position in the text.
#[derive(Debug)]
pub struct Property {
    pub namespace: &'static str,
    pub name: String,
    pub value: String,
    /// The range of the value.
    pub inner: Range<usize>,
    /// The range to delete in order to remove the property.
    pub whole: Range<usize>,
    /// Whether it is an empty element; then `inner` is the empty range after its tag.
    pub is_empty_element: bool,
}

/// A keyword: an item of `dc:subject`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyword {
    pub word: String,
    /// The range to delete in order to remove it.
    pub whole: Range<usize>,
}

#[derive(Debug, Default)]
pub struct Found {
    pub properties: Vec<Property>,
    pub keywords: Vec<Keyword>,
    /// The position just before the end of the list of keywords, where there is one.
    pub end_of_keywords: Option<usize>,
    /// Where `dc:subject` stands that has no list, and is to be replaced by one that has.
    pub empty_subject: Option<Range<usize>>,
    /// Where the element with all regions stands.
    pub regions: Option<Range<usize>>,
    /// The position just before `</rdf:RDF>`.
    pub end_of_rdf: usize,
}

impl Found {
    pub fn value(&self, namespace: &str, name: &str) -> Option<&str> {
        let found = self.properties.iter().find(|p| p.namespace == namespace && p.name == name)?;
        Some(&found.value)
    }

    /// Whether a person set a property that this program writes too. This program also stores its value in its own
    /// namespace, so a different value was set by a person.
    pub fn is_a_persons(&self, name: &str) -> bool {
        let (theirs, ours) = (self.value(XMP, name), self.value(OURS, name));
        let remembered = self.value(OURS, "SetByPerson").is_some_and(|names| names.split(' ').any(|set| set == name));
        remembered
            || match (theirs, ours) {
                (theirs, Some(ours)) => theirs != Some(ours),
                // In the XMP specification a rating of 0 means "unrated"; darktable writes it for every new photo.
                (Some(theirs), None) => !(theirs.is_empty() || (name == "Rating" && theirs == "0")),
                (None, None) => false,
            }
    }

    /// The person's rating: a reject takes precedence over a pick, and a pick over stars.
    pub fn persons_rating(&self) -> Option<PersonsRating> {
        let stars = self.value(XMP, "Rating").filter(|_| self.is_a_persons("Rating"));
        // Some programs write 4.0 or 3.5.
        let stars = stars.and_then(|stars| stars.parse::<f64>().ok());
        let rated = stars.and_then(|stars| PersonsRating::of_number(stars.floor() as i64));
        match (rated, self.value(MEDIA, "pick").and_then(|pick| pick.parse::<i64>().ok())) {
            (Some(PersonsRating::Rejected), _) | (_, Some(-1)) => Some(PersonsRating::Rejected),
            (_, Some(1)) => Some(PersonsRating::Picked),
            (rated, _) => rated,
        }
    }
}

/// The person's rating in a sidecar or an embedded packet; `None` if it is no valid XMP.
pub fn persons_rating(packet: &[u8]) -> Option<PersonsRating> {
    in_packet(packet)?.persons_rating()
}

/// Whether an embedded packet says that the photo's file holds a film too; older phones called it a micro video.
pub fn is_motion_photo(packet: &[u8]) -> bool {
    let found = in_packet(packet);
    ["MotionPhoto", "MicroVideo"].iter().any(|name| found.as_ref().and_then(|it| it.value(CAMERA, name)) == Some("1"))
}

fn in_packet(packet: &[u8]) -> Option<Found> {
    let text = std::str::from_utf8(packet).ok()?;
    find(text.strip_prefix('\u{feff}').unwrap_or(text)).ok()
}

/// The namespace, if its properties are relevant.
fn known(resolved: &ResolveResult) -> Option<&'static str> {
    let ResolveResult::Bound(namespace) = resolved else { return None };
    [RDF, XMP, OURS, MEDIA, CAMERA, DUBLIN_CORE, REGIONS]
        .into_iter()
        .find(|known| known.as_bytes() == namespace.as_ref())
}

/// The kind of an element on the path from the root to the reader's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Rdf,
    Description,
    /// A property of a relevant namespace; the property itself is in `open`.
    Property,
    /// `dc:subject`, from its start on.
    Subject(usize),
    /// The list in it.
    Keywords,
    /// An item of that list, from its start on, and its text.
    Keyword(usize, usize),
    /// `mwg-rs:Regions`, from its start on.
    Regions(usize),
    Other,
}

/// Parses XMP. `text` must not begin with a byte order mark, because the reader would skip it without counting it in
/// positions.
pub fn find(text: &str) -> Result<Found, NotXmp> {
    let mut reader = NsReader::from_str(text);
    let mut levels = Vec::new();
    let mut open: Vec<Property> = Vec::new();
    let mut found = Found::default();
    let mut end_of_rdf = None;
    loop {
        let start = position(&reader);
        let event = reader.read_event().map_err(|failure| NotXmp::Xml(failure.to_string()))?;
        let end = position(&reader);
        match event {
            Event::Start(tag) => {
                let level = level(&reader, &tag, levels.last(), start, end);
                match level {
                    Level::Description => attributes(text, &reader, &tag, &mut found.properties)?,
                    Level::Property => open.extend(property(&reader, &tag, start, end)),
                    _ => {}
                }
                levels.push(level);
            }
            Event::Empty(tag) => match level(&reader, &tag, levels.last(), start, end) {
                Level::Description => attributes(text, &reader, &tag, &mut found.properties)?,
                Level::Property => {
                    let property = property(&reader, &tag, start, end);
                    found.properties.extend(property.map(|p| Property { is_empty_element: true, ..p }));
                }
                Level::Subject(_) => found.empty_subject = Some(with_indent(text, start)..end),
                Level::Regions(_) => found.regions = Some(with_indent(text, start)..end),
                _ => {}
            },
            Event::End(_) => match levels.pop() {
                Some(Level::Rdf) => end_of_rdf = Some(start),
                Some(Level::Property) => found.properties.extend(open.pop().map(|p| closed(text, p, start, end))),
                Some(Level::Keywords) => found.end_of_keywords = Some(start),
                Some(Level::Keyword(begin, inner)) => {
                    let (word, whole) = (plain(&text[inner..start]), with_indent(text, begin)..end);
                    found.keywords.push(Keyword { word, whole });
                }
                Some(Level::Subject(begin)) if found.end_of_keywords.is_none() => {
                    found.empty_subject = Some(with_indent(text, begin)..end);
                }
                Some(Level::Regions(begin)) => found.regions = Some(with_indent(text, begin)..end),
                _ => {}
            },
            Event::Eof => break,
            _ => {}
        }
    }
    found.end_of_rdf = end_of_rdf.filter(|_| levels.is_empty()).ok_or(NotXmp::NoXmp)?;
    Ok(found)
}

fn position(reader: &NsReader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// `start` and `end` are those of the tag.
fn level(reader: &NsReader<&[u8]>, tag: &BytesStart, parent: Option<&Level>, start: usize, end: usize) -> Level {
    let (namespace, name) = reader.resolver().resolve_element(tag.name());
    match (known(&namespace), name.as_ref(), parent) {
        (Some(RDF), b"RDF", _) => Level::Rdf,
        (Some(RDF), b"Description", Some(Level::Rdf)) => Level::Description,
        (Some(XMP | OURS | MEDIA | CAMERA), _, Some(Level::Description)) => Level::Property,
        (Some(DUBLIN_CORE), b"subject", Some(Level::Description)) => Level::Subject(start),
        (Some(RDF), b"Bag" | b"Seq" | b"Alt", Some(Level::Subject(_))) => Level::Keywords,
        (Some(RDF), b"li", Some(Level::Keywords)) => Level::Keyword(start, end),
        (Some(REGIONS), b"Regions", Some(Level::Description)) => Level::Regions(start),
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

/// Adds the properties that are written as attributes of a description.
fn attributes(
    text: &str,
    reader: &NsReader<&[u8]>,
    tag: &BytesStart,
    properties: &mut Vec<Property>,
) -> Result<(), NotXmp> {
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|failure| NotXmp::Xml(failure.to_string()))?;
        let (namespace, name) = reader.resolver().resolve_attribute(attribute.key);
        let Some(namespace @ (XMP | OURS | MEDIA | CAMERA)) = known(&namespace) else { continue };
        let (Some(key), Some(inner)) = (place(text, attribute.key.as_ref()), place(text, &attribute.value)) else {
            continue;
        };
        let value = plain(&text[inner.clone()]);
        // Includes the closing quote.
        let whole = with_indent(text, key.start)..inner.end + 1;
        properties.push(Property { namespace, name: utf8(name), value, inner, whole, is_empty_element: false });
    }
    Ok(())
}

/// The range in `text` of a slice borrowed from it.
fn place(text: &str, slice: &[u8]) -> Option<Range<usize>> {
    let start = (slice.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    (start + slice.len() <= text.len()).then_some(start..start + slice.len())
}

/// The position before the white space that precedes `at`.
pub fn with_indent(text: &str, at: usize) -> usize {
    text[..at].trim_end().len()
}

fn utf8(name: LocalName) -> String {
    String::from_utf8_lossy(name.as_ref()).into_owned()
}

fn plain(raw: &str) -> String {
    unescape(raw.trim()).map_or_else(|_| raw.trim().to_owned(), std::borrow::Cow::into_owned)
}
