//! Where files, models and pure logic meet: photos in, findings out in the order of the scan.
//!
//! A photo is identified, looked up, and only then read, decoded once and given to the analyses that miss something.
//! What is finished is kept in the store before anybody hears of it. Each analysis writes its own part of the photo's
//! report; nothing here knows which.

mod facts;
mod isolation;
mod job;
mod one_photo;
mod run;
mod seen;

use crate::photo_report::PhotoReport;
use crate::store::Fingerprint;
use base::pixels::Pixels;

pub use isolation::Isolation;
#[cfg(unix)]
pub use isolation::{COMMAND, serve};
pub use job::Job;
pub use one_photo::{identify, picture_of};
pub use run::run;

/// One way of looking at a picture: it fills a part of the photo's report, and knows how that part is kept in the store.
pub trait Analysis: Sync {
    /// The operation's name in telemetry.
    fn name(&self) -> &'static str;

    /// Everything that shapes the finding, given the decoded picture.
    fn fingerprint(&self) -> Fingerprint;

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()>;

    /// Its part of the report, as kept in the store.
    fn keep(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>>;

    /// Puts a finding from the store into the report; `None` for what is none, which is computed again.
    fn recall(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()>;

    /// Whether a thread mostly waits for a card meanwhile.
    fn runs_on_card(&self) -> bool {
        false
    }

    /// Whether it looks at the photo as it was decoded, not only at the size at which photos are measured.
    fn looks_closely(&self) -> bool {
        false
    }
}

/// A decoded photo as analyses see it.
#[derive(Debug)]
pub struct Picture {
    /// Upright; for analyses that look closely as decoded: at least `medium` large where the photo is, whole when it had to
    /// be.
    pub decoded: Pixels,
    /// Within the size at which photos are measured; absent when `decoded` already is.
    reduced: Option<Pixels>,
    /// The same with the values the file holds; absent when those are sRGB.
    as_stored: Option<Pixels>,
}

impl Picture {
    /// The picture at the size at which photos are measured.
    pub fn medium(&self) -> &Pixels {
        self.reduced.as_ref().unwrap_or(&self.decoded)
    }

    /// The same before its colours were converted to sRGB.
    pub fn medium_as_stored(&self) -> &Pixels {
        self.as_stored.as_ref().unwrap_or(self.medium())
    }
}

/// A photo that was looked at.
#[derive(Debug)]
pub struct Analysed {
    pub report: PhotoReport,
    /// Nothing had to be computed.
    pub from_store: bool,
}
