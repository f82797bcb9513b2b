//! What photos have to do with the words of a person: `dog on the beach`, `"golden gate"`, `receipt, invoice`.
//!
//! A query is alternatives, separated by commas, of terms that must all apply. A term is a word, a quoted phrase, or words
//! that name a class together (golden retriever). Each term has a share from 0 to 1 in a photo: of what speaks for it, the
//! strongest counts. The relevance of an alternative is the geometric mean of its terms: it stays on the scale of one term,
//! and a term of which nothing is found leaves nothing of it. A model may
//! know better how well the whole text of an alternative describes a photo.

mod vocabulary;
mod words;

use std::borrow::Cow;
use std::collections::HashSet;

use thiserror::Error;

use crate::select::{LikelyKind, PictureKind, Relevance};
pub use vocabulary::{ConceptError, Vocabulary};
use words::{contains, folded, folded_name, is_ignored};

/// The longest run of words that may name one class: black and gold garden spider.
const LONGEST_NAME: usize = 5;

/// Less is nothing: two decimals do not show it.
const LEAST_SHOWN: f64 = 0.005;

/// What people call the kinds of pictures.
const KINDS: [(&str, PictureKind); 17] = [
    ("photo", PictureKind::Photo),
    ("photograph", PictureKind::Photo),
    ("screenshot", PictureKind::Screenshot),
    ("screen shot", PictureKind::Screenshot),
    ("document", PictureKind::Document),
    ("letter", PictureKind::Document),
    ("receipt", PictureKind::Receipt),
    ("invoice", PictureKind::Receipt),
    ("bill", PictureKind::Receipt),
    ("chart", PictureKind::Chart),
    ("diagram", PictureKind::Chart),
    ("graph", PictureKind::Chart),
    ("drawing", PictureKind::Drawing),
    ("sketch", PictureKind::Drawing),
    ("illustration", PictureKind::Drawing),
    ("cartoon", PictureKind::Drawing),
    ("meme", PictureKind::Meme),
];

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QueryError {
    #[error("“{0}” has no word that says what a picture shows")]
    Empty(String),
    #[error("“{0}” opens a quotation and does not close it")]
    Unclosed(String),
}

/// What is known of a photo that words can speak of.
#[derive(Debug, Clone, Default)]
pub struct Evidence<'a> {
    /// Classes of the classifier, with their probabilities, which sum to 1 over all classes.
    pub labels: Vec<(&'a str, f64)>,
    pub kind: Option<LikelyKind>,
    /// Objects that were found, with their scores; `None` where none were looked for.
    pub objects: Option<Vec<(&'a str, f64)>>,
    /// Lines of text, with how sure they are read.
    pub text: Vec<(&'a str, f64)>,
    /// The people on it, by name.
    pub people: Vec<String>,
    /// How likely a model says that texts describe it.
    pub described: Vec<(String, f64)>,
    /// The name of the file, and those of folders that are not of every photo.
    pub names: Vec<Cow<'a, str>>,
}

/// A query whose words are resolved.
#[derive(Debug, Clone)]
pub struct Query<'v> {
    alternatives: Vec<Alternative<'v>>,
}

#[derive(Debug, Clone)]
struct Alternative<'v> {
    /// As a person wrote it, without quotation marks.
    text: String,
    terms: Vec<Term<'v>>,
}

#[derive(Debug, Clone)]
struct Term<'v> {
    /// As a person wrote it.
    shown: String,
    words: Vec<String>,
    classes: HashSet<&'v str>,
    objects: HashSet<&'v str>,
    kind: Option<PictureKind>,
}

/// What speaks most for a term.
struct Found {
    share: f64,
    clause: String,
}

