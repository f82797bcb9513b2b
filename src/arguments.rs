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
    /// A configuration file, laid over the built-in one and your own
    #[arg(long, global = true, value_name = "FILE", env = "ALBUMCTL_CONFIG")]
    pub config: Option<PathBuf>,

    /// Set one configuration key, e.g. album.selection.ava_weight=0.6; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Where networks run: auto, cpu, cuda or cuda:N; auto unless configured
    #[arg(long, global = true, value_name = "DEVICE")]
    pub device: Option<String>,

    /// How results are written; auto is a table on a terminal and JSON lines in a pipe
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "auto")]
    pub format: Format,

    /// The same as --format jsonl
    #[arg(long, global = true, conflicts_with = "format")]
    pub json: bool,

    /// Write results to a file, which appears whole when the run ends
    #[arg(short, long, global = true, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Keep the results store here instead of in $XDG_CACHE_HOME/albumctl
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

    /// Neither read nor write the results store
    #[arg(long, global = true)]
    pub no_cache: bool,

    /// Where model files lie, instead of $XDG_DATA_HOME/albumctl/models
    #[arg(long, global = true, value_name = "DIR")]
    pub models_dir: Option<PathBuf>,

    /// Fetch models that the command needs and are not here; nothing is ever fetched unasked
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

    /// Threads of work; 0, which is the default, means one a core, or four where networks run on a card
    #[arg(short = 'j', long, global = true, value_name = "N")]
    pub threads: Option<usize>,

    /// Decode photos in processes of their own, so that a file that kills its decoder costs itself alone: auto, on or
    /// off; auto unless configured
    #[arg(long, global = true, value_name = "WHEN", value_parser = ["auto", "on", "off"])]
    pub isolate: Option<String>,

    /// Say nothing but warnings, errors, and what is missing in the score
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Say more: what was passed over, what was cached, where the time went
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
    /// Photos, folders (with all folders below them), or - for a list on standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    #[command(flatten)]
    pub walk: WalkArgs,
}

/// How lists and folders are read.
#[derive(Debug, Clone, Default, Args)]
pub struct WalkArgs {
    /// The list on standard input is separated by NUL instead of newlines
    #[arg(short = '0', long)]
    pub null: bool,

    /// Leave out what matches this gitignore pattern, e.g. '*.png' or 'old/'; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    /// Look at hidden files and folders in folders, too, and at trash, thumbnails and previews of other programs
    #[arg(long)]
    pub hidden: bool,

    /// Follow symbolic links to folders
    #[arg(long)]
    pub follow: bool,
}
