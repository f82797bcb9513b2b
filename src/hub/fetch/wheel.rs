//! Files from published wheels: finds the wheel in the user's package index, reads its directory, and fetches only the
//! wanted entry. From a server without range requests, the whole wheel is fetched once.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::address::{Address, unescaped};
use super::client::{Request, Response, Trouble};
use super::transfer::Transfer;
use super::unpack::unpacked;
use super::{Event, SourceError};
use crate::cache::{Origin, PartialFile};
use crate::digest::Digest;
use crate::sources::WheelEntry;
use base::reading;
use base::zip_directory::{self as zip, Broken, Entry, Packing};

/// Maximum bytes of an index page; one with thousands of files has a few megabytes.
const LONGEST_PAGE: u64 = 64 << 20;
const LONGEST_DIRECTORY: u64 = 64 << 20;
const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";

/// State shared by the wheels of one pull: each index page and each directory is read once.
#[derive(Debug, Default)]
pub struct Wheels {
    links: Mutex<HashMap<WheelEntry, Link>>,
    directories: Mutex<HashMap<String, Directory>>,
}

/// A wheel listed by the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    file: String,
    pub address: String,
    pub sha256: Option<Digest>,
    pub bytes: Option<u64>,
}

#[derive(Debug, Clone)]
enum Directory {
    Ranges(Arc<Vec<Entry>>),
    /// The server does not support ranges.
    WholeOnly,
}

/// The result of fetching an entry.
#[derive(Debug)]
pub enum Got {
    Entry,
    /// The whole wheel must be fetched; then use [`from_file`].
    NeedsWhole(Link),
}

impl Wheels {
    pub fn fetch(
        &self,
        transfer: &mut Transfer<'_>,
        wheel: &WheelEntry,
        part: &mut PartialFile,
    ) -> Result<Got, Trouble> {
        let mut got = Got::Entry;
        transfer.persist(part, false, |transfer, part| {
            let link = self.link(transfer, wheel)?;
            match self.directory(transfer, &link)? {
                Directory::Ranges(entries) => {
                    let entry = named(&entries, &wheel.entry)?;
                    if !fetch_entry(transfer, &link, entry, part)? {
                        got = Got::NeedsWhole(link);
                    }
                }
                Directory::WholeOnly => got = Got::NeedsWhole(link),
            }
            Ok(())
        })?;
        Ok(got)
    }

    fn link(&self, transfer: &Transfer<'_>, wheel: &WheelEntry) -> Result<Link, Trouble> {
        // Locked while the page is read, because several files of one wheel need it at the same time.
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let of_wheel = WheelEntry { entry: String::new(), ..wheel.clone() };
        if let Some(link) = links.get(&of_wheel) {
            return Ok(link.clone());
        }
        let link = look_up(transfer, wheel)?;
        links.insert(of_wheel, link.clone());
        Ok(link)
    }

    fn directory(&self, transfer: &Transfer<'_>, link: &Link) -> Result<Directory, Trouble> {
        let mut directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = directories.get(&link.address) {
            return Ok(directory.clone());
        }
        let directory = read_directory(transfer, link)?;
        directories.insert(link.address.clone(), directory.clone());
        Ok(directory)
    }
}

impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        SourceError::Archive(broken.to_string()).into()
    }
}

/// Extracts an entry from a wheel on disk.
pub fn from_file(
    transfer: &mut Transfer<'_>,
    path: &Path,
    wheel: &WheelEntry,
    part: &mut PartialFile,
) -> Result<(), Trouble> {
    let archive = |error: std::io::Error| Trouble::Never(SourceError::Archive(error.to_string()));
    let mut file = reading::open(path).map_err(archive)?;
    let size = file.metadata().map_err(archive)?.len();
    let mut read = |from: u64, length: u64| -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        (&file).take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let tail_from = size.saturating_sub(zip::TAIL);
    let (offset, length) = zip::place(&read(tail_from, zip::TAIL).map_err(archive)?, size)?;
    let entries = zip::entries(&read(offset, length.min(LONGEST_DIRECTORY)).map_err(archive)?, offset)?;
    let entry = named(&entries, &wheel.entry)?;
    file.seek(SeekFrom::Start(entry.offset)).map_err(archive)?;
    part.start_over(Origin::default())?;
    let reader = unpacked(std::io::BufReader::new(file), entry).map_err(archive)?;
    transfer.stream(reader, part, Some(entry.bytes), false)
}

