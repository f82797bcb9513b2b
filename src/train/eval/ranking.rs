//! How well scores order the photos of each group.

/// A photo of a group, with its labelled and its predicted score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredPhoto {
    pub group: usize,
    pub truth: f64,
    pub predicted: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ranking {
    /// Number of pairs within groups whose labelled scores differ by at least the margin.
    pub pairs: usize,
    /// Number of those that are ordered correctly; a tie counts half.
    pub right: f64,
    pub groups: usize,
    /// Number of groups whose best photo is predicted best.
    pub first: f64,
    /// Sum over the groups of the reciprocal predicted rank of the best photo.
    pub reciprocal: f64,
}

impl Ranking {
    pub fn pairwise(&self) -> f64 {
        self.right / self.pairs.max(1) as f64
    }

    pub fn top1(&self) -> f64 {
        self.first / self.groups.max(1) as f64
    }

    pub fn mean_reciprocal_rank(&self) -> f64 {
        self.reciprocal / self.groups.max(1) as f64
    }

    pub fn add(&mut self, other: &Self) {
        self.pairs += other.pairs;
        self.right += other.right;
        self.groups += other.groups;
        self.first += other.first;
        self.reciprocal += other.reciprocal;
    }
}

/// One ranking per group, sorted by group number; groups of a single photo are left out.
pub fn by_group(photos: &[ScoredPhoto], margin: f64) -> Vec<Ranking> {
    let mut groups: std::collections::BTreeMap<usize, Vec<ScoredPhoto>> = std::collections::BTreeMap::new();
    photos.iter().for_each(|photo| groups.entry(photo.group).or_default().push(*photo));
    groups.values().filter(|group| group.len() > 1).map(|group| of_group(group, margin)).collect()
}

pub fn total(groups: &[Ranking]) -> Ranking {
    groups.iter().fold(Ranking::default(), |mut sum, group| {
        sum.add(group);
        sum
    })
}

fn of_group(group: &[ScoredPhoto], margin: f64) -> Ranking {
    let mut ranking = Ranking { groups: 1, ..Ranking::default() };
    for (i, a) in group.iter().enumerate() {
        for b in &group[i + 1..] {
            // Scores have four decimals, so a difference of exactly the margin must count in spite of rounding.
            if (a.truth - b.truth).abs() + 1e-9 < margin {
                continue;
            }
            ranking.pairs += 1;
            let agree = (a.truth - b.truth) * (a.predicted - b.predicted);
            ranking.right += if agree > 0.0 {
                1.0
            } else if agree == 0.0 {
                0.5
            } else {
                0.0
            };
        }
    }
    let best = group.iter().map(|photo| photo.truth).fold(f64::MIN, f64::max);
    if let Some(best) = group.iter().find(|photo| photo.truth == best) {
        let above = group.iter().filter(|photo| photo.predicted > best.predicted).count();
        let equal = group.iter().filter(|photo| photo.predicted == best.predicted).count();
        // Among equal predictions it has the mean rank, as by chance.
        let rank = above as f64 + f64::midpoint(equal as f64, 1.0);
        ranking.first = if above == 0 { 1.0 / equal as f64 } else { 0.0 };
        ranking.reciprocal = 1.0 / rank;
    }
    ranking
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(rows: &[(usize, f64, f64)]) -> Vec<ScoredPhoto> {
        rows.iter().map(|&(group, truth, predicted)| ScoredPhoto { group, truth, predicted }).collect()
    }

    #[test]
    fn pairs_count_inside_groups_and_beyond_the_margin() {
        let photos =
            judged(&[(0, 0.9, 3.0), (0, 0.5, 2.0), (0, 0.45, 9.0), (1, 0.2, 1.0), (1, 0.8, 0.0), (2, 0.1, 0.0)]);
        let all = total(&by_group(&photos, 0.15));
        assert_eq!((all.pairs, all.groups), (3, 2));
        assert!((all.pairwise() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(all.top1(), 0.0);
        assert!((all.mean_reciprocal_rank() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn saying_nothing_is_worth_chance() {
        let photos = judged(&[(0, 0.9, 1.0), (0, 0.1, 1.0), (0, 0.5, 1.0), (0, 0.3, 1.0)]);
        let all = total(&by_group(&photos, 0.15));
        assert_eq!((all.pairwise(), all.top1()), (0.5, 0.25));
    }
}
