//! Agreement of predicted with labelled scores.

/// Pearson's correlation; 0 if either side is constant.
pub fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let count = a.len().min(b.len()) as f64;
    if count < 2.0 {
        return 0.0;
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / count;
    let (ma, mb) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    if aa > 0.0 && bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

/// Spearman's rank correlation; ties get their mean rank.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    pearson(&ranks(a), &ranks(b))
}

pub fn mean_absolute_error(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).sum::<f64>() / a.len().max(1) as f64
}

pub fn mean_squared_error(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f64>() / a.len().max(1) as f64
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut at = 0;
    while at < order.len() {
        let tied = order[at..].iter().take_while(|&&i| values[i] == values[order[at]]).count();
        let rank = at as f64 + (tied - 1) as f64 / 2.0;
        order[at..at + tied].iter().for_each(|&i| ranks[i] = rank);
        at += tied;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlations_of_known_cases() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert!((pearson(&a, &[2.0, 4.0, 6.0, 8.0, 10.0]) - 1.0).abs() < 1e-12);
        // scipy.stats.spearmanr([1,2,3,4,5], [5,6,7,8,7])
        assert!((spearman(&a, &[5.0, 6.0, 7.0, 8.0, 7.0]) - 0.820_782_681_668_123_3).abs() < 1e-12);
        assert_eq!(pearson(&a, &[3.0; 5]), 0.0);
        assert!((mean_absolute_error(&a, &[2.0, 2.0, 3.0, 4.0, 3.0]) - 0.6).abs() < 1e-12);
        assert!((mean_squared_error(&a, &[2.0, 2.0, 3.0, 4.0, 3.0]) - 1.0).abs() < 1e-12);
    }
}
