//! The aesthetic rating on a scale of 1 to 10, from the outputs of a network.

/// The meaning of the last layer's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The rating itself, which is clamped to the scale.
    Regression,
    /// Logits of the ratings 1 to 10.
    Distribution,
}

impl Output {
    /// The number of outputs of the last layer.
    pub fn width(self) -> usize {
        match self {
            Self::Regression => 1,
            Self::Distribution => 10,
        }
    }

    /// The rating of one photo.
    pub fn rating(self, outputs: &[f32]) -> f32 {
        match self {
            Self::Regression => outputs[0].clamp(1.0, 10.0),
            Self::Distribution => {
                let most = outputs.iter().copied().fold(f32::MIN, f32::max);
                let (mut total, mut weighed) = (0.0, 0.0);
                for (k, logit) in outputs.iter().enumerate() {
                    let share = f64::from(logit - most).exp();
                    total += share;
                    weighed += share * (k + 1) as f64;
                }
                (weighed / total) as f32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regression_stays_on_the_scale() {
        assert_eq!(Output::Regression.rating(&[7.5]), 7.5);
        assert_eq!(Output::Regression.rating(&[-3.0]), 1.0);
        assert_eq!(Output::Regression.rating(&[11.0]), 10.0);
    }

    #[test]
    fn a_distribution_is_weighed() {
        let mut logits = [f32::MIN; 10];
        (logits[4], logits[5]) = (2.0, 2.0);
        assert_eq!(Output::Distribution.rating(&logits), 5.5);
        assert!((Output::Distribution.rating(&[0.0; 10]) - 5.5).abs() < 1e-6);
    }
}
