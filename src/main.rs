//! Parse, make the context, run the command, turn its ending into an exit code.

use std::process::ExitCode;

use albumctl::cli;
use albumctl::context::Context;
use albumctl::error::{CommandError, Kind};
use albumctl::ui::{ShowProgress, Ui};
use base::contain::or_one_line;
use base::escape::visible;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The largest piece that glibc takes as a measure of what a program usually asks for.
const USUAL: usize = 31 << 20;

fn main() -> ExitCode {
    or_one_line(run, ExitCode::FAILURE)
}

fn run() -> ExitCode {
    // Nothing is written to it. Once such a piece has been freed, glibc keeps the memory of one photo for the next
    // instead of handing it back and clearing it anew, which took a quarter of the time of `score`.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(USUAL)));
    #[cfg(unix)]
    if std::env::args_os().nth(1).is_some_and(|word| word == albumctl::pipeline::COMMAND) {
        return albumctl::pipeline::serve();
    }
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(refusal) => return refuse(&refusal),
    };
    let context = match Context::new(&cli.global) {
        Ok(context) => context,
        Err(error) => return fail(&Ui::new(cli.global.quiet, 0, ShowProgress::Never), &error),
    };
    let ended = cli::run(&cli.command, &context);
    context.tell_telemetry(&ended);
    match ended {
        Ok(ending) => ending.into(),
        Err(error) => fail(&context.ui, &error),
    }
}

/// Help and version are refusals to clap; they exit with 0, wrong usage with 2. A closed pipe is fine either way.
fn refuse(refusal: &clap::Error) -> ExitCode {
    if let Some(folder) = named_folder(refusal) {
        let folder = visible(folder);
        let hint = format!("`albumctl select {folder} --top 10` picks from it; `albumctl --help` lists all commands");
        let error = CommandError::usage(anyhow::anyhow!("`{folder}` is no command")).hint(hint);
        return fail(&Ui::new(false, 0, ShowProgress::Never), &error);
    }
    if refusal.use_stderr() {
        // What clap says repeats what was typed: it is asked again about arguments that cannot steer the terminal.
        let harmless = std::env::args_os().map(|argument| visible(&argument.to_string_lossy()).into_owned());
        match cli::parse(harmless.map(Into::into)) {
            Err(refusal) => _ = refusal.print(),
            Ok(cli) => Ui::new(cli.global.quiet, 0, ShowProgress::Never)
                .error(&CommandError::usage(anyhow::anyhow!("{}", refusal.kind()))),
        }
    } else {
        let _ = refusal.print();
    }
    ExitCode::from(u8::try_from(refusal.exit_code()).unwrap_or(2))
}

/// A file or folder that stands where a command is expected.
fn named_folder(refusal: &clap::Error) -> Option<&str> {
    match refusal.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) if refusal.kind() == ErrorKind::InvalidSubcommand => {
            Some(word.as_str()).filter(|word| std::path::Path::new(word).exists())
        }
        _ => None,
    }
}

fn fail(ui: &Ui, error: &CommandError) -> ExitCode {
    if error.kind != Kind::BrokenPipe {
        ui.error(error);
    }
    error.exit_code()
}
