//! Arguments that commands share: the global options and the photos. No logic.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::report::Format;
use crate::ui::ShowProgress;
use hub::policy::LicencePolicy;

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// A configuration file, applied over the built-in one and your own
    #[arg(long, global = true, value_name = "FILE", env = "ALBUMCTL_CONFIG")]
    pub config: Option<PathBuf>,

    /// Set one configuration key, e.g. album.selection.ava_weight=0.6; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Device for networks: auto, cpu, cuda or cuda:N; auto unless configured
    #[arg(long, global = true, value_name = "DEVICE")]
    pub device: Option<String>,

    /// Format of the results; auto is a table on a terminal and JSON lines in a pipe
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "auto")]
    pub format: Format,

    /// The same as --format jsonl
    #[arg(long, global = true, conflicts_with = "format")]
    pub json: bool,

    /// Write results to a file, which appears complete when the run ends
    #[arg(short, long, global = true, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Keep the results store here instead of in $XDG_CACHE_HOME/albumctl
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

    /// Neither read nor write the results store
    #[arg(long, global = true)]
    pub no_cache: bool,

    /// Folder of model files instead of $XDG_DATA_HOME/albumctl/models
    #[arg(long, global = true, value_name = "DIR")]
    pub models_dir: Option<PathBuf>,

    /// Fetch missing models that the command needs; nothing is ever fetched unasked
    #[arg(long, global = true)]
    pub pull: bool,

    /// Licences of models that may be fetched: any, permissive, or a list such as
    /// no-agpl,no-non-commercial,no-unknown
    #[arg(long, global = true, value_name = "POLICY", value_parser = LicencePolicy::from_str)]
    pub license_policy: Option<LicencePolicy>,

    /// Never open a network connection
    #[arg(long, global = true)]
    pub offline: bool,

    /// End the run at the first failure, missing model or fallback
    #[arg(long, global = true)]
    pub strict: bool,

    /// Number of worker threads; 0, the default, means one per core, or four if networks run on a GPU
    #[arg(short = 'j', long, global = true, value_name = "N")]
    pub threads: Option<usize>,

    /// Decode photos in separate processes, so that a file that crashes its decoder costs only itself: auto, on or off; auto
    /// unless configured
    #[arg(long, global = true, value_name = "WHEN", value_parser = ["auto", "on", "off"])]
    pub isolate: Option<String>,

    /// Print only warnings, errors, and missing parts of the score
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Print more: what was skipped, what was cached, where the time went
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Show progress on stderr: auto, always or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub progress: ShowProgress,

    /// Write a JSON report of where the time went
    #[arg(long, global = true, value_name = "FILE")]
    pub telemetry: Option<PathBuf>,
}

/// The photos of a command.
#[derive(Debug, Args)]
pub struct PhotoArgs {
    /// Photos, folders (with their subfolders), or - for a list on standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    #[command(flatten)]
    pub walk: WalkArgs,
}

/// Options for reading lists and folders.
#[derive(Debug, Clone, Default, Args)]
pub struct WalkArgs {
    /// Paths on standard input are separated by NUL instead of newlines
    #[arg(short = '0', long)]
    pub null: bool,

    /// Exclude what matches this gitignore pattern, e.g. '*.png' or 'old/'; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    /// Include hidden files and folders, trash, and thumbnails and previews of other programs
    #[arg(long)]
    pub hidden: bool,

    /// Follow symbolic links to folders
    #[arg(long)]
    pub follow: bool,
}

/// A number of photos.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse().map_err(|_| "a whole number of at least 1 is expected")?;
    if number == 0 { Err("it must be at least 1".to_owned()) } else { Ok(number) }
}
