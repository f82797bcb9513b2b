//! A FlatBuffers reader: tables, vectors and scalars of a byte slice. Every offset is checked before it is followed, so
//! hostile bytes give an error. Only requested values are copied.

use super::TfliteError;

type Result<T> = std::result::Result<T, TfliteError>;

/// A table of the file. Fields are found by their number in the schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: usize,
    vtable_len: usize,
}

/// Reads the `N` bytes at `at`.
fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    at.checked_add(N)
        .and_then(|end| bytes.get(at..end))
        .and_then(|found| found.try_into().ok())
        .ok_or(TfliteError::Truncated { at })
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// The target of the forward offset stored at `at`.
fn follow(bytes: &[u8], at: usize) -> Result<usize> {
    at.checked_add(u32_at(bytes, at)? as usize).ok_or(TfliteError::Truncated { at })
}

impl<'a> Table<'a> {
    /// The root table of a file that carries `identifier` in bytes 4 to 8.
    pub fn root(bytes: &'a [u8], identifier: [u8; 4]) -> Result<Self> {
        if array::<4>(bytes, 4)? != identifier {
            return Err(TfliteError::NotTflite);
        }
        Self::at(bytes, follow(bytes, 0)?)
    }

    fn at(bytes: &'a [u8], at: usize) -> Result<Self> {
        let back = i64::from(i32::from_le_bytes(array(bytes, at)?));
        let vtable = usize::try_from(at as i64 - back).map_err(|_| TfliteError::Truncated { at })?;
        let vtable_len = usize::from(u16_at(bytes, vtable)?);
        Ok(Self { bytes, at, vtable, vtable_len })
    }

    /// The position of a field's value; `None` if the writer left it at its default.
    fn field(&self, number: usize) -> Result<Option<usize>> {
        let entry = 4 + 2 * number;
        if entry + 2 > self.vtable_len {
            return Ok(None);
        }
        match u16_at(self.bytes, self.vtable + entry)? {
            0 => Ok(None),
            offset => Ok(Some(self.at + usize::from(offset))),
        }
    }

    pub fn u8(&self, number: usize) -> Result<u8> {
        self.field(number)?.map_or(Ok(0), |at| array::<1>(self.bytes, at).map(|[b]| b))
    }

    /// Zero if absent, the default of every field read here.
    pub fn i32(&self, number: usize) -> Result<i32> {
        self.field(number)?.map_or(Ok(0), |at| array(self.bytes, at).map(i32::from_le_bytes))
    }

    /// Reads an `i32` that is a count or an index.
    pub fn index(&self, number: usize) -> Result<usize> {
        let value = self.i32(number)?;
        usize::try_from(value).map_err(|_| TfliteError::Negative { value })
    }

    pub fn u32(&self, number: usize) -> Result<u32> {
        self.field(number)?.map_or(Ok(0), |at| u32_at(self.bytes, at))
    }

    pub fn table(&self, number: usize) -> Result<Option<Self>> {
        match self.field(number)? {
            None => Ok(None),
            Some(at) => Self::at(self.bytes, follow(self.bytes, at)?).map(Some),
        }
    }

    /// The element count of a vector and the bytes of its elements of `size` bytes; empty if absent.
    fn vector(&self, number: usize, size: usize) -> Result<(usize, &'a [u8])> {
        let Some(at) = self.field(number)? else { return Ok((0, &[])) };
        let start = follow(self.bytes, at)?;
        let len = u32_at(self.bytes, start)? as usize;
        let bytes = len
            .checked_mul(size)
            .and_then(|len| (start + 4).checked_add(len))
            .and_then(|end| self.bytes.get(start + 4..end))
            .ok_or(TfliteError::Truncated { at: start })?;
        Ok((start + 4, bytes))
    }

    pub fn bytes(&self, number: usize) -> Result<&'a [u8]> {
        Ok(self.vector(number, 1)?.1)
    }

    pub fn u16s(&self, number: usize) -> Result<impl ExactSizeIterator<Item = u16> + use<'a>> {
        Ok(self.vector(number, 2)?.1.as_chunks().0.iter().map(|&b| u16::from_le_bytes(b)))
    }

    pub fn i32s(&self, number: usize) -> Result<impl ExactSizeIterator<Item = i32> + use<'a>> {
        Ok(self.vector(number, 4)?.1.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b)))
    }

    /// Reads a vector of tables; each table is checked when it is reached.
    pub fn tables(&self, number: usize) -> Result<impl ExactSizeIterator<Item = Result<Self>> + use<'a>> {
        let (bytes, (first, vector)) = (self.bytes, self.vector(number, 4)?);
        Ok((0..vector.len() / 4).map(move |i| Self::at(bytes, follow(bytes, first + 4 * i)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one table: field 0 an `i32` of 7, field 2 a vector of two `u16`.
    fn small() -> Vec<u8> {
        let mut file = Vec::new();
        file.extend(20u32.to_le_bytes()); // root at 20
        file.extend(*b"TEST");
        file.extend([10, 0, 12, 0, 4, 0, 0, 0, 8, 0]); // vtable at 8: its length, the table's, three fields
        file.extend([0, 0]);
        file.extend(12i32.to_le_bytes()); // table at 20, vtable 12 before it
        file.extend(7i32.to_le_bytes());
        file.extend(4u32.to_le_bytes()); // the vector is 4 further on
        file.extend(2u32.to_le_bytes());
        file.extend([1, 0, 2, 1]);
        file
    }

    #[test]
    fn fields_are_found_by_number() {
        let file = small();
        let table = Table::root(&file, *b"TEST").unwrap();
        assert_eq!(table.i32(0).unwrap(), 7);
        assert_eq!(table.i32(1).unwrap(), 0, "left at its default");
        assert_eq!(table.u16s(2).unwrap().collect::<Vec<_>>(), [1, 258]);
        assert!(table.table(9).unwrap().is_none());
    }

    #[test]
    fn another_identifier_is_another_format() {
        assert!(matches!(Table::root(&small(), *b"TFL3"), Err(TfliteError::NotTflite)));
    }

    #[test]
    fn every_cut_and_every_wild_offset_is_an_error_or_a_value() {
        let file = small();
        let read = |bytes: &[u8]| -> Result<()> {
            let table = Table::root(bytes, *b"TEST")?;
            table.i32(0)?;
            table.tables(2)?.try_for_each(|t| t.map(drop))?;
            table.u16s(2).map(|v| v.for_each(drop))
        };
        for end in 0..file.len() {
            assert!(read(&file[..end]).is_err(), "cut at {end}");
        }
        for at in 0..file.len() {
            for value in [0x7f, 0x80, 0xff] {
                let mut broken = file.clone();
                broken[at..].iter_mut().take(4).for_each(|b| *b = value);
                let _ = read(&broken);
            }
        }
    }
}
