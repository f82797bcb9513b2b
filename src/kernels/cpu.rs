//! Selection of the instructions that kernels use. They are detected at run time, so that one binary runs on all
//! machines; `ALBUMCTL_CPU` forces a path, so that each can be tested on a machine that has several.

use std::fmt;
use std::sync::OnceLock;

/// The processor paths of the kernels, from the one that all machines have to the fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cpu {
    /// No intrinsics: four-wide arrays that the compiler vectorises.
    Plain,
    /// 128-bit vectors of 64-bit ARM.
    Neon,
    /// 256-bit vectors with fused multiply-add.
    Avx2,
    /// 512-bit vectors.
    Avx512,
    /// Tile registers for matrix products (bf16 in, f32 out), 512-bit vectors for the rest.
    Amx,
}

/// The environment variable that forces a path.
pub const VARIABLE: &str = "ALBUMCTL_CPU";

/// The value that runs networks on candle's operations, like on a GPU. Networks without such a form use the best path.
const CANDLE: &str = "candle";

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpuError {
    #[error("{VARIABLE}={asked}: no such path; one of plain, neon, avx2, avx512, amx, candle")]
    Unknown { asked: String },
    #[error("{VARIABLE}={asked}: this machine cannot run it; it can run {available}")]
    Unsupported { asked: Cpu, available: String },
}

impl Cpu {
    pub const ALL: [Self; 5] = [Self::Plain, Self::Neon, Self::Avx2, Self::Avx512, Self::Amx];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
        }
    }

    /// Whether this machine, and its operating system, run this path.
    pub fn supported(self) -> bool {
        match self {
            Self::Plain => true,
            Self::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Amx => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512bf16")
                    && super::tiles::available()
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 | Self::Amx => false,
        }
    }

    /// Every path this machine runs, slowest first.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|path| path.supported()).collect()
    }

    /// The fastest path this machine runs.
    pub fn best() -> Self {
        static BEST: OnceLock<Cpu> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().pop().unwrap_or(Self::Plain))
    }

    /// The path that `ALBUMCTL_CPU` names, or the best.
    pub fn chosen() -> Result<Self, CpuError> {
        match std::env::var_os(VARIABLE) {
            None => Ok(Self::best()),
            Some(asked) => Self::parse(&asked.to_string_lossy()),
        }
    }

    /// Whether `ALBUMCTL_CPU` selects candle's operations.
    pub fn candle_is_asked() -> bool {
        std::env::var_os(VARIABLE).is_some_and(|asked| asked.eq_ignore_ascii_case(CANDLE))
    }

    fn parse(asked: &str) -> Result<Self, CpuError> {
        if asked.is_empty() || asked.eq_ignore_ascii_case(CANDLE) {
            return Ok(Self::best());
        }
        let path = Self::ALL
            .into_iter()
            .find(|path| path.name().eq_ignore_ascii_case(asked))
            .ok_or_else(|| CpuError::Unknown { asked: asked.to_owned() })?;
        if path.supported() {
            return Ok(path);
        }
        let available: Vec<_> = Self::available().into_iter().map(Self::name).collect();
        Err(CpuError::Unsupported { asked: path, available: available.join(", ") })
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_runs_the_plain_path() {
        assert!(Cpu::available().contains(&Cpu::Plain));
        assert_eq!(Cpu::parse("Plain"), Ok(Cpu::Plain));
    }

    #[test]
    fn an_unknown_path_is_refused_by_name() {
        let error = Cpu::parse("sse9").unwrap_err();
        assert_eq!(error.to_string(), "ALBUMCTL_CPU=sse9: no such path; one of plain, neon, avx2, avx512, amx, candle");
    }

    #[test]
    fn a_path_of_another_machine_is_refused_and_the_possible_ones_are_named() {
        let foreign = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
        let error = Cpu::parse(foreign).unwrap_err().to_string();
        assert!(error.starts_with(&format!("ALBUMCTL_CPU={foreign}: this machine cannot run it")), "{error}");
        assert!(error.contains("plain"), "{error}");
    }

    #[test]
    fn without_a_name_the_best_path_is_used() {
        assert_eq!(Cpu::parse(""), Ok(Cpu::best()));
    }
}
