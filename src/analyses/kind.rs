//! The kind of picture, by the built-in network.

use super::network::{numbers, to_bytes};
use crate::photo_report::PhotoReport;
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use hub::{Classifier, HubError, TaskNetwork as _};
use judge::select::{LikelyKind, PictureKind};

/// Raised when the stored form changes.
pub const REVISION: &str = "kind/1";

#[derive(Debug)]
pub struct KindAnalysis {
    network: Classifier,
    identity: String,
}

impl KindAnalysis {
    pub fn new(network: Classifier) -> Result<Self, HubError> {
        let identity = network.identity()?;
        Ok(Self { network, identity })
    }
}

/// The likeliest kind, by the network's own order of kinds.
pub fn likeliest(shares: &[f32]) -> Option<LikelyKind> {
    let best = shares.iter().zip(PictureKind::ALL).max_by(|a, b| a.0.total_cmp(b.0))?;
    // Converted through its decimal form, so that every command prints the digits of the 32-bit number.
    Some(LikelyKind { what: best.1, score: best.0.to_string().parse().ok()? })
}

/// As numbers to store.
pub fn stored(kind: Option<LikelyKind>) -> Vec<f32> {
    kind.map_or_else(Vec::new, |kind| vec![f32::from(kind.what as u8), kind.score as f32])
}

/// From stored numbers.
pub fn restored(numbers: &[f32]) -> Option<LikelyKind> {
    let &[place, score] = numbers else { return None };
    let what = PictureKind::ALL.into_iter().find(|kind| f32::from(*kind as u8) == place)?;
    Some(LikelyKind { what, score: score.to_string().parse().ok()? })
}

impl Analysis for KindAnalysis {
    fn name(&self) -> &'static str {
        "tell_kind"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([REVISION, &self.identity])
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        let shares = self.network.probabilities(std::slice::from_ref(picture.medium()))?.concat();
        report.kind = likeliest(&shares);
        Ok(())
    }

    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        Ok(to_bytes(&stored(report.kind)))
    }

    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        report.kind = Some(restored(&numbers(finding)?)?);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_those_of_the_network_in_its_order() {
        let words = PictureKind::ALL.map(PictureKind::word);
        // The network says photograph, records say photo.
        assert_eq!(words[1..], networks::mini::KINDS[1..]);
        assert_eq!((words[0], networks::mini::KINDS[0]), ("photo", "photograph"));
        for (place, what) in PictureKind::ALL.into_iter().enumerate() {
            let mut shares = [0.1; 7];
            shares[place] = 0.4;
            let kind = likeliest(&shares);
            assert_eq!(kind, Some(LikelyKind { what, score: 0.4 }));
            assert_eq!(restored(&stored(kind)), kind);
        }
    }
}
