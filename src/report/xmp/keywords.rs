//! Keywords in `dc:subject`. Words of others stay; words of this program are remembered, so that those that hold no more can
//! go, and those that a person has taken out stay out.

use std::ops::Range;

use quick_xml::escape::escape;

use photo::xmp::{DUBLIN_CORE, Found, OURS, RDF};

/// What separates the remembered words; no word holds one.
const SEPARATOR: char = ';';
/// The property that remembers them.
pub const REMEMBERED: &str = "Keywords";

/// The changes to a sidecar's keywords.
#[derive(Debug, Default)]
pub struct Change {
    pub cuts: Vec<(Range<usize>, String)>,
    /// A description to add, where the sidecar has no list.
    pub description: Option<String>,
    /// The words to remember as ours.
    pub remembered: Option<String>,
}

pub fn change(text: &str, found: &Found, words: &[String]) -> Change {
    let before: Vec<&str> =
        found.value(OURS, REMEMBERED).map_or_else(Vec::new, |words| words.split(SEPARATOR).collect());
    let clean = words.iter().map(|word| word.replace(SEPARATOR, ",").trim().to_owned());
    let mut wanted: Vec<String> = clean.filter(|word| !word.is_empty()).collect();
    wanted.sort();
    wanted.dedup();
    let is_wanted = |word: &str| wanted.iter().any(|one| one == word);
    let is_there = |word: &str| found.keywords.iter().any(|keyword| keyword.word == word);
    let gone = found.keywords.iter().filter(|there| before.contains(&there.word.as_str()) && !is_wanted(&there.word));
    let mut change =
        Change { cuts: gone.map(|there| (there.whole.clone(), String::new())).collect(), ..Change::default() };
    let new: Vec<&str> =
        wanted.iter().map(String::as_str).filter(|word| !is_there(word) && !before.contains(word)).collect();
    if !new.is_empty() {
        let item = |word: &&str| format!("\n     <rdf:li>{}</rdf:li>", escape(*word));
        let items = new.iter().map(item).collect::<Vec<_>>().concat();
        match (found.end_of_keywords, &found.empty_subject) {
            (Some(end), _) => {
                let at = text[..end].trim_end().len();
                let inside = format!(" xmlns:rdf=\"{RDF}\"");
                let items = items.replace("<rdf:li>", &format!("<rdf:li{inside}>"));
                change.cuts.push((at..at, items));
            }
            (None, empty) => {
                change.cuts.extend(empty.iter().map(|range| (range.clone(), String::new())));
                change.description = Some(format!(
                    "\n  <rdf:Description rdf:about=\"\"\n    xmlns:rdf=\"{RDF}\"\n    xmlns:dc=\"{DUBLIN_CORE}\">\n   \
                     <dc:subject>\n    <rdf:Bag>{items}\n    </rdf:Bag>\n   </dc:subject>\n  </rdf:Description>"
                ));
            }
        }
    }
    // Ours are those that we put there, a person's removal included: it must not be undone.
    let ours = wanted.iter().map(String::as_str).filter(|word| before.contains(word) || new.contains(word));
    let ours: Vec<&str> = ours.collect();
    change.remembered = (!ours.is_empty()).then(|| ours.join(&SEPARATOR.to_string()));
    change
}
