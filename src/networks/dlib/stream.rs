//! dlib's serialisation: integers with a length prefix, floating-point numbers as mantissa and exponent, texts, and tensors
//! of little-endian floats.

use super::DlibError;

type Result<T> = std::result::Result<T, DlibError>;

/// The bit of a length that marks a negative integer.
const NEGATIVE: u8 = 0x80;

/// Bytes read from the front.
#[derive(Debug)]
pub(super) struct Stream<'a> {
    rest: &'a [u8],
}

impl<'a> Stream<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DlibError::Truncated(what))?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn int(&mut self, what: &'static str) -> Result<i64> {
        let head = self.take(1, what)?[0];
        let length = usize::from(head & !NEGATIVE);
        if !(1..=8).contains(&length) {
            return Err(unexpected(what, format!("of {length} bytes"), "an integer of 1 to 8 bytes"));
        }
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(self.take(length, what)?);
        let size = i64::try_from(u64::from_le_bytes(bytes));
        let size = size.map_err(|_| unexpected(what, "too large a number".into(), "a signed one"))?;
        Ok(if head & NEGATIVE == 0 { size } else { -size })
    }

    pub fn expect(&mut self, what: &'static str, expected: i64) -> Result<()> {
        let found = self.int(what)?;
        if found == expected { Ok(()) } else { Err(unexpected(what, found.to_string(), &expected.to_string())) }
    }

    /// An integer below `end`.
    pub fn below(&mut self, what: &'static str, end: usize) -> Result<usize> {
        let found = self.int(what)?;
        let fitting = usize::try_from(found).ok().filter(|&found| found < end);
        fitting.ok_or_else(|| unexpected(what, found.to_string(), &format!("less than {end}")))
    }

    pub fn text(&mut self, what: &'static str, expected: &str) -> Result<()> {
        let length = self.below(what, 64)?;
        let found = self.take(length, what)?;
        let differs = || unexpected(what, format!("`{}`", String::from_utf8_lossy(found)), expected);
        if found == expected.as_bytes() { Ok(()) } else { Err(differs()) }
    }

    /// A finite number.
    pub fn float(&mut self, what: &'static str) -> Result<f64> {
        let (mantissa, exponent) = (self.int(what)?, self.int(what)?);
        let exponent = i32::try_from(exponent).ok().filter(|exponent| exponent.abs() <= 2000);
        let value = exponent.map(|exponent| mantissa as f64 * f64::from(exponent).exp2());
        value.filter(|value| value.is_finite()).ok_or(DlibError::NotFinite(what))
    }

    /// A boolean, written as a digit.
    pub fn flag(&mut self, what: &'static str) -> Result<()> {
        match self.take(1, what)? {
            b"0" | b"1" => Ok(()),
            other => Err(unexpected(what, format!("byte {}", other[0]), "0 or 1")),
        }
    }

    fn dimensions(&mut self, what: &'static str) -> Result<[i64; 4]> {
        Ok([self.int(what)?, self.int(what)?, self.int(what)?, self.int(what)?])
    }

    /// Reads a tensor of exactly this shape.
    pub fn tensor(&mut self, what: &'static str, shape: [usize; 4]) -> Result<Vec<f32>> {
        self.expect(what, 2)?;
        self.shape(what, shape)?;
        let bytes = self.take(4 * shape.iter().product::<usize>(), what)?;
        let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if values.iter().all(|value| value.is_finite()) { Ok(values) } else { Err(DlibError::NotFinite(what)) }
    }

    /// Reads the shape of a tensor that is stored elsewhere.
    pub fn alias(&mut self, what: &'static str, shape: [usize; 4]) -> Result<()> {
        self.expect(what, 1)?;
        self.shape(what, shape)
    }

    fn shape(&mut self, what: &'static str, shape: [usize; 4]) -> Result<()> {
        let found = self.dimensions(what)?;
        if found == shape.map(|side| side as i64) {
            return Ok(());
        }
        Err(unexpected(what, format!("of shape {found:?}"), &format!("{shape:?}")))
    }

    /// Reads a column vector in dlib's matrix format: negative sizes, then the numbers.
    pub fn column(&mut self, what: &'static str, rows: usize) -> Result<Vec<f32>> {
        self.expect(what, -(rows as i64))?;
        self.expect(what, -1)?;
        (0..rows).map(|_| Ok(self.float(what)? as f32)).collect()
    }

    pub fn finish(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(DlibError::LeftOver(self.rest.len())) }
    }
}

fn unexpected(what: &'static str, found: String, expected: &str) -> DlibError {
    DlibError::Unexpected { what, found, expected: expected.to_owned() }
}
