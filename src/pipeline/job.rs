//! The description of a run over photos.

use std::sync::atomic::AtomicBool;

use super::Analysis;
use super::decode::DecodeOptions;
use super::isolation::Isolation;
use crate::store::Store;
use crate::telemetry::Telemetry;
use photo::Limits;
use photo::identity::Files;
use photo::scan::Photo;

#[expect(missing_debug_implementations, reason = "analyses need not be printable")]
pub struct Job<'a> {
    pub photos: &'a [Photo],
    pub files: &'a dyn Files,
    pub analyses: &'a [&'a dyn Analysis],
    pub store: &'a Store,
    pub telemetry: &'a Telemetry,
    pub limits: Limits,
    /// Long side at which photos are measured; `None` measures originals.
    pub medium: Option<u32>,
    pub threads: usize,
    pub stop: &'a AtomicBool,
    pub isolation: Isolation,
}

impl Job<'_> {
    pub(super) fn decode_options(&self) -> DecodeOptions {
        DecodeOptions::of(self.limits, self.medium, self.analyses)
    }
}
