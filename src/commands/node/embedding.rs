//! Embedding lists of photos on an executor; each list becomes a part file of features.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use super::super::open_models::{NetworkArgs, Networks, PrecisionArg};
use crate::analyses::EmbeddingAnalysis;
use crate::context::Context;
use crate::library::{ModelHub, RunContext};
use crate::report::parquet;
use hub::{ModelChoice, TaskNetwork as _};
use kernels::Precision;
use photo::scan::Photo;
use scale::distributed::functions::EmbedPart;
use scale::distributed::photos::{List, Notes, Unread};
use scale::distributed::shares::Shares;
use scale::files;

/// The interval at which an idle embedder thread checks whether it should end.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The path of a list, and the channel for its result.
type EmbedRequest = (String, mpsc::Sender<Result<String, String>>);

/// Runs `work` with a function that embeds lists on threads with access to the context.
pub fn with_embedders<T>(context: &Context, shares: &Shares, work: impl FnOnce(EmbedPart) -> T) -> T {
    let (sender, receiver) = mpsc::channel::<EmbedRequest>();
    let receiver = Mutex::new(receiver);
    let ended = AtomicBool::new(false);
    let embedders = Embedders { context, shares, open: Mutex::default() };
    std::thread::scope(|scope| {
        for _ in 0..context.threads() {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(POLL_INTERVAL);
                    if let Ok((list, answer)) = next {
                        let result = embedders.embed(Path::new(&list)).map_err(|error| format!("{error:#}"));
                        let _ = answer.send(result);
                    }
                }
            });
        }
        let embed: EmbedPart = Arc::new(move |list| {
            let (answer, answered) = mpsc::channel();
            sender.send((list.to_owned(), answer)).map_err(|_| "the executor is ending".to_owned())?;
            answered.recv().map_err(|_| "the executor is ending".to_owned())?
        });
        let done = work(embed);
        ended.store(true, Ordering::Relaxed);
        done
    })
}

/// The networks in use, kept open as long as the executor runs.
struct Embedders<'a> {
    context: &'a Context,
    shares: &'a Shares,
    open: Mutex<HashMap<(String, bool), Arc<EmbeddingAnalysis>>>,
}

impl Embedders<'_> {
    /// Makes a part unless it exists. All files read and written must be within the shares.
    fn embed(&self, list: &Path) -> anyhow::Result<String> {
        let within = |path: &Path| self.shares.allow(path).map_err(anyhow::Error::msg);
        let mut list = List::read(&within(list)?)?;
        list.part = within(&list.part)?;
        // The photos' own paths are kept, as they identify the photos.
        list.photos.iter().try_for_each(|photo| within(&photo.path).map(drop))?;
        if !files::exists(&list.part) {
            self.make(&list)?;
        }
        Ok(list.part.to_string_lossy().into_owned())
    }

    fn make(&self, list: &List) -> anyhow::Result<()> {
        let embedding = self.embedding(list)?;
        let photos: Vec<Photo> =
            list.photos.iter().map(|item| Photo { path: item.path.clone(), raws: Vec::new() }).collect();
        let ids: HashMap<PathBuf, &str> =
            list.photos.iter().map(|item| (item.path.clone(), item.id.as_str())).collect();
        let (mut rows, mut notes) = (Vec::new(), Notes::default());
        let mut options = self.context.hub_options(Precision::Full)?;
        // One thread per task, as tasks run in parallel; a task in progress is not stopped.
        options.settings.num_workers = 1;
        let hub = ModelHub::within(options, RunContext { stop: Arc::default(), ..self.context.run_context() })?;
        hub.look_at(&photos, &[&*embedding], hub.medium(), |photo, outcome| {
            let id = ids.get(&photo.path).map_or_else(String::new, |id| (*id).to_owned());
            match outcome {
                Ok(photo) => rows.extend(photo.report.embedding.map(|embedding| (id, embedding.vector.to_vec()))),
                Err(failure) => {
                    let cause = format!("{}: {}", failure.stage, failure.cause);
                    notes.failed.push(Unread { id, cause, again: failure.code == "io" });
                }
            }
            ControlFlow::Continue(())
        });
        notes.done = rows.len();
        // The part is written last, so that its existence means that its notes are complete, too.
        notes.keep(&list.part)?;
        let mut part = Vec::new();
        parquet::write(&mut part, &rows)?;
        Ok(files::write(&list.part, &part)?)
    }

    fn embedding(&self, list: &List) -> anyhow::Result<Arc<EmbeddingAnalysis>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (list.model.clone(), list.fast);
        if let Some(embedding) = open.get(&key) {
            return Ok(Arc::clone(embedding));
        }
        let precision = if list.fast { PrecisionArg::Fast } else { PrecisionArg::Full };
        let networks = Networks::new(&NetworkArgs { model: None, precision }, self.context).map_err(|e| e.cause)?;
        let file = Path::new(&list.model);
        let within = if file.is_absolute() { Some(self.shares.allow(file).map_err(anyhow::Error::msg)?) } else { None };
        let which = within.as_deref().map_or(ModelChoice::Name(&list.model), ModelChoice::Path);
        let embedding = EmbeddingAnalysis::new(networks.open(which).map_err(|error| error.cause)?)?;
        let identity = embedding.network.identity()?;
        anyhow::ensure!(
            identity == list.identity,
            "the model {} is not the same on this executor ({identity}) as where it was asked for ({})",
            list.model,
            list.identity
        );
        let embedding = Arc::new(embedding);
        open.insert(key, Arc::clone(&embedding));
        Ok(embedding)
    }
}
