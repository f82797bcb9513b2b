//! Reads times from file names, as phones, messengers and screenshot tools write them. Photos sent by messengers have
//! lost their EXIF, so the name is the only source.

use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};

use super::exif::TakenAt;

/// When a photo was taken: the time, or only the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Moment(TakenAt),
    /// Messengers number the photos of a day: `IMG-20260501-WA0007`.
    Day(Date),
}

impl Taken {
    /// Like [`TakenAt::text`], or only the date.
    pub fn text(&self) -> String {
        match self {
            Self::Moment(taken) => taken.text(),
            Self::Day(day) => day.to_string(),
        }
    }

    /// Like [`TakenAt::sort_key`]; a day sorts as its midnight.
    pub fn sort_key(&self) -> i64 {
        match self {
            Self::Moment(taken) => taken.sort_key(),
            Self::Day(day) => TakenAt { local: day.to_datetime(Time::midnight()), offset_minutes: None }.sort_key(),
        }
    }
}

/// Parses the format of [`Taken::text`].
impl FromStr for Taken {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Day).or_else(|_| text.parse().map(Self::Moment))
    }
}

/// Years accepted in file names; eight-digit numbers with other years are rarely dates.
const YEARS: std::ops::Range<i16> = 1990..2100;

/// The first date in a file name, with the time that follows it.
pub fn taken_in_name(name: &str) -> Option<Taken> {
    let runs = runs(name);
    let (date, rest) = (0..runs.len()).find_map(|at| date(&runs[at..]))?;
    let time = match rest {
        Rest::SameRun(digits) => compact_time(digits),
        Rest::Runs(after) => time(after),
    };
    let Some(time) = time else { return Some(Taken::Day(date)) };
    // Pixel phones name photos by UTC, all others by local time.
    let offset_minutes = name.starts_with("PXL_").then_some(0);
    Some(Taken::Moment(TakenAt { local: DateTime::from_parts(date, time), offset_minutes }))
}

/// A run of digits, the text between it and the previous run, and all the text after it.
#[derive(Clone, Copy)]
struct Run<'a> {
    before: &'a str,
    digits: &'a str,
    after: &'a str,
}

fn runs(name: &str) -> Vec<Run<'_>> {
    let mut runs = Vec::new();
    let mut rest = name;
    while let Some(from) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, digits) = rest.split_at(from);
        let (digits, after) = digits.split_at(digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()));
        runs.push(Run { before, digits, after });
        rest = after;
    }
    runs
}

/// The text that may hold the time after a date.
enum Rest<'a, 'b> {
    SameRun(&'a str),
    Runs(&'b [Run<'a>]),
}

/// `20260504`, `2026-05-04`, or the date that begins `20260504143806`.
fn date<'a, 'b>(runs: &'b [Run<'a>]) -> Option<(Date, Rest<'a, 'b>)> {
    match runs {
        [first, rest @ ..] if first.digits.len() == 8 => Some((compact_date(first.digits)?, Rest::Runs(rest))),
        [first, ..] if matches!(first.digits.len(), 14 | 17) => {
            let (date, time) = first.digits.split_at(8);
            Some((compact_date(date)?, Rest::SameRun(time)))
        }
        [year, month, day, rest @ ..]
            if year.digits.len() == 4 && parted(month, day, &["-", ".", "_"]) && month.digits.len() == 2 =>
        {
            Some((civil_date(year.digits, month.digits, day.digits)?, Rest::Runs(rest)))
        }
        _ => None,
    }
}

/// Whether both runs follow the same separator, one of `marks`, and the second has two digits.
fn parted(middle: &Run<'_>, last: &Run<'_>, marks: &[&str]) -> bool {
    middle.before == last.before && marks.contains(&last.before) && last.digits.len() == 2
}

fn compact_date(digits: &str) -> Option<Date> {
    civil_date(&digits[..4], &digits[4..6], &digits[6..])
}

fn civil_date(year: &str, month: &str, day: &str) -> Option<Date> {
    let year = year.parse().ok().filter(|year| YEARS.contains(year))?;
    Date::new(year, month.parse().ok()?, day.parse().ok()?).ok()
}

