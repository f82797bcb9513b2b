//! The output for users and scripts: the record types, and one file for each format.

pub mod annotate;
mod csv;
pub mod export;
pub mod html;
mod jsonl;
mod lettering;
pub mod npy;
pub mod output;
pub mod parquet;
pub mod photo_path;
pub mod place;
pub mod records;
pub mod schema;
mod table;
pub mod xmp;

use schemars::JsonSchema;
use serde::Serialize;

/// The format of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table on a terminal, JSON lines elsewhere.
    Auto,
    /// For people: aligned columns with the most important fields.
    Table,
    /// One JSON object per line with all fields.
    Jsonl,
    /// One column per field.
    Csv,
}

/// One line of output. Its JSON form is its contract; the table is a view for people.
pub trait Record: Serialize + JsonSchema {
    /// The table's headings. `>` at the start marks a column of numbers, aligned right; `…` at the end marks a column of
    /// sentences, which are cut off where the table is too wide.
    const HEADINGS: &'static [&'static str];

    fn cells(&self) -> Vec<Cell>;

    /// Further lines below the row in a table.
    fn below(&self) -> Vec<String> {
        Vec::new()
    }
}

/// One cell of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub text: String,
    pub tone: Tone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Fair,
    Poor,
    Faint,
    /// A path; its folders are shortened on a narrow terminal.
    Path,
}

impl Cell {
    pub fn plain(text: &(impl ToString + ?Sized)) -> Self {
        Self { text: text.to_string(), tone: Tone::Plain }
    }

    pub fn faint(text: &(impl ToString + ?Sized)) -> Self {
        Self { text: text.to_string(), tone: Tone::Faint }
    }

    pub fn path(text: &(impl ToString + ?Sized)) -> Self {
        Self { text: text.to_string(), tone: Tone::Path }
    }

    /// A score from 0 to 1, coloured by its value.
    pub fn score(value: f64) -> Self {
        let tone = match value {
            v if v >= 0.7 => Tone::Good,
            v if v >= 0.4 => Tone::Fair,
            _ => Tone::Poor,
        };
        Self { text: format!("{value:.3}"), tone }
    }

    /// A score that may be missing.
    pub fn score_or_dash(value: Option<f64>) -> Self {
        value.map_or_else(|| Self::faint("-"), Self::score)
    }
}
