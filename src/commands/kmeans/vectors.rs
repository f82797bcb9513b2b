//! Assigning single vectors from a file or standard input, given as lines of numbers or as an array.

use std::io::Read;
use std::path::Path;

use anyhow::Context as _;

use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::records::NearestRecord;
use base::npy;
use base::reading::Stream;
use scale::{Model, Nearest, NearestScratch};

/// Assigns vectors from a file or standard input: an array, or one vector per line.
pub fn assign(model: Model, file: Option<&Path>, context: &Context) -> Result<Ending, CommandError> {
    let (dim, normalize) = (model.centroids.dim, model.normalize);
    let nearest = Nearest::new(model.centroids);
    let mut scratch = NearestScratch::default();
    let name = file.map_or_else(|| "standard input".to_owned(), |file| file.display().to_string());
    let input = if let Some(file) = file {
        context.reads(file)?;
        Stream::open(file, context.stop()).with_context(|| name.clone())?
    } else {
        context.reads_stdin()?;
        Stream::standard_input(context.stop())
    };
    let mut output = context.output::<NearestRecord>()?;
    let mut write = |place: &str, number: usize, vector: Vec<f32>| -> Result<(), CommandError> {
        let nearest = nearest.one(vector, normalize, &mut scratch);
        let (cluster, distance) = nearest.map_err(|cause| anyhow::anyhow!("{name}: {place} {number}: {cause}"))?;
        Ok(output.write(&context.ui, &NearestRecord { cluster, distance })?)
    };
    let mut lines = input.lines();
    if npy::is_array(lines.peek().with_context(|| name.clone())?) {
        let rows = matrix(&mut lines.into_rest(), dim).with_context(|| name.clone())?;
        rows.into_iter().enumerate().try_for_each(|(number, row)| write("row", number, row))?;
    } else {
        for (number, line) in lines.enumerate() {
            let line = line.with_context(|| name.clone())?;
            if !line.trim().is_empty() {
                let vector = vector(&line, dim).with_context(|| format!("{name}: line {}", number + 1))?;
                write("line", number + 1, vector)?;
            }
        }
    }
    output.finish(&context.ui)?;
    Ok(Ending::AllDone)
}

/// Reads the vectors of an array: the array itself, or its rows.
fn matrix(input: &mut impl Read, dim: usize) -> anyhow::Result<Vec<Vec<f32>>> {
    let header = npy::Header::read(input)?;
    let width = header.shape.last().copied().unwrap_or(0);
    anyhow::ensure!(header.items.are_numbers() && matches!(header.shape.len(), 1 | 2), "no vector, and no row of them");
    anyhow::ensure!(width == dim, "{width} numbers where the model has {dim}");
    let mut bytes = Vec::new();
    input.take((header.count() * header.items.size()) as u64).read_to_end(&mut bytes)?;
    header.check_length(header.data_offset + bytes.len() as u64)?;
    let mut numbers = Vec::with_capacity(header.count());
    header.items.numbers(&bytes, &mut numbers);
    Ok(numbers.chunks_exact(dim).map(|row| row.iter().map(|v| *v as f32).collect()).collect())
}

fn vector(line: &str, dim: usize) -> anyhow::Result<Vec<f32>> {
    let inner = line.trim().trim_start_matches('[').trim_end_matches(']');
    let words = inner.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    let vector = words
        .map(|word| word.parse::<f32>().with_context(|| format!("`{word}` is no number")))
        .collect::<anyhow::Result<Vec<f32>>>()?;
    anyhow::ensure!(vector.len() == dim, "{} numbers where the model has {dim}", vector.len());
    Ok(vector)
}
