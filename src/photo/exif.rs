//! The facts a camera wrote beside its picture.
//!
//! Read by the small directory walker of `ifd.rs`: it works inside the file without copying it (raw files are large),
//! takes raw files whose headers are not quite TIFF, says what is broken, and no directory can make it read for long.
//! `kamadak-exif` multiplies its work when one directory names many sub-directories; it serves as the oracle in tests.

use std::fmt::Write as _;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};

use super::container::{bmff, jpeg, png, webp};
use super::file_format::{self, FileFormat, Raw};
use super::ifd::{Ifd, Tiff};
use super::packet::packet_of;
use super::raw;
use super::xmp::{PersonsRating, persons_rating};

/// "The camera wrote none" and "it is there but cannot be read" are different answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact<T> {
    Known(T),
    Absent,
    Unreadable(String),
}

impl<T> Fact<T> {
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }

    /// The first known answer, else the first unreadable one.
    fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Known(_) => self,
            Self::Absent => other(),
            Self::Unreadable(reason) => match other() {
                Self::Known(value) => Self::Known(value),
                Self::Absent | Self::Unreadable(_) => Self::Unreadable(reason),
            },
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub taken_at: Fact<TakenAt>,
    pub camera: Fact<Camera>,
    /// 1 to 8 as in EXIF; 1 where the file says nothing usable.
    pub orientation: u8,
    /// Latitude north and longitude east, in degrees.
    pub gps: Fact<(f64, f64)>,
    /// What a person said of it in another program, as XMP or else as EXIF.
    pub rating: Option<PersonsRating>,
    pub exposure: Exposure,
}

/// How the camera exposed and focused, as far as it says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Exposure {
    /// The compensation in stops.
    pub bias: Option<f64>,
    pub seconds: Option<f64>,
    /// The f-number.
    pub aperture: Option<f64>,
    pub iso: Option<f64>,
    /// In metres.
    pub focus_distance: Option<f64>,
    /// Whether the exposure mode is that of an automatic bracket.
    pub is_bracketed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Camera {
    pub make: String,
    pub model: String,
}

/// The camera's clock: local time, with its distance from UTC when the camera wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenAt {
    pub local: DateTime,
    pub offset_minutes: Option<i16>,
}

impl TakenAt {
    /// Milliseconds for ordering the photos of one album: by what the camera's clock showed. Few files carry the distance
    /// from UTC, and taking it into account for some would tear a series apart.
    pub fn sort_key(&self) -> i64 {
        let days = i64::from(self.local.date().since(Date::constant(1970, 1, 1)).map_or(0, |span| span.get_days()));
        let time = self.local.time();
        let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
        (days * 86_400 + seconds) * 1000 + i64::from(time.subsec_nanosecond()) / 1_000_000
    }

    /// `2026-05-01T10:12:13.250+02:00`; without fraction or distance from UTC where the camera wrote none.
    pub fn text(&self) -> String {
        let time = self.local.time();
        let mut text = format!("{}T{:02}:{:02}:{:02}", self.local.date(), time.hour(), time.minute(), time.second());
        let fraction = format!("{:09}", time.subsec_nanosecond());
        let digits = [3, 6, 9].into_iter().find(|digits| fraction[*digits..].bytes().all(|byte| byte == b'0'));
        if time.subsec_nanosecond() > 0 {
            text.push('.');
            text.push_str(&fraction[..digits.unwrap_or(9)]);
        }
        if let Some(minutes) = self.offset_minutes {
            let sign = if minutes < 0 { '-' } else { '+' };
            let (hours, minutes) = (minutes.unsigned_abs() / 60, minutes.unsigned_abs() % 60);
            write!(text, "{sign}{hours:02}:{minutes:02}").expect("writing to a string cannot fail");
        }
        text
    }
}

/// Reads what [`TakenAt::text`] writes.
impl FromStr for TakenAt {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = text.find(['T', ' ']).unwrap_or(text.len());
        let offset = text[time..].find(['+', '-']).map_or(text.len(), |at| time + at);
        Ok(Self { local: text[..offset].parse()?, offset_minutes: minutes_from_utc(&text[offset..]) })
    }
}

