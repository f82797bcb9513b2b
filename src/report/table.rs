//! Tables for people: aligned, coloured where allowed, and fitted to the terminal without cutting file names.

use std::io::{self, Write};

use console::{StyledObject, measure_text_width, style};

use super::{Cell, Tone};
use base::escape::visible;

const GAP: &str = "  ";
/// The width to which sentences are cut before the folders of paths are.
const SHORTEST_SENTENCE: usize = 12;

/// The width of a table, and what may be cut to fit it.
#[derive(Debug, Clone, Copy)]
pub enum TableWidth {
    /// Unlimited.
    Unlimited,
    /// This many columns; only sentences may be cut.
    Columns(usize),
    /// A terminal of this many columns; sentences and then folders may be cut.
    Screen(usize),
}

#[derive(Debug)]
pub struct Row {
    pub cells: Vec<Cell>,
    /// Lines shown below the row, never cut.
    pub below: Vec<String>,
}

pub fn write(out: &mut dyn Write, headings: &[&str], rows: &[Row], room: TableWidth) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let shown = |cell: &Cell| Cell { text: visible(&cell.text).into_owned(), tone: cell.tone };
    let cells: Vec<Vec<Cell>> = rows.iter().map(|row| row.cells.iter().map(shown).collect()).collect();
    let widths = column_widths(headings, &cells, room);
    let right = |column: usize| headings[column].starts_with('>');
    let heading_row: Vec<Cell> = headings.iter().map(|heading| Cell::faint(words(heading))).collect();
    let below = std::iter::once(&[][..]).chain(rows.iter().map(|row| &row.below[..]));
    for (row, below) in std::iter::once(&heading_row).chain(&cells).zip(below) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let text = match cell.tone {
                Tone::Path => shorten_folders(&cell.text, widths[column]),
                _ => shorten_at_the_end(&cell.text, widths[column]),
            };
            let pad = " ".repeat(widths[column].saturating_sub(measure_text_width(&text)));
            let text = painted(&text, cell.tone).to_string();
            let last = column + 1 == row.len();
            let placed = match (right(column), last) {
                (true, _) => format!("{pad}{text}"),
                (false, true) => text,
                (false, false) => format!("{text}{pad}"),
            };
            line.push_str(if column == 0 { "" } else { GAP });
            line.push_str(&placed);
        }
        writeln!(out, "{line}")?;
        below.iter().try_for_each(|line| writeln!(out, "{GAP}{GAP}{GAP}{}", visible(line)))?;
    }
    Ok(())
}

/// The text of a heading, without its alignment marks.
fn words(heading: &str) -> &str {
    heading.trim_start_matches('>').trim_end_matches('…')
}

fn painted(text: &str, tone: Tone) -> StyledObject<&str> {
    let text = style(text);
    match tone {
        Tone::Plain | Tone::Path => text,
        Tone::Good => text.green(),
        Tone::Fair => text.yellow(),
        Tone::Poor => text.red(),
        Tone::Faint => text.dim(),
    }
}

/// Makes every column as wide as its widest cell. If the table is too wide, sentences are cut first, then folders, then
/// sentences further; what is still too wide stays so.
fn column_widths(headings: &[&str], rows: &[Vec<Cell>], room: TableWidth) -> Vec<usize> {
    let widest = |column: usize, width: &dyn Fn(&Cell) -> usize| {
        let cells = rows.iter().map(|row| width(&row[column]));
        cells.max().unwrap_or(0).max(measure_text_width(words(headings[column])))
    };
    let columns = 0..headings.len();
    let mut widths: Vec<usize> =
        columns.clone().map(|column| widest(column, &|cell| measure_text_width(&cell.text))).collect();
    let (total, cuts_paths) = match room {
        TableWidth::Unlimited => return widths,
        TableWidth::Columns(total) => (total, false),
        TableWidth::Screen(total) => (total, true),
    };
    let gaps = GAP.len() * (headings.len() - 1);
    let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(total);
    let mut give_way = |column: usize, least: usize| {
        let narrower = widths[column].saturating_sub(excess).max(least.min(widths[column]));
        excess -= widths[column] - narrower;
        widths[column] = narrower;
    };
    let sentences = || columns.clone().filter(|&column| headings[column].ends_with('…'));
    sentences().for_each(|column| give_way(column, SHORTEST_SENTENCE));
    if cuts_paths {
        let paths = columns.clone().filter(|&column| rows[0][column].tone == Tone::Path);
        paths.for_each(|column| give_way(column, widest(column, &shortest)));
    }
    sentences().for_each(|column| give_way(column, measure_text_width(words(headings[column]))));
    widths
}

