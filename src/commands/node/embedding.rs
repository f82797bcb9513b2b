//! Lists of photos that an executor was dealt, to parts of features.

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
use hub::{Network as _, Which};
use kernels::Precision;
use photo::scan::Photo;
use scale::distributed::functions::EmbedPart;
use scale::distributed::photos::{List, Notes, Unread};
use scale::distributed::shares::Shares;
use scale::files;

/// How often an embedder without work looks whether it is still needed.
const LOOK: Duration = Duration::from_millis(100);

type Asked = (String, mpsc::Sender<Result<String, String>>);

/// Runs `work` with a function that embeds lists; the lists are worked on by threads that know the context.
pub fn with_embedders<T>(context: &Context, shares: &Shares, work: impl FnOnce(EmbedPart) -> T) -> T {
    let (asks, asked) = mpsc::channel::<Asked>();
    let asked = Mutex::new(asked);
    let ended = AtomicBool::new(false);
    let embedders = Embedders { context, shares, open: Mutex::default() };
    std::thread::scope(|scope| {
        for _ in 0..context.threads() {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let next = asked.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(LOOK);
                    if let Ok((list, answer)) = next {
                        let told = embedders.embed(Path::new(&list)).map_err(|error| format!("{error:#}"));
                        let _ = answer.send(told);
                    }
                }
            });
        }
        let embed: EmbedPart = Arc::new(move |list| {
            let (answer, answered) = mpsc::channel();
            asks.send((list.to_owned(), answer)).map_err(|_| "the executor is ending".to_owned())?;
            answered.recv().map_err(|_| "the executor is ending".to_owned())?
        });
        let done = work(embed);
        ended.store(true, Ordering::Relaxed);
        done
    })
}

/// Networks that were asked for, open as long as the executor runs.
struct Embedders<'a> {
    context: &'a Context,
    shares: &'a Shares,
    open: Mutex<HashMap<(String, bool), Arc<EmbeddingAnalysis>>>,
}

impl Embedders<'_> {
    /// Makes a part, unless it is there. What is read and written lies in the shares.
    fn embed(&self, list: &Path) -> anyhow::Result<String> {
        let within = |path: &Path| self.shares.allow(path).map_err(anyhow::Error::msg);
        let mut list = List::read(&within(list)?)?;
        list.part = within(&list.part)?;
        // Photos keep their names, by which they are told apart.
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
        let (mut rows, mut told) = (Vec::new(), Notes::default());
        let mut options = self.context.hub_options(Precision::Full)?;
        // Tasks run beside each other, and one that was begun is finished.
        options.settings.num_workers = 1;
        let hub = ModelHub::within(options, RunContext { stop: Arc::default(), ..self.context.run_context() })?;
        hub.look_at(&photos, &[&*embedding], hub.medium(), |photo, outcome| {
            let id = ids.get(&photo.path).map_or_else(String::new, |id| (*id).to_owned());
            match outcome {
                Ok(analysed) => rows.extend(analysed.report.embedding.map(|embedded| (id, embedded.vector))),
                Err(failure) => {
                    let cause = format!("{}: {}", failure.stage, failure.cause);
                    told.failed.push(Unread { id, cause, again: failure.code == "io" });
                }
            }
            ControlFlow::Continue(())
        });
        told.done = rows.len();
        // The part comes last: where it is, all is.
        told.keep(&list.part)?;
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
        let which = within.as_deref().map_or(Which::Named(&list.model), Which::File);
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
