//! Where records go: standard output, or a file that appears whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

use super::{Cell, Format, Record, csv, jsonl, table};
use crate::ui::Ui;

/// Writes records of one kind as they come; a table waits for the last one.
pub struct Output<R> {
    target: Target,
    format: Format,
    rows: Vec<Vec<Cell>>,
    written: usize,
    /// Flushing after each record shows results as they come, to whoever reads a pipe.
    flush_each: bool,
    record: PhantomData<R>,
}

enum Target {
    Stdout(Box<dyn Write + Send>),
    /// A pipe, a device: written as it is.
    Stream(BufWriter<File>),
    /// Written beside its place and renamed at the end, so that a run cut short leaves the older file whole.
    File {
        temporary: BufWriter<NamedTempFile>,
        place: PathBuf,
    },
}

impl<R: Record> Output<R> {
    pub fn open(format: Format, file: Option<&Path>) -> anyhow::Result<Self> {
        let (target, terminal) = match file.filter(|path| *path != Path::new("-")) {
            None => (Target::Stdout(Box::new(Ui::stdout())), Ui::stdout_is_terminal()),
            Some(path) => (open_file(path).with_context(|| format!("cannot write {}", path.display()))?, false),
        };
        let format = match format {
            Format::Auto if terminal => Format::Table,
            Format::Auto => Format::Jsonl,
            chosen => chosen,
        };
        let flush_each = matches!(target, Target::Stdout(_));
        Ok(Self { target, format, rows: Vec::new(), written: 0, flush_each, record: PhantomData })
    }

    pub fn write(&mut self, ui: &Ui, record: &R) -> io::Result<()> {
        let first = self.written == 0;
        self.written += 1;
        match self.format {
            Format::Table => self.rows.push(record.cells()),
            Format::Csv => self.on_target(ui, |out| csv::write(out, record, first))?,
            Format::Jsonl | Format::Auto => self.on_target(ui, |out| jsonl::write(out, record))?,
        }
        Ok(())
    }

    /// Must be called for a file to appear in its place.
    pub fn finish(mut self, ui: &Ui) -> anyhow::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        self.flush_each = false;
        if self.format == Format::Table {
            self.on_target(ui, |out| table::write(out, R::HEADINGS, &rows, Ui::width()))?;
        }
        match self.target {
            Target::Stdout(mut out) => out.flush()?,
            Target::Stream(mut out) => out.flush()?,
            Target::File { temporary, place } => settle(temporary, &place)?,
        }
        Ok(())
    }

    fn on_target(&mut self, ui: &Ui, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        match &mut self.target {
            Target::Stdout(out) if self.flush_each => ui.aside(|| write(out).and_then(|()| out.flush())),
            Target::Stdout(out) => write(out),
            Target::Stream(out) => write(out),
            Target::File { temporary, .. } => write(temporary),
        }
    }
}

/// Writes a file that appears whole, or not at all.
pub fn whole_file(
    path: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    match open_file(path).with_context(cannot)? {
        Target::Stdout(mut out) => write(&mut out).with_context(cannot),
        Target::Stream(mut out) => write(&mut out).and_then(|()| Ok(out.flush()?)).with_context(cannot),
        Target::File { mut temporary, place } => {
            write(&mut temporary).with_context(cannot)?;
            settle(temporary, &place)
        }
    }
}

/// Puts a finished file into its place.
fn settle(temporary: BufWriter<NamedTempFile>, place: &Path) -> anyhow::Result<()> {
    let file = temporary.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(place).with_context(|| format!("cannot write {}", place.display()))?;
    Ok(())
}

fn open_file(path: &Path) -> io::Result<Target> {
    let existing = fs::metadata(path).ok();
    if existing.as_ref().is_some_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        return Ok(Target::Stream(BufWriter::new(fs::OpenOptions::new().write(true).open(path)?)));
    }
    if existing.is_some_and(|metadata| metadata.is_dir()) {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder"));
    }
    // A link keeps pointing where it points.
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".albumctl-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The usual mode of a new file; the process' umask takes away from it.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    Ok(Target::File { temporary: BufWriter::new(builder.tempfile_in(folder)?), place })
}

impl<R> std::fmt::Debug for Output<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("format", &self.format).field("written", &self.written).finish_non_exhaustive()
    }
}
