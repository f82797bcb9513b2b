//! Parses the command line, makes the context, runs the command and returns its exit code.

use std::process::ExitCode;

use albumctl::cli;
use albumctl::context::Context;
use albumctl::error::{CommandError, CommandErrorKind};
use albumctl::ui::{ShowProgress, Ui};
use base::contain::or_one_line;
use base::escape::visible;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Just below the largest freed block by which glibc raises its threshold for returning memory to the system.
const LARGE_ALLOCATION: usize = 31 << 20;

fn main() -> ExitCode {
    or_one_line(run, ExitCode::FAILURE)
}

fn run() -> ExitCode {
    // Freeing a block this large makes glibc keep the memory of one photo for the next. Otherwise it returns the memory to
    // the system and gets cleared pages again, which took a quarter of the time of `score`.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE_ALLOCATION)));
    #[cfg(unix)]
    if std::env::args_os().nth(1).is_some_and(|word| word == albumctl::pipeline::COMMAND) {
        return albumctl::pipeline::serve();
    }
    match cli::answer_shell(std::env::args_os()) {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(refusal) => {
            let _ = refusal.print();
            return CommandError::usage(refusal).exit_code();
        }
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
    context.report_telemetry(&ended);
    match ended {
        Ok(ending) => ending.into(),
        Err(error) => fail(&context.ui, &error),
    }
}

/// Prints what clap has to say. Help and version exit with 0, wrong usage with 2; a closed pipe is ignored.
fn refuse(refusal: &clap::Error) -> ExitCode {
    if let Some(folder) = named_folder(refusal) {
        let folder = visible(folder);
        let hint = format!("`albumctl select {folder} --top 10` picks from it; `albumctl --help` lists all commands");
        let error = CommandError::usage(anyhow::anyhow!("`{folder}` is no command")).hint(hint);
        return fail(&Ui::new(false, 0, ShowProgress::Never), &error);
    }
    if refusal.use_stderr() {
        // Clap's message repeats the arguments, so parse them again with control characters escaped.
        let escaped = std::env::args_os().map(|argument| visible(&argument.to_string_lossy()).into_owned());
        match cli::parse(escaped.map(Into::into)) {
            Err(refusal) => _ = refusal.print(),
            Ok(cli) => Ui::new(cli.global.quiet, 0, ShowProgress::Never)
                .error(&CommandError::usage(anyhow::anyhow!("{}", refusal.kind()))),
        }
    } else {
        let _ = refusal.print();
    }
    ExitCode::from(u8::try_from(refusal.exit_code()).unwrap_or(2))
}

/// A file or folder given in place of a command.
fn named_folder(refusal: &clap::Error) -> Option<&str> {
    match refusal.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) if refusal.kind() == ErrorKind::InvalidSubcommand => {
            Some(word.as_str()).filter(|word| std::path::Path::new(word).exists())
        }
        _ => None,
    }
}

fn fail(ui: &Ui, error: &CommandError) -> ExitCode {
    if error.kind != CommandErrorKind::BrokenPipe {
        ui.error(error);
    }
    error.exit_code()
}
