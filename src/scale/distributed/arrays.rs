//! Converts the engine's columns to checked f32 rows. (The engine uses an older version of Arrow.)

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};

use crate::error::RowError;
use crate::features::prepare;

/// Rows with their squared lengths.
#[derive(Debug, Default)]
pub struct Rows {
    pub values: Vec<f32>,
    pub norms: Vec<f64>,
}

impl Rows {
    /// Reads a column of lists of `dim` numbers.
    pub fn fill(&mut self, column: &ArrayRef, dim: usize, normalize: bool) -> Result<(), RowError> {
        self.values.clear();
        self.norms.clear();
        if column.null_count() > 0 {
            return Err(RowError::Null);
        }
        append(&items(column, dim)?, dim, &mut self.values)?;
        for row in self.values.chunks_exact_mut(dim) {
            self.norms.push(prepare(row, normalize)?);
        }
        Ok(())
    }
}

/// The values of all rows, each of `dim` numbers.
fn items(column: &ArrayRef, dim: usize) -> Result<ArrayRef, RowError> {
    let whole = |mut lengths: Box<dyn Iterator<Item = usize> + '_>| match lengths.find(|&length| length != dim) {
        Some(found) => Err(RowError::Length { found, wanted: dim }),
        None => Ok(()),
    };
    match column.data_type() {
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            whole(Box::new(list.offsets().lengths()))?;
            Ok(list.values().slice(list.value_offsets()[0] as usize, list.len() * dim))
        }
        DataType::LargeList(_) => {
            let list = column.as_list::<i64>();
            whole(Box::new(list.offsets().lengths()))?;
            Ok(list.values().slice(list.value_offsets()[0] as usize, list.len() * dim))
        }
        DataType::FixedSizeList(_, length) => {
            whole(Box::new(std::iter::once(*length as usize)))?;
            let list = column.as_fixed_size_list();
            Ok(list.values().slice(list.value_offset(0) as usize, list.len() * dim))
        }
        other => Err(RowError::Unreadable { cause: format!("a column of {other}") }),
    }
}

fn append(items: &ArrayRef, dim: usize, values: &mut Vec<f32>) -> Result<(), RowError> {
    if items.null_count() > 0 {
        return Err(RowError::Null);
    }
    match items.data_type() {
        DataType::Float32 => values.extend_from_slice(items.as_primitive::<Float32Type>().values()),
        DataType::Float16 => values.extend(items.as_primitive::<Float16Type>().values().iter().map(|x| x.to_f32())),
        DataType::Float64 => {
            let wide = items.as_primitive::<Float64Type>().values();
            if let Some(at) = wide.iter().position(|x| x.is_finite() && x.abs() > f64::from(f32::MAX)) {
                return Err(RowError::TooLarge { position: at % dim });
            }
            values.extend(wide.iter().map(|&x| x as f32));
        }
        other => return Err(RowError::Unreadable { cause: format!("lists of {other}") }),
    }
    Ok(())
}
