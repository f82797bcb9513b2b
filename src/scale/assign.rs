//! Writes each row's cluster and distance as Parquet, in the order of the data.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::error::ScaleError;
use super::exact::squared_distance;
use super::features::Reading;
use super::files;
use super::model::Model;
use super::nearest::{Nearest, NearestScratch};
use super::scan_pool::ScanPool;
use super::source::{ID, Source};
use base::atomic::Draft;

/// Writes `id`, `cluster`, `distance` (Euclidean) to `target`, which appears complete at the end. Returns the number of
/// rows.
pub fn assign(
    source: &Source,
    model: Model,
    target: &Path,
    threads: usize,
    stop: &AtomicBool,
) -> Result<u64, ScaleError> {
    if source.dim != model.centroids.dim {
        let (path, wanted) = (source.files[0].path.clone(), model.centroids.dim);
        return Err(ScaleError::OtherDimension { path, found: source.dim, wanted });
    }
    let reading = Reading { ids: true, normalize: model.normalize, batch_rows: Reading::rows_for(source.dim) };
    let scan_pool = ScanPool::new(source, reading, threads, stop)?;
    let nearest = Nearest::new(model.centroids);
    let labels = Mutex::new(Labels::create(target)?);
    scan_pool.scan(&source.groups(), NearestScratch::default, |nearest_scratch, batch| {
        let mut clusters = Vec::with_capacity(batch.norms.len());
        let mut distances = Vec::with_capacity(batch.norms.len());
        nearest.assign(&batch.values, &batch.norms, nearest_scratch, |row, cluster| {
            let values = &batch.values[row * source.dim..][..source.dim];
            clusters.push(cluster as i32);
            distances.push(squared_distance(values, nearest.centroids().row(cluster)).sqrt());
        });
        let first = batch.group.map_or(0, |group| group.first_row) + batch.first_row;
        let mut labels = labels.lock().unwrap_or_else(PoisonError::into_inner);
        labels.add(first, AssignedRows { ids: std::mem::take(&mut batch.ids), clusters, distances })
    })?;
    labels.into_inner().unwrap_or_else(PoisonError::into_inner).finish()
}

struct AssignedRows {
    ids: Vec<String>,
    clusters: Vec<i32>,
    distances: Vec<f64>,
}

/// The output file, and the parts that arrived before their turn.
struct Labels<'a> {
    target: &'a Path,
    writer: ArrowWriter<Draft>,
    schema: SchemaRef,
    early: BTreeMap<u64, AssignedRows>,
    next_row: u64,
}

impl<'a> Labels<'a> {
    fn create(target: &'a Path) -> Result<Self, ScaleError> {
        let schema = Arc::new(Schema::new(vec![
            Field::new(ID, DataType::Utf8, false),
            Field::new("cluster", DataType::Int32, false),
            Field::new("distance", DataType::Float64, false),
        ]));
        let file = files::begin(target)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(1 << 17))
            .build();
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).map_err(unwritable(target))?;
        Ok(Self { target, writer, schema, early: BTreeMap::new(), next_row: 0 })
    }

    fn add(&mut self, first_row: u64, part: AssignedRows) -> Result<(), ScaleError> {
        self.early.insert(first_row, part);
        while let Some(part) = self.early.remove(&self.next_row) {
            self.next_row += part.ids.len() as u64;
            let columns: Vec<ArrayRef> = vec![
                Arc::new(StringArray::from(part.ids)),
                Arc::new(Int32Array::from(part.clusters)),
                Arc::new(Float64Array::from(part.distances)),
            ];
            let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)
                .map_err(|error| unwritable(self.target)(error.into()))?;
            self.writer.write(&rows).map_err(unwritable(self.target))?;
        }
        Ok(())
    }

    fn finish(self) -> Result<u64, ScaleError> {
        let file = self.writer.into_inner().map_err(unwritable(self.target))?;
        files::settle(file, self.target)?;
        Ok(self.next_row)
    }
}

fn unwritable(path: &Path) -> impl Fn(parquet::errors::ParquetError) -> ScaleError {
    move |error| ScaleError::Io { path: path.to_owned(), cause: std::io::Error::other(error) }
}