fn named<'a>(entries: &'a [Entry], name: &str) -> Result<&'a Entry, Trouble> {
    let missing = || SourceError::Archive(format!("it has no entry {name}"));
    entries.iter().find(|entry| entry.name == name && entry.packing != Packing::Other).ok_or_else(|| missing().into())
}

fn look_up(transfer: &Transfer<'_>, wheel: &WheelEntry) -> Result<Link, Trouble> {
    let indexes = &transfer.client.network().indexes;
    for index in indexes {
        let page = format!("{index}/{}/", normalised(&wheel.package));
        let request = Request { address: &page, accept: Some(ACCEPT), ..Request::default() };
        let response = match transfer.client.get(&request) {
            Err(Trouble::Never(SourceError::Status { status: 404 | 410 })) => continue,
            response => response?,
        };
        let base = response.address.clone();
        let text = response.text(transfer.client, LONGEST_PAGE)?;
        let Some(link) = links(&base, &text).into_iter().find(|link| link.file == wheel.file) else { continue };
        return match (wheel.sha256, link.sha256) {
            (Some(expected), Some(found)) if expected != found => {
                Err(SourceError::OtherWheel { expected, found }.into())
            }
            (expected, found) => Ok(Link { sha256: expected.or(found), ..link }),
        };
    }
    Err(SourceError::NotListed(wheel.file.clone()).into())
}

/// Normalises a package name: case and kind of dash do not matter.
fn normalised(package: &str) -> String {
    let words: Vec<&str> = package.split(['-', '_', '.']).filter(|word| !word.is_empty()).collect();
    words.join("-").to_ascii_lowercase()
}

/// Parses both forms of the simple index: JSON, and HTML with one anchor per file.
fn links(base: &Address, page: &str) -> Vec<Link> {
    match serde_json::from_str::<Value>(page) {
        Ok(json) => {
            json["files"].as_array().into_iter().flatten().filter_map(|file| link_of_json(base, file)).collect()
        }
        Err(_) => page.split("<a ").skip(1).filter_map(|anchor| link_of_anchor(base, anchor)).collect(),
    }
}

fn link_of_json(base: &Address, file: &Value) -> Option<Link> {
    Some(Link {
        file: file["filename"].as_str()?.to_owned(),
        address: base.join(file["url"].as_str()?).ok()?.full(),
        sha256: file["hashes"]["sha256"].as_str().and_then(|hex| hex.parse().ok()),
        bytes: file["size"].as_u64(),
    })
}

fn link_of_anchor(base: &Address, anchor: &str) -> Option<Link> {
    let (attributes, _) = anchor.split_once('>')?;
    let value = attributes.split_once("href=")?.1;
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let href = value[1..].split(quote).next()?;
    let href = href.replace("&#43;", "+").replace("&quot;", "\"").replace("&amp;", "&");
    let address = base.join(&href).ok()?;
    let sha256 = href.split_once("#sha256=").and_then(|(_, hex)| unescaped(hex).get(..64)?.parse().ok());
    Some(Link { file: address.file_name(), address: address.full(), sha256, bytes: None })
}

fn read_directory(transfer: &Transfer<'_>, link: &Link) -> Result<Directory, Trouble> {
    let Some((tail_from, size, tail)) = range(transfer, link, &format!("bytes=-{}", zip::TAIL), zip::TAIL)? else {
        return Ok(Directory::WholeOnly);
    };
    let (offset, length) = zip::place(&tail, size)?;
    let directory = if offset >= tail_from {
        let from = (offset - tail_from) as usize;
        tail.get(from..from + length as usize).unwrap_or_default().to_vec()
    } else {
        let length = length.min(LONGEST_DIRECTORY);
        match range(transfer, link, &format!("bytes={offset}-{}", offset + length - 1), length)? {
            Some((_, _, bytes)) => bytes,
            None => return Ok(Directory::WholeOnly),
        }
    };
    Ok(Directory::Ranges(Arc::new(zip::entries(&directory, offset)?)))
}