/// `_143806`, `-183011`, ` at 18.30.11`, ` at 6.30.11 PM`, `_18_30_11`, `_101112345` with thousandths.
fn time(runs: &[Run<'_>]) -> Option<Time> {
    let first = runs.first()?;
    let between = first.before.trim_matches([' ', '_', '-', '.', ',']);
    if first.before.is_empty() || !["", "T", "at"].contains(&between) {
        return None;
    }
    match runs {
        [first, ..] if matches!(first.digits.len(), 6 | 9) => compact_time(first.digits),
        [hour, minute, second, ..]
            if hour.digits.len() <= 2
                && minute.digits.len() == 2
                && parted(minute, second, &[".", "-", "_", ":", "\u{a789}"]) =>
        {
            civil_time(half_of_day(hour.digits.parse().ok()?, second.after), minute.digits, second.digits, 0)
        }
        _ => None,
    }
}

fn compact_time(digits: &str) -> Option<Time> {
    let thousandths: i32 = if digits.len() > 6 { digits[6..].parse().ok()? } else { 0 };
    civil_time(digits[..2].parse().ok()?, &digits[2..4], &digits[4..6], thousandths)
}

fn civil_time(hour: i8, minute: &str, second: &str, thousandths: i32) -> Option<Time> {
    Time::new(hour, minute.parse().ok()?, second.parse().ok()?, thousandths * 1_000_000).ok()
}

/// The hour on a clock of 24, where `AM` or `PM` follows one of 12.
fn half_of_day(hour: i8, after: &str) -> i8 {
    let word: String = after.trim_start().chars().take(2).collect();
    match word.to_ascii_uppercase().as_str() {
        "AM" if hour == 12 => 0,
        "PM" if hour < 12 => hour + 12,
        _ => hour,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str) -> Option<String> {
        taken_in_name(name).map(|taken| taken.text())
    }

    #[test]
    fn names_of_phones_messengers_and_screenshots_tell_the_time() {
        for (name, time) in [
            ("20260504_143806.jpg", "2026-05-04T14:38:06"),
            ("20260504_143806_001.jpg", "2026-05-04T14:38:06"),
            ("IMG_20260504_143806.jpg", "2026-05-04T14:38:06"),
            ("IMG_20260504_143806_BURST012.jpg", "2026-05-04T14:38:06"),
            ("IMG20260504143806.jpg", "2026-05-04T14:38:06"),
            ("PXL_20260101_101112345.jpg", "2026-01-01T10:11:12.345+00:00"),
            ("PXL_20260101_101112345.PORTRAIT-01.COVER.jpg", "2026-01-01T10:11:12.345+00:00"),
            ("Screenshot_20260504-183011.png", "2026-05-04T18:30:11"),
            ("Screenshot_20260504-183011_Chrome.jpg", "2026-05-04T18:30:11"),
            ("Screenshot_2026-05-04-18-30-11-123_com.app.jpg", "2026-05-04T18:30:11"),
            ("Screenshot 2026-05-04 at 18.30.11.png", "2026-05-04T18:30:11"),
            ("Screenshot 2026-05-04 at 6.30.11\u{202f}PM.png", "2026-05-04T18:30:11"),
            ("Screen Shot 2026-05-04 at 12.30.11 AM.png", "2026-05-04T00:30:11"),
            ("Screenshot from 2026-05-04 18-30-11.png", "2026-05-04T18:30:11"),
            ("2026-05-04 14.38.06.jpg", "2026-05-04T14:38:06"),
            ("2026-05-04T14:38:06.jpg", "2026-05-04T14:38:06"),
            ("WhatsApp Image 2026-05-04 at 14.38.06.jpeg", "2026-05-04T14:38:06"),
            ("signal-2026-05-04-14-38-06-123.jpg", "2026-05-04T14:38:06"),
            ("photo_2026-05-04_14-38-06.jpg", "2026-05-04T14:38:06"),
            ("WP_20140504_14_38_06_Pro.jpg", "2014-05-04T14:38:06"),
        ] {
            assert_eq!(told(name).as_deref(), Some(time), "{name}");
        }
    }

    #[test]
    fn a_name_with_a_date_alone_tells_the_day() {
        for (name, day) in [
            ("IMG-20260501-WA0007.jpg", "2026-05-01"),
            ("WP_20140504_001.jpg", "2014-05-04"),
            ("2026-05-01 beach.jpg", "2026-05-01"),
            // No such time.
            ("20260504_253806.jpg", "2026-05-04"),
        ] {
            assert_eq!(told(name).as_deref(), Some(day), "{name}");
        }
    }

    #[test]
    fn other_numbers_are_no_times() {
        for name in [
            "DSC_0101.jpg",
            "IMG_4711.HEIC",
            "P1020304.JPG",
            "20261301.jpg",
            "20260230_101010.jpg",
            "12345678.jpg",
            "202605041.jpg",
            "FB_IMG_1588602611000.jpg",
            "1920-1080-wallpaper.jpg",
            "3000-05-01.jpg",
            "",
            "٢٠٢٦٠٥٠٤.jpg",
        ] {
            assert_eq!(told(name), None, "{name}");
        }
    }
}
