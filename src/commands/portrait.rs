//! `albumctl portrait`: faces, eyes, smiles.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use image::ImageEncoder as _;

use super::photos;
use crate::cli::PhotoArgs;
use crate::config::{self, PortraitAnalysis};
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::hub::face_files::{self, FaceFile, FaceFileError};
use crate::hub::faces::{FaceAnalyzer, FaceFiles, Landmarks};
use crate::kernels::Cpu;
use crate::photo::{self, Scale, identity};
use crate::pipeline::{Analysis, Picture};
use crate::pixels::Pixels;
use crate::portrait::{LandmarkRounding, Portrait, Thresholds};
use crate::report::annotate::annotate;
use crate::report::records::PortraitRecord;
use crate::store::Fingerprint;

/// Faces: a portrait or not, eyes open, a smile
///
/// Photos are looked at as they are; large JPEG files at a half, a quarter or an eighth of their size, with a long side of
/// at least 1024 pixels. `null` means it can't be told: a face too small, seen from the side, or not surely a face.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    /// Look at originals at their own size, however large
    #[arg(long)]
    pub full_resolution: bool,

    /// Use the mesh without attention: faster, and its eyes and smiles are other numbers
    #[arg(long)]
    pub fast: bool,

    /// Write copies with boxes, eye and mouth points and the verdict drawn in to this folder
    #[arg(long, value_name = "DIR")]
    pub annotate: Option<PathBuf>,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let mode = if args.fast { Landmarks::Fast } else { Landmarks::Attention };
    let finding = FaceFinding::load(mode, context)?;
    let scan = photos::find(&args.photos, context)?;
    let medium = (!args.full_resolution).then_some(context.settings().thumbnail_sizes.medium);
    if let Some(folder) = &args.annotate {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut output = context.output::<PortraitRecord>()?;
    let tally = photos::analyse(&scan, &[&finding], medium, context, |photo, analysed| {
        let portrait = FaceFinding::read(&analysed.findings[0])?;
        if let Some(folder) = &args.annotate
            && let Err(error) = finding.draw(&photo.path, medium, folder, context)
        {
            context.ui.warn(&format!("{}: not drawn: {error:#}", photo.path.display()));
        }
        Ok(output.write(&context.ui, &PortraitRecord::new(&photo.path, portrait))?)
    })?;
    output.finish(&context.ui)?;
    Ok(tally.end("portrait", context))
}

/// The face networks as an analysis of the pipeline.
#[derive(Debug)]
pub struct FaceFinding {
    analyzer: FaceAnalyzer,
    fingerprint: Fingerprint,
}

impl FaceFinding {
    /// Raised when the same pixels come to be judged differently.
    const REVISION: &'static str = "portrait/1";

    /// Reads the networks from the model folder; when one is missing, says how to get it.
    pub fn load(mode: Landmarks, context: &Context) -> Result<Self, CommandError> {
        let nowhere = "neither XDG_DATA_HOME nor HOME is set; say where models lie with --models-dir DIR";
        let folder = context.models_dir().context(nowhere)?;
        let (mesh, name) = match mode {
            Landmarks::Attention => (face_files::MESH_WITH_ATTENTION, "mediapipe-faces"),
            Landmarks::Fast => (face_files::MESH, "mediapipe-faces-fast"),
        };
        let files = [face_files::FULL_RANGE, face_files::SHORT_RANGE, mesh];
        let [full_range, short_range, mesh_bytes] = files.map(|file| file.read(&folder).map_err(|e| mend(e, &files)));
        let (full_range, short_range, mesh_bytes) = (full_range?, short_range?, mesh_bytes?);
        let thresholds = thresholds(&context.settings().portrait_analysis);
        let model = format!("{name}@{}", face_files::VERSION);
        let parts = [Self::REVISION.to_owned(), model.clone(), format!("{thresholds:?}")];
        let sums = files.map(|file| file.sha256);
        let fingerprint = Fingerprint::of(parts.iter().map(String::as_str).chain(sums));
        let files = FaceFiles { full_range: &full_range, short_range: &short_range, mesh: &mesh_bytes };
        let cpu = Cpu::chosen().map_err(CommandError::usage)?;
        let analyzer = FaceAnalyzer::load(files, mode, thresholds, model, cpu).map_err(CommandError::failed)?;
        Ok(Self { analyzer, fingerprint })
    }

