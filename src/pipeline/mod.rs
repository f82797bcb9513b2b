//! Where files, models and pure logic meet: photos in, findings out in the order of the scan.
//!
//! A photo is identified, looked up, and only then read, decoded once and given to the analyses that miss something.
//! What is finished is kept in the store before anybody hears of it. Nothing here knows what an analysis finds.

mod facts;
mod isolation;
mod job;
mod one_photo;
mod run;
mod seen;

use crate::store::Fingerprint;
use base::pixels::Pixels;
use photo::identity::ContentId;

pub use facts::PhotoFacts;
pub use isolation::Isolation;
#[cfg(unix)]
pub use isolation::{COMMAND, serve};
pub use job::Job;
pub use one_photo::identify;
pub use run::run;

/// One way of looking at a picture. Its findings are bytes to everybody but itself.
pub trait Analysis: Sync {
    /// The operation's name in telemetry.
    fn name(&self) -> &'static str;

    /// Everything that shapes the finding, given the decoded picture.
    fn fingerprint(&self) -> Fingerprint;

    fn analyse(&self, picture: &Picture) -> anyhow::Result<Vec<u8>>;

    /// Whether a finding from the store is one of these. One that is not is computed again.
    fn can_read(&self, finding: &[u8]) -> bool;

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

/// What was found about one photo.
#[derive(Debug)]
pub struct Analysed {
    pub content: ContentId,
    pub facts: PhotoFacts,
    /// One per analysis asked for, in the same order.
    pub findings: Vec<Vec<u8>>,
    /// Nothing had to be computed.
    pub from_store: bool,
}
