//! Writes the cluster of every row before each iteration of a fit as `.npy` files beside its centroids. Optional, because it
//! needs another pass over the data. A shard is a file of the data, in the order of paths.

use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use super::error::ScaleError;
use super::exact::squared_distance;
use super::features::{Batch, Reading};
use super::nearest::{Nearest, NearestScratch};
use super::scan_pool::ScanPool;
use super::source::Source;
use base::atomic::Draft;
use base::npy;

pub struct Assignments<'a> {
    pool: ScanPool<'a>,
    folder: &'a Path,
    shards: Vec<Shard>,
}

/// A file of the data.
struct Shard {
    first_row: u64,
    rows: u64,
    /// Characters of its longest id.
    widest_id: usize,
}

/// The three files of a shard; rows may arrive in any order.
struct Writing {
    assignments: Column,
    ids: Column,
    distances: Column,
}

/// An array file that is filled row by row in any order.
struct Column {
    draft: Draft,
    begin: u64,
    item: usize,
}

impl<'a> Assignments<'a> {
    pub fn new(
        source: &'a Source,
        normalize: bool,
        threads: usize,
        folder: &'a Path,
        stop: &'a AtomicBool,
    ) -> Result<Self, ScaleError> {
        let reading = Reading { ids: true, normalize, batch_rows: Reading::rows_for(source.dim) };
        let mut shards: Vec<Shard> = Vec::with_capacity(source.files.len());
        for file in &source.files {
            let first_row = shards.last().map_or(0, |shard| shard.first_row + shard.rows);
            shards.push(Shard { first_row, rows: file.rows(), widest_id: 1 });
        }
        let mut at = 0;
        source.each_id::<ScaleError>(|row, id| {
            while row >= shards[at].first_row + shards[at].rows {
                at += 1;
            }
            shards[at].widest_id = shards[at].widest_id.max(id.chars().count());
            Ok(())
        })?;
        Ok(Self { pool: ScanPool::new(source, reading, threads, stop)?, folder, shards })
    }

    /// Writes `iter_{iteration}_shard_{w}_assignments.npy`, `…_ids.npy` and `…_distances.npy` of every file with rows.
    pub fn write(&self, iteration: u64, nearest: &Nearest) -> Result<(), ScaleError> {
        let io = |error: io::Error| ScaleError::io(self.folder)(error);
        let begin = |(number, shard): (usize, &Shard)| {
            (shard.rows > 0).then(|| Writing::begin(self.folder, iteration, number, shard).map(Mutex::new)).transpose()
        };
        let writing = self.shards.iter().enumerate().map(begin).collect::<io::Result<Vec<_>>>().map_err(io)?;
        self.pool.scan(&self.pool.source.groups(), NearestScratch::default, |scratch, batch| {
            let Some(group) = batch.group else { return Ok(()) };
            let Some(file) = &writing[group.file] else { return Ok(()) };
            let row = group.first_row + batch.first_row - self.shards[group.file].first_row;
            let (clusters, distances) = self.nearest(nearest, batch, scratch);
            let ids = texts(&batch.ids, self.shards[group.file].widest_id);
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.put(row, &clusters, &ids, &distances).map_err(io)
        })?;
        writing.into_iter().flatten().try_for_each(|file| {
            let Writing { assignments, ids, distances } = file.into_inner().unwrap_or_else(PoisonError::into_inner);
            [ids, distances, assignments].into_iter().try_for_each(|column| column.draft.settle()).map_err(io)
        })
    }

    /// Clusters and distances of a batch, encoded for the files.
    fn nearest(&self, nearest: &Nearest, batch: &Batch, scratch: &mut NearestScratch) -> (Vec<u8>, Vec<u8>) {
        let dim = self.pool.source.dim;
        let (mut clusters, mut distances) = (Vec::new(), Vec::new());
        nearest.assign(&batch.values, &batch.norms, scratch, |row, cluster| {
            let values = &batch.values[row * dim..][..dim];
            let distance = squared_distance(values, nearest.centroids().row(cluster)).sqrt() as f32;
            clusters.extend((cluster as i64).to_le_bytes());
            distances.extend(distance.to_le_bytes());
        });
        (clusters, distances)
    }
}

/// Encodes texts with `width` characters each, padded with zeros.
fn texts(ids: &[String], width: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ids.len() * width * 4);
    for id in ids {
        let characters = id.chars().chain(std::iter::repeat('\0')).take(width);
        bytes.extend(characters.flat_map(|c| u32::from(c).to_le_bytes()));
    }
    bytes
}

impl Writing {
    fn begin(folder: &Path, iteration: u64, number: usize, shard: &Shard) -> io::Result<Self> {
        let column = |what: &str, kind: &str, item: usize| {
            let name = format!("iter_{iteration}_shard_{number}_{what}.npy");
            let mut draft = Draft::beside(&folder.join(name))?;
            let header = npy::header(kind, &[shard.rows as usize]);
            draft.write_all(&header)?;
            Ok::<_, io::Error>(Column { draft, begin: header.len() as u64, item })
        };
        Ok(Self {
            assignments: column("assignments", "<i8", 8)?,
            ids: column("ids", &format!("<U{}", shard.widest_id), 4 * shard.widest_id)?,
            distances: column("distances", "<f4", 4)?,
        })
    }

    fn put(&mut self, row: u64, clusters: &[u8], ids: &[u8], distances: &[u8]) -> io::Result<()> {
        let columns = [(&mut self.assignments, clusters), (&mut self.ids, ids), (&mut self.distances, distances)];
        columns.into_iter().try_for_each(|(column, bytes)| {
            column.draft.seek(SeekFrom::Start(column.begin + row * column.item as u64))?;
            column.draft.write_all(bytes)
        })
    }
}
