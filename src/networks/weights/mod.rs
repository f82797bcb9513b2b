//! Weight files: `.safetensors`, and the `.pt`/`.pth` of `torch.save`. Nothing in them is ever executed. Broken or hostile
//! files give errors that name the file and the tensor.

mod archive;
mod element;
mod pickle;
mod safetensors;
mod source;
mod stream;
mod torch;

use std::path::{Path, PathBuf};

use serde_json::Value;

use self::safetensors::SafeTensors;
use self::source::Source;
use self::torch::TorchFile;
use crate::checkpoint::{Checkpoint, WeightsError, row_width};

/// An open weight file. Its structure is in memory; tensors are read one by one.
#[derive(Debug)]
pub struct WeightsFile {
    format: Format,
}

#[derive(Debug)]
enum Format {
    SafeTensors(SafeTensors),
    Torch(TorchFile),
}

impl WeightsFile {
    /// Opens a file; its format is recognised by the first bytes, not by the name.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        Self::of(Source::open(path)?)
    }

    /// Opens weights that are part of the binary.
    pub fn built_in(name: &Path, bytes: &'static [u8]) -> Result<Self, WeightsError> {
        Self::of(Source::in_memory(name, bytes.into()))
    }

    /// Opens the content of a file that was read already; errors use `name` as its path.
    pub fn from_bytes(name: &Path, bytes: Vec<u8>) -> Result<Self, WeightsError> {
        Self::of(Source::in_memory(name, bytes.into()))
    }

    fn of(source: Source) -> Result<Self, WeightsError> {
        let start = source.read(0, source.len().min(9))?;
        let format = match *start.as_slice() {
            [b'P', b'K', 3, 4, ..] => Format::Torch(TorchFile::open_zip(source)?),
            [_, _, _, _, _, _, _, _, b'{'] => Format::SafeTensors(SafeTensors::open(source)?),
            [0x80, 2..=5, ..] => Format::Torch(TorchFile::open_stream(source)?),
            _ if start.len() < 9 => {
                let what = format!("it has only {} bytes", start.len());
                return Err(WeightsError::Truncated { file: source.path().to_owned(), what });
            }
            _ => return Err(source.format_error("neither safetensors nor a file of torch.save")),
        };
        Ok(Self { format })
    }

    /// The file's content besides tensors, such as `epoch` and `config`; `null` if there is none.
    pub fn metadata(&self) -> &Value {
        match &self.format {
            Format::SafeTensors(file) => &file.metadata,
            Format::Torch(file) => &file.metadata,
        }
    }

    /// The configuration that a training run stored with its weights.
    pub fn config(&self) -> Option<Value> {
        match self.metadata().get("config")? {
            // Metadata of safetensors are strings.
            Value::String(text) => serde_json::from_str(text).ok(),
            config => Some(config.clone()),
        }
    }

    fn source(&self) -> &Source {
        match &self.format {
            Format::SafeTensors(file) => &file.source,
            Format::Torch(file) => file.source(),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.source().len()
    }

    /// BLAKE3 of the whole file, in hexadecimal.
    pub fn blake3(&self) -> Result<String, WeightsError> {
        let mut hasher = blake3::Hasher::new();
        self.each_chunk(|chunk| {
            hasher.update(chunk);
        })?;
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn each_chunk(&self, mut take: impl FnMut(&[u8])) -> Result<(), WeightsError> {
        const CHUNK: u64 = 1 << 20;
        let source = self.source();
        for at in (0..source.len()).step_by(CHUNK as usize) {
            take(&source.read(at, CHUNK.min(source.len() - at))?);
        }
        Ok(())
    }
}

impl Checkpoint for WeightsFile {
    fn file(&self) -> PathBuf {
        self.source().path().to_owned()
    }

    fn names(&self) -> Vec<String> {
        match &self.format {
            Format::SafeTensors(file) => file.names(),
            Format::Torch(file) => file.names(),
        }
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match &self.format {
            Format::SafeTensors(file) => file.shape(name),
            Format::Torch(file) => file.shape(name),
        }
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        match &self.format {
            Format::SafeTensors(file) => file.read(name),
            Format::Torch(file) => file.read(name),
        }
    }

    fn read_rows(&self, name: &str, rows: &[u32]) -> Result<Vec<f32>, WeightsError> {
        let width = row_width(self, name, rows)?;
        match &self.format {
            Format::SafeTensors(file) => file.read_rows(name, rows, width),
            // The numbers of a tensor need not lie in its order.
            Format::Torch(file) => {
                let all = file.read(name)?;
                Ok(rows.iter().flat_map(|&row| &all[row as usize * width..][..width]).copied().collect())
            }
        }
    }
}

#[cfg(test)]
mod tests;
