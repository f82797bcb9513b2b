//! Writing records to standard output, or to a file that appears only when it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::place::{self, Content};
use super::table::{self, Row, TableWidth};
use super::{Format, Record, csv, jsonl};
use crate::ui::Ui;
use base::atomic::{Draft, found};
use base::escape::visible;

/// Writes records of one kind as they come; a table is written at the end.
pub struct Output<R> {
    target: Target,
    format: Format,
    rows: Vec<Row>,
    written: usize,
    /// Whether to flush after each record, so that the reader of a pipe sees results as they come.
    flush_each: bool,
    /// Whether the target is a terminal.
    terminal: bool,
    record: PhantomData<R>,
}

enum Target {
    Stdout(Box<dyn Write + Send>),
    /// A pipe or a device, written directly.
    Stream(PathBuf, BufWriter<File>),
    /// A temporary file, renamed at the end, so that an interrupted run leaves an earlier file unchanged.
    File(Draft),
}

impl<R: Record> Output<R> {
    pub fn open(format: Format, file: Option<&Path>) -> anyhow::Result<Self> {
        let (target, terminal) = match file.filter(|path| *path != Path::new("-")) {
            None => (Target::Stdout(Box::new(Ui::stdout())), Ui::stdout_is_terminal()),
            Some(path) => {
                let target = open_file(path).with_context(|| cannot_write(path))?;
                let terminal = matches!(&target, Target::Stream(_, stream) if stream.get_ref().is_terminal());
                (target, terminal)
            }
        };
        let format = match format {
            Format::Auto if terminal => Format::Table,
            Format::Auto => Format::Jsonl,
            chosen => chosen,
        };
        let flush_each = matches!(target, Target::Stdout(_));
        Ok(Self { target, format, rows: Vec::new(), written: 0, flush_each, terminal, record: PhantomData })
    }

    pub fn write(&mut self, ui: &Ui, record: &R) -> anyhow::Result<()> {
        let first = self.written == 0;
        self.written += 1;
        match self.format {
            Format::Table => self.rows.push(Row { cells: record.cells(), below: record.below() }),
            Format::Csv => {
                let terminal = self.terminal;
                self.on_target(ui, |out| csv::write(out, record, first, terminal))?;
            }
            Format::Jsonl | Format::Auto => self.on_target(ui, |out| jsonl::write(out, record))?,
        }
        Ok(())
    }

    /// Writes text as it is, on a terminal with control characters escaped; line breaks stay.
    pub fn write_text(&mut self, ui: &Ui, text: &str) -> anyhow::Result<()> {
        let terminal = self.terminal;
        self.on_target(ui, |out| {
            text.split_inclusive('\n').try_for_each(|line| match line.strip_suffix('\n') {
                Some(line) if terminal => writeln!(out, "{}", visible(line)),
                None if terminal => write!(out, "{}", visible(line)),
                _ => out.write_all(line.as_bytes()),
            })
        })
    }

    /// Completes the output. A file appears only after this call.
    pub fn finish(self, ui: &Ui) -> anyhow::Result<()> {
        self.close(ui, |_| true).map(drop)
    }

    /// Completes the output of a run without results: an existing file is kept. Returns whether there was one.
    pub fn finish_empty(self, ui: &Ui) -> anyhow::Result<bool> {
        self.close(ui, |place| matches!(found(place), Ok(None)))
    }

    /// Ends the output of an interrupted run: no file is made or replaced. Returns whether there would have been one.
    pub fn finish_part(self, ui: &Ui) -> anyhow::Result<bool> {
        self.close(ui, |_| false)
    }

    /// Returns whether the target is a file and was not written.
    fn close(mut self, ui: &Ui, replaces: impl FnOnce(&Path) -> bool) -> anyhow::Result<bool> {
        let rows = std::mem::take(&mut self.rows);
        self.flush_each = false;
        if self.format == Format::Table {
            let width = match self.target {
                Target::File(_) => TableWidth::Unlimited,
                Target::Stdout(_) | Target::Stream(..) => match Ui::columns(self.terminal) {
                    None => TableWidth::Unlimited,
                    Some(columns) if self.terminal => TableWidth::Screen(columns),
                    Some(columns) => TableWidth::Columns(columns),
                },
            };
            self.on_target(ui, |out| table::write(out, R::HEADINGS, &rows, width))?;
        }
        match self.target {
            Target::Stdout(mut out) => out.flush().context(CANNOT_PRINT)?,
            Target::Stream(path, mut out) => out.flush().with_context(|| cannot_write(&path))?,
            Target::File(draft) if replaces(draft.place()) => settle(draft, Content::Text)?,
            Target::File(_) => return Ok(true),
        }
        Ok(false)
    }

    fn on_target(&mut self, ui: &Ui, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
        match &mut self.target {
            Target::Stdout(out) if self.flush_each => {
                ui.without_bar(|| write(out).and_then(|()| out.flush())).context(CANNOT_PRINT)
            }
            Target::Stdout(out) => write(out).context(CANNOT_PRINT),
            Target::Stream(path, out) => write(out).with_context(|| cannot_write(path)),
            Target::File(draft) => write(draft).with_context(|| cannot_write(draft.place())),
        }
    }
}

const CANNOT_PRINT: &str = "cannot write to standard output";

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// Writes a file that appears only when it is complete.
pub fn whole_file(
    path: &Path,
    content: Content,
    write: impl FnOnce(&mut (dyn Write + Send)) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let cannot = || cannot_write(path);
    match open_file(path).with_context(cannot)? {
        Target::Stdout(mut out) => write(&mut out).with_context(cannot),
        Target::Stream(_, mut out) => write(&mut out).and_then(|()| Ok(out.flush()?)).with_context(cannot),
        Target::File(mut draft) => {
            write(&mut draft).with_context(cannot)?;
            settle(draft, content)
        }
    }
}

/// Renames a finished temporary file to its place.
fn settle(draft: Draft, content: Content) -> anyhow::Result<()> {
    let cannot = cannot_write(draft.place());
    // Checked again, so that a file put there during the run is not replaced.
    place::check(draft.place(), content).context(cannot.clone())?;
    draft.settle().context(cannot)
}

fn open_file(path: &Path) -> io::Result<Target> {
    let existing = found(path)?;
    if existing.as_ref().is_some_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        let stream = fs::OpenOptions::new().write(true).open(path)?;
        return Ok(Target::Stream(path.to_owned(), BufWriter::new(stream)));
    }
    if existing.is_some_and(|metadata| metadata.is_dir()) {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder"));
    }
    Draft::beside(path).map(Target::File)
}

impl<R> std::fmt::Debug for Output<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("format", &self.format).field("written", &self.written).finish_non_exhaustive()
    }
}
