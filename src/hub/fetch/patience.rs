//! Retry policy: pauses between attempts, and when to give up.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use super::Settings;

/// Counts failures in a row; progress resets the count.
#[derive(Debug)]
pub struct Patience<'a> {
    settings: &'a Settings,
    failures: u32,
}

impl<'a> Patience<'a> {
    pub fn new(settings: &'a Settings) -> Self {
        Self { settings, failures: 0 }
    }

    /// The pause after a connection that made progress: almost none.
    pub fn after_progress(&mut self) -> Duration {
        self.failures = 0;
        self.settings.first_pause.mul_f64(0.1 * (0.5 + random_fraction()))
    }

    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The pause before the next attempt: what the server asks for, or twice the last one, with random jitter so that
    /// clients that failed together do not retry together. `None` means give up.
    pub fn after_failure(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.failures += 1;
        if self.failures >= self.settings.attempts {
            return None;
        }
        let doubled = self.settings.first_pause * 2_u32.saturating_pow(self.failures - 1).min(1 << 16);
        let jittered = doubled.min(self.settings.longest_pause).mul_f64(0.5 + random_fraction());
        Some(asked.map_or(jittered, |asked| asked.max(jittered.min(self.settings.first_pause))))
    }
}

/// Parses `Retry-After`: seconds or a date.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(&value.replace("GMT", "+0000")).ok()?;
    let until = SystemTime::from(date.timestamp());
    Some(until.duration_since(now).unwrap_or_default())
}

/// A random number in 0..1 from the standard library's randomly seeded hasher.
fn random_fraction() -> f64 {
    RandomState::new().hash_one(std::time::Instant::now()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_differ_and_end() {
        let settings = Settings { attempts: 5, ..Settings::default() };
        let pauses = || {
            let mut patience = Patience::new(&settings);
            std::iter::from_fn(|| patience.after_failure(None)).collect::<Vec<_>>()
        };
        let once = pauses();
        assert_eq!(once.len(), 4);
        for (n, pause) in once.iter().enumerate() {
            let middle = settings.first_pause * 2_u32.pow(n as u32);
            assert!(*pause >= middle / 2 && *pause <= middle * 3 / 2, "{n}: {pause:?}");
        }
        assert_ne!(once, pauses());
        let mut patience = Patience::new(&settings);
        assert!(patience.after_failure(Some(Duration::from_secs(7))).unwrap() >= Duration::from_secs(7));
        for _ in 0..100 {
            assert!(patience.after_progress() < settings.first_pause);
            assert!(patience.after_failure(None).is_some());
        }
    }

    #[test]
    fn servers_ask_in_seconds_or_by_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:40:37 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
