//! Agreement of predicted groups with labelled ones, which can be recomputed for any bootstrap draw of the labelled
//! groups; and how often photos without a group were put into one.

use std::collections::BTreeMap;

/// Counts of the pairs of photos within and between the labelled groups.
#[derive(Debug, Clone, PartialEq)]
pub struct PairCounts {
    sizes: Vec<f64>,
    /// Number of pairs that were grouped together: `[a][b]`, with labelled groups `a <= b`.
    grouped: Vec<Vec<f64>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Agreement {
    /// Share of the pairs grouped together that belong together; 1 if none was grouped.
    pub precision: f64,
    /// Share of the pairs belonging together that were grouped together; 1 if none belong together.
    pub recall: f64,
    pub f1: f64,
    /// The adjusted Rand index: 1 for the same groups, about 0 for unrelated ones.
    pub adjusted_rand: f64,
}

fn pairs(n: f64) -> f64 {
    n * (n - 1.0) / 2.0
}

impl PairCounts {
    /// Counts the pairs; labelled groups are numbered from 0.
    pub fn new<T: PartialEq>(truth: &[usize], found: &[T]) -> Self {
        let count = truth.iter().max().map_or(0, |most| most + 1);
        let mut sizes = vec![0.0; count];
        let mut grouped = vec![vec![0.0; count]; count];
        for (i, (&group, label)) in truth.iter().zip(found).enumerate() {
            sizes[group] += 1.0;
            for (&other, _) in truth[..i].iter().zip(found).filter(|(_, before)| *before == label) {
                grouped[group.min(other)][group.max(other)] += 1.0;
            }
        }
        Self { sizes, grouped }
    }

    pub fn groups(&self) -> usize {
        self.sizes.len()
    }

    /// The agreement over all labelled groups.
    pub fn agreement(&self) -> Agreement {
        self.drawn(&vec![1.0; self.groups()])
    }

    /// The agreement when each labelled group is drawn `times` times. Pairs between copies of the same group are not
    /// counted; pairs between different groups are weighted up for them, otherwise a draw would have too few wrong
    /// pairs.
    pub fn drawn(&self, times: &[f64]) -> Agreement {
        let drawn: f64 = times.iter().sum();
        let pairs_of_groups = drawn * drawn - times.iter().map(|times| times * times).sum::<f64>();
        let weight = if pairs_of_groups > 0.0 { drawn * (drawn - 1.0) / pairs_of_groups } else { 0.0 };
        let (mut both, mut belong, mut together, mut all) = (0.0, 0.0, 0.0, 0.0);
        for (a, row) in self.grouped.iter().enumerate() {
            both += times[a] * row[a];
            belong += times[a] * pairs(self.sizes[a]);
            all += times[a] * pairs(self.sizes[a]);
            together += times[a] * row[a];
            for b in a + 1..row.len() {
                let pair_weight = weight * times[a] * times[b];
                together += pair_weight * row[b];
                all += pair_weight * self.sizes[a] * self.sizes[b];
            }
        }
        let share = |of: f64| if of > 0.0 { both / of } else { 1.0 };
        let (precision, recall) = (share(together), share(belong));
        let sum = precision + recall;
        let by_chance = if all > 0.0 { belong * together / all } else { 0.0 };
        let most = f64::midpoint(belong, together);
        let even = (most - by_chance).abs() < f64::EPSILON * most.max(1.0);
        Agreement {
            precision,
            recall,
            f1: if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 },
            adjusted_rand: if even { 1.0 } else { (both - by_chance) / (most - by_chance) },
        }
    }
}

/// How photos that belong to no labelled group (strangers) were grouped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strangers {
    /// Share of the strangers that were grouped with any other photo.
    pub joined: f64,
    /// Size of the largest group in which a stranger is not alone; 0 if there is none.
    pub largest: usize,
}

impl Strangers {
    /// Compares the groups; `truth` is `None` for a stranger.
    pub fn new<T: Ord>(truth: &[Option<usize>], found: &[T]) -> Self {
        let mut groups: BTreeMap<&T, (usize, usize)> = BTreeMap::new();
        for (group, label) in truth.iter().zip(found) {
            let (size, strangers) = groups.entry(label).or_default();
            *size += 1;
            *strangers += usize::from(group.is_none());
        }
        let among_others = || groups.values().filter(|(size, strangers)| *strangers > 0 && *size > 1);
        let all: usize = groups.values().map(|(_, strangers)| strangers).sum();
        let joined: usize = among_others().map(|(_, strangers)| strangers).sum();
        Self {
            joined: if all > 0 { joined as f64 / all as f64 } else { 0.0 },
            largest: among_others().map(|(size, _)| *size).max().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_joined_wherever_they_are_not_alone() {
        let truth = [Some(0), Some(0), None, None, None, None];
        let joined = Strangers::new(&truth, &[1, 1, 1, 2, 2, 3]);
        assert_eq!(joined, Strangers { joined: 0.75, largest: 3 });
        assert_eq!(Strangers::new(&truth, &[1, 1, 2, 3, 4, 5]), Strangers { joined: 0.0, largest: 0 });
        assert_eq!(Strangers::new(&[Some(0)], &[1]), Strangers { joined: 0.0, largest: 0 });
    }

    #[test]
    fn agreement_of_known_cases() {
        let truth = [0, 0, 0, 1, 1, 1];
        let same = PairCounts::new(&truth, &["b", "b", "b", "a", "a", "a"]).agreement();
        assert_eq!((same.f1, same.adjusted_rand), (1.0, 1.0));
        // sklearn.metrics.adjusted_rand_score([0,0,0,1,1,1], [0,0,1,1,2,2]) = 0.242424…
        let found = PairCounts::new(&truth, &[0, 0, 1, 1, 2, 2]).agreement();
        assert!((found.adjusted_rand - 0.242_424_242).abs() < 1e-6, "{found:?}");
        assert_eq!((found.precision, found.recall), (2.0 / 3.0, 1.0 / 3.0));
        let alone = PairCounts::new(&truth, &[0, 1, 2, 3, 4, 5]).agreement();
        assert_eq!((alone.precision, alone.recall, alone.f1), (1.0, 0.0, 0.0));
    }

    #[test]
    fn a_group_drawn_twice_counts_twice_and_does_not_meet_itself() {
        let counted = PairCounts::new(&[0, 0, 1, 1, 2, 2], &[7, 7, 7, 8, 9, 9]);
        let drawn = counted.drawn(&[2.0, 0.0, 1.0]);
        assert_eq!((drawn.precision, drawn.recall), (1.0, 1.0));
        let mixed = counted.drawn(&[1.0, 1.0, 0.0]);
        assert_eq!((mixed.precision, mixed.recall), (1.0 / 3.0, 0.5));
    }

    #[test]
    fn draws_spread_around_what_was_measured() {
        let truth: Vec<usize> = (0..40).map(|photo| photo / 4).collect();
        let counted = PairCounts::new(&truth, &[0; 40]);
        let mut draw = vec![1.0; 10];
        (draw[0], draw[1], draw[2]) = (3.0, 0.0, 0.0);
        assert!((counted.drawn(&draw).precision - counted.agreement().precision).abs() < 1e-12);
    }
}
