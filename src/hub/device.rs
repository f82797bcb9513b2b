//! Where networks run: the CPU's own kernels, or a CUDA device of a build that has them.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;

/// What `--device` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceChoice {
    /// The first CUDA device where the build and the machine have one, else the CPU.
    #[default]
    Auto,
    Cpu,
    Cuda(usize),
}

#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("device `{0}`: auto, cpu, cuda or cuda:N")]
    Unknown(String),
    #[error("device cuda:{0}: this build has no CUDA; build one with `cargo build --release --features cuda`")]
    NotBuilt(usize),
    #[error("device cuda:{index}: {why}")]
    Unavailable { index: usize, why: String },
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            other => {
                let index = other.strip_prefix("cuda:").and_then(|index| index.parse().ok());
                index.map(Self::Cuda).ok_or_else(|| DeviceError::Unknown(text.to_owned()))
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl DeviceChoice {
    /// The device; `auto` never fails.
    pub fn resolve(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(index) => cuda(index),
            Self::Auto => Ok(cuda(0).unwrap_or(Device::Cpu)),
        }
    }
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Device, DeviceError> {
    // The driver library may panic instead of answering when the machine has none.
    let device = std::panic::catch_unwind(|| Device::new_cuda(index));
    match device {
        Ok(Ok(device)) => Ok(device),
        Ok(Err(error)) => Err(DeviceError::Unavailable { index, why: error.to_string() }),
        Err(_) => Err(DeviceError::Unavailable { index, why: "the CUDA driver does not answer".into() }),
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda(index: usize) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_the_help_says() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda", DeviceChoice::Cuda(0)),
            ("CUDA:3", DeviceChoice::Cuda(3)),
        ] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap(), choice);
        }
        let error = "gpu".parse::<DeviceChoice>().unwrap_err().to_string();
        assert_eq!(error, "device `gpu`: auto, cpu, cuda or cuda:N");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_so_and_how_to_get_one() {
        let error = DeviceChoice::Cuda(1).resolve().unwrap_err().to_string();
        assert!(error.contains("cuda:1: this build has no CUDA") && error.contains("--features cuda"), "{error}");
        assert!(DeviceChoice::Auto.resolve().unwrap().is_cpu());
    }
}
