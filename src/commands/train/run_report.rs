//! Reporting a training run: epochs as records, steps as progress, and the ending.

use std::path::Path;
use std::sync::Mutex;

use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::records::TrainRecord;
use train::checkpoint::Progress;
use train::epoch::Epoch;
use train::{Ended, TrainError, mini};

/// Runs the training, writes a record for each epoch, and reports the ending.
pub fn report(
    model: &str,
    run: &Path,
    context: &Context,
    work: impl FnOnce(&dyn mini::Listener) -> Result<(Progress, Ended), TrainError>,
) -> Result<Ending, CommandError> {
    let output = Mutex::new(context.output::<TrainRecord>()?);
    let listener = Listener { context, model, output: &output, failed: Mutex::default() };
    let (progress, ended) = work(&listener).map_err(refused)?;
    if let Some(error) = listener.failed.into_inner().unwrap_or_default() {
        return Err(error.into());
    }
    let output = output.into_inner().map_err(|_| anyhow::anyhow!("the output broke"))?;
    if ended == Ended::Stopped {
        output.finish_part(&context.ui)?;
    } else {
        output.finish(&context.ui)?;
    }
    let run = run.display();
    match ended {
        Ended::Stopped => {
            context.ui.note(&format!("stopped; the same command resumes from {run}"));
            Ok(Ending::Interrupted)
        }
        Ended::Early => {
            context.ui.note(&format!("nothing better since epoch {}; ended early", progress.best_epoch));
            Ok(Ending::AllDone)
        }
        Ended::Done => Ok(Ending::AllDone),
    }
}

/// Writes epochs as records and shows steps as progress.
struct Listener<'a, W> {
    context: &'a Context,
    model: &'a str,
    output: &'a Mutex<W>,
    failed: Mutex<Option<anyhow::Error>>,
}

impl mini::Listener for Listener<'_, crate::report::output::Output<TrainRecord>> {
    fn decoded(&self, photos: usize, of: usize) {
        if photos == of {
            self.context.ui.detail(&format!("read {of} photos"));
        }
    }

    fn features_extracted(&self, pictures: usize, of: usize) {
        self.context.ui.detail(&format!("the trunk saw {pictures} of {of} pictures"));
    }

    fn step(&self, step: u64, of: u64, loss: f64) {
        if step.is_multiple_of(20) {
            self.context.ui.detail(&format!("step {step} of {of}, loss {loss:.4}"));
        }
    }

    fn note(&self, message: &str) {
        self.context.ui.note(message);
    }

    fn epoch(&self, epoch: &Epoch) {
        let record = TrainRecord { model: self.model.to_owned(), epoch: epoch.clone() };
        let written = self.output.lock().map(|mut output| output.write(&self.context.ui, &record));
        if let (Ok(Err(error)), Ok(mut failed)) = (written, self.failed.lock()) {
            failed.get_or_insert(error);
        }
    }
}

/// The command line, quoted so that a shell can run it again.
pub fn typed() -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+%".contains(c);
    let quoted = |word: String| {
        let quotes = word.is_empty() || !word.chars().all(plain);
        if quotes { format!("'{}'", word.replace('\'', "'\\''")) } else { word }
    };
    let words = std::env::args_os().map(|word| quoted(word.to_string_lossy().into_owned()));
    words.collect::<Vec<_>>().join(" ")
}

/// Errors in recipes and labels are wrong usage, which the user can correct.
pub fn refused(error: TrainError) -> CommandError {
    match error {
        TrainError::Recipe { .. }
        | TrainError::Labels { .. }
        | TrainError::TooFew { .. }
        | TrainError::OneSeries
        | TrainError::Changed { .. } => CommandError::usage(error),
        _ => CommandError::failed(error),
    }
}
