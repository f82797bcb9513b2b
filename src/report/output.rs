//! Where records go: standard output, or a file that appears whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::place::{self, Content};
use super::table::{self, Room, Row};
use super::{Format, Record, csv, jsonl};
use crate::ui::Ui;
use base::atomic::{Draft, found};

/// Writes records of one kind as they come; a table waits for the last one.
pub struct Output<R> {
    target: Target,
    format: Format,
    rows: Vec<Row>,
    written: usize,
    /// Flushing after each record shows results as they come, to whoever reads a pipe.
    flush_each: bool,
    /// Whether it is shown on a terminal.
    terminal: bool,
    record: PhantomData<R>,
}

enum Target {
    Stdout(Box<dyn Write + Send>),
    /// A pipe, a device: written as it is.
    Stream(PathBuf, BufWriter<File>),
    /// Written beside its place and renamed at the end, so that a run cut short leaves the older file whole.
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

    /// Must be called for a file to appear in its place.
    pub fn finish(self, ui: &Ui) -> anyhow::Result<()> {
        self.close(ui, |_| true).map(drop)
    }

    /// For a run that had nothing to tell of: results of an earlier one stay. Whether they did.
    pub fn finish_empty(self, ui: &Ui) -> anyhow::Result<bool> {
        self.close(ui, |place| matches!(found(place), Ok(None)))
    }

    /// For a run that was cut short: what is printed stays printed, and no file is made or replaced. Whether one was
    /// asked for.
    pub fn finish_part(self, ui: &Ui) -> anyhow::Result<bool> {
        self.close(ui, |_| false)
    }

    /// Whether there is a file and it was left as it is.
    fn close(mut self, ui: &Ui, replaces: impl FnOnce(&Path) -> bool) -> anyhow::Result<bool> {
        let rows = std::mem::take(&mut self.rows);
        self.flush_each = false;
        if self.format == Format::Table {
            let room = match self.target {
                Target::File(_) => Room::Endless,
                Target::Stdout(_) | Target::Stream(..) => match Ui::columns(self.terminal) {
                    None => Room::Endless,
                    Some(columns) if self.terminal => Room::Screen(columns),
                    Some(columns) => Room::Columns(columns),
                },
            };
            self.on_target(ui, |out| table::write(out, R::HEADINGS, &rows, room))?;
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

/// Writes a file that appears whole, or not at all.
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

/// Puts a finished file into its place.
fn settle(draft: Draft, content: Content) -> anyhow::Result<()> {
    let cannot = cannot_write(draft.place());
    // Once more: what was put there since the run began is left alone, too.
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
