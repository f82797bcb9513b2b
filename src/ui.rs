//! The only writer to the terminal: data to stdout, messages and progress to stderr. Messages pass through [`escape`].

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use console::{StyledObject, style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::CommandError;
use base::escape;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ShowProgress {
    /// When stderr is a terminal.
    Auto,
    Always,
    Never,
}

/// Shows log records on the terminal: the library's own, and those of other packages only where they were requested.
#[derive(Debug)]
struct Log(Arc<Ui>);

fn is_ours(target: &str) -> bool {
    target.split("::").next() == Some("albumctl")
}

impl log::Log for Log {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        is_ours(metadata.target()) || self.0.shows_all_logs.load(Ordering::Relaxed)
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (level, text) = (record.level(), record.args().to_string());
        let package = record.target().split("::").next().unwrap_or_default();
        match level {
            log::Level::Error | log::Level::Warn if is_ours(package) => self.0.note(&text),
            _ if is_ours(package) => self.0.detail(&text),
            log::Level::Error => self.0.warn(&format!("{package}: {text}")),
            _ => self.0.detail(&format!("{package}: {text}")),
        }
    }

    fn flush(&self) {}
}

#[derive(Debug)]
pub struct Ui {
    quiet: bool,
    verbosity: u8,
    show_progress: bool,
    stderr_is_terminal: bool,
    bar: Mutex<Option<ProgressBar>>,
    shows_all_logs: AtomicBool,
}

impl Ui {
    pub fn new(quiet: bool, verbosity: u8, progress: ShowProgress) -> Self {
        let stderr_is_terminal = io::stderr().is_terminal();
        let show_progress = match progress {
            ShowProgress::Auto => stderr_is_terminal && !quiet,
            ShowProgress::Always => true,
            ShowProgress::Never => false,
        };
        // Each stream is checked on its own: a piped table must not contain colour codes.
        let colour = |terminal: bool| terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        console::set_colors_enabled(colour(io::stdout().is_terminal()));
        console::set_colors_enabled_stderr(colour(stderr_is_terminal));
        Self {
            quiet,
            verbosity,
            show_progress,
            stderr_is_terminal,
            bar: Mutex::new(None),
            shows_all_logs: AtomicBool::new(false),
        }
    }

    /// Shows what the library logs: warnings as notes, the rest with `-v`.
    pub fn take_log(self: &Arc<Self>) {
        static LOG: OnceLock<Log> = OnceLock::new();
        // A second run in one process keeps the first one's terminal.
        if log::set_logger(LOG.get_or_init(|| Log(Arc::clone(self)))).is_ok() {
            log::set_max_level(log::LevelFilter::Info);
        }
    }

    /// Shows what other packages log as well: their errors as warnings, the rest with `-v`.
    pub fn show_all_logs(&self) {
        self.shows_all_logs.store(true, Ordering::Relaxed);
    }

    /// Reports a problem that does not end the run, even with `--quiet`.
    pub fn warn(&self, message: &str) {
        self.say(Some(style("warning:").yellow().bold()), message);
    }

    pub fn note(&self, message: &str) {
        if !self.quiet {
            self.loss(message);
        }
    }

    /// Reports that a part of the result is missing, even with `--quiet`.
    pub fn loss(&self, message: &str) {
        self.say(Some(style("note:").cyan().bold()), message);
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Shows a detail with `-v`.
    pub fn detail(&self, message: &str) {
        if self.verbosity > 0 && !self.quiet {
            self.say(None, message);
        }
    }

    /// Shows the summary of the run on a terminal, with `-v`, or whenever it is `important`, as with failures.
    pub fn summary(&self, message: &str, important: bool) {
        if !self.quiet && (important || self.stderr_is_terminal || self.verbosity > 0) {
            self.say(None, message);
        }
    }

    pub fn error(&self, error: &CommandError) {
        self.say(Some(style("error:").red().bold()), &error.headline());
        for hint in &error.hints {
            self.say(Some(style("hint:")), hint);
        }
    }

    /// What the run was asked to say, and no data.
    pub fn tell(&self, message: &str) {
        self.say(None, message);
    }

    pub fn is_verbose(&self) -> bool {
        self.verbosity > 0
    }

    /// Starts the progress bar; dropping the returned guard removes it.
    pub fn progress(&self, photos: u64) -> Progress<'_> {
        if self.show_progress {
            let bar = ProgressBar::with_draw_target(Some(photos), ProgressDrawTarget::stderr_with_hz(10));
            let template = "{bar:24} {pos}/{len} photos  {per_sec}  eta {eta}  {wide_msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.with_key(
                    "per_sec",
                    |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                        let _ = write!(out, "{:.1} photos/s", state.per_sec());
                    },
                ));
            }
            *self.bar() = Some(bar);
        }
        Progress { ui: self }
    }

    /// Starts a progress bar for downloaded bytes.
    pub fn bytes(&self, total: u64) -> Bytes<'_> {
        if self.show_progress {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10));
            let template = "{bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  eta {eta}  {wide_msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            *self.bar() = Some(bar);
        }
        Bytes { ui: self }
    }

    /// Buffered standard output; the caller flushes when a reader should see what is there.
    pub fn stdout() -> impl Write + Send {
        BufWriter::with_capacity(1 << 16, io::stdout())
    }

    pub fn stdout_is_terminal() -> bool {
        io::stdout().is_terminal()
    }

    /// The width of lines on stdout: `COLUMNS`, otherwise the width of the terminal, if there is one.
    pub fn columns(terminal: bool) -> Option<usize> {
        let configured = std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
        let measured = || console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        configured.or_else(|| measured().filter(|_| terminal)).filter(|&columns: &usize| columns > 0)
    }

    /// Runs `work` with the progress bar hidden.
    pub fn without_bar<T>(&self, work: impl FnOnce() -> T) -> T {
        let bar = self.bar().clone();
        match bar {
            Some(bar) => bar.suspend(work),
            None => work(),
        }
    }

    /// Colours are added after escaping, so that a message cannot contain its own.
    fn say(&self, heading: Option<StyledObject<&str>>, message: &str) {
        let message = escape::message(message);
        let heading = heading.map_or_else(String::new, |heading| format!("{} ", heading.for_stderr()));
        // If stderr is closed, the message is lost.
        let _ = self.without_bar(|| writeln!(io::stderr(), "{heading}{message}"));
    }

    fn bar(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub struct Progress<'a> {
    ui: &'a Ui,
}

impl Progress<'_> {
    pub fn step(&self) {
        if let Some(bar) = &*self.ui.bar() {
            bar.inc(1);
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.ui.bar().take() {
            bar.finish_and_clear();
        }
    }
}

#[derive(Debug)]
pub struct Bytes<'a> {
    ui: &'a Ui,
}

impl Bytes<'_> {
    pub fn set(&self, bytes: u64) {
        if let Some(bar) = &*self.ui.bar() {
            bar.set_length(bar.length().unwrap_or(0).max(bytes));
            bar.set_position(bytes);
        }
    }

    pub fn say(&self, what: &str) {
        if let Some(bar) = &*self.ui.bar() {
            bar.set_message(escape::visible(what).into_owned());
        }
    }
}

impl Drop for Bytes<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.ui.bar().take() {
            bar.finish_and_clear();
        }
    }
}
