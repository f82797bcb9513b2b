//! The pipeline from photos to reports, which come out in scan order.
//!
//! A photo is identified and looked up in the store, with its neighbours in one query. Only if a finding is missing is it read, decoded once and given to
//! the analyses that lack one. Results are stored before they are handed to the caller. Each analysis fills its own part
//! of the photo's report; the pipeline does not know which.

mod decode;
mod facts;
mod isolation;
mod job;
mod lookup;
mod one_photo;
mod run;

use crate::photo_report::PhotoReport;
use crate::store::Fingerprint;
use base::pixels::Pixels;
use photo::Region;
use photo::identity::ContentId;

pub use isolation::Isolation;
#[cfg(unix)]
pub use isolation::{COMMAND, serve};
pub use job::Job;
pub use one_photo::{finding_key, identify, picture_of};
pub use run::run;

/// An analysis of a picture: fills one part of the photo's report and converts that part to and from its stored form.
pub trait Analysis: Sync {
    /// The operation's name in telemetry.
    fn name(&self) -> &'static str;

    /// Everything besides the decoded picture that determines the finding.
    fn fingerprint(&self) -> Fingerprint;

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()>;

    /// Whether its part of the report is there already, because an analysis before it computes that, too.
    fn is_filled(&self, _report: &PhotoReport) -> bool {
        false
    }

    /// The regions of the photo that it wants to see at full size, given what it has found.
    fn regions(&self, _: &PhotoReport) -> Vec<Region> {
        Vec::new()
    }

    /// Completes its finding by these regions, in their order; `None` for one that lies outside or is too large to decode.
    fn look_closer(&self, _: &[Option<Pixels>], _: &mut PhotoReport) {}

    /// Returns its part of the report in the form in which the store holds it.
    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>>;

    /// Puts a stored finding into the report; `None` for an invalid one, which is computed again.
    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()>;

    /// Whether the store keeps its findings. If not, [`Self::recall`] has those of earlier runs.
    fn is_stored(&self) -> bool {
        true
    }

    /// Puts what it knows of a photo's bytes from earlier runs into the report.
    fn recall(&self, _content: &ContentId, _report: &mut PhotoReport) -> Option<()> {
        None
    }

    /// Whether it is done only beside others: where all other findings of a photo are stored, it is neither looked up nor
    /// computed.
    fn is_optional(&self) -> bool {
        false
    }

    /// Whether it runs on a GPU, for which the calling thread mostly waits.
    fn runs_on_card(&self) -> bool {
        false
    }

    /// Whether it needs the photo at the size at which it was decoded, not only at that at which photos are measured.
    fn needs_decoded_size(&self) -> bool {
        false
    }
}

/// An analysis that is done only where a photo is decoded for others. Elsewhere its findings stay in the store until it is
/// known of which photos they are needed.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "analyses need not be printable")]
pub struct WhereDecoded<'a>(pub &'a dyn Analysis);

impl Analysis for WhereDecoded<'_> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint()
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        self.0.analyse(picture, report)
    }

    fn is_filled(&self, report: &PhotoReport) -> bool {
        self.0.is_filled(report)
    }

    fn regions(&self, report: &PhotoReport) -> Vec<Region> {
        self.0.regions(report)
    }

    fn look_closer(&self, regions: &[Option<Pixels>], report: &mut PhotoReport) {
        self.0.look_closer(regions, report);
    }

    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        self.0.encode(report)
    }

    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        self.0.restore(finding, report)
    }

    fn is_stored(&self) -> bool {
        self.0.is_stored()
    }

    fn recall(&self, content: &ContentId, report: &mut PhotoReport) -> Option<()> {
        self.0.recall(content, report)
    }

    fn is_optional(&self) -> bool {
        true
    }

    fn runs_on_card(&self) -> bool {
        self.0.runs_on_card()
    }

    fn needs_decoded_size(&self) -> bool {
        self.0.needs_decoded_size()
    }
}

/// A decoded photo, as given to the analyses.
#[derive(Debug)]
pub struct Picture {
    /// The upright photo. If an analysis needs the decoded size, its long side is at least `medium`, or that of the photo
    /// if that is smaller; otherwise it is `medium`.
    pub decoded: Pixels,
    /// The photo at the size at which photos are measured; `None` where `decoded` has that size.
    reduced: Option<Pixels>,
    /// The same before the conversion to sRGB; `None` where the file is sRGB already.
    as_stored: Option<Pixels>,
}

impl Picture {
    /// The picture at the size at which photos are measured.
    pub fn medium(&self) -> &Pixels {
        self.reduced.as_ref().unwrap_or(&self.decoded)
    }

    /// The same picture before its colours were converted to sRGB.
    pub fn medium_as_stored(&self) -> &Pixels {
        self.as_stored.as_ref().unwrap_or(self.medium())
    }
}

/// A photo's finished report.
#[derive(Debug)]
pub struct AnalysedPhoto {
    pub report: PhotoReport,
    /// Whether every finding came from the store.
    pub from_store: bool,
}
