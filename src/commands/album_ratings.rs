//! The ratings that picks get for other programs, in sidecars and inside copies.

use std::path::Path;

use super::photos::counted;
use super::sidecar_facts;
use crate::context::Context;
use crate::photo_report::PhotoReport;
use crate::report::records::DecisionWord;
use crate::report::xmp::{self, Naming, SidecarValues};
use base::reading;
use judge::select::{Decision, Photo, Verdict};
use photo::xmp::persons_rating;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("rated").args(["xmp", "xmp_embed"]).multiple(true))]
pub struct RatingArgs {
    /// Rate the picks in XMP sidecars: IMG.xmp (stem: Capture One, Photo Mechanic, immich; Lightroom for RAW files),
    /// IMG.JPG.xmp (full-name: darktable, digiKam, immich), or both
    #[arg(long, value_enum, value_name = "NAMING", num_args = 0..=1, default_missing_value = "stem", require_equals = true)]
    pub xmp: Option<SidecarNaming>,

    /// Rate the picks inside the copies of --copy-to (JPEG, PNG, WebP, TIFF, HEIC, AVIF, JPEG XL), where Lightroom and most
    /// others read it; the picture in them stays as it is, byte for byte
    #[arg(long, requires = "copy_to")]
    pub xmp_embed: bool,

    /// Stars of a pick in its sidecar or copy; a person's rating stays
    #[arg(long, value_name = "STARS", default_value_t = 4, value_parser = clap::value_parser!(i8).range(1..=5), requires = "rated")]
    pub xmp_rating: i8,

    /// Label of a pick in its sidecar or copy; programs match it by name
    #[arg(long, value_name = "TEXT", requires = "rated")]
    pub xmp_label: Option<String>,

    /// Also write keywords there: what a classifier is sure of, kinds of pictures, names of people
    ///
    /// They join those in dc:subject; words of others are never removed, and a word you take out stays out. Where
    /// `albumctl models pull people` was run, the faces of people with a name are written as regions (mwg-rs), unless
    /// another program has put regions there.
    #[arg(long, requires = "rated")]
    pub xmp_keywords: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SidecarNaming {
    Stem,
    FullName,
    Both,
}

impl From<SidecarNaming> for Naming {
    fn from(naming: SidecarNaming) -> Self {
        match naming {
            SidecarNaming::Stem => Self::Stem,
            SidecarNaming::FullName => Self::FullName,
            SidecarNaming::Both => Self::Both,
        }
    }
}

impl RatingArgs {
    /// What is written about a photo.
    pub fn sidecar_values(
        &self,
        report: &PhotoReport,
        photo: &Photo,
        verdict: &Verdict,
        context: &Context,
    ) -> SidecarValues {
        let own_label = self.xmp_label.clone().filter(|_| verdict.selected());
        SidecarValues {
            // In XMP, −1 means rejected.
            rating: match photo.decision {
                Some(Decision::Reject) => Some(-1),
                _ => verdict.selected().then_some(self.xmp_rating),
            },
            label: own_label.or_else(|| photo.decision.map(|decision| decision_label(decision).to_owned())),
            decision: photo.decision.map(|decision| DecisionWord::from(decision).word().to_owned()),
            score: verdict.composite,
            model: Some(models(report)),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            keywords: self.xmp_keywords.then(|| sidecar_facts::keywords(report)),
            faces: self.xmp_keywords.then(|| sidecar_facts::faces(report, context)).flatten(),
        }
    }

    /// What is written into the copies of these picks, each with its sidecars; nothing where a person rated the photo.
    pub fn embedded_values<'a>(
        &self,
        picks: impl Iterator<Item = (&'a PhotoReport, &'a Photo, &'a Verdict)>,
        context: &Context,
    ) -> Vec<Option<SidecarValues>> {
        let mut by_persons = 0;
        let values = |(report, photo, verdict): (&PhotoReport, &Photo, &Verdict)| {
            if !self.xmp_embed {
                return None;
            }
            let is_persons = report.rating.is_some() || is_rated_beside(&report.path);
            by_persons += usize::from(is_persons);
            (!is_persons).then(|| self.sidecar_values(report, photo, verdict, context))
        };
        let all = picks.map(values).collect();
        if by_persons > 0 {
            let photos = counted(by_persons, "picked photo");
            context.ui.note(&format!("the copies of {photos} keep the rating of a person"));
        }
        all
    }
}

/// Whether a person rated the photo in a sidecar.
fn is_rated_beside(photo: &Path) -> bool {
    let sidecars = xmp::sidecars(&[photo.to_owned()], Naming::Both).concat();
    let rating = |sidecar: &std::path::PathBuf| persons_rating(&reading::read(sidecar, reading::SIDECAR).ok()?);
    sidecars.iter().any(|sidecar| rating(sidecar).is_some())
}

/// The label for a decision, unless the user has given one.
fn decision_label(decision: Decision) -> &'static str {
    match decision {
        Decision::Keep => "Keep",
        Decision::Reject => "Reject",
    }
}

/// The models that rated and described a photo.
pub fn models(photo: &PhotoReport) -> String {
    let aesthetic = photo.aesthetic.iter().map(|rating| rating.model.as_str());
    let embedding = photo.embedding.iter().map(|embedding| embedding.model.as_str());
    aesthetic.chain(embedding).collect::<Vec<_>>().join(", ")
}