    /// For commands that do without when the networks are not installed, which is said, or with `--strict` ends the run.
    pub fn load_or_without(context: &Context) -> Result<Option<Self>, CommandError> {
        let missing = context.models_dir().and_then(|folder| {
            let files = [face_files::FULL_RANGE, face_files::SHORT_RANGE, face_files::MESH_WITH_ATTENTION];
            let missing = files.iter().find(|file| !file.is_in(&folder))?;
            Some(mend(FaceFileError::Missing { file: *missing, folder }, &files))
        });
        match missing {
            None if context.models_dir().is_none() => Ok(None),
            None => Self::load(Landmarks::Attention, context).map(Some),
            Some(error) if context.strict => Err(error),
            Some(error) => {
                let mend = error.hints.join("; ");
                context.ui.note(&format!(
                    "{}; {mend}; faces are not looked at, the other parts share their weight",
                    error.cause
                ));
                Ok(None)
            }
        }
    }

    pub fn read(finding: &[u8]) -> anyhow::Result<Portrait> {
        serde_json::from_slice(finding).context("a stored finding about faces cannot be read")
    }

    /// A copy with the faces drawn in. Records in the store hold no landmarks, so the photo is looked at again.
    fn draw(&self, photo: &Path, medium: Option<u32>, folder: &Path, context: &Context) -> anyhow::Result<()> {
        let limits = context.limits();
        let bytes = identity::read(photo, limits.max_file_bytes)?.bytes;
        let scale = medium.map_or(Scale::Full, Scale::AtLeast);
        let pixels = photo::decode(&bytes, scale, &limits)?.pixels;
        let portrait = self.analyzer.analyse(&pixels);
        save(&annotate(pixels, &portrait), photo, folder)
    }
}

impl Analysis for FaceFinding {
    fn name(&self) -> &'static str {
        "find_faces"
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn analyse(&self, picture: &Picture) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&self.analyzer.analyse(&picture.decoded))?)
    }
}

fn mend(error: FaceFileError, files: &[FaceFile]) -> CommandError {
    let models: Vec<_> = files.iter().map(|file| file.model).collect();
    let hint = format!("run `albumctl models pull {}`", models.join(" "));
    CommandError::failed(error).hint(hint)
}

fn thresholds(settings: &PortraitAnalysis) -> Thresholds {
    Thresholds {
        face_detection_confidence: settings.face_detection_confidence as f32,
        portrait_face_ratio_threshold: settings.portrait_face_ratio_threshold,
        portrait_center_offset_threshold: settings.portrait_center_offset_threshold,
        eye_open_ear_threshold: settings.eye_open_ear_threshold,
        smile_width_threshold: settings.smile_width_threshold,
        smile_elevation_threshold: settings.smile_elevation_threshold,
        landmark_rounding: match settings.landmark_rounding {
            config::LandmarkRounding::Float => LandmarkRounding::Float,
            config::LandmarkRounding::Pixel => LandmarkRounding::Pixel,
        },
        ..Thresholds::default()
    }
}

/// Writes `NAME.faces.png`, or `NAME.faces-2.png` and so on: nothing that is there is ever written over.
fn save(pixels: &Pixels, photo: &Path, folder: &Path) -> anyhow::Result<()> {
    let stem = photo.file_stem().unwrap_or_default().to_string_lossy();
    let names =
        std::iter::once(format!("{stem}.faces.png")).chain((2..10_000).map(|n| format!("{stem}.faces-{n}.png")));
    for path in names.map(|name| folder.join(name)) {
        let file = match File::create_new(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
        };
        let encoder = image::codecs::png::PngEncoder::new(BufWriter::new(file));
        let (width, height) = (pixels.width(), pixels.height());
        return encoder
            .write_image(pixels.data(), width, height, image::ExtendedColorType::Rgb8)
            .with_context(|| format!("cannot write {}", path.display()));
    }
    anyhow::bail!("{}: too many copies of this name", folder.display())
}
