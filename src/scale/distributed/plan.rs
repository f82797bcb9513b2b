//! Passes as query plans: row groups divided into tasks, and the computation on them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::{MemTable, TableType};
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionContext, col, lit};
use object_store::ObjectMeta;
use url::Url;

use super::{DRAWN_ROWS, EMBED_PART, MERGED_AT_ONCE, NEAREST, VECTOR_SUM, session, settings};
use crate::error::ScaleError;
use crate::input::is_remote;
use crate::source::{DataFile, FEATURE, Group, Source, absolute};
use crate::step::Partial;
use crate::stores;

/// Row groups of files in one store with one feature type, divided into tasks.
#[derive(Debug, Clone)]
pub struct Table {
    store: ObjectStoreUrl,
    schema: SchemaRef,
    tasks: Vec<FileGroup>,
}

/// The tables of some row groups, with `rows` or slightly more per task.
pub fn tables(source: &Source, groups: &[Group], rows: u64) -> std::result::Result<Vec<Table>, ScaleError> {
    let mut files = BTreeMap::new();
    for group in groups {
        if let Entry::Vacant(entry) = files.entry(group.file) {
            entry.insert(RegisteredFile::of(&source.files[group.file])?);
        }
    }
    let mut tables: Vec<(Table, u64)> = Vec::new();
    for group in groups {
        let (file, data) = (&files[&group.file], &source.files[group.file]);
        let same = |table: &Table| table.store == file.store && table.schema == file.schema;
        let at = tables.iter().position(|(table, _)| same(table)).unwrap_or_else(|| {
            let (store, schema) = (file.store.clone(), Arc::clone(&file.schema));
            tables.push((Table { store, schema, tasks: Vec::new() }, rows));
            tables.len() - 1
        });
        let (table, in_task) = &mut tables[at];
        if *in_task >= rows {
            table.tasks.push(FileGroup::new(Vec::new()));
            *in_task = 0;
        }
        *in_task += group.rows;
        if let Some(task) = table.tasks.last_mut() {
            let begin = data.begin(group.group);
            task.push(PartitionedFile::new_from_meta(file.meta.clone()).with_range(begin, begin + 1));
        }
    }
    Ok(tables.into_iter().map(|(table, _)| table).collect())
}

struct RegisteredFile {
    store: ObjectStoreUrl,
    meta: ObjectMeta,
    schema: SchemaRef,
}

impl RegisteredFile {
    fn of(data: &DataFile) -> std::result::Result<Self, ScaleError> {
        let path = absolute(&data.path);
        let wrong = |cause: String| ScaleError::Parquet { path: path.clone(), cause };
        let (store, location) = if is_remote(&path) {
            let address = path.to_string_lossy();
            let url = Url::parse(&address).map_err(|error| wrong(error.to_string()))?;
            let (_, key) = stores::place(&address)?;
            (ObjectStoreUrl::parse(&url[..url::Position::BeforePath]), key)
        } else {
            let key = object_store::path::Path::from_absolute_path(&path).map_err(|error| wrong(error.to_string()))?;
            (Ok(ObjectStoreUrl::local_filesystem()), key)
        };
        let store = store.map_err(|error| wrong(error.to_string()))?;
        let last_modified = datafusion::common::arrow::temporal_conversions::timestamp_ns_to_datetime(0);
        let last_modified = last_modified.map(|time| time.and_utc()).unwrap_or_default();
        let meta = ObjectMeta { location, last_modified, size: data.bytes, e_tag: None, version: None };
        let metadata = data.parquet().ok_or_else(|| wrong("a cluster reads Parquet alone".to_owned()))?;
        let feature = data.column(metadata, FEATURE)?;
        let kind = kind(feature.data_type()).ok_or_else(|| wrong(format!("a column of {}", feature.data_type())))?;
        let schema = Arc::new(Schema::new(vec![Field::new(FEATURE, kind, feature.is_nullable())]));
        Ok(Self { store, meta, schema })
    }
}

/// Converts a column type to the engine's Arrow.
fn kind(of: &arrow_schema::DataType) -> Option<DataType> {
    use arrow_schema::DataType as Own;
    let item = |field: &arrow_schema::FieldRef| {
        let number = match field.data_type() {
            Own::Float16 => DataType::Float16,
            Own::Float32 => DataType::Float32,
            Own::Float64 => DataType::Float64,
            _ => return None,
        };
        Some(Arc::new(Field::new(field.name(), number, field.is_nullable())))
    };
    match of {
        Own::List(field) => Some(DataType::List(item(field)?)),
        Own::LargeList(field) => Some(DataType::LargeList(item(field)?)),
        Own::FixedSizeList(field, length) => Some(DataType::FixedSizeList(item(field)?, *length)),
        _ => None,
    }
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let source = Arc::new(ParquetSource::new(Arc::clone(&self.schema)));
        let scan = FileScanConfigBuilder::new(self.store.clone(), source)
            .with_file_groups(self.tasks.clone())
            .with_projection_indices(projection.cloned())?;
        Ok(DataSourceExec::from_data_source(scan.build()))
    }
}

/// A step of k-means: the sums of the rows nearest to each of `clusters` centroids.
pub async fn step(table: &Table, pass: &str, clusters: usize, dim: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let merged = (clusters * Partial::width(dim) * 8).div_ceil(MERGED_AT_ONCE).clamp(1, 64);
    let context =
        SessionContext::new_with_state(session(settings().with_target_partitions(merged), None, &Arc::default())?);
    let nearest = context.state().udf(NEAREST)?.call(vec![col(FEATURE), lit(pass)]);
    let sum = context.state().udaf(VECTOR_SUM)?.call(vec![col(FEATURE), lit(pass)]);
    let rows = context.read_table(Arc::new(table.clone()))?.select(vec![col(FEATURE), nearest.alias("cluster")])?;
    rows.aggregate(vec![col("cluster")], vec![sum.alias("sum")])?.create_physical_plan().await
}

/// A sample of all rows.
pub async fn draw(table: &Table, pass: &str) -> Result<Arc<dyn ExecutionPlan>> {
    let context = SessionContext::new_with_state(session(settings(), None, &Arc::default())?);
    let drawn = context.state().udaf(DRAWN_ROWS)?.call(vec![col(FEATURE), lit(pass)]);
    let rows = context.read_table(Arc::new(table.clone()))?;
    rows.aggregate(Vec::new(), vec![drawn.alias("drawn")])?.create_physical_plan().await
}

/// Lists of photos to embed, one task each.
pub async fn embed(lists: &[String]) -> Result<Arc<dyn ExecutionPlan>> {
    let context = SessionContext::new_with_state(session(settings(), None, &Arc::default())?);
    let schema = Arc::new(Schema::new(vec![Field::new("list", DataType::Utf8, false)]));
    let part = |list: &String| {
        let column = Arc::new(StringArray::from(vec![list.clone()]));
        Ok(vec![RecordBatch::try_new(Arc::clone(&schema), vec![column])?])
    };
    let parts = lists.iter().map(part).collect::<Result<Vec<_>>>()?;
    let embedded = context.state().udf(EMBED_PART)?.call(vec![col("list")]);
    let rows = context.read_table(Arc::new(MemTable::try_new(Arc::clone(&schema), parts)?))?;
    rows.select(vec![embedded.alias("told")])?.create_physical_plan().await
}
