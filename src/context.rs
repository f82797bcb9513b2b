//! The context of a run: settings, store, terminal, stop flag. It is made once from the command line, and the rest of the
//! program never reads the environment.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use serde_json::Value;

use crate::arguments::Global;
use crate::config::{self, Isolate, Origin, Resolved, Settings, Sources, UserFolder};
use crate::error::{CommandError, CommandErrorKind, Ending};
use crate::journal::{DecisionInForce, Decisions, Journal, JournalError, Logged, PeopleFile, TasteMemory};
use crate::library::{ModelHub, ModelHubError, Options, RunContext};
use crate::missing_models::MissingModels;
use crate::pipeline::Isolation;
use crate::report::output::{Output, whole_file};
use crate::report::place::{Content, Outputs, PlaceError};
use crate::report::{Format, Record};
use crate::store::Store;
use crate::telemetry::Telemetry;
use crate::ui::Ui;
use base::atomic::found;
use base::threads;
use hub::cache::Cache;
use hub::{DeviceChoice, DeviceError};
use kernels::Precision;
use photo::Limits;

#[derive(Debug)]
pub struct Context {
    pub ui: Arc<Ui>,
    pub config: Resolved,
    pub telemetry: Arc<Telemetry>,
    pub strict: bool,
    pub offline: bool,
    /// Whether missing models may be fetched.
    pub pull: bool,
    stop: Arc<AtomicBool>,
    format: Format,
    output: Option<PathBuf>,
    telemetry_file: Option<PathBuf>,
    no_cache: bool,
    store: OnceLock<Arc<Store>>,
    outputs: OnceLock<Outputs>,
    /// Set once the user has been told that the configured GPU is missing.
    gpu_fallback_noted: OnceLock<()>,
    /// Missing models that this run goes on without.
    pub missing_models: MissingModels,
    /// The configuration files that were read.
    configuration: Vec<PathBuf>,
}

impl Context {
    pub fn new(global: &Global) -> Result<Self, CommandError> {
        let ui = Arc::new(Ui::new(global.quiet, global.verbose, global.progress));
        ui.take_log();
        let sources = sources(global);
        let config = config::resolve(&sources).map_err(CommandError::usage)?;
        if cfg!(not(unix)) && config.settings.isolate == Isolate::On {
            let cause =
                anyhow::anyhow!("`isolate: on` is not possible here: workers are given photos over Unix sockets");
            return Err(CommandError::usage(cause).hint("leave it at `auto`"));
        }
        if let Some(fewer) = threads::prepare().context("cannot start threads")? {
            ui.warn(&fewer);
        }
        for (key, origin) in &config.without_effect {
            ui.note(&format!("`{key}` in {origin} is a key of the original system that has no effect in albumctl"));
        }
        Ok(Self {
            ui,
            config,
            telemetry: Arc::default(),
            strict: global.strict,
            offline: global.offline,
            pull: global.pull,
            stop: stop_on_signals().context("cannot listen for signals")?,
            format: if global.json { Format::Jsonl } else { global.format },
            output: global.output.clone(),
            telemetry_file: global.telemetry.clone(),
            no_cache: global.no_cache,
            store: OnceLock::new(),
            outputs: OnceLock::new(),
            gpu_fallback_noted: OnceLock::new(),
            missing_models: MissingModels::default(),
            configuration: sources.user_file.into_iter().chain(sources.file).collect(),
        })
    }

    pub fn settings(&self) -> &Settings {
        &self.config.settings
    }

    /// Opens the store at its first use, so that `--help` and the like never make a file.
    pub fn store(&self) -> &Arc<Store> {
        let open = || match (self.no_cache, self.settings().results_folder()) {
            (true, _) => Store::none(),
            (false, Some(folder)) if self.settings().cache_dir.is_none() => Store::open_own(&folder),
            (false, Some(folder)) => Store::open(&folder),
            (false, None) => {
                let missing = UserFolder::Cache.missing();
                self.ui.warn(&format!("{missing}; working without a results store (--cache-dir DIR)"));
                Store::none()
            }
        };
        self.store.get_or_init(|| Arc::new(open().trimmed_to(self.settings().results_limit())))
    }

    /// The engine, with this run's settings, store and stop flag.
    pub fn model_hub(&self, precision: Precision) -> Result<ModelHub, ModelHubError> {
        ModelHub::within(self.hub_options(precision)?, self.run_context())
    }

    pub fn hub_options(&self, precision: Precision) -> Result<Options, ModelHubError> {
        let mut settings = self.settings().clone();
        settings.device = self.device()?.to_string();
        Ok(Options {
            models_dir: self.models_dir(),
            own_manifests: config::own_manifests(),
            offline: self.offline,
            precision,
            ..Options::of(settings)
        })
    }

