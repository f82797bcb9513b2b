//! Tasks: row groups that one executor reads, with the reader of this crate. The engine's own would expand every list
//! through Arrow, which costs more than the arithmetic of k-means.

use std::path::PathBuf;
use std::sync::Arc;

use base::contain::contained;
use datafusion::arrow::array::{AsArray as _, LargeStringArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};

use super::shares::Shares;
use super::stored::{UNSEEN, failed};
use crate::error::{DataLocation, RowError, ScaleError};
use crate::features::{Batch, GroupReader, Reading};
use crate::source::{DataFile, Group, Source, absolute};

/// Some row groups of some files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    files: Vec<TaskFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TaskFile {
    path: PathBuf,
    /// Its size where it was planned.
    bytes: u64,
    groups: Vec<TaskGroup>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct TaskGroup {
    group: usize,
    first_row: u64,
    rows: u64,
}

/// Divides row groups into tasks of `rows` or slightly more.
pub fn divide(source: &Source, groups: &[Group], rows: u64) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    let (mut in_task, mut last_file) = (rows, None);
    for &Group { file, group, first_row, rows: in_group } in groups {
        if in_task >= rows {
            tasks.push(Task::default());
            (in_task, last_file) = (0, None);
        }
        in_task += in_group;
        let Some(task) = tasks.last_mut() else { continue };
        if last_file.replace(file) != Some(file) {
            let data = &source.files[file];
            task.files.push(TaskFile { path: absolute(&data.path), bytes: data.bytes, groups: Vec::new() });
        }
        if let Some(file) = task.files.last_mut() {
            file.groups.push(TaskGroup { group, first_row, rows: in_group });
        }
    }
    tasks
}

/// A source of tasks for a plan, one in each partition.
pub fn source(tasks: &[Task]) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = Arc::new(Schema::new(vec![Field::new("task", DataType::LargeUtf8, false)]));
    let partition = |task: &Task| {
        let text = serde_json::to_string(task).map_err(|error| DataFusionError::External(error.into()))?;
        Ok(vec![RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(LargeStringArray::from(vec![text]))])?])
    };
    let partitions = tasks.iter().map(partition).collect::<Result<Vec<_>>>()?;
    Ok(MemorySourceConfig::try_new_exec(&partitions, Arc::clone(&schema), None)?)
}

impl Task {
    /// The tasks of a batch of the source.
    pub fn of(batch: &RecordBatch) -> Result<Vec<Self>> {
        let texts = batch.columns().first().and_then(|column| column.as_string_opt::<i64>());
        let Some(texts) = texts else { return internal_err!("tasks are text") };
        let parse = |text| serde_json::from_str(text).map_err(|error| DataFusionError::External(error.into()));
        texts.iter().flatten().map(parse).collect()
    }

    /// Calls `each` with every batch of rows.
    pub fn read(
        &self,
        (dim, normalize): (usize, bool),
        shares: &Shares,
        mut each: impl FnMut(&Batch) -> Result<()>,
    ) -> Result<()> {
        let files = self.files.iter().map(|file| file.open(shares)).collect::<Result<Vec<_>>>()?;
        let source = Source { rows: files.iter().map(DataFile::rows).sum(), files, dim };
        let reading = Reading { ids: false, normalize, batch_rows: Reading::rows_for(dim) };
        let mut batch = Batch::default();
        for (file, own) in self.files.iter().enumerate() {
            for &TaskGroup { group, first_row, rows } in &own.groups {
                let group = Group { file, group, first_row, rows };
                // The Parquet reader may panic on damaged files.
                let contain = |cause| {
                    let place = DataLocation { file: own.path.clone(), group: group.group, row: None };
                    Err(ScaleError::Row { place, cause: RowError::Unreadable { cause } })
                };
                let opened = contained(|| GroupReader::open(&source, group, reading)).unwrap_or_else(contain);
                let mut reader = opened.map_err(failed)?;
                while contained(|| reader.next(&mut batch))
                    .unwrap_or_else(|cause| contain(cause).map(|_| false))
                    .map_err(failed)?
                {
                    each(&batch)?;
                }
            }
        }
        Ok(())
    }
}

impl TaskFile {
    /// Opens the file; it must be the one that was planned.
    fn open(&self, shares: &Shares) -> Result<DataFile> {
        let path = shares.allow(&self.path).map_err(DataFusionError::Execution)?;
        let data = DataFile::open(path).map_err(failed)?;
        let rows = data.group_rows();
        let is_planned = data.bytes == self.bytes
            && self.groups.iter().all(|planned| rows.get(planned.group) == Some(&planned.rows));
        if is_planned {
            return Ok(data);
        }
        let other = format!("{UNSEEN}{}: the executor has another file of this name", self.path.display());
        Err(DataFusionError::IoError(std::io::Error::other(other)))
    }
}