/// The facts of a file, without decoding its pixels.
pub fn facts(bytes: &[u8]) -> Facts {
    file_format::sniff(bytes).map_or_else(|| Directories::default().facts(), |format| facts_of(bytes, format))
}

pub(super) fn facts_of(bytes: &[u8], format: FileFormat) -> Facts {
    let facts = exif_of(bytes, format);
    Facts { rating: packet_of(bytes, format).and_then(|packet| persons_rating(&packet)).or(facts.rating), ..facts }
}

fn exif_of(bytes: &[u8], format: FileFormat) -> Facts {
    match format {
        FileFormat::Jpeg => block(jpeg::header(bytes).exif),
        FileFormat::Png => block(png::chunks(bytes).exif),
        FileFormat::Webp => block(webp::chunks(bytes).exif),
        FileFormat::Avif | FileFormat::Heic => isobmff(bytes),
        FileFormat::Raw(Raw::Cr3) => cr3(bytes),
        FileFormat::Raw(Raw::Raf | Raw::X3f | Raw::Mrw | Raw::Crw) => {
            block(raw::previews(bytes, format).iter().find_map(|preview| jpeg::header(preview.data).exif))
        }
        FileFormat::Tiff | FileFormat::Raw(_) => block(Some(bytes)),
        // The stream itself says how to turn.
        FileFormat::JpegXl => Facts { orientation: 1, ..block(bmff::jxl_parts(bytes).exif) },
        FileFormat::Gif | FileFormat::Bmp => Directories::default().facts(),
    }
}

/// Turning is the container's business there (`irot`, `imir`); the EXIF orientation merely repeats it.
fn isobmff(bytes: &[u8]) -> Facts {
    let exif = bmff::Meta::read(bytes).ok().and_then(|meta| meta.exif(bytes));
    Facts { orientation: 1, ..block(exif.as_deref()) }
}

/// Canon splits the EXIF block in three, each with a header of its own.
fn cr3(bytes: &[u8]) -> Facts {
    let blocks = bmff::canon_blocks(bytes);
    Directories {
        main: ExpectedDirectory::of(blocks.main),
        exif: ExpectedDirectory::of(blocks.exif),
        gps: ExpectedDirectory::of(blocks.gps),
    }
    .facts()
}

fn block(tiff: Option<&[u8]>) -> Facts {
    tiff.map_or_else(Directories::default, Directories::read).facts()
}

const MAKE: u16 = 0x010f;
const MODEL: u16 = 0x0110;
const ORIENTATION: u16 = 0x0112;
const RATING: u16 = 0x4746;
const EXIF_IFD: u16 = 0x8769;
const GPS_IFD: u16 = 0x8825;

/// A directory that should be there, and what came of it.
#[derive(Debug, Default)]
enum ExpectedDirectory<'a> {
    There(Ifd<'a>),
    #[default]
    Missing,
    Broken(&'static str),
}

#[derive(Debug, Default)]
struct Directories<'a> {
    main: ExpectedDirectory<'a>,
    exif: ExpectedDirectory<'a>,
    gps: ExpectedDirectory<'a>,
}

impl<'a> Directories<'a> {
    fn read(block: &'a [u8]) -> Self {
        let Some(tiff) = Tiff::new(block) else {
            return Self::broken("the EXIF block has no TIFF header");
        };
        let Some(main) = tiff.first() else {
            return Self::broken("the first EXIF directory lies outside the block");
        };
        let nested = |tag, missing| match main.entry(tag) {
            None if main.cut => ExpectedDirectory::Broken("the first EXIF directory is cut short"),
            None => ExpectedDirectory::Missing,
            Some(entry) => main
                .numbers(entry)
                .next()
                .and_then(|at| tiff.at(at))
                .map_or(ExpectedDirectory::Broken(missing), ExpectedDirectory::There),
        };
        let exif = nested(EXIF_IFD, "the directory of shooting data lies outside the block");
        let gps = nested(GPS_IFD, "the directory of the position lies outside the block");
        Self { main: ExpectedDirectory::There(main), exif, gps }
    }

    fn broken(reason: &'static str) -> Self {
        Self {
            main: ExpectedDirectory::Broken(reason),
            exif: ExpectedDirectory::Broken(reason),
            gps: ExpectedDirectory::Broken(reason),
        }
    }

