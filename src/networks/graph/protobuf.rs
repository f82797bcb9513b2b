//! A reader of the protocol buffers wire format, without copying. Graph formats need a few dozen fields of ten messages: our
//! own reader is shorter than generated code, copies no weights, and never allocates what a file claims.

use super::GraphError;

/// Weights are stored as raw bytes and not as such lists.
const MOST_NUMBERS: usize = 1 << 16;

type Result<T> = std::result::Result<T, GraphError>;

/// The value of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field<'a> {
    Number(u64),
    /// Four or eight bytes.
    Fixed(&'a [u8]),
    Bytes(&'a [u8]),
}

/// The fields of one message, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Message<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Message<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn damaged(&self) -> GraphError {
        GraphError::Damaged { at: self.at }
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(|| self.damaged())?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len()).ok_or_else(|| self.damaged())?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u64, Field<'a>)> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Fixed(self.take(8)?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| self.damaged())?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed(self.take(4)?),
            _ => return Err(self.damaged()),
        };
        Ok((tag >> 3, field))
    }
}

impl<'a> Iterator for Message<'a> {
    type Item = Result<(u64, Field<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let field = self.field();
        // A broken message has no further fields.
        if field.is_err() {
            self.at = self.bytes.len();
        }
        Some(field)
    }
}

impl<'a> Field<'a> {
    pub fn bytes(self) -> Result<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(GraphError::Damaged { at: 0 }) }
    }

    pub fn text(self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|error| GraphError::Damaged { at: error.valid_up_to() })
    }

    pub fn number(self) -> Result<i64> {
        if let Self::Number(number) = self { Ok(number.cast_signed()) } else { Err(GraphError::Damaged { at: 0 }) }
    }

    pub fn float(self) -> Result<f32> {
        match self {
            Self::Fixed(bytes) => match <[u8; 4]>::try_from(bytes) {
                Ok(bytes) => Ok(f32::from_le_bytes(bytes)),
                Err(_) => Err(GraphError::Damaged { at: 0 }),
            },
            _ => Err(GraphError::Damaged { at: 0 }),
        }
    }

    /// Reads the numbers of a repeated field, packed or not: shapes and positions, of which there are few.
    pub fn numbers(self, into: &mut Vec<i64>) -> Result<()> {
        if into.len() > MOST_NUMBERS {
            return Err(GraphError::TooLarge { what: "a list of numbers" });
        }
        match self {
            Self::Number(number) => into.push(number.cast_signed()),
            Self::Bytes(bytes) => {
                let mut message = Message::new(bytes);
                while message.at < bytes.len() {
                    if into.len() > MOST_NUMBERS {
                        return Err(GraphError::TooLarge { what: "a list of numbers" });
                    }
                    into.push(message.varint()?.cast_signed());
                }
            }
            Self::Fixed(_) => return Err(GraphError::Damaged { at: 0 }),
        }
        Ok(())
    }
}
