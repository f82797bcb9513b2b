//! How far found groups agree with given ones, countable again for any draw of the given groups; and what became of
//! photos that belong to none.

use std::collections::BTreeMap;

/// Pairs of photos inside and between the given groups.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    sizes: Vec<f64>,
    /// Pairs put together: `[a][b]`, with `a <= b` among the given groups.
    put: Vec<Vec<f64>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Agreement {
    /// Share of the pairs put together that belong together; 1 when none was put together.
    pub precision: f64,
    /// Share of the pairs that belong together that were put together; 1 when none belongs.
    pub recall: f64,
    pub f1: f64,
    /// Corrected for chance: 1 when the groups are the same, about 0 for unrelated ones.
    pub adjusted_rand: f64,
}

fn pairs(n: f64) -> f64 {
    n * (n - 1.0) / 2.0
}

impl Counted {
    /// Given groups are numbered from 0.
    pub fn new<T: PartialEq>(truth: &[usize], found: &[T]) -> Self {
        let count = truth.iter().max().map_or(0, |most| most + 1);
        let mut sizes = vec![0.0; count];
        let mut put = vec![vec![0.0; count]; count];
        for (i, (&group, label)) in truth.iter().zip(found).enumerate() {
            sizes[group] += 1.0;
            for (&other, _) in truth[..i].iter().zip(found).filter(|(_, before)| *before == label) {
                put[group.min(other)][group.max(other)] += 1.0;
            }
        }
        Self { sizes, put }
    }

    pub fn groups(&self) -> usize {
        self.sizes.len()
    }

    /// With every given group once.
    pub fn agreement(&self) -> Agreement {
        self.drawn(&vec![1.0; self.groups()])
    }

    /// With each given group so many times. Copies of a group do not meet each other; the meetings of others count for
    /// them, or a draw would seem to mix up less than there is.
    pub fn drawn(&self, times: &[f64]) -> Agreement {
        let drawn: f64 = times.iter().sum();
        let meetings = drawn * drawn - times.iter().map(|times| times * times).sum::<f64>();
        let weight = if meetings > 0.0 { drawn * (drawn - 1.0) / meetings } else { 0.0 };
        let (mut both, mut belong, mut together, mut all) = (0.0, 0.0, 0.0, 0.0);
        for (a, row) in self.put.iter().enumerate() {
            both += times[a] * row[a];
            belong += times[a] * pairs(self.sizes[a]);
            all += times[a] * pairs(self.sizes[a]);
            together += times[a] * row[a];
            for b in a + 1..row.len() {
                let meet = weight * times[a] * times[b];
                together += meet * row[b];
                all += meet * self.sizes[a] * self.sizes[b];
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

/// What became of photos that belong to nobody.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strangers {
    /// Share of them that were put together with anything.
    pub joined: f64,
    /// Photos of the largest group that holds a stranger beside others; 0 where there is none.
    pub largest: usize,
}

impl Strangers {
    /// `truth` is `None` for a stranger.
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
        let same = Counted::new(&truth, &["b", "b", "b", "a", "a", "a"]).agreement();
        assert_eq!((same.f1, same.adjusted_rand), (1.0, 1.0));
        // sklearn.metrics.adjusted_rand_score([0,0,0,1,1,1], [0,0,1,1,2,2]) = 0.242424…
        let found = Counted::new(&truth, &[0, 0, 1, 1, 2, 2]).agreement();
        assert!((found.adjusted_rand - 0.242_424_242).abs() < 1e-6, "{found:?}");
        assert_eq!((found.precision, found.recall), (2.0 / 3.0, 1.0 / 3.0));
        let alone = Counted::new(&truth, &[0, 1, 2, 3, 4, 5]).agreement();
        assert_eq!((alone.precision, alone.recall, alone.f1), (1.0, 0.0, 0.0));
    }

    #[test]
    fn a_group_drawn_twice_counts_twice_and_does_not_meet_itself() {
        let counted = Counted::new(&[0, 0, 1, 1, 2, 2], &[7, 7, 7, 8, 9, 9]);
        let drawn = counted.drawn(&[2.0, 0.0, 1.0]);
        assert_eq!((drawn.precision, drawn.recall), (1.0, 1.0));
        let mixed = counted.drawn(&[1.0, 1.0, 0.0]);
        assert_eq!((mixed.precision, mixed.recall), (1.0 / 3.0, 0.5));
    }

    #[test]
    fn draws_spread_around_what_was_measured() {
        let truth: Vec<usize> = (0..40).map(|photo| photo / 4).collect();
        let counted = Counted::new(&truth, &[0; 40]);
        let mut draw = vec![1.0; 10];
        (draw[0], draw[1], draw[2]) = (3.0, 0.0, 0.0);
        assert!((counted.drawn(&draw).precision - counted.agreement().precision).abs() < 1e-12);
    }
}