    fn facts(&self) -> Facts {
        Facts {
            taken_at: self.taken_at(),
            camera: self.camera(),
            orientation: self.orientation(),
            gps: self.gps(),
            rating: self.rating(),
            exposure: self.exposure(),
        }
    }

    fn exposure(&self) -> Exposure {
        const AUTOMATIC_BRACKET: u32 = 2;
        let ExpectedDirectory::There(exif) = &self.exif else { return Exposure::default() };
        let fraction = |tag| exif.entry(tag).and_then(|entry| exif.fractions(entry).first().copied());
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        let positive = |value: Option<f64>| finite(value).filter(|value| *value > 0.0);
        Exposure {
            bias: finite(fraction(0x9204)),
            seconds: positive(fraction(0x829a)),
            aperture: positive(fraction(0x829d)),
            // The largest number of 16 bits stands for a sensitivity that does not fit; it is told elsewhere then.
            iso: [0x8827, 0x8832, 0x8831].into_iter().find_map(|tag| {
                exif.number(tag).filter(|iso| (1..0xffff).contains(iso) || *iso > 0xffff).map(f64::from)
            }),
            focus_distance: positive(fraction(0x9206)),
            is_bracketed: exif.number(0xa402) == Some(AUTOMATIC_BRACKET),
        }
    }

    /// Windows writes it; a value of 0 is "unrated".
    fn rating(&self) -> Option<PersonsRating> {
        let ExpectedDirectory::There(main) = &self.main else { return None };
        main.number(RATING).and_then(|stars| PersonsRating::of_number(i64::from(stars)))
    }

    fn orientation(&self) -> u8 {
        let ExpectedDirectory::There(main) = &self.main else { return 1 };
        main.number(ORIENTATION).filter(|it| (1..=8).contains(it)).map_or(1, |it| it as u8)
    }

    fn camera(&self) -> Fact<Camera> {
        let (make, model) = (self.main.text(MAKE), self.main.text(MODEL));
        match (make, model) {
            (Fact::Absent, Fact::Absent) => Fact::Absent,
            (Fact::Unreadable(reason), Fact::Absent | Fact::Unreadable(_))
            | (Fact::Absent, Fact::Unreadable(reason)) => Fact::Unreadable(reason),
            (make, model) => {
                let text = |fact: Fact<String>| fact.known().cloned().unwrap_or_default();
                Fact::Known(Camera { make: text(make), model: text(model) })
            }
        }
    }

    /// When the shutter opened, else when the picture was digitised, else when the file was last changed.
    fn taken_at(&self) -> Fact<TakenAt> {
        self.exif
            .time(0x9003, 0x9291, &self.exif, 0x9011)
            .or_else(|| self.exif.time(0x9004, 0x9292, &self.exif, 0x9012))
            .or_else(|| self.main.time(0x0132, 0x9290, &self.exif, 0x9010))
    }

    fn gps(&self) -> Fact<(f64, f64)> {
        let angle = |reference, value, negative: &str, most| match self.gps.angle(value) {
            Fact::Known(angle) if angle > most => Fact::Unreadable(format!("the position is {angle} degrees")),
            Fact::Known(angle) => {
                let side = self.gps.text(reference).known().cloned().unwrap_or_default();
                Fact::Known(if side.eq_ignore_ascii_case(negative) { -angle } else { angle })
            }
            other => other,
        };
        match (angle(1, 2, "S", 90.0), angle(3, 4, "W", 180.0)) {
            (Fact::Known(latitude), Fact::Known(longitude)) => Fact::Known((latitude, longitude)),
            (Fact::Unreadable(reason), _) | (_, Fact::Unreadable(reason)) => Fact::Unreadable(reason),
            _ => Fact::Absent,
        }
    }
}

impl<'a> ExpectedDirectory<'a> {
    /// The only directory of a block of its own.
    fn of(block: Option<&'a [u8]>) -> Self {
        let Some(block) = block else { return Self::Missing };
        let first = Tiff::new(block).and_then(|tiff| tiff.first());
        first.map_or(Self::Broken("an EXIF block has no directory"), Self::There)
    }

