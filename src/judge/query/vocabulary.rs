//! What a classifier has names for: its classes, and what they are kinds of.

use std::collections::{HashMap, HashSet};

use super::words::{contains, folded};

/// The names of classes, and the concepts that they are kinds of.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    classes: Vec<Class>,
    /// The places of the classes of a concept, by each of its names.
    concepts: HashMap<Vec<String>, Vec<usize>>,
    /// What finders of objects have names for.
    objects: Vec<String>,
}

#[derive(Debug, Clone)]
struct Class {
    name: String,
    words: Vec<String>,
    /// The words in capitals, folded: of a Labrador retriever, each of the two tells what it is.
    proper: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the concepts is not `words: places`")]
pub struct ConceptError {
    line: usize,
}

impl Vocabulary {
    /// From the names of classes, one a line, and concepts: lines of `words, words: places`, where a place is a number from 0
    /// or a range, `151-268`. Lines that begin with # are comments.
    pub fn new(classes: &str, concepts: &str) -> Result<Self, ConceptError> {
        let class = |name: &str| {
            let is_proper = |word: &&str| word.starts_with(char::is_uppercase);
            let proper = name.split(' ').filter(is_proper).flat_map(folded).collect();
            Class { name: name.to_owned(), words: folded(name), proper }
        };
        let mut all =
            Self { classes: classes.lines().map(class).collect(), concepts: HashMap::new(), ..Self::default() };
        for (number, line) in concepts.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            let malformed = ConceptError { line: number + 1 };
            let (names, places) = line.split_once(": ").ok_or_else(|| malformed.clone())?;
            let places = places.split(' ').map(|range| all.range(range)).collect::<Option<Vec<_>>>();
            let places: Vec<usize> = places.ok_or(malformed)?.into_iter().flatten().collect();
            for name in names.split(", ") {
                all.concepts.insert(folded(name), places.clone());
            }
        }
        Ok(all)
    }

    /// The same with the names of objects, one a line.
    #[must_use]
    pub fn with_objects(mut self, names: &str) -> Self {
        self.objects = names.lines().filter(|name| !name.is_empty()).map(str::to_owned).collect();
        self
    }

    /// The names of the concepts that a class belongs to, sorted.
    pub fn kinds_of(&self, class: &str) -> Vec<String> {
        let place = self.classes.iter().position(|known| known.name == class);
        let has = |places: &[usize]| place.is_some_and(|place| places.contains(&place));
        let mut kinds: Vec<String> =
            self.concepts.iter().filter(|(_, places)| has(places)).map(|(words, _)| words.join(" ")).collect();
        kinds.sort();
        kinds
    }

    /// The names of objects that the folded words mean: what is called so or ends so, or is of a kind that the classes tell.
    pub(super) fn objects_of(&self, words: &[String]) -> HashSet<&str> {
        let wanted = self.classes_of(words);
        let means = |name: &&String| {
            let own = folded(name);
            let classes = self.classes_of(&own);
            if classes.is_empty() || wanted.is_empty() { own.ends_with(words) } else { classes.is_subset(&wanted) }
        };
        self.objects.iter().filter(means).map(String::as_str).collect()
    }

    fn range(&self, text: &str) -> Option<std::ops::RangeInclusive<usize>> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = first.parse().ok()?..=last.parse().ok()?;
        (!range.is_empty() && *range.end() < self.classes.len()).then_some(range)
    }

    /// The names of the classes that the folded words mean. A concept means its classes alone; other words mean what is called
    /// so, or ends in them (a mountain bike is a bike), or is called so by a name in capitals (a Labrador).
    pub(super) fn classes_of(&self, words: &[String]) -> HashSet<&str> {
        if let Some(places) = self.concepts.get(words) {
            return places.iter().map(|&place| self.classes[place].name.as_str()).collect();
        }
        let means = |class: &&Class| class.words.ends_with(words) || contains(&class.proper, words);
        self.classes.iter().filter(means).map(|class| class.name.as_str()).collect()
    }
}
