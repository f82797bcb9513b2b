//! Errors that end a run, and the endings of a run: they determine the exit code.

use std::fmt;
use std::process::ExitCode;

use base::reading::was_stopped;

/// Exit codes are part of the contract with scripts; see `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandErrorKind {
    /// The command line or the configuration is invalid.
    Usage,
    /// The run failed and left no usable result.
    Failed,
    /// The reader of standard output has closed the pipe, which is not an error.
    BrokenPipe,
    /// The user ended it before there was any result.
    Interrupted,
}

/// The ending of a run that did not fail with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    AllDone,
    /// There were no photos.
    NothingFound,
    /// There are results, but some photos failed.
    SomeFailed,
    /// Every photo failed.
    NoneUsable,
    Interrupted,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(match ending {
            Ending::AllDone | Ending::NothingFound => 0,
            Ending::NoneUsable => 1,
            Ending::SomeFailed => 3,
            Ending::Interrupted => 130,
        })
    }
}

#[derive(Debug)]
pub struct CommandError {
    pub kind: CommandErrorKind,
    pub cause: anyhow::Error,
    pub hints: Vec<String>,
}

impl CommandError {
    pub fn usage(cause: impl Into<anyhow::Error>) -> Self {
        Self::of(CommandErrorKind::Usage, cause.into())
    }

    pub fn failed(cause: impl Into<anyhow::Error>) -> Self {
        Self::of(CommandErrorKind::Failed, cause.into())
    }

    /// A read interrupted by the user makes this an interruption and not a failure.
    fn of(kind: CommandErrorKind, cause: anyhow::Error) -> Self {
        let mut errors = cause.chain().filter_map(|error| error.downcast_ref());
        let kind = if errors.any(was_stopped) { CommandErrorKind::Interrupted } else { kind };
        Self { kind, cause, hints: Vec::new() }
    }

    /// The user interrupted the run; `cause` says what has been done and what has not.
    pub fn interrupted(cause: impl Into<anyhow::Error>) -> Self {
        Self { kind: CommandErrorKind::Interrupted, cause: cause.into(), hints: Vec::new() }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The error without its hints.
    pub fn headline(&self) -> String {
        let heading = match self.kind {
            CommandErrorKind::Usage => "usage: ",
            CommandErrorKind::Failed | CommandErrorKind::BrokenPipe | CommandErrorKind::Interrupted => "",
        };
        format!("{heading}{}", with_causes(&self.cause))
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            CommandErrorKind::BrokenPipe => 0,
            CommandErrorKind::Failed => 1,
            CommandErrorKind::Usage => 2,
            CommandErrorKind::Interrupted => 130,
        })
    }
}

/// An error with its chain of causes. A cause that the message before already ends with is not repeated.
pub fn with_causes(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |message, cause| match message.as_str() {
        "" => cause,
        _ if message.ends_with(&cause) => message,
        _ => format!("{message}: {cause}"),
    })
}

/// A closed pipe is recognised below any context that was added to it.
impl From<anyhow::Error> for CommandError {
    fn from(cause: anyhow::Error) -> Self {
        let closed = cause
            .chain()
            .filter_map(|e| e.downcast_ref::<std::io::Error>())
            .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe);
        Self::of(if closed { CommandErrorKind::BrokenPipe } else { CommandErrorKind::Failed }, cause)
    }
}

impl From<std::io::Error> for CommandError {
    fn from(cause: std::io::Error) -> Self {
        anyhow::Error::from(cause).into()
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        for hint in &self.hints {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}