    /// The device of networks. A missing GPU is an error when an option or variable asks for it. A configuration file may
    /// come from another machine, so the CPU is used instead, with one note.
    pub fn device(&self) -> Result<DeviceChoice, DeviceError> {
        let choice: DeviceChoice = self.settings().device.parse()?;
        let by_file = self.config.origin_of("device").is_some_and(Origin::is_file);
        if self.strict || !by_file || !matches!(choice, DeviceChoice::Cuda(_)) {
            return Ok(choice);
        }
        match choice.settle() {
            Ok(_) => Ok(choice),
            Err(error) => {
                self.gpu_fallback_noted.get_or_init(|| {
                    self.ui.note(&format!("{error}; the settings ask for it, and networks run on the CPU instead"));
                });
                Ok(DeviceChoice::Cpu)
            }
        }
    }

    pub fn run_context(&self) -> RunContext {
        RunContext {
            store: Arc::clone(self.store()),
            telemetry: Arc::clone(&self.telemetry),
            stop: Arc::clone(&self.stop),
            isolation: self.isolation(),
        }
    }

    /// The folder of model files; `None` where there is none.
    pub fn models_dir(&self) -> Option<PathBuf> {
        self.settings().models_folder()
    }

    /// The cache of model files in that folder, with its size limit.
    pub fn model_cache(&self) -> Result<Cache, CommandError> {
        let folder = self.models_dir().ok_or_else(Self::no_models_dir)?;
        Ok(Cache::new(folder, self.settings().models_limit()))
    }

    /// The error for a missing models folder.
    pub fn no_models_dir() -> CommandError {
        let error = CommandError::usage(anyhow::anyhow!("{}", UserFolder::Data.missing()));
        error.hint("name a folder with --models-dir DIR")
    }

    /// The folder of the journal; `None` where it is not known. Neither `--no-cache` nor `--cache-dir` affects it.
    pub fn data_folder(&self) -> Option<PathBuf> {
        UserFolder::Data.path()
    }

    /// Opens the journal for writing.
    pub fn journal(&self) -> Result<Journal, CommandError> {
        Journal::open(&self.data_folder_to_write()?).map_err(journal_failed)
    }

    fn data_folder_to_write(&self) -> Result<PathBuf, CommandError> {
        let nowhere = || CommandError::usage(anyhow::anyhow!("{}", UserFolder::Data.missing()));
        self.data_folder().ok_or_else(|| nowhere().hint("set XDG_DATA_HOME to a folder for the journal"))
    }

    /// Opens what is known of people for writing.
    pub fn people(&self) -> Result<PeopleFile, CommandError> {
        Ok(PeopleFile::open(&self.data_folder_to_write()?)?)
    }

    /// Opens what is known of people; `None` where nothing is.
    pub fn people_to_read(&self) -> Result<Option<PeopleFile>, CommandError> {
        self.data_folder().map_or(Ok(None), |folder| Ok(PeopleFile::open_to_read(&folder)?))
    }

    /// Removes all that is known of people. Returns whether there was anything.
    pub fn forget_people(&self) -> Result<bool, CommandError> {
        self.data_folder().map_or(Ok(false), |folder| Ok(PeopleFile::remove(&folder)?))
    }

    /// A person's decisions. An unreadable journal is an error: an album that ignores decisions is worse than none.
    pub fn decisions(&self) -> Result<Decisions, CommandError> {
        self.in_journal(Journal::decisions)
    }

    fn in_journal<T: Default>(&self, ask: impl Fn(&Journal) -> Result<T, JournalError>) -> Result<T, CommandError> {
        let Some(folder) = self.data_folder() else { return Ok(T::default()) };
        let answer = Journal::open_to_read(&folder).and_then(|journal| journal.as_ref().map(ask).transpose());
        answer.map(Option::unwrap_or_default).map_err(journal_failed)
    }

    /// What a taste is learned from.
    pub fn taste_memory(&self) -> Result<TasteMemory, CommandError> {
        self.in_journal(Journal::taste_memory)
    }

    /// The decisions in force, with the time and path of each.
    pub fn decisions_in_force(&self) -> Result<Vec<DecisionInForce>, CommandError> {
        self.in_journal(Journal::decisions_in_force)
    }

    /// All decisions ever stored, oldest first.
    pub fn decision_log(&self) -> Result<Vec<Logged>, CommandError> {
        self.in_journal(Journal::log)
    }

    /// Registers the files that the run will write.
    pub fn claim(&self, outputs: Outputs) -> Result<(), CommandError> {
        let outputs = self.outputs.get_or_init(|| outputs);
        self.configuration.iter().try_for_each(|file| outputs.spare(file)).map_err(place_refused)
    }

    /// Must be called for every file that a run reads; refuses one that the run also writes.
    pub fn reads(&self, file: &Path) -> Result<(), CommandError> {
        self.outputs.get().map_or(Ok(()), |outputs| outputs.spare(file)).map_err(place_refused)
    }