/// The smallest width of a cell: of a path only the folders can be cut.
fn shortest(cell: &Cell) -> usize {
    match cell.tone {
        Tone::Path => {
            let (folders, name) = folders_and_name(&cell.text);
            measure_text_width(folders).min(2) + measure_text_width(name)
        }
        _ => measure_text_width(&cell.text),
    }
}

/// Splits a path into its folders, with the last separator, and its name.
fn folders_and_name(path: &str) -> (&str, &str) {
    let inside = path.trim_end_matches(std::path::is_separator);
    path.split_at(inside.rfind(std::path::is_separator).map_or(0, |end| end + 1))
}

/// Shortens the folders in the middle and keeps the file's name.
fn shorten_folders(path: &str, width: usize) -> String {
    if measure_text_width(path) <= width {
        return path.to_owned();
    }
    let (folders, name) = folders_and_name(path);
    let room = width.saturating_sub(measure_text_width(name) + 1);
    let tail_room = room - room / 3;
    let head = take_columns(folders.chars(), room - tail_room);
    let tail: String = take_columns(folders.chars().rev(), tail_room).chars().rev().collect();
    format!("{head}…{tail}{name}")
}

fn shorten_at_the_end(text: &str, width: usize) -> String {
    if measure_text_width(text) <= width {
        return text.to_owned();
    }
    format!("{}…", take_columns(text.chars(), width.saturating_sub(1)).trim_end())
}

fn take_columns(characters: impl Iterator<Item = char>, room: usize) -> String {
    let mut taken = String::new();
    let mut used = 0;
    for character in characters {
        used += measure_text_width(character.encode_utf8(&mut [0; 4]));
        if used > room {
            break;
        }
        taken.push(character);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(headings: &[&str], rows: Vec<Vec<Cell>>, room: TableWidth) -> String {
        console::set_colors_enabled(false);
        let rows: Vec<Row> = rows.into_iter().map(|cells| Row { cells, below: Vec::new() }).collect();
        let mut out = Vec::new();
        write(&mut out, headings, &rows, room).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn table(rows: Vec<Vec<Cell>>, width: usize) -> String {
        written(&["photo", ">score"], rows, TableWidth::Screen(width))
    }

    #[test]
    fn columns_line_up_whatever_the_script() {
        let rows = vec![vec![Cell::path("a.jpg"), Cell::score(0.5)], vec![Cell::path("写真.jpg"), Cell::score(1.0)]];
        assert_eq!(table(rows, 80), "photo     score\na.jpg     0.500\n写真.jpg  1.000\n");
    }

    #[test]
    fn control_characters_are_shown_as_marks_and_counted_in_the_width() {
        let rows = vec![vec![Cell::path("a\u{1b}[2J\u{202e}.jpg"), Cell::score(0.5)]];
        assert_eq!(table(rows, 80), "photo       score\na\u{fffd}[2J\u{fffd}.jpg  0.500\n");
    }

    #[test]
    fn folders_are_cut_and_names_are_not() {
        let path = "/home/somebody/Photos/2026/06/IMG_0001.jpg";
        let text = table(vec![vec![Cell::path(path), Cell::score(0.5)]], 32);
        assert!(text.lines().all(|line| measure_text_width(line) <= 32), "{text}");
        assert!(text.contains('…') && text.contains("06/IMG_0001.jpg"), "{text}");
        let long = "a very long name that somebody gave to one photo.jpg";
        let text = table(vec![vec![Cell::path(&format!("2026/{long}")), Cell::score(0.5)]], 32);
        assert!(text.contains(&format!("…/{long}")), "{text}");
        assert!(table(vec![vec![Cell::path(long), Cell::score(0.5)]], 32).contains(long));
    }

    #[test]
    fn sentences_are_cut_before_folders_and_nothing_is_cut_without_a_limit() {
        let row = || {
            let why = "Sharpest of 5 takes; beat DSC_0120.jpg and DSC_0121.jpg in the tie-break (2 of 2 won).";
            vec![vec![Cell::path("fixtures/album/DSC_0123.jpg"), Cell::plain(why)]]
        };
        let headings = ["photo", "why…"];
        let text = written(&headings, row(), TableWidth::Screen(60));
        assert!(text.ends_with("fixtures/album/DSC_0123.jpg  Sharpest of 5 takes; beat DSC_…\n"), "{text}");
        let text = written(&headings, row(), TableWidth::Screen(32));
        assert!(text.contains("m/DSC_0123.jpg  Sharpest of…\n"), "{text}");
        assert!(text.lines().all(|line| measure_text_width(line) <= 32), "{text}");
        assert!(written(&headings, row(), TableWidth::Columns(20)).contains("fixtures/album/DSC_0123.jpg  Sh…\n"));
        assert!(written(&headings, row(), TableWidth::Unlimited).ends_with("(2 of 2 won).\n"));
    }
}
