//! `--sequences`: the treatment of photos that belong to a sequence.

use crate::analyses::SketchAnalysis;
use crate::library::sequences;
use crate::photo_report::PhotoReport;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Sequences {
    #[default]
    Whole,
    Best,
    Ignore,
}

impl Sequences {
    /// The analysis by which sequences are recognised.
    pub fn analysis(self) -> Option<SketchAnalysis> {
        (self != Self::Ignore).then_some(SketchAnalysis)
    }

    /// Notes the sequences in the reports, or removes them.
    pub fn mark(self, reports: &mut [PhotoReport]) {
        match self {
            Self::Ignore => reports.iter_mut().for_each(|report| report.sequence = None),
            Self::Whole | Self::Best => sequences::mark(reports),
        }
    }

    /// The option as it was given; `None` for the default.
    pub fn flag(self) -> Option<String> {
        match self {
            Self::Whole => None,
            Self::Best => Some("--sequences=best".to_owned()),
            Self::Ignore => Some("--sequences=ignore".to_owned()),
        }
    }
}
