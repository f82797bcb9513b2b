//! The devices that networks run on: the CPU, or a CUDA device in builds with CUDA.

use std::fmt;
use std::process::{Command, Stdio};
use std::str::FromStr;

use candle_core::Device;

/// The value of `--device`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceChoice {
    /// The first CUDA device if the build and the machine have one, else the CPU.
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
    /// Resolves the choice to a device, with a warning if a CUDA build found no card. `auto` never fails.
    pub fn settle(self) -> Result<(Device, Option<String>), DeviceError> {
        match self {
            Self::Cpu => Ok((Device::Cpu, None)),
            Self::Cuda(index) => Ok((cuda(index)?, None)),
            Self::Auto => Ok(match cuda(0) {
                Ok(device) => (device, None),
                Err(DeviceError::NotBuilt(_)) => (Device::Cpu, None),
                Err(error) => (Device::Cpu, Some(format!("{error}; networks run on the CPU, as with --device cpu"))),
            }),
        }
    }
}

/// The kind of a device as manifests name it: `cpu` or `cuda`.
pub fn kind(device: &Device) -> &'static str {
    if device.is_cpu() { "cpu" } else { "cuda" }
}

/// The kinds of devices that manifests can name.
pub const KINDS: [&str; 2] = ["cpu", "cuda"];

/// Whether a model may run on the device of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    Here,
    /// Not on the card that `auto` chose, but on the CPU.
    CpuInstead,
    Nowhere,
}

/// A manifest without devices allows all.
pub fn allowed(devices: &[String], here: &str, choice: DeviceChoice) -> Allowed {
    let names = |kind: &str| devices.iter().any(|device| device == kind);
    if devices.is_empty() || names(here) {
        Allowed::Here
    } else if choice == DeviceChoice::Auto && names("cpu") {
        Allowed::CpuInstead
    } else {
        Allowed::Nowhere
    }
}

/// A device, and whether a run would choose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// `cpu` or `cuda`.
    pub kind: &'static str,
    pub available: bool,
    pub chosen: bool,
    /// The reason why it is, or is not, available and chosen.
    pub why: String,
}

/// A GPU of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub name: String,
    pub memory_bytes: u64,
}

/// The GPUs that the driver's tool lists; none if the tool is missing or does not answer.
pub fn cards() -> Vec<Card> {
    let asked = ["--query-gpu=name,memory.total", "--format=csv,noheader,nounits"];
    let answer = Command::new("nvidia-smi").args(asked).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = answer.ok().filter(|answer| answer.status.success()).map(|answer| answer.stdout).unwrap_or_default();
    let card = |line: &str| {
        let (name, mebibytes) = line.rsplit_once(',')?;
        Some(Card { name: name.trim().to_owned(), memory_bytes: mebibytes.trim().parse::<u64>().ok()? << 20 })
    };
    String::from_utf8_lossy(&text).lines().filter_map(card).collect()
}

/// The devices of this machine, for a run with this `choice`.
pub fn survey(choice: DeviceChoice) -> [Candidate; 2] {
    let index = if let DeviceChoice::Cuda(index) = choice { index } else { 0 };
    let card =
        if choice == DeviceChoice::Cpu && cfg!(feature = "cuda") { Err(None) } else { cuda(index).map_err(Some) };
    let asked = || "asked for".to_owned();
    let (cpu, why_cpu) = match (choice, &card) {
        (DeviceChoice::Cpu, _) => (true, asked()),
        (DeviceChoice::Auto, Ok(_)) => (false, "there is a card".to_owned()),
        (DeviceChoice::Auto, Err(Some(DeviceError::NotBuilt(_)))) => (true, "no CUDA in this build".to_owned()),
        (DeviceChoice::Auto, Err(_)) => (true, "no card answers".to_owned()),
        (DeviceChoice::Cuda(_), _) => (false, format!("`{choice}` was asked for")),
    };
    let why_cuda = match (&card, choice) {
        (Ok(_), DeviceChoice::Auto) => "the first card".to_owned(),
        (Ok(_), _) => asked(),
        (Err(Some(DeviceError::NotBuilt(_))), _) => "this build has no CUDA; build with `--features cuda`".to_owned(),
        (Err(Some(error)), _) => error.to_string(),
        (Err(None), _) => "`cpu` was asked for".to_owned(),
    };
    let found = card.is_ok();
    [
        Candidate { kind: "cpu", available: true, chosen: cpu, why: why_cpu },
        Candidate { kind: "cuda", available: found, chosen: found && choice != DeviceChoice::Cpu, why: why_cuda },
    ]
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Device, DeviceError> {
    // The driver library may panic if the machine has no card.
    match base::contain::contained(|| Device::new_cuda(index)) {
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
        let error = DeviceChoice::Cuda(1).settle().unwrap_err().to_string();
        assert!(error.contains("cuda:1: this build has no CUDA") && error.contains("--features cuda"), "{error}");
        let (device, fallback) = DeviceChoice::Auto.settle().unwrap();
        assert!(device.is_cpu() && fallback.is_none(), "nothing to say: this is what was built");
        for choice in [DeviceChoice::Auto, DeviceChoice::Cpu, DeviceChoice::Cuda(0)] {
            let [cpu, cuda] = survey(choice);
            assert_eq!((cpu.available, cpu.chosen), (true, choice != DeviceChoice::Cuda(0)));
            assert!(!cuda.available && !cuda.chosen && cuda.why.contains("--features cuda"), "{cuda:?}");
        }
    }

    #[test]
    fn a_model_runs_where_its_manifest_allows() {
        let on = |devices: &[&str], here: &str, choice| {
            allowed(&devices.iter().map(|&device| device.to_owned()).collect::<Vec<_>>(), here, choice)
        };
        for choice in [DeviceChoice::Auto, DeviceChoice::Cuda(0)] {
            assert_eq!(on(&[], "cuda", choice), Allowed::Here);
            assert_eq!(on(&["cpu", "cuda"], "cuda", choice), Allowed::Here);
        }
        assert_eq!(on(&["cpu"], "cuda", DeviceChoice::Auto), Allowed::CpuInstead);
        assert_eq!(
            on(&["cpu"], "cuda", DeviceChoice::Cuda(0)),
            Allowed::Nowhere,
            "who asks for a card is not fobbed off"
        );
        assert_eq!(on(&["cuda"], "cpu", DeviceChoice::Auto), Allowed::Nowhere);
        assert_eq!(on(&["cpu"], "cpu", DeviceChoice::Cpu), Allowed::Here);
    }
}