impl<'v> Query<'v> {
    pub fn parse(text: &str, vocabulary: &'v Vocabulary) -> Result<Self, QueryError> {
        let mut parts = text.split(['"', '“', '”']).enumerate().peekable();
        let begun = || Alternative { text: String::new(), terms: Vec::new() };
        let mut alternatives = Vec::new();
        let mut current = begun();
        while let Some((place, part)) = parts.next() {
            // Between the first quotation mark and the second, the third and the fourth.
            if place % 2 == 1 {
                if parts.peek().is_none() {
                    return Err(QueryError::Unclosed(text.to_owned()));
                }
                current.text.push_str(part);
                current.terms.extend(Some(Term::new(part, vocabulary)).filter(|term| !term.words.is_empty()));
                continue;
            }
            for (number, piece) in part.split(',').enumerate() {
                if number > 0 {
                    alternatives.push(std::mem::replace(&mut current, begun()));
                }
                current.text.push_str(piece);
                current.terms.extend(terms(piece, vocabulary));
            }
        }
        alternatives.push(current);
        alternatives.retain(|alternative| !alternative.terms.is_empty());
        for alternative in &mut alternatives {
            alternative.text = alternative.text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        if alternatives.is_empty() { Err(QueryError::Empty(text.to_owned())) } else { Ok(Self { alternatives }) }
    }

    /// Whether one of its terms may be the name of a person.
    pub fn may_name(&self, person: &str) -> bool {
        let name = folded(person);
        self.terms().any(|term| contains(&name, &term.words))
    }

    /// The texts of its alternatives, for a model that says how well they describe a picture.
    pub fn texts(&self) -> Vec<String> {
        self.alternatives.iter().map(|alternative| alternative.text.clone()).collect()
    }

    /// The terms for which none of the photos can speak: no model that looked at one knows them, and neither their texts nor
    /// their names have them.
    pub fn unknown(&self, photos: &[Evidence]) -> Vec<String> {
        let knows = |term: &Term, photo: &Evidence| {
            let named = (!photo.labels.is_empty() && !term.classes.is_empty())
                || (photo.objects.is_some() && !term.objects.is_empty());
            named || (photo.kind.is_some() && term.kind.is_some()) || term.found(photo).is_some()
        };
        let mut unknown: Vec<String> = Vec::new();
        let described = |text: &String| photos.iter().any(|photo| photo.described.iter().any(|(one, _)| one == text));
        let open = self.alternatives.iter().filter(|alternative| !described(&alternative.text));
        let terms = open.flat_map(|alternative| &alternative.terms);
        for term in terms.filter(|term| !photos.iter().any(|photo| knows(term, photo))) {
            if !unknown.contains(&term.shown) {
                unknown.push(term.shown.clone());
            }
        }
        unknown
    }

    /// Whether the classes of the vocabulary have a name for it.
    pub fn is_in_vocabulary(&self, shown: &str) -> bool {
        self.terms().any(|term| term.shown == shown && !term.classes.is_empty())
    }

    /// The query without these terms.
    #[must_use]
    pub fn without(mut self, unknown: &[String]) -> Self {
        for alternative in &mut self.alternatives {
            alternative.terms.retain(|term| !unknown.contains(&term.shown));
        }
        self.only_whole()
    }

    /// The query without the alternatives that have one of these terms.
    #[must_use]
    pub fn without_alternatives_of(mut self, unknown: &[String]) -> Self {
        let is_unknown = |term: &Term| unknown.contains(&term.shown);
        self.alternatives.retain(|alternative| !alternative.terms.iter().any(is_unknown));
        self.only_whole()
    }

    fn only_whole(mut self) -> Self {
        self.alternatives.retain(|alternative| !alternative.terms.is_empty());
        self
    }

    pub fn relevance(&self, photo: &Evidence) -> Relevance {
        let none = Relevance { score: 0.0, shows: String::new() };
        let all = self.alternatives.iter().flat_map(|alternative| alternative.relevance(photo));
        // The first of the best.
        all.fold(none, |best, one| if one.score > best.score { one } else { best })
    }

    fn terms(&self) -> impl Iterator<Item = &Term<'v>> {
        self.alternatives.iter().flat_map(|alternative| &alternative.terms)
    }
}

impl Alternative<'_> {
    /// By what is known of its words, and by a model of whole texts.
    fn relevance(&self, photo: &Evidence) -> [Relevance; 2] {
        let described = photo.described.iter().find(|(text, _)| *text == self.text).map_or(0.0, |(_, share)| *share);
        let shows =
            if described < LEAST_SHOWN { String::new() } else { format!("fits “{}” ({described:.2})", self.text) };
        [relevance(&self.terms, photo), Relevance { score: described, shows }]
    }
}

fn relevance(terms: &[Term], photo: &Evidence) -> Relevance {
    let found: Vec<Found> = terms.iter().filter_map(|term| term.found(photo)).collect();
    let is_whole = found.len() == terms.len();
    let product: f64 = found.iter().map(|found| found.share).product();
    let score = if is_whole { product.powf(1.0 / terms.len().max(1) as f64).clamp(0.0, 1.0) } else { 0.0 };
    let clauses: Vec<String> = found.into_iter().map(|found| found.clause).collect();
    Relevance { score, shows: clauses.join(", ") }
}