    /// Must be called when a run reads standard input; refuses it if the run also writes that file.
    pub fn reads_stdin(&self) -> Result<(), CommandError> {
        self.outputs.get().map_or(Ok(()), Outputs::spare_stdin).map_err(place_refused)
    }

    pub fn telemetry_file(&self) -> Option<&Path> {
        self.telemetry_file.as_deref()
    }

    /// The file named by `-o`.
    pub fn output_file(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    /// The configured number of threads, or one per core.
    pub fn threads(&self) -> usize {
        self.settings().threads()
    }

    /// Whether photos are decoded in worker processes.
    #[cfg(unix)]
    pub fn isolation(&self) -> Isolation {
        match self.settings().isolate {
            Isolate::Auto => Isolation::WherePossible,
            Isolate::On => Isolation::Always,
            Isolate::Off => Isolation::Off,
        }
    }

    /// Always off: worker processes need Unix sockets, and `isolate: on` has been refused before.
    #[cfg(not(unix))]
    pub fn isolation(&self) -> Isolation {
        Isolation::Off
    }

    pub fn limits(&self) -> Limits {
        self.settings().photo_limits()
    }

    pub fn output<R: Record>(&self) -> anyhow::Result<Output<R>> {
        Output::open(self.format, self.output.as_deref())
    }

    /// Writes a document that has no records, such as a schema or a manual page.
    pub fn write_text(&self, text: &str) -> anyhow::Result<()> {
        if let Some(path) = self.output.as_deref().filter(|path| *path != Path::new("-")) {
            return whole_file(path, Content::Text, |out| Ok(out.write_all(text.as_bytes())?));
        }
        let mut out = Ui::stdout();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    pub fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Tells the user which missing models the results would benefit from.
    pub fn report_missing_models(&self) {
        let folder = self.settings().results_folder().filter(|_| !self.no_cache);
        self.missing_models.report(&self.ui, folder.as_deref());
    }

    /// Shows and writes the telemetry. Failing to write it is only a warning. A run refused for wrong usage writes none,
    /// and a run without results does not replace an earlier file.
    pub fn report_telemetry(&self, ended: &Result<Ending, CommandError>) {
        let report = self.telemetry.report();
        if self.ui.is_verbose() && !report.timings.is_empty() {
            report.table().lines().for_each(|line| self.ui.detail(line));
        }
        let written = match ended {
            Err(CommandError { kind: CommandErrorKind::Usage, .. }) => None,
            Err(CommandError { kind: CommandErrorKind::Failed, .. })
            | Ok(Ending::NoneUsable | Ending::NothingFound) => {
                self.telemetry_file.as_ref().filter(|path| matches!(found(path), Ok(None)))
            }
            _ => self.telemetry_file.as_ref(),
        };
        if let Some(path) = written {
            let written = whole_file(path, Content::Text, |out| Ok(serde_json::to_writer_pretty(out, &report)?));
            if let Err(error) = written {
                self.ui.warn(&format!("telemetry: {error:#}"));
            }
        }
    }
}

/// A usage error with a hint.
pub fn place_refused(error: PlaceError) -> CommandError {
    let hint = match &error {
        PlaceError::Foreign { .. } | PlaceError::Input { .. } => {
            "name a new file or earlier results of the same kind; of several names, as of *.jpg, an option takes the first"
        }
        PlaceError::Exists { .. } => "name a new file, or move this one away",
        PlaceError::Twice { .. } => "give each a file of its own",
    };
    CommandError::usage(error).hint(hint)
}

impl From<JournalError> for CommandError {
    fn from(error: JournalError) -> Self {
        journal_failed(error)
    }
}

pub fn journal_failed(error: JournalError) -> CommandError {
    let hint = error.hint();
    CommandError::failed(error).hint(hint)
}

fn sources(global: &Global) -> Sources {
    let path = |path: &Path| Value::String(path.to_string_lossy().into_owned());
    let flags = [
        ("device", "--device", global.device.clone().map(Value::String)),
        ("num_workers", "--threads", global.threads.map(Value::from)),
        ("isolate", "--isolate", global.isolate.clone().map(Value::String)),
        ("cache_dir", "--cache-dir", global.cache_dir.as_deref().map(path)),
        ("models_dir", "--models-dir", global.models_dir.as_deref().map(path)),
        ("license_policy", "--license-policy", global.license_policy.as_ref().map(|policy| policy.to_string().into())),
    ];
    Sources {
        user_file: config::user_file(),
        file: global.config.clone(),
        environment: std::env::vars_os().collect(),
        set: global.set.clone(),
        flags: flags.into_iter().filter_map(|(key, flag, value)| Some((key, flag, value?))).collect(),
    }
}

/// Sets a flag at the first signal, for an orderly end; a second signal of the same kind ends the process at once.
fn stop_on_signals() -> std::io::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}
