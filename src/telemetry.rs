//! Telemetry: duration, count and average time of each operation, summed over threads.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

#[derive(Debug)]
pub struct Telemetry {
    started: Instant,
    run_id: String,
    operations: Mutex<BTreeMap<&'static str, Operation>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Operation {
    /// The order of first appearance.
    order: usize,
    spent: Duration,
    count: u64,
}

/// All per-photo operations together; its time is the sum of its parts.
pub const ANALYSIS: &str = "analyze_images";
/// Comparing photos in pairs where their scores are close.
pub const TIE_BREAK: &str = "tie_break";
const SELECTION: &str = "select_best";

/// Parts of operations: name, whole, and the original system's label where it has one.
const PARTS: [(&str, &str, Option<&str>); 12] = [
    ("read", ANALYSIS, None),
    ("identify", ANALYSIS, None),
    ("decode", ANALYSIS, None),
    ("resize", ANALYSIS, None),
    ("score_quality", ANALYSIS, Some("IQA Quality")),
    ("score_aesthetics", ANALYSIS, Some("AVA Aesthetics")),
    ("find_faces", ANALYSIS, Some("Portrait Detection")),
    ("find_degradations", ANALYSIS, None),
    ("classify", ANALYSIS, None),
    ("thumbnails", ANALYSIS, None),
    ("store", ANALYSIS, None),
    (TIE_BREAK, SELECTION, Some("Siamese Tiebreaker")),
];

/// Whether an operation is a part of [`ANALYSIS`].
pub fn is_part_of_analysis(operation: &str) -> bool {
    PARTS.iter().any(|(part, whole, _)| *part == operation && *whole == ANALYSIS)
}

/// The telemetry file, in the original system's format.
#[derive(Debug, Serialize)]
pub struct Report {
    pub run_id: String,
    pub total_duration_sec: f64,
    pub timings: Vec<Timing>,
    pub metadata: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
pub struct Timing {
    pub name: &'static str,
    /// The original system's label, where it has one.
    pub label: Option<&'static str>,
    /// The operation that this one is a part of and whose time includes it.
    pub part_of: Option<&'static str>,
    /// Summed over threads, so it may exceed the run's own duration.
    pub duration_sec: f64,
    pub count: u64,
    pub avg_per_item: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let seed = format!("{now}-{}", std::process::id());
        Self {
            started: Instant::now(),
            run_id: blake3::hash(seed.as_bytes()).to_hex()[..8].to_owned(),
            operations: Mutex::default(),
            counts: Mutex::default(),
        }
    }
}

impl Telemetry {
    pub fn time<T>(&self, operation: &'static str, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        self.add(operation, started.elapsed(), 1);
        done
    }

    pub fn add(&self, operation: &'static str, spent: Duration, count: u64) {
        let mut operations = self.operations.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let order = operations.len();
        let entry = operations.entry(operation).or_insert(Operation { order, ..Operation::default() });
        entry.spent += spent;
        entry.count += count;
    }

    /// Sets a count for the whole run, such as the number of photos.
    pub fn count(&self, name: &'static str, value: u64) {
        self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name, value);
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub fn report(&self) -> Report {
        let operations = self.operations.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let part = |name: &str| PARTS.iter().find(|(part, ..)| *part == name);
        let whole_of =
            |name: &str| part(name).map(|(_, whole, _)| *whole).filter(|whole| operations.contains_key(whole));
        let own = |name: &'static str, operation: &Operation| {
            let parts = operations.iter().filter(|(part, _)| whole_of(part) == Some(name));
            let spent = operation.spent + parts.map(|(_, part)| part.spent).sum::<Duration>();
            Timing {
                name,
                label: part(name).and_then(|(.., label)| *label),
                part_of: whole_of(name),
                duration_sec: spent.as_secs_f64(),
                count: operation.count,
                avg_per_item: spent.as_secs_f64() / operation.count.max(1) as f64,
            }
        };
        // Operations in the order of first appearance, each followed by its parts.
        let mut ordered: Vec<_> = operations.iter().collect();
        ordered.sort_by_key(|(name, operation)| {
            let whole = whole_of(name).and_then(|whole| operations.get(whole));
            (whole.unwrap_or(operation).order, whole.is_some(), operation.order)
        });
        let timings = ordered.into_iter().map(|(&name, operation)| own(name, operation)).collect();
        let mut metadata = self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        metadata.extend(peak_memory_kb().map(|peak| ("peak_memory_kb", peak)));
        Report { run_id: self.run_id.clone(), total_duration_sec: self.elapsed().as_secs_f64(), timings, metadata }
    }
}

/// The peak memory of this process, where the system reports it.
fn peak_memory_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

impl Report {
    /// The report as a table for people.
    pub fn table(&self) -> String {
        use std::fmt::Write;
        let mut text = format!("{:<22} {:>10} {:>8} {:>12}\n", "operation", "seconds", "count", "ms each");
        for timing in &self.timings {
            let each = timing.avg_per_item * 1000.0;
            let name = timing.label.unwrap_or(timing.name);
            let name = if timing.part_of.is_some() { format!("  {name}") } else { name.to_owned() };
            let _ = writeln!(text, "{name:<22} {:>10.3} {:>8} {each:>12.3}", timing.duration_sec, timing.count);
        }
        let _ = write!(text, "{:<22} {:>10.3}", "whole run", self.total_duration_sec);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_keep_their_order_and_add_up() {
        let telemetry = Telemetry::default();
        telemetry.add("scan", Duration::from_millis(10), 1);
        telemetry.add("decode", Duration::from_millis(30), 2);
        telemetry.add("decode", Duration::from_millis(10), 2);
        let report = telemetry.report();
        assert_eq!(report.timings.iter().map(|t| t.name).collect::<Vec<_>>(), ["scan", "decode"]);
        assert_eq!(report.timings[1].count, 4);
        assert!((report.timings[1].avg_per_item - 0.01).abs() < 1e-9);
    }

    #[test]
    fn an_operation_includes_the_time_of_its_parts_and_is_followed_by_them() {
        let telemetry = Telemetry::default();
        telemetry.add("discover_images", Duration::from_millis(1), 1);
        telemetry.add("decode", Duration::from_millis(30), 2);
        telemetry.add(ANALYSIS, Duration::ZERO, 2);
        telemetry.add("cluster_images", Duration::from_millis(5), 1);
        telemetry.add("score_quality", Duration::from_millis(10), 2);
        let report = telemetry.report();
        let names: Vec<_> = report.timings.iter().map(|timing| timing.name).collect();
        assert_eq!(names, ["discover_images", ANALYSIS, "decode", "score_quality", "cluster_images"]);
        assert!((report.timings[1].duration_sec - 0.04).abs() < 1e-9);
        assert_eq!((report.timings[3].label, report.timings[3].part_of), (Some("IQA Quality"), Some(ANALYSIS)));
        assert!(report.table().contains("\n  IQA Quality "), "{}", report.table());
    }
}