/// The terms of unquoted words: the longest runs that name something together, otherwise single words.
fn terms<'v>(text: &str, vocabulary: &'v Vocabulary) -> Vec<Term<'v>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut terms = Vec::new();
    let mut rest = words.as_slice();
    while !rest.is_empty() {
        let named = (2..=LONGEST_NAME.min(rest.len())).rev().find_map(|length| {
            let term = Term::new(&rest[..length].join(" "), vocabulary);
            (term.names_something() && term.words.len() > 1).then_some((length, term))
        });
        let (length, term) = named.unwrap_or_else(|| (1, Term::new(rest[0], vocabulary)));
        rest = &rest[length..];
        let says_nothing = term.words.iter().all(|word| is_ignored(word));
        terms.extend(Some(term).filter(|_| !says_nothing));
    }
    terms
}

impl<'v> Term<'v> {
    fn new(text: &str, vocabulary: &'v Vocabulary) -> Self {
        let words = folded(text);
        let kind = KINDS.iter().find(|(name, _)| folded(name) == words).map(|(_, kind)| *kind);
        let (classes, objects) = match words.as_slice() {
            [] => (HashSet::new(), HashSet::new()),
            words => (vocabulary.classes_of(words), vocabulary.objects_of(words)),
        };
        let shown = text.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
        Self { shown, words, classes, objects, kind }
    }

    fn names_something(&self) -> bool {
        self.kind.is_some() || !self.classes.is_empty() || !self.objects.is_empty()
    }

    /// What speaks most for it in a photo.
    fn found(&self, photo: &Evidence) -> Option<Found> {
        let ways = [self.in_labels(photo), self.in_kind(photo), self.in_people(photo), self.in_text(photo)];
        let ways = ways.into_iter().chain([self.in_objects(photo), self.in_names(photo)]).flatten();
        ways.fold(None, |best: Option<Found>, one| match best {
            Some(best) if best.share >= one.share => Some(best),
            _ => Some(one),
        })
    }

    /// The probability that one of its classes is shown: classes exclude each other, so it is their sum.
    fn in_labels(&self, photo: &Evidence) -> Option<Found> {
        let own: Vec<&(&str, f64)> = photo.labels.iter().filter(|(label, _)| self.classes.contains(label)).collect();
        let (best, score) = own.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let share = own.iter().map(|(_, score)| score).sum::<f64>().min(1.0);
        if share < LEAST_SHOWN {
            return None;
        }
        let label = if folded(best) == self.words { String::new() } else { format!("{best} ") };
        Some(Found { share, clause: format!("shows “{}” ({label}{score:.2})", self.shown) })
    }

    fn in_objects(&self, photo: &Evidence) -> Option<Found> {
        let own = photo.objects.iter().flatten().filter(|(label, _)| self.objects.contains(label));
        let (label, score) = own.max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Found { share: *score, clause: format!("has “{}” in it ({label} {score:.2})", self.shown) })
    }

    fn in_kind(&self, photo: &Evidence) -> Option<Found> {
        let kind = photo.kind.filter(|kind| Some(kind.what) == self.kind)?;
        Some(Found { share: kind.score, clause: format!("is a {} ({:.2})", kind.what.word(), kind.score) })
    }

    fn in_people(&self, photo: &Evidence) -> Option<Found> {
        let person = photo.people.iter().find(|person| contains(&folded(person), &self.words))?;
        Some(Found { share: 1.0, clause: format!("shows {person}") })
    }

    fn in_text(&self, photo: &Evidence) -> Option<Found> {
        let lines = photo.text.iter().filter(|(line, _)| contains(&folded(line), &self.words));
        let (_, sure) = lines.max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Found { share: *sure, clause: format!("has the text “{}” ({sure:.2})", self.shown) })
    }

    /// A person gave the name, so it counts in full.
    fn in_names(&self, photo: &Evidence) -> Option<Found> {
        let name = photo.names.iter().find(|name| contains(&folded_name(name), &self.words))?;
        Some(Found { share: 1.0, clause: format!("has “{}” in its name ({name})", self.shown) })
    }
}

#[cfg(test)]
mod tests;