/// Fetches a range: first byte, total size, and the bytes; `None` if the server does not support ranges.
fn range(
    transfer: &Transfer<'_>,
    link: &Link,
    range: &str,
    longest: u64,
) -> Result<Option<(u64, u64, Vec<u8>)>, Trouble> {
    let request = Request { address: &link.address, range: Some(range.to_owned()), ..Request::default() };
    let response = transfer.client.get(&request)?;
    let Some((first, last, Some(size))) = partial(&response) else { return Ok(None) };
    let mut bytes = Vec::new();
    let reader = response.into_reader().take(longest);
    { reader }.read_to_end(&mut bytes).map_err(|error| transfer.client.broken(&error))?;
    let total = last.saturating_add(1).saturating_sub(first);
    if (bytes.len() as u64) < total.min(longest) {
        let have = bytes.len() as u64;
        return Err(Trouble::Again { cause: SourceError::CutShort { have, total }, wait: None });
    }
    Ok(Some((first, size, bytes)))
}

fn partial(response: &Response) -> Option<(u64, u64, Option<u64>)> {
    response.content_range().filter(|_| response.status == 206)
}

/// Fetches an entry by range; false if the server sent something else.
fn fetch_entry(
    transfer: &mut Transfer<'_>,
    link: &Link,
    entry: &Entry,
    part: &mut PartialFile,
) -> Result<bool, Trouble> {
    if let Some(expected) = transfer.wanted.size.filter(|size| *size != entry.bytes) {
        return Err(SourceError::Size { expected, found: entry.bytes }.into());
    }
    let range = Some(format!("bytes={}-{}", entry.offset, entry.end.max(entry.offset + 1) - 1));
    let response = transfer.client.get(&Request { address: &link.address, range, ..Request::default() })?;
    if partial(&response).is_none_or(|(first, ..)| first != entry.offset) {
        return Ok(false);
    }
    part.start_over(Origin::default())?;
    transfer.check_room(part, entry.bytes)?;
    (transfer.tell)(Event::Begun { from: 0, total: Some(entry.bytes) });
    let client = transfer.client;
    let reader = unpacked(response.into_reader(), entry).map_err(|error| client.broken(&error))?;
    transfer.stream(reader, part, Some(entry.bytes), true)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Address {
        Address::parse("https://index.example/simple/pkg/").unwrap()
    }

    #[test]
    fn both_forms_of_the_index_say_the_same() {
        let hex = Digest::of(b"x").hex();
        let html = format!(
            "<!DOCTYPE html><body><a href=\"../../files/pkg-1.0%2Bcpu-py3-none-any.whl#sha256={hex}\" \
             data-requires-python=\"&gt;=3.9\">pkg-1.0+cpu-py3-none-any.whl</a><br/><a href='x.tar.gz'>x</a>"
        );
        let json = format!(
            "{{\"files\":[{{\"filename\":\"pkg-1.0+cpu-py3-none-any.whl\",\"size\":7,\
             \"url\":\"https://index.example/files/pkg-1.0%2Bcpu-py3-none-any.whl\",\"hashes\":{{\"sha256\":\"{hex}\"}}}}]}}"
        );
        let (html, json) = (links(&base(), &html), links(&base(), &json));
        assert_eq!((html.len(), html[1].file.as_str()), (2, "x.tar.gz"));
        assert_eq!(Link { bytes: Some(7), ..html[0].clone() }, json[0]);
        assert_eq!(json[0].sha256, Some(Digest::of(b"x")));
        assert_eq!(normalised("My__Package.Name"), "my-package-name");
    }

    #[test]
    fn a_page_of_nonsense_lists_nothing() {
        for page in ["", "<a ", "<a href=", "<a href=\"", "<a href=\"ftp://x\">y</a>", "{}", "{\"files\":[{}]}"] {
            assert_eq!(links(&base(), page), [], "{page}");
        }
    }
}
