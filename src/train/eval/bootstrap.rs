//! Confidence intervals by the cluster bootstrap: whole groups are resampled, because photos of one burst are not
//! independent.

/// The 95 % confidence interval of `metric`, over draws of `units` with replacement. The same seed gives the same
/// interval.
pub fn interval<T>(units: &[T], draws: usize, seed: u64, metric: impl Fn(&[&T]) -> f64) -> [f64; 2] {
    if units.is_empty() {
        return [0.0; 2];
    }
    let mut state = seed ^ 0x9E37_79B9_7F4A_7C15;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((u128::from(state) * bound as u128) >> 64) as usize
    };
    let mut metrics: Vec<f64> = (0..draws.max(1))
        .map(|_| {
            let drawn: Vec<&T> = (0..units.len()).map(|_| &units[below(units.len())]).collect();
            metric(&drawn)
        })
        .collect();
    metrics.sort_unstable_by(f64::total_cmp);
    let at = |q: f64| metrics[((metrics.len() - 1) as f64 * q).round() as usize];
    [at(0.025), at(0.975)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_figure_and_narrows_with_more_units() {
        let mean = |units: &[&f64]| units.iter().copied().sum::<f64>() / units.len() as f64;
        let few: Vec<f64> = (0..20).map(|i| f64::from(i % 5)).collect();
        let many: Vec<f64> = (0..2000).map(|i| f64::from(i % 5)).collect();
        let (wide, narrow) = (interval(&few, 500, 1, mean), interval(&many, 500, 1, mean));
        assert!(wide[0] < 2.0 && 2.0 < wide[1], "{wide:?}");
        assert!(narrow[1] - narrow[0] < 0.3 * (wide[1] - wide[0]), "{narrow:?} {wide:?}");
        assert_eq!(interval(&few, 500, 1, mean), wide);
    }
}
