//! A reproducible random generator: every seed and position (such as epoch and photo) has its own stream, so that
//! neither the number of threads nor a restart changes the draws.

use base::random::SplitMix;

#[derive(Clone, Debug)]
pub struct Rng(SplitMix);

impl Rng {
    /// The stream of a position, such as (epoch, photo).
    pub fn at(seed: u64, position: [u64; 2]) -> Self {
        let mut rng = Self(SplitMix(seed));
        for part in position {
            rng.0.0 = rng.draw().wrapping_add(part.wrapping_mul(0xD1B5_4A32_D192_ED03));
        }
        rng.draw();
        rng
    }

    pub fn draw(&mut self) -> u64 {
        self.0.draw()
    }

    /// A uniform number in 0..1.
    pub fn unit(&mut self) -> f32 {
        (self.draw() >> 40) as f32 / 16_777_216.0
    }

    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// A uniform integer in `0..bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.draw()) * bound as u128) >> 64) as usize
    }

    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * self.unit().max(1e-12).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.unit()).cos()
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_and_are_spread() {
        let (mut a, mut b) = (Rng::at(1, [2, 3]), Rng::at(1, [2, 3]));
        let draws: Vec<f32> = (0..1000).map(|_| a.unit()).collect();
        assert!(draws.iter().all(|v| *v == b.unit() && (0.0..1.0).contains(v)));
        let mean = draws.iter().sum::<f32>() / 1000.0;
        assert!((mean - 0.5).abs() < 0.03, "{mean}");
        assert_ne!(Rng::at(1, [2, 4]).draw(), Rng::at(1, [3, 2]).draw());
        let normal: Vec<f32> = (0..4000).map(|_| a.normal()).collect();
        let spread = normal.iter().map(|v| v * v).sum::<f32>() / 4000.0;
        assert!((spread - 1.0).abs() < 0.1, "{spread}");
        let mut order: Vec<usize> = (0..50).collect();
        a.shuffle(&mut order);
        assert_ne!(order, (0..50).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
