//! What is known of photos that the words of a person can speak of.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Component, Path};

use super::ModelHubError;
use crate::photo_report::{PhotoObjects, PhotoReport};
use hub::Describer;
use judge::query::{ConceptError, Evidence, Vocabulary};

/// The classes of a photo that count. Lines of `analyze` have as many, so that a file of them is answered as the photos are;
/// and what a network spreads over the hundred breeds of dogs in a photo of none is left out.
const LABELS: usize = 5;

/// The share of a class that a photo is said to show.
const LIKELY: f64 = 0.1;

/// What the classifier has names for.
pub fn vocabulary() -> Result<Vocabulary, ConceptError> {
    Ok(Vocabulary::new(hub::IMAGENET, hub::IMAGENET_CONCEPTS)?.with_objects(hub::COCO))
}

/// Everything that tells what is on the photos. A new analysis that does joins here.
pub fn evidence(reports: &[PhotoReport]) -> Vec<Evidence<'_>> {
    let common = common_folders(reports);
    reports.iter().map(|report| of_photo(report, common)).collect()
}

/// In words, what a photo shows: the likeliest classes, what they are kinds of, and objects. Each once.
pub fn shown(report: &PhotoReport, vocabulary: &Vocabulary) -> Vec<String> {
    let Evidence { labels, objects, .. } = of_photo(report, 0);
    let likely = labels.iter().filter(|(_, share)| *share >= LIKELY).map(|(label, _)| *label);
    let kinds = likely.clone().flat_map(|label| vocabulary.kinds_of(label));
    let objects = objects.iter().flatten().map(|(label, _)| (*label).to_owned());
    let mut seen = HashSet::new();
    likely.map(str::to_owned).chain(objects).chain(kinds).filter(|word| seen.insert(word.clone())).collect()
}

/// Adds how likely a model says that texts describe the photos that it has looked at.
pub fn describe(
    evidence: &mut [Evidence<'_>],
    reports: &[PhotoReport],
    model: &Describer,
    texts: &[String],
) -> Result<(), ModelHubError> {
    let described = model.describe(texts)?;
    for (photo, report) in evidence.iter_mut().zip(reports) {
        let shares = report.description.iter().flat_map(|picture| described.shares(&picture.vector));
        photo.described = texts.iter().cloned().zip(shares).collect();
    }
    Ok(())
}

fn of_photo(report: &PhotoReport, common: usize) -> Evidence<'_> {
    let PhotoReport { classified, kind, objects, text, path, .. } = report;
    let labels = classified.iter().flat_map(|classified| classified.best(LABELS));
    let lines = text.iter().flat_map(|text| &text.lines);
    Evidence {
        labels: labels.map(|(label, score)| (label, decimal(score))).collect(),
        kind: *kind,
        objects: objects.as_ref().map(|found| {
            found.with(PhotoObjects::SURE).map(|object| (object.label.as_str(), decimal(object.score))).collect()
        }),
        text: lines.map(|line| (line.text.as_str(), decimal(line.confidence))).collect(),
        people: report.who(),
        described: Vec::new(),
        names: folders(path).skip(common).chain(path.file_stem().map(OsStr::to_string_lossy)).collect(),
    }
}

/// The number with the digits that lines show of it, so that a file of `analyze` gives the same.
fn decimal(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| number.into())
}

fn folders(path: &Path) -> impl Iterator<Item = Cow<'_, str>> {
    let name = |part| if let Component::Normal(name) = part { Some(name.to_string_lossy()) } else { None };
    path.parent().into_iter().flat_map(Path::components).filter_map(name)
}

/// The number of leading folders that all photos are in: they tell nothing of one photo.
fn common_folders(reports: &[PhotoReport]) -> usize {
    let Some((first, others)) = reports.split_first() else { return 0 };
    let first: Vec<_> = folders(&first.path).collect();
    let shared = |other: &PhotoReport| first.iter().zip(folders(&other.path)).take_while(|(a, b)| **a == *b).count();
    others.iter().map(shared).min().unwrap_or(first.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_concepts_fits_the_classes() {
        let vocabulary = vocabulary().unwrap();
        for (word, label) in [("dogs", "golden retriever"), ("beach", "seashore"), ("cars", "convertible")] {
            let photo = Evidence { labels: vec![(label, 0.75)], ..Evidence::default() };
            let query = judge::query::Query::parse(word, &vocabulary).unwrap();
            assert_eq!(query.relevance(&photo).score, 0.75, "{word}");
        }
    }

    #[test]
    fn folders_of_every_photo_tell_nothing() {
        let names = |paths: &[&str]| {
            let reports: Vec<_> = paths.iter().map(|path| PhotoReport::of(Path::new(path))).collect();
            let names = evidence(&reports).into_iter().map(|photo| photo.names.join(" "));
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(&["/home/anna/Photos/Beach/a.jpg", "/home/anna/Photos/b.jpg"]), ["Beach a", "b"]);
        assert_eq!(names(&["Beach/a.jpg"]), ["a"]);
        assert_eq!(names(&["Beach/a.jpg", "./Lake/b.jpg"]), ["Beach a", "Lake b"]);
    }
}
