//! Parquet files of features, in every form a writer may leave them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, LargeListBuilder, ListBuilder};
use arrow_array::builder::{Float16Builder, Float64Builder};
use arrow_array::{ArrayRef, LargeStringArray, RecordBatch, StringArray};
use half::f16;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use scale::fit::{self, Event, Options};
use scale::{Init, Iteration, Model, ScaleError, Source};

/// A row of the formula that `tests/reference/kmeans.py` shares.
pub fn formula(i: usize, dim: usize) -> Vec<f32> {
    let group = i % 7;
    let number = |j: usize| {
        let centre = ((group * 37 + j * 11 + group * j) % 64) as f64 / 8.0;
        let noise = (((i + 1) * (7919 + j * 613)) % 1021) as f64 - 510.0;
        (centre + noise / 128.0) as f32
    };
    (0..dim).map(number).collect()
}

pub fn rows(count: usize, dim: usize) -> Vec<Vec<f32>> {
    (0..count).map(|i| formula(i, dim)).collect()
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    List,
    LargeList,
    Fixed,
    Half,
    Double,
}

pub fn column(rows: &[Vec<f32>], form: Form) -> ArrayRef {
    let dim = rows.first().map_or(1, Vec::len);
    match form {
        Form::List => {
            let mut list = ListBuilder::new(Float32Builder::new());
            for row in rows {
                list.values().append_slice(row);
                list.append(true);
            }
            Arc::new(list.finish())
        }
        Form::LargeList => {
            let mut list = LargeListBuilder::new(Float32Builder::new());
            for row in rows {
                list.values().append_slice(row);
                list.append(true);
            }
            Arc::new(list.finish())
        }
        Form::Fixed => {
            let mut list = FixedSizeListBuilder::new(Float32Builder::new(), dim as i32);
            for row in rows {
                list.values().append_slice(row);
                list.append(true);
            }
            Arc::new(list.finish())
        }
        Form::Half => {
            let mut list = ListBuilder::new(Float16Builder::new());
            for row in rows {
                row.iter().for_each(|&x| list.values().append_value(f16::from_f32(x)));
                list.append(true);
            }
            Arc::new(list.finish())
        }
        Form::Double => {
            let mut list = ListBuilder::new(Float64Builder::new());
            for row in rows {
                row.iter().for_each(|&x| list.values().append_value(f64::from(x)));
                list.append(true);
            }
            Arc::new(list.finish())
        }
    }
}

/// As `embed` writes: plain values, no dictionary.
pub fn plain() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_dictionary_enabled(false)
}

pub fn version_2() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_writer_version(WriterVersion::PARQUET_2_0)
}

pub fn write_columns(path: &Path, columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Rows named `r{first}`, `r{first + 1}`, … in groups of `group` rows.
pub fn write(path: &Path, rows: &[Vec<f32>], first: usize, group: usize) -> PathBuf {
    let ids = StringArray::from_iter_values((0..rows.len()).map(|i| format!("r{}", first + i)));
    let properties = plain().set_max_row_group_row_count(Some(group)).build();
    write_columns(path, vec![("id", Arc::new(ids)), ("feature", column(rows, Form::List))], properties);
    path.to_owned()
}

pub fn write_as(path: &Path, rows: &[Vec<f32>], form: Form, properties: WriterProperties) -> PathBuf {
    let ids = LargeStringArray::from_iter_values((0..rows.len()).map(|i| format!("r{i}")));
    write_columns(path, vec![("id", Arc::new(ids)), ("feature", column(rows, form))], properties);
    path.to_owned()
}

pub fn options(work: &Path, clusters: usize) -> Options {
    Options {
        clusters,
        init: Init::KMeansPlusPlus,
        given: None,
        max_iterations: 100,
        tolerance: 0.0,
        seed: 42,
        normalize: false,
        mini_batch: None,
        work: work.to_owned(),
        threads: 2,
        write_assignments: false,
        batch_rows: None,
    }
}

/// Fits and returns the model with the lines of telemetry.
pub fn fit(files: &[PathBuf], options: &Options) -> Result<(Model, Vec<Iteration>), ScaleError> {
    let source = Source::open(files)?;
    let mut lines = Vec::new();
    let model = fit::fit(&source, options, &AtomicBool::new(false), &mut |event| {
        if let Event::Iterated(line) = event {
            lines.push((*line).clone());
        }
    })?;
    Ok((model, lines))
}

pub fn bits(model: &Model) -> Vec<u32> {
    model.centroids.values.iter().map(|x| x.to_bits()).collect()
}