    fn missing<T>(&self) -> Fact<T> {
        match self {
            Self::There(ifd) if ifd.cut => Fact::Unreadable("an EXIF directory is cut short".to_owned()),
            Self::There(_) | Self::Missing => Fact::Absent,
            Self::Broken(reason) => Fact::Unreadable((*reason).to_owned()),
        }
    }

    fn text(&self, tag: u16) -> Fact<String> {
        let Self::There(ifd) = self else { return self.missing() };
        if ifd.entry(tag).is_none() {
            return self.missing();
        }
        match ifd.text(tag) {
            None => Fact::Unreadable(format!("the value of EXIF tag {tag:#06x} lies outside the block")),
            Some(text) if text.is_empty() => Fact::Absent,
            Some(text) => Fact::Known(text),
        }
    }

    fn time(&self, date: u16, fraction: u16, extras: &ExpectedDirectory<'_>, offset: u16) -> Fact<TakenAt> {
        let text = match self.text(date) {
            Fact::Known(text) => text,
            Fact::Absent => return Fact::Absent,
            Fact::Unreadable(reason) => return Fact::Unreadable(reason),
        };
        let nanoseconds = extras.text(fraction).known().map_or(0, |digits| nanoseconds(digits));
        let offset_minutes = extras.text(offset).known().and_then(|text| minutes_from_utc(text));
        match civil(&text, nanoseconds) {
            Fact::Known(local) => Fact::Known(TakenAt { local, offset_minutes }),
            Fact::Absent => Fact::Absent,
            Fact::Unreadable(reason) => Fact::Unreadable(reason),
        }
    }

    /// Degrees, minutes and seconds; cameras without reception write 0/0.
    fn angle(&self, tag: u16) -> Fact<f64> {
        let Self::There(ifd) = self else { return self.missing() };
        let Some(entry) = ifd.entry(tag) else { return self.missing() };
        let parts = ifd.fractions(entry);
        if parts.is_empty() {
            return Fact::Unreadable("the position is not written as fractions".to_owned());
        }
        if parts[0].is_nan() {
            return Fact::Absent;
        }
        let finite = |part: &f64| if part.is_finite() { *part } else { 0.0 };
        let angle: f64 = parts.iter().take(3).zip([1.0, 60.0, 3600.0]).map(|(part, of)| finite(part) / of).sum();
        if parts[0].is_finite() {
            Fact::Known(angle)
        } else {
            Fact::Unreadable("the position divides by zero".to_owned())
        }
    }
}

/// `2026:05:01 10:12:13`, as the standard has it, and with the separators that programs put in its place. Blanks and zeros
/// are how a camera without a clock says so.
fn civil(text: &str, nanoseconds: i32) -> Fact<DateTime> {
    if text.bytes().all(|byte| matches!(byte, b' ' | b'0' | b':' | b'-' | b'/' | b'.' | b'T' | 0)) {
        return Fact::Absent;
    }
    let unreadable =
        || Fact::Unreadable(format!("the time is written {:?}", text.chars().take(32).collect::<String>()));
    let numbers: Option<Vec<i16>> = text
        .split([':', '-', '/', '.', ' ', 'T'])
        .filter(|part| !part.is_empty())
        .take(6)
        .map(|part| part.parse().ok())
        .collect();
    let Some(&[year, month, day, hour, minute, second]) = numbers.as_deref() else { return unreadable() };
    let small = |number: i16| i8::try_from(number).unwrap_or(-1);
    let date = Date::new(year, small(month), small(day));
    let time = Time::new(small(hour), small(minute), small(second), nanoseconds);
    match (date, time) {
        (Ok(date), Ok(time)) if year >= 1800 => Fact::Known(DateTime::from_parts(date, time)),
        _ => unreadable(),
    }
}

/// Decimal digits after the point of the second.
fn nanoseconds(digits: &str) -> i32 {
    let digits: String = digits.trim().chars().take_while(char::is_ascii_digit).take(9).collect();
    format!("{digits:0<9}").parse().unwrap_or(0)
}

fn minutes_from_utc(text: &str) -> Option<i16> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':').or_else(|| rest.split_at_checked(2))?;
    let (hours, minutes): (i16, i16) = (hours.trim().parse().ok()?, minutes.trim().parse().ok()?);
    ((0..=15).contains(&hours) && (0..60).contains(&minutes)).then_some(sign * (hours * 60 + minutes))
}
