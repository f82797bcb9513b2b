//! Vectors as a NumPy `.npy` file: one row per photo, in the order of the results.

use std::io::{self, Write};

/// Writes `rows` of `dim` floats each, version 1.0 of the format, little-endian.
pub fn write(out: &mut (impl Write + ?Sized), dim: usize, rows: &[Vec<f32>]) -> io::Result<()> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {dim}), }}", rows.len());
    // Magic, version, length and header are padded to a multiple of 64 bytes; the header ends in a newline.
    let before = 10;
    let padding = 63 - (before + header.len()) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let len = u16::try_from(header.len()).map_err(|_| io::Error::other("the header is too long for an npy file"))?;
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    for row in rows {
        if row.len() != dim {
            return Err(io::Error::other(format!("a row of {} numbers among rows of {dim}", row.len())));
        }
        let bytes: Vec<u8> = row.iter().flat_map(|v| v.to_le_bytes()).collect();
        out.write_all(&bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_form_that_numpy_reads() {
        let mut out = Vec::new();
        write(&mut out, 2, &[vec![1.0, -2.5], vec![0.0, 3.0], vec![4.0, 5.0]]).unwrap();
        assert_eq!(&out[..8], b"\x93NUMPY\x01\x00");
        let len = usize::from(u16::from_le_bytes([out[8], out[9]]));
        assert_eq!((10 + len) % 64, 0, "data begins on a line of 64 bytes");
        let header = std::str::from_utf8(&out[10..10 + len]).unwrap();
        assert_eq!(header.trim_end(), "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }");
        assert!(header.ends_with('\n'));
        let data = &out[10 + len..];
        assert_eq!((data.len(), &data[4..8]), (24, (-2.5f32).to_le_bytes().as_slice()));
    }

    #[test]
    fn rows_of_different_length_are_refused() {
        assert!(write(&mut Vec::new(), 2, &[vec![1.0, 2.0], vec![1.0]]).is_err());
    }
}
