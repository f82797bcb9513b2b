//! Reads photos and labels from NumPy arrays: an array of pictures, and a number or a list of flaws for each.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::TrainError;
use super::labels::{Item, Target};
use base::npy::{Header, ItemType};
use base::pixels::Pixels;
use base::reading;
use networks::multihead::DEGRADATIONS;

/// The order of the axes of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AxisOrder {
    /// Height, width, colour.
    ChannelsLast,
    /// Colour, height, width.
    ChannelsFirst,
}

/// Reads the labels of an array of pictures. `images` is N×H×W×3 or N×3×H×W: bytes, or numbers from 0 to 1 or to 255.
/// `labels` is N (overall quality) or N×4 (colour cast, blurriness, watermark, noise), each 0 to 1.
pub fn items(images: &Path, labels: &Path) -> Result<Vec<Item>, TrainError> {
    let labels_error = |why: String| TrainError::Labels { file: labels.to_owned(), why };
    let (header, ..) = open(images)?;
    let (_, [height, width]) = order(images, &header)?;
    if height.max(width) > 1 << 14 || height.min(width) == 0 {
        let why = format!("pictures of {width}x{height} pixels are not supported");
        return Err(TrainError::Photos { path: images.to_owned(), why, others: 0, of: 1 });
    }
    let (shape, mut file) = open(labels).map_err(|error| labels_error(cause_of(&error)))?;
    let count = header.shape[0];
    let each = match *shape.shape {
        [rows] | [rows, 1] if rows == count => 1,
        [rows, heads] if rows == count && heads == DEGRADATIONS.len() => heads,
        _ => {
            let (found, heads) = (&shape.shape, DEGRADATIONS.len());
            return Err(labels_error(format!(
                "an array of shape {found:?}; {count}, or {count} by {heads} are expected"
            )));
        }
    };
    let mut bytes = vec![0; count * each * shape.items.size()];
    file.read_exact(&mut bytes).map_err(|error| labels_error(error.to_string()))?;
    let mut numbers = Vec::new();
    shape.items.numbers(&bytes, &mut numbers);
    if let Some(at) = numbers.iter().position(|number| !(0.0..=1.0).contains(number)) {
        return Err(labels_error(format!("row {}: {} does not lie from 0 to 1", at / each, numbers[at])));
    }
    let target = |row: &[f64]| match *row {
        [quality] => Target::Quality(quality as f32),
        _ => Target::Strengths(std::array::from_fn(|head| row[head] as f32)),
    };
    let item = |(row, label): (usize, &[f64])| Item {
        files: vec![images.to_owned()],
        target: target(label),
        row: Some(row),
        series: row.to_string(),
    };
    Ok(numbers.chunks_exact(each).enumerate().map(item).collect())
}

/// Reads one picture of an array.
pub fn picture(images: &Path, row: usize) -> Result<Pixels, TrainError> {
    let photos_error = |why: String| TrainError::Photos { path: images.to_owned(), why, others: 0, of: 1 };
    let (header, mut file) = open(images)?;
    let (order, [height, width]) = order(images, &header)?;
    let size = header.in_row() * header.items.size();
    let mut bytes = vec![0; size];
    let seek = file.seek(SeekFrom::Start(header.data_offset + (row * size) as u64));
    seek.and_then(|_| file.read_exact(&mut bytes)).map_err(|error| photos_error(error.to_string()))?;
    let mut numbers = Vec::new();
    header.items.numbers(&bytes, &mut numbers);
    if let Some(invalid) = numbers.iter().find(|number| !(0.0..=255.0).contains(*number)) {
        return Err(photos_error(format!("picture {row}: {invalid} does not lie from 0 to 255")));
    }
    // Floating-point pictures whose values are all at most 1 are scaled by 255, as in the original system.
    let is_fraction =
        !matches!(header.items, ItemType::Unsigned(_) | ItemType::Signed(_)) && numbers.iter().all(|v| *v <= 1.0);
    let value = |number: f64| (if is_fraction { number * 255.0 } else { number }).round() as u8;
    let pixel = |at: usize, colour: usize| match order {
        AxisOrder::ChannelsLast => numbers[3 * at + colour],
        AxisOrder::ChannelsFirst => numbers[colour * height * width + at],
    };
    let data = (0..height * width).flat_map(|at| (0..3).map(move |colour| (at, colour)));
    let data = data.map(|(at, colour)| value(pixel(at, colour))).collect();
    Pixels::new(width as u32, height as u32, data)
        .ok_or_else(|| photos_error(format!("picture {row}: its size is not supported")))
}

/// Opens an array; returns its header, and the file positioned at the first item.
fn open(path: &Path) -> Result<(Header, File), TrainError> {
    let photos_error = |error: std::io::Error| TrainError::at(path, error);
    let mut file = reading::open(path).map_err(photos_error)?;
    let header = Header::read(&mut file).map_err(photos_error)?;
    header.check_length(file.metadata().map_err(photos_error)?.len()).map_err(photos_error)?;
    Ok((header, file))
}

fn order(path: &Path, header: &Header) -> Result<(AxisOrder, [usize; 2]), TrainError> {
    match *header.shape {
        [_, height, width, 3] if header.items.are_numbers() => Ok((AxisOrder::ChannelsLast, [height, width])),
        [_, 3, height, width] if header.items.are_numbers() => Ok((AxisOrder::ChannelsFirst, [height, width])),
        _ => {
            let why = format!("an array of shape {:?}; pictures are N×H×W×3 or N×3×H×W", header.shape);
            Err(TrainError::at(path, why))
        }
    }
}

fn cause_of(error: &TrainError) -> String {
    match error {
        TrainError::File { why, .. } => why.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_lie_in_either_order_as_bytes_or_fractions() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("images.npy");
        let save = |kind: &str, shape: &[usize], data: &[u8]| {
            std::fs::write(&path, [base::npy::header(kind, shape), data.to_vec()].concat()).expect("written");
        };
        let expected = [10, 20, 30, 40, 50, 60];
        save("|u1", &[2, 1, 2, 3], &[[0; 6], expected].concat());
        assert_eq!(picture(&path, 1).expect("a picture").data(), expected);
        save("|u1", &[1, 3, 1, 2], &[10, 40, 20, 50, 30, 60]);
        assert_eq!(picture(&path, 0).expect("a picture").data(), expected);
        let is_fraction = expected.map(|v| f64::from(v) / 255.0).map(f64::to_le_bytes).concat();
        save("<f8", &[1, 1, 2, 3], &is_fraction);
        assert_eq!(picture(&path, 0).expect("a picture").data(), expected);
        let labels = folder.path().join("labels.npy");
        std::fs::write(&labels, [base::npy::header("<f4", &[1]), 0.25f32.to_le_bytes().to_vec()].concat())
            .expect("written");
        assert_eq!(items(&path, &labels).expect("items")[0].target, Target::Quality(0.25));
        std::fs::write(&labels, [base::npy::header("<f4", &[2]), vec![0; 8]].concat()).expect("written");
        assert!(items(&path, &labels).is_err_and(|error| error.to_string().contains("labels.npy")));
    }
}
