//! `albumctl portrait`: finds faces and judges eyes and smiles.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use image::ImageEncoder as _;

use super::open_models::Networks;
use super::photos;
use crate::analyses::FaceAnalysis;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::failure::{Failure, Stage};
use crate::library::ModelHubError;
use crate::report::annotate::annotate;
use crate::report::records::PortraitRecord;
use base::atomic::{Draft, Folders};
use base::pixels::Pixels;
use base::reading;
use hub::faces::Landmarks;
use photo::{self, Scale, identity};

/// Analyse faces: portrait or not, eyes open, smile
///
/// Eyes are open, closed, laughing, looking down, or unknown; a photo's eyes are open if those of all prominent faces are.
/// Photos are analysed at full size; large JPEG files at a half, a quarter or an eighth of it, with a long side of at least
/// 1024 pixels. `null` means unknown: the face is too small, in profile, behind dark glasses, or uncertain.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    /// Analyse originals at full size, however large
    #[arg(long)]
    pub full_resolution: bool,

    /// Use the mesh without attention: faster, with other values for eyes and smiles
    #[arg(long)]
    pub fast: bool,

    /// Write copies with boxes, eye and mouth points and the result drawn in to this folder
    #[arg(long, value_name = "DIR")]
    pub annotate: Option<PathBuf>,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let mode = if args.fast { Landmarks::Fast } else { Landmarks::Attention };
    let networks = Networks::configured(context)?;
    let finding = networks.get(|| networks.hub.face_finding(mode))?;
    let finding = networks.hub.with_expressions(finding, mode, &mut &networks)?;
    let scan = photos::find_beside(&args.photos, args.annotate.as_deref(), context)?;
    let medium = (!args.full_resolution).then_some(context.settings().thumbnail_sizes.medium);
    let mut folders = Folders::default();
    if let Some(folder) = &args.annotate {
        folders.make(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut output = context.output::<PortraitRecord>()?;
    let mut undrawn = Vec::new();
    let mut tally = photos::analyse(&scan, &[&finding], medium, &networks.hub, context, |_, report| {
        if let Some(folder) = &args.annotate
            && let Err(error) = draw(&finding, &report.path, medium, folder, &mut folders, context)
        {
            let (path, cause) = (report.path.clone(), format!("not drawn: {error:#}"));
            undrawn.push(Failure { path, stage: Stage::Write, code: "not_written", cause });
        }
        let portrait = report.portrait.ok_or(ModelHubError::Unanswered)?;
        Ok(output.write(&context.ui, &PortraitRecord::new(&report.path, portrait))?)
    })?;
    undrawn.iter().try_for_each(|failure| tally.fail(failure, context))?;
    folders.sync().context("cannot keep the annotated copies")?;
    tally.close(output, context)?;
    Ok(tally.end("portrait", context))
}

/// Writes a copy with the faces drawn in. The store holds no landmarks, so the photo is analysed again.
fn draw(
    finding: &FaceAnalysis,
    photo: &Path,
    medium: Option<u32>,
    folder: &Path,
    folders: &mut Folders,
    context: &Context,
) -> anyhow::Result<()> {
    let limits = context.limits();
    let bytes = identity::read(photo, limits.max_file_bytes)?.bytes;
    let scale = medium.map_or(Scale::Full, Scale::AtLeast);
    let pixels = photo::decode(&bytes, scale, &limits)?.pixels;
    let portrait = finding.faces.analyse(&pixels)?;
    save(&annotate(pixels, &portrait), photo, folder, folders)
}

/// Writes `NAME.faces.png`, or `NAME.faces-2.png` and so on if the name is taken. No file is overwritten, and an identical
/// one is not written again.
fn save(pixels: &Pixels, photo: &Path, folder: &Path, folders: &mut Folders) -> anyhow::Result<()> {
    let stem = photo.file_stem().unwrap_or_default().to_string_lossy();
    let names =
        std::iter::once(format!("{stem}.faces.png")).chain((2..10_000).map(|n| format!("{stem}.faces-{n}.png")));
    let cannot = |path: &Path| format!("cannot write {}", path.display());
    let cannot_read = |path: &Path| format!("cannot read {}", path.display());
    let (width, height, mut png) = (pixels.width(), pixels.height(), Vec::new());
    image::codecs::png::PngEncoder::new(&mut png)
        .write_image(pixels.data(), width, height, image::ExtendedColorType::Rgb8)
        .context("cannot write a picture")?;
    for path in names.map(|name| folder.join(name)) {
        match path.symlink_metadata() {
            Ok(there) if there.is_file() && there.len() == png.len() as u64 => {
                if reading::read(&path, there.len()).with_context(|| cannot_read(&path))? == png {
                    return Ok(());
                }
                continue;
            }
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| cannot(&path)),
        }
        let mut draft = Draft::beside(&path).with_context(|| cannot(&path))?;
        draft.write_all(&png).with_context(|| cannot(&path))?;
        if draft.place_new(folders).with_context(|| cannot(&path))? {
            return Ok(());
        }
    }
    anyhow::bail!("{}: too many copies of this name", folder.display())
}
