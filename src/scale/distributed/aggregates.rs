//! Aggregate functions of executors: the sum of a cluster's rows, and sampled rows.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::functions::{SCRATCH, bad_row, looked_at_more, pass, text};
use super::shares::Shares;
use crate::pass::{AnyPass, Pass as _, PassOutput as _, SampledRows, Step};
use crate::step::{Partial, Scale};

pub fn aggregates(shares: &Arc<Shares>) -> Vec<AggregateUDF> {
    let two = || Signature::any(2, Volatility::Immutable);
    vec![
        AggregateUDF::new_from_impl(VectorSum { signature: two(), shares: Arc::clone(shares) }),
        AggregateUDF::new_from_impl(DrawnRows { signature: two(), shares: Arc::clone(shares) }),
    ]
}

fn words_type() -> DataType {
    DataType::new_list(DataType::Int64, true)
}

/// `vector_sum(feature, pass)`, by cluster: the fixed-point sum of the rows, their number, and the sum of their squared
/// lengths. Integers, so the order does not matter.
#[derive(Debug, PartialEq, Eq, Hash)]
struct VectorSum {
    signature: Signature,
    shares: Arc<Shares>,
}

impl AggregateUDFImpl for VectorSum {
    fn name(&self) -> &'static str {
        super::VECTOR_SUM
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(words_type())
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[words]", args.name), words_type(), true))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        exec_err!("{} sums by cluster", super::VECTOR_SUM)
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Sums { partial: None, shares: Arc::clone(&self.shares) }))
    }
}

#[derive(Debug)]
struct Sums {
    partial: Option<Partial>,
    shares: Arc<Shares>,
}

impl Sums {
    fn partial(&mut self, dim: usize, scale: Scale, groups: usize) -> &mut Partial {
        let partial = self.partial.get_or_insert_with(|| Partial::new(0, dim, scale));
        partial.grow(groups);
        partial
    }

    fn emit(&mut self, emit: EmitTo) -> ArrayRef {
        let mut words = Vec::new();
        let mut lengths = Vec::new();
        if let Some(partial) = &mut self.partial {
            let all = partial.counts().len();
            let clusters = match emit {
                EmitTo::All => all,
                EmitTo::First(first) => first,
            };
            for cluster in 0..clusters {
                let before = words.len();
                partial.words(cluster, &mut words);
                lengths.push(words.len() - before);
            }
            partial.drop_first(clusters);
        }
        let item = Arc::new(Field::new_list_field(DataType::Int64, true));
        let offsets = OffsetBuffer::from_lengths(lengths);
        Arc::new(ListArray::new(item, offsets, Arc::new(Int64Array::from(words)), None))
    }
}

impl GroupsAccumulator for Sums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        if values[0].is_empty() {
            return Ok(());
        }
        if filter.is_some() {
            return internal_err!("{} takes no filter", super::VECTOR_SUM);
        }
        let pass = pass(&text(&values[1])?, &self.shares)?;
        let AnyPass::Step(Step { scale, .. }) = pass.pass else { return exec_err!("a pass that sums nothing") };
        let partial = self.partial(pass.dim, scale, total);
        SCRATCH
            .with_borrow_mut(|(rows, _)| {
                rows.fill(&values[0], pass.dim, pass.normalize)?;
                let rows = rows.values.chunks_exact(pass.dim).zip(&rows.norms);
                groups.iter().zip(rows).for_each(|(&group, (row, &norm))| partial.add(group, row, norm));
                Ok(())
            })
            .map_err(|cause| bad_row(&cause))
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        Ok(self.emit(emit))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.emit(emit)])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        let states = values[0].as_list::<i32>();
        for (row, &group) in groups.iter().enumerate() {
            let words = states.value(row);
            let words = words.as_primitive::<Int64Type>().values();
            let Some(dim) = words.len().checked_sub(Partial::width(0)).filter(|&dim| dim > 0) else {
                return exec_err!("a sum cut short");
            };
            // Integers are merged; the client knows their scale.
            self.partial(dim, Scale::from_bits(0), total).merge_words(group, words);
        }
        Ok(())
    }

    /// Converts each row to a sum of its own.
    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut alone = Self { partial: None, shares: Arc::clone(&self.shares) };
        let rows: Vec<usize> = (0..values[0].len()).collect();
        alone.update_batch(values, &rows, filter, rows.len())?;
        alone.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.partial.as_ref().map_or(0, Partial::size)
    }
}

/// `drawn_rows(feature, pass)`: a sample of all rows, as bytes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DrawnRows {
    signature: Signature,
    shares: Arc<Shares>,
}

impl AggregateUDFImpl for DrawnRows {
    fn name(&self) -> &'static str {
        super::DRAWN_ROWS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name: &str, kind| Arc::new(Field::new(format!("{}[{name}]", args.name), kind, true));
        Ok(vec![field("sampled", DataType::LargeBinary), field("dim", DataType::UInt64)])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Drawing { sampled: None, shares: Arc::clone(&self.shares) }))
    }
}

#[derive(Debug)]
struct Drawing {
    sampled: Option<(SampledRows, usize)>,
    shares: Arc<Shares>,
}

impl Drawing {
    fn bytes(&self) -> Option<Vec<u8>> {
        self.sampled.as_ref().map(|(sampled, _)| sampled.to_bytes())
    }
}

impl Accumulator for Drawing {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if values[0].is_empty() {
            return Ok(());
        }
        let stored = pass(&text(&values[1])?, &self.shares)?;
        let dim = stored.dim;
        let AnyPass::Sample(sample) = &stored.pass else { return exec_err!("a pass that draws nothing") };
        looked_at_more(values[0].len());
        let mut sampled = self.sampled.take().map_or_else(|| sample.begin(dim), |(sampled, _)| sampled);
        SCRATCH
            .with_borrow_mut(|(rows, nearest_scratch)| {
                rows.fill(&values[0], dim, stored.normalize)?;
                sample.take(&mut sampled, dim, &rows.values, &rows.norms, nearest_scratch);
                Ok(())
            })
            .map_err(|cause| bad_row(&cause))?;
        self.sampled = Some((sampled, dim));
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (sampled, dims) = (states[0].as_binary::<i64>(), &states[1]);
        for row in (0..sampled.len()).filter(|&row| !sampled.is_null(row)) {
            let ScalarValue::UInt64(Some(dim)) = ScalarValue::try_from_array(dims, row)? else {
                return exec_err!("sampled without a width");
            };
            let Some(other) = SampledRows::from_bytes(sampled.value(row), dim as usize) else {
                return exec_err!("sampled cut short");
            };
            match &mut self.sampled {
                Some((sampled, _)) => sampled.merge(other),
                None => self.sampled = Some((other, dim as usize)),
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let dim = self.sampled.as_ref().map(|(_, dim)| *dim as u64);
        Ok(vec![ScalarValue::LargeBinary(self.bytes()), ScalarValue::UInt64(dim)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::LargeBinary(self.bytes()))
    }

    fn size(&self) -> usize {
        self.sampled.as_ref().map_or(0, |(sampled, dim)| sampled.drawn.wanted() * (4 * dim + 32))
    }
}
