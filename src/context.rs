//! Made once a run from what was typed: settings, store, terminal, stop flag. The rest of the program asks it and
//! never the environment.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use serde_json::Value;

use crate::arguments::Global;
use crate::config::{self, Isolate, Origin, Resolved, Settings, Sources, home};
use crate::error::{CommandError, Ending, Kind};
use crate::journal::{DecisionInForce, Decisions, Journal, JournalError};
use crate::lacking::Lacking;
use crate::library::{ModelHub, ModelHubError, Options, RunContext};
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
    /// Models that are not here may be fetched.
    pub pull: bool,
    stop: Arc<AtomicBool>,
    format: Format,
    output: Option<PathBuf>,
    telemetry_file: Option<PathBuf>,
    no_cache: bool,
    store: OnceLock<Arc<Store>>,
    outputs: OnceLock<Outputs>,
    /// That there is no card was said.
    device_told: OnceLock<()>,
    /// Models that this run goes without.
    pub lacking: Lacking,
    /// Files of settings that were read.
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
            device_told: OnceLock::new(),
            lacking: Lacking::default(),
            configuration: sources.user_file.into_iter().chain(sources.file).collect(),
        })
    }

    pub fn settings(&self) -> &Settings {
        &self.config.settings
    }

    /// Opened by the first command that asks, so that `--help` and its like never make a file.
    pub fn store(&self) -> &Arc<Store> {
        let open = || match (self.no_cache, self.settings().results_folder()) {
            (true, _) => Store::none(),
            (false, Some(folder)) if self.settings().cache_dir.is_none() => Store::open_own(&folder),
            (false, Some(folder)) => Store::open(&folder),
            (false, None) => {
                self.ui
                    .warn("neither XDG_CACHE_HOME nor HOME is set; working without a results store (--cache-dir DIR)");
                Store::none()
            }
        };
        self.store.get_or_init(|| Arc::new(open()))
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

    /// Where networks run. Who asks for a card gets one or an error; a file of settings, which may come from another
    /// machine, is met with the processor and one line.
    pub fn device(&self) -> Result<DeviceChoice, DeviceError> {
        let choice: DeviceChoice = self.settings().device.parse()?;
        let by_file = self.config.origin_of("device").is_some_and(Origin::is_file);
        if self.strict || !by_file || !matches!(choice, DeviceChoice::Cuda(_)) {
            return Ok(choice);
        }
        match choice.settle() {
            Ok(_) => Ok(choice),
            Err(error) => {
                self.device_told.get_or_init(|| {
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

    /// Where model files lie; `None` where nothing says where.
    pub fn models_dir(&self) -> Option<PathBuf> {
        self.settings().models_folder()
    }

    /// The same as a folder of verified files, kept below its limit.
    pub fn model_cache(&self) -> Result<Cache, CommandError> {
        let folder = self.models_dir().ok_or_else(Self::no_models_dir)?;
        Ok(Cache::new(folder, self.settings().models_limit()))
    }

    /// What to say where models are asked for and nothing says where they lie.
    pub fn no_models_dir() -> CommandError {
        let nowhere = CommandError::usage(anyhow::anyhow!("neither XDG_DATA_HOME nor HOME is set"));
        nowhere.hint("name a folder with --models-dir DIR")
    }

    /// Where the journal lies; `None` where nothing says where. Neither `--no-cache` nor `--cache-dir` touches it.
    pub fn data_folder(&self) -> Option<PathBuf> {
        home("XDG_DATA_HOME", ".local/share").map(|data| data.join("albumctl"))
    }

    /// The journal, to be written in.
    pub fn journal(&self) -> Result<Journal, CommandError> {
        let nowhere = || CommandError::usage(anyhow::anyhow!("neither XDG_DATA_HOME nor HOME is set"));
        let folder =
            self.data_folder().ok_or_else(|| nowhere().hint("say where the journal lies with XDG_DATA_HOME"))?;
        Journal::open(&folder).map_err(journal_failed)
    }

    /// A person's decisions. A journal that is there and cannot be read ends the run: an album that
    /// forgets decisions is worse than none.
    pub fn decisions(&self) -> Result<Decisions, CommandError> {
        self.in_journal(Journal::decisions)
    }

    fn in_journal<T: Default>(&self, ask: impl Fn(&Journal) -> Result<T, JournalError>) -> Result<T, CommandError> {
        let Some(folder) = self.data_folder() else { return Ok(T::default()) };
        let told = Journal::open_to_read(&folder).and_then(|journal| journal.as_ref().map(ask).transpose());
        told.map(Option::unwrap_or_default).map_err(journal_failed)
    }

    /// The same with all that was written down of each.
    pub fn decisions_in_force(&self) -> Result<Vec<DecisionInForce>, CommandError> {
        self.in_journal(Journal::decisions_in_force)
    }

    /// From here on it is known what the run writes.
    pub fn claim(&self, outputs: Outputs) -> Result<(), CommandError> {
        let outputs = self.outputs.get_or_init(|| outputs);
        self.configuration.iter().try_for_each(|file| outputs.spare(file)).map_err(place_refused)
    }

    /// To be told of every file that a run reads: none of them may be written by it.
    pub fn reads(&self, file: &Path) -> Result<(), CommandError> {
        self.outputs.get().map_or(Ok(()), |outputs| outputs.spare(file)).map_err(place_refused)
    }

    /// The same of standard input.
    pub fn reads_stdin(&self) -> Result<(), CommandError> {
        self.outputs.get().map_or(Ok(()), Outputs::spare_stdin).map_err(place_refused)
    }

    pub fn telemetry_file(&self) -> Option<&Path> {
        self.telemetry_file.as_deref()
    }

    /// The file that `-o` names, for commands that write more than lines.
    pub fn output_file(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    /// One a core, unless told otherwise.
    pub fn threads(&self) -> usize {
        self.settings().threads()
    }

    /// Whether photos are decoded in processes of their own.
    #[cfg(unix)]
    pub fn isolation(&self) -> Isolation {
        match self.settings().isolate {
            Isolate::Auto => Isolation::WherePossible,
            Isolate::On => Isolation::Always,
            Isolate::Off => Isolation::Off,
        }
    }

    /// The same where no process can be shown a photo: on this system `isolate: on` is refused before.
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

    /// For documents that are no records: a schema, a man page.
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

    /// Says which models would make the results better that are there now.
    pub fn tell_lacking(&self) {
        let folder = self.settings().results_folder().filter(|_| !self.no_cache);
        self.lacking.tell(&self.ui, folder.as_deref());
    }

    /// Says and writes where the time went. A report that cannot be written spoils no finished run; a run that was
    /// refused writes none, and one without results leaves an older one.
    pub fn tell_telemetry(&self, ended: &Result<Ending, CommandError>) {
        let report = self.telemetry.report();
        if self.ui.is_verbose() && !report.timings.is_empty() {
            report.table().lines().for_each(|line| self.ui.detail(line));
        }
        let written = match ended {
            Err(CommandError { kind: Kind::Usage, .. }) => None,
            Err(CommandError { kind: Kind::Failed, .. }) | Ok(Ending::NoneUsable | Ending::NothingFound) => {
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

/// The user's to mend, and how.
pub fn place_refused(error: PlaceError) -> CommandError {
    let way_out = match &error {
        PlaceError::Foreign { .. } | PlaceError::Input { .. } => {
            "name a new file or earlier results of the same kind; of several names, as of *.jpg, an option takes the first"
        }
        PlaceError::Exists { .. } => "name a new file, or move this one away",
        PlaceError::Twice { .. } => "give each a file of its own",
    };
    CommandError::usage(error).hint(way_out)
}

pub fn journal_failed(error: JournalError) -> CommandError {
    let way_out = error.way_out();
    CommandError::failed(error).hint(way_out)
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
        user_file: home("XDG_CONFIG_HOME", ".config").map(|folder| config::user_file(&folder)),
        file: global.config.clone(),
        environment: std::env::vars_os().collect(),
        set: global.set.clone(),
        flags: flags.into_iter().filter_map(|(key, flag, value)| Some((key, flag, value?))).collect(),
    }
}

/// The first signal asks for an orderly end; a second one of the same kind ends at once.
fn stop_on_signals() -> std::io::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}
