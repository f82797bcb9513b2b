//! What ends a run early: a kind (which decides heading and exit code), a cause, and the way out.

use std::fmt;
use std::process::ExitCode;

use base::reading::was_stopped;

/// Exit codes are part of the contract with scripts; see `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line or the configuration cannot be followed.
    Usage,
    /// The run failed and left no usable result.
    Failed,
    /// The reader of our output went away; that is its right, not an error.
    BrokenPipe,
    /// The user ended it before there was any result.
    Interrupted,
}

/// How a run that was not cut short by an error ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    AllDone,
    /// There was nothing to look at.
    NothingFound,
    /// Results were printed, and some photos failed.
    SomeFailed,
    /// There were photos, and every one of them failed.
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
    pub kind: Kind,
    pub cause: anyhow::Error,
    pub hints: Vec<String>,
}

impl CommandError {
    pub fn usage(cause: impl Into<anyhow::Error>) -> Self {
        Self::of(Kind::Usage, cause.into())
    }

    pub fn failed(cause: impl Into<anyhow::Error>) -> Self {
        Self::of(Kind::Failed, cause.into())
    }

    /// Reading that was ended by the user is no failure, whatever it was for.
    fn of(kind: Kind, cause: anyhow::Error) -> Self {
        let mut errors = cause.chain().filter_map(|error| error.downcast_ref());
        let kind = if errors.any(was_stopped) { Kind::Interrupted } else { kind };
        Self { kind, cause, hints: Vec::new() }
    }

    /// Somebody asked to stop; `cause` says what is there and what is not.
    pub fn interrupted(cause: impl Into<anyhow::Error>) -> Self {
        Self { kind: Kind::Interrupted, cause: cause.into(), hints: Vec::new() }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What went wrong, without the way out.
    pub fn headline(&self) -> String {
        let heading = match self.kind {
            Kind::Usage => "usage: ",
            Kind::Failed | Kind::BrokenPipe | Kind::Interrupted => "",
        };
        format!("{heading}{}", told(&self.cause))
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            Kind::BrokenPipe => 0,
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Interrupted => 130,
        })
    }
}

/// An error with its causes, each once: some tell theirs themselves.
pub fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        _ if told.ends_with(&cause) => told,
        _ => format!("{told}: {cause}"),
    })
}

/// An I/O error that is really a closed pipe keeps its meaning through every layer of context.
impl From<anyhow::Error> for CommandError {
    fn from(cause: anyhow::Error) -> Self {
        let closed = cause
            .chain()
            .filter_map(|e| e.downcast_ref::<std::io::Error>())
            .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe);
        Self::of(if closed { Kind::BrokenPipe } else { Kind::Failed }, cause)
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
