//! `albumctl aesthetics`: how beautiful people would find a photo.

use super::networks::{self, NetworkArgs, Networks, Wanted};
use super::photos;
use crate::cli::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::hub::Aesthetic;
use crate::pipeline::{Analysis, Picture};
use crate::report::records::AestheticsRecord;
use crate::store::Fingerprint;

/// The model whose ratings are those of the original system.
pub const MODEL: &str = "ava-resnet50";

/// Learned aesthetic score on 1 to 10
///
/// Photos are rated at a long side of 1024 pixels, smaller ones as they are.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    #[command(flatten)]
    pub network: NetworkArgs,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let networks = Networks::new(&args.network, context)?;
    let settings = context.settings();
    let aesthetic = match args.network.wanted(settings.quality_assessment.ava_checkpoint.as_deref(), MODEL) {
        Wanted::Named(name) => networks.hub.aesthetic(name),
        Wanted::File(file) => networks.hub.aesthetic_file(file),
    };
    let rating = Rating::new(aesthetic.map_err(networks::refused)?).map_err(networks::refused)?;
    let scan = photos::find(&args.photos, context)?;
    let mut output = context.output::<AestheticsRecord>()?;
    let medium = Some(settings.thumbnail_sizes.medium);
    let tally = photos::analyse(&scan, &[&rating], medium, context, |photo, analysed| {
        networks.tell(context);
        let score = Rating::read(&analysed.findings[0])?;
        let record =
            AestheticsRecord::new(&photo.path, score, rating.aesthetic.reference(), rating.aesthetic.trained_on_ava());
        Ok(output.write(&context.ui, &record)?)
    })?;
    networks.tell(context);
    output.finish(&context.ui)?;
    Ok(tally.end("aesthetics", context))
}

/// The rating as an analysis of the pipeline.
#[derive(Debug)]
pub struct Rating {
    pub aesthetic: Aesthetic,
    identity: String,
}

impl Rating {
    pub fn new(aesthetic: Aesthetic) -> Result<Self, crate::hub::HubError> {
        let identity = aesthetic.identity()?;
        Ok(Self { aesthetic, identity })
    }

    pub fn read(finding: &[u8]) -> anyhow::Result<f32> {
        let bytes = finding.try_into().map_err(|_| anyhow::anyhow!("a stored rating cannot be read"))?;
        Ok(f32::from_le_bytes(bytes))
    }
}

impl Analysis for Rating {
    fn name(&self) -> &'static str {
        "score_aesthetics"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(["rating/1", &self.identity])
    }

    fn analyse(&self, picture: &Picture) -> anyhow::Result<Vec<u8>> {
        let scores = self.aesthetic.score(std::slice::from_ref(picture.medium()))?;
        Ok(scores[0].to_le_bytes().to_vec())
    }
}
