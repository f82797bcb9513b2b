//! The selection with a person's taste, which says in every reason that it changed that it did.

use std::collections::BTreeSet;

use super::pick::GroupedPhotos;
use super::{Comparator, Photo, Rules, SelectError, Verdict};

/// A selection under way: the photos are scored and grouped, and none is compared with another yet.
#[derive(Debug)]
pub struct Selection<'a> {
    photos: &'a [Photo],
    grouped: GroupedPhotos<'a>,
    /// By the scores alone; `None` where no taste counts.
    by_default: Option<GroupedPhotos<'a>>,
}

impl<'a> Selection<'a> {
    pub fn of(photos: &'a [Photo], rules: &'a Rules) -> Result<Self, SelectError> {
        let counts = photos.iter().any(|photo| photo.taste.is_some());
        let by_default = counts.then(|| GroupedPhotos::new(photos, rules, false)).transpose()?;
        Ok(Self { photos, grouped: GroupedPhotos::new(photos, rules, true)?, by_default })
    }

    /// Returns the photos in a tie-break, which the comparison model needs features of; if empty, no model is needed.
    pub fn needs_comparison(&self) -> Vec<usize> {
        let by_default = self.by_default.iter().flat_map(GroupedPhotos::close);
        let both: BTreeSet<usize> = self.grouped.close().chain(by_default).collect();
        both.into_iter().collect()
    }

    /// Returns the photos whose distances from each other may decide.
    pub fn needs_distances(&self) -> Vec<usize> {
        let by_default = self.by_default.iter().flat_map(GroupedPhotos::compared_by_distance);
        let both: BTreeSet<usize> = self.grouped.compared_by_distance().chain(by_default).collect();
        both.into_iter().collect()
    }

    /// Returns a verdict for every photo: the picks by rank, then the others from best to worst.
    pub fn verdicts(&self, comparator: Comparator) -> Vec<Verdict> {
        let mut verdicts = self.grouped.select(comparator);
        let Some(grouped) = &self.by_default else { return verdicts };
        let mut by_default: Vec<Option<Verdict>> = vec![None; self.photos.len()];
        for verdict in grouped.select(comparator) {
            let photo = verdict.photo;
            by_default[photo] = Some(verdict);
        }
        for verdict in &mut verdicts {
            let adds = self.photos[verdict.photo].taste;
            let (Some(default), Some(adds)) = (&by_default[verdict.photo], adds) else { continue };
            let clause = match (verdict.selected(), default.selected()) {
                (true, false) => format!("picked for your taste ({adds:+.2})"),
                (false, true) => format!("picked if your taste did not count ({adds:+.2})"),
                _ if verdict.reason != default.reason => format!("your taste counts ({adds:+.2})"),
                _ => continue,
            };
            let sentence = verdict.reason.trim_end_matches('.');
            verdict.reason = format!("{sentence}; {clause}.");
        }
        verdicts
    }
}

/// The verdicts of a whole selection.
pub fn select(photos: &[Photo], rules: &Rules, comparator: Comparator) -> Result<Vec<Verdict>, SelectError> {
    Ok(Selection::of(photos, rules)?.verdicts(comparator))
}

#[cfg(test)]
mod tests {
    use super::super::tests;
    use super::*;

    fn photo(name: &str, iqa: f64, taste: Option<f64>) -> Photo {
        Photo { taste, ..tests::photo(name, 0, iqa) }
    }

    fn chosen(photos: &[Photo]) -> Vec<(String, Option<f64>, String)> {
        let comparator = Comparator { better: None, distance: &|_, _| None };
        let verdicts = select(photos, &Rules::default(), comparator).unwrap();
        let told =
            |verdict: Verdict| (photos[verdict.photo].path.display().to_string(), verdict.composite, verdict.reason);
        verdicts.into_iter().map(told).collect()
    }

    #[test]
    fn a_taste_moves_scores_and_every_reason_that_it_changed_says_so() {
        let plain = chosen(&[photo("a.jpg", 0.8, None), photo("b.jpg", 0.6, None), photo("c.jpg", 0.1, None)]);
        assert_eq!((plain[0].0.as_str(), plain[0].1), ("a.jpg", Some(0.8)));
        assert!(plain.iter().all(|(_, _, reason)| !reason.contains("taste")));
        let with = [photo("a.jpg", 0.8, Some(-0.1)), photo("b.jpg", 0.6, Some(0.25)), photo("c.jpg", 0.1, Some(0.0))];
        let with = chosen(&with);
        assert_eq!(with[0].0, "b.jpg");
        assert!(with[0].2.ends_with("; picked for your taste (+0.25)."), "{}", with[0].2);
        assert_eq!(with[1].0, "a.jpg");
        assert!(with[1].2.contains("0.15 behind b.jpg"), "the printed scores: {}", with[1].2);
        assert!(with[1].2.ends_with("; picked if your taste did not count (-0.10)."), "{}", with[1].2);
        assert!(with[2].2.ends_with("; your taste counts (+0.00)."), "{}", with[2].2);
    }

    #[test]
    fn a_taste_that_changes_nothing_is_not_told() {
        let with = chosen(&[photo("a.jpg", 0.8, Some(0.0)), photo("b.jpg", 0.6, Some(0.0))]);
        assert!(with.iter().all(|(_, _, reason)| !reason.contains("taste")));
    }
}
