//! A table for people: aligned, coloured when allowed, never wider than the terminal.

use std::io::{self, Write};

use console::{StyledObject, measure_text_width, style};

use super::{Cell, Tone};
use base::escape::visible;

const GAP: &str = "  ";
/// A path is never cut below this, even if the table grows too wide.
const SHORTEST_PATH: usize = 16;

pub fn write(out: &mut dyn Write, headings: &[&str], rows: &[Vec<Cell>], width: usize) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let shown = |cell: &Cell| Cell { text: visible(&cell.text).into_owned(), tone: cell.tone };
    let rows: Vec<Vec<Cell>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
    let widths = column_widths(headings, &rows, width);
    let heading = |text: &&str| Cell::faint(text.trim_start_matches('>'));
    let right = |column: usize| headings[column].starts_with('>');
    let heading_row: Vec<Cell> = headings.iter().map(heading).collect();
    for row in std::iter::once(&heading_row).chain(&rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let text = shorten_in_the_middle(&cell.text, widths[column]);
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
    }
    Ok(())
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

/// Every column as wide as its widest cell; the column of paths gives way when that is too much.
fn column_widths(headings: &[&str], rows: &[Vec<Cell>], total: usize) -> Vec<usize> {
    let natural = |column: usize| {
        let cells = rows.iter().map(|row| measure_text_width(&row[column].text));
        cells.max().unwrap_or(0).max(measure_text_width(headings[column].trim_start_matches('>')))
    };
    let mut widths: Vec<usize> = (0..headings.len()).map(natural).collect();
    let gaps = GAP.len() * (headings.len() - 1);
    let excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(total);
    let path = (0..headings.len()).find(|&column| rows[0][column].tone == Tone::Path);
    if let (Some(path), true) = (path, excess > 0) {
        widths[path] = widths[path].saturating_sub(excess).max(SHORTEST_PATH.min(widths[path]));
    }
    widths
}

/// Keeps the start, which says where, and the longer end, which says what.
fn shorten_in_the_middle(text: &str, width: usize) -> String {
    if measure_text_width(text) <= width || width == 0 {
        return text.to_owned();
    }
    let room = width - 1;
    let tail_room = room - room / 3;
    let head = take_columns(text.chars(), room - tail_room);
    let tail: String = take_columns(text.chars().rev(), tail_room).chars().rev().collect();
    format!("{head}…{tail}")
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

    fn table(rows: &[Vec<Cell>], width: usize) -> String {
        console::set_colors_enabled(false);
        let mut out = Vec::new();
        write(&mut out, &["photo", ">score"], rows, width).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_line_up_whatever_the_script() {
        let rows = [vec![Cell::path("a.jpg"), Cell::score(0.5)], vec![Cell::path("写真.jpg"), Cell::score(1.0)]];
        assert_eq!(table(&rows, 80), "photo     score\na.jpg     0.500\n写真.jpg  1.000\n");
    }

    #[test]
    fn what_steers_is_shown_as_a_mark_and_takes_its_place() {
        let rows = [vec![Cell::path("a\u{1b}[2J\u{202e}.jpg"), Cell::score(0.5)]];
        assert_eq!(table(&rows, 80), "photo       score\na\u{fffd}[2J\u{fffd}.jpg  0.500\n");
    }

    #[test]
    fn long_paths_are_cut_in_the_middle_and_the_table_fits() {
        let rows = [vec![Cell::path("/home/somebody/Photos/2026/06/IMG_0001.jpg"), Cell::score(0.5)]];
        let text = table(&rows, 32);
        assert!(text.lines().all(|line| measure_text_width(line) <= 32), "{text}");
        assert!(text.contains('…') && text.contains("IMG_0001.jpg"), "{text}");
    }
}
