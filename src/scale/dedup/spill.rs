//! Rows sorted by part in an unnamed file, which disappears with the run however it ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Division, Rows};
use crate::error::ScaleError;
use crate::nearest::NearestScratch;
use crate::scan_pool::ScanPool;
use crate::source::Group;
use base::platform::{read_exact_at, write_all_at};

/// Bytes that a thread buffers before it writes.
const BUFFERS: usize = 16 << 20;

pub struct Spill {
    file: File,
    folder: PathBuf,
    dim: usize,
    /// The first record of each part, and the number of its records.
    parts: Vec<(u64, u64)>,
}

/// The rows of a part that are compared together, nearly always all of them.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    pub part: usize,
    first: u64,
    rows: u64,
}

impl Spill {
    pub fn write(
        scan_pool: &ScanPool,
        groups: &[Group],
        division: &Division<'_>,
        folder: &Path,
    ) -> Result<Self, ScaleError> {
        let Division { nearest, sizes, .. } = *division;
        // Removed rows leave gaps.
        let begins: Vec<u64> = sizes
            .iter()
            .scan(0, |sum, size| {
                *sum += size;
                Some(*sum - size)
            })
            .collect();
        let file = tempfile::tempfile_in(folder).map_err(ScaleError::io(folder))?;
        let mut spill = Self { file, folder: folder.to_owned(), dim: scan_pool.source.dim, parts: Vec::new() };
        let next: Vec<AtomicU64> = begins.iter().map(|&begin| AtomicU64::new(begin)).collect();
        let gathered = (BUFFERS / (sizes.len() * spill.record())).clamp(1, 64) * spill.record();
        let write = |part: usize, records: &mut Vec<u8>| {
            let count = (records.len() / spill.record()) as u64;
            let at = next[part].fetch_add(count, Ordering::Relaxed) * spill.record() as u64;
            let written = write_all_at(&spill.file, records, at).map_err(ScaleError::io(folder));
            records.clear();
            written
        };
        let states = scan_pool.scan(
            groups,
            || (vec![Vec::new(); sizes.len()], NearestScratch::default()),
            |(buffers, nearest_scratch), batch| {
                let first = batch.group.map_or(0, |group| group.first_row) + batch.first_row;
                let mut written = Ok(());
                nearest.assign(&batch.values, &batch.norms, nearest_scratch, |row, part| {
                    let number = first + row as u64;
                    if division.is_gone(number) {
                        return;
                    }
                    let buffer = &mut buffers[part];
                    buffer.extend(number.to_le_bytes());
                    let values = &batch.values[row * spill.dim..][..spill.dim];
                    buffer.extend(values.iter().flat_map(|x| x.to_le_bytes()));
                    if buffer.len() >= gathered && written.is_ok() {
                        written = write(part, buffer);
                    }
                });
                written
            },
        )?;
        for (mut buffers, _) in states {
            for (part, records) in buffers.iter_mut().enumerate().filter(|(_, records)| !records.is_empty()) {
                write(part, records)?;
            }
        }
        spill.parts =
            begins.iter().zip(&next).map(|(&begin, end)| (begin, end.load(Ordering::Relaxed) - begin)).collect();
        Ok(spill)
    }

    fn record(&self) -> usize {
        size_of::<u64>() + self.dim * size_of::<f32>()
    }

    /// The parts, the largest first so that no thread is busy alone at the end; cut where they exceed `limit`.
    pub fn pieces(&self, limit: usize) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (part, &(begin, of)) in self.parts.iter().enumerate() {
            let cuts = of.div_ceil(limit as u64);
            for cut in 0..cuts {
                let (first, end) = (of * cut / cuts, of * (cut + 1) / cuts);
                pieces.push(Piece { part, first: begin + first, rows: end - first });
            }
        }
        pieces.sort_by_key(|piece| (std::cmp::Reverse(piece.rows), piece.first));
        pieces
    }

    pub fn read(&self, piece: &Piece) -> Result<Rows, ScaleError> {
        let mut records = vec![0u8; piece.rows as usize * self.record()];
        read_exact_at(&self.file, &mut records, piece.first * self.record() as u64)
            .map_err(ScaleError::io(&self.folder))?;
        // Threads wrote in any order; the order of the data makes the result reproducible.
        let mut order: Vec<(u64, usize)> = records
            .chunks_exact(self.record())
            .enumerate()
            .map(|(i, record)| (record.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)), i))
            .collect();
        order.sort_unstable();
        let mut values = Vec::with_capacity(order.len() * self.dim);
        for &(_, i) in &order {
            let record = &records[i * self.record()..][size_of::<u64>()..self.record()];
            values.extend(record.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)));
        }
        Ok(Rows { dim: self.dim, numbers: order.into_iter().map(|(number, _)| number).collect(), values })
    }
}
