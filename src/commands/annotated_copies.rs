//! Copies of photos with what was found drawn in, in a folder of their own.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::Context as _;
use image::ImageEncoder as _;

use super::photos::Tally;
use crate::context::Context;
use crate::error::CommandError;
use crate::failure::{Failure, Stage};
use base::atomic::{Draft, Folders};
use base::pixels::Pixels;
use base::reading;
use photo::{self, Scale, identity};

/// The copies of a run. One that cannot be written is a failure of its photo.
#[derive(Debug)]
pub struct AnnotatedCopies<'a> {
    folder: &'a Path,
    /// What is drawn, as the names of the files have it.
    what: &'static str,
    folders: Folders,
    failures: Vec<Failure>,
}

impl<'a> AnnotatedCopies<'a> {
    pub fn new(folder: &'a Path, what: &'static str) -> anyhow::Result<Self> {
        let mut folders = Folders::default();
        folders.make(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder, what, folders, failures: Vec::new() })
    }

    /// Writes a copy of a photo at the size at which it is analysed, `medium` or its own.
    pub fn write(
        &mut self,
        photo: &Path,
        medium: Option<u32>,
        context: &Context,
        draw: impl FnOnce(Pixels) -> anyhow::Result<Pixels>,
    ) {
        let limits = context.limits();
        let drawn = || {
            let bytes = identity::read(photo, limits.max_file_bytes)?.bytes;
            let scale = medium.map_or(Scale::Full, Scale::AtLeast);
            draw(photo::decode(&bytes, scale, &limits)?.pixels)
        };
        if let Err(error) = drawn().and_then(|pixels| self.save(&pixels, photo)) {
            let (path, cause) = (photo.to_owned(), format!("not drawn: {error:#}"));
            self.failures.push(Failure { path, stage: Stage::Write, code: "not_written", cause });
        }
    }

    /// Counts the failures, and keeps the copies.
    pub fn finish(mut self, tally: &mut Tally, context: &Context) -> Result<(), CommandError> {
        self.failures.iter().try_for_each(|failure| tally.fail(failure, context))?;
        Ok(self.folders.sync().context("cannot keep the annotated copies")?)
    }

    /// Writes `NAME.faces.png`, or `NAME.faces-2.png` and so on if the name is taken. No file is overwritten, and an
    /// identical one is not written again.
    fn save(&mut self, pixels: &Pixels, photo: &Path) -> anyhow::Result<()> {
        let (stem, what) = (photo.file_stem().unwrap_or_default().to_string_lossy(), self.what);
        let names =
            std::iter::once(format!("{stem}.{what}.png")).chain((2..10_000).map(|n| format!("{stem}.{what}-{n}.png")));
        let cannot = |path: &Path| format!("cannot write {}", path.display());
        let cannot_read = |path: &Path| format!("cannot read {}", path.display());
        let (width, height, mut png) = (pixels.width(), pixels.height(), Vec::new());
        image::codecs::png::PngEncoder::new(&mut png)
            .write_image(pixels.data(), width, height, image::ExtendedColorType::Rgb8)
            .context("cannot write a picture")?;
        for path in names.map(|name| self.folder.join(name)) {
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
            if draft.place_new(&mut self.folders).with_context(|| cannot(&path))? {
                return Ok(());
            }
        }
        anyhow::bail!("{}: too many copies of this name", self.folder.display())
    }
}
