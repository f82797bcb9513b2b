//! `select --since`: restricts a run to new photos.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, anyhow};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned, civil};

use super::photos;
use crate::arguments::PhotoArgs;
use crate::config::Origin;
use crate::context::{Context, journal_failed};
use crate::error::CommandError;
use crate::journal::{Journal, PhotoId, RunLock, SeenPhotos};
use crate::pipeline;
use crate::store::Fingerprint;
use photo::identity::{self, ContentId};
use photo::scan::{Scan, Unreadable};

/// The value of `--since`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// The last run of that name, which is usually empty.
    LastRun(String),
    Moment(Timestamp),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "last-run" => return Ok(Self::LastRun(String::new())),
            Some(("last-run", name)) if !name.is_empty() => return Ok(Self::LastRun(name.to_owned())),
            _ => {}
        }
        moment(text, &Zoned::now()).map(Self::Moment).ok_or_else(|| {
            "neither last-run nor a date (2026-01-01), a time (2026-01-01T18:00) or how long ago (7d, 36h)".to_owned()
        })
    }
}

/// Parses a local date or time, a time with its UTC offset, or a duration before `now`.
fn moment(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    if let Ok(clock) = text.parse::<civil::DateTime>() {
        return Some(clock.to_zoned(now.time_zone().clone()).ok()?.timestamp());
    }
    let ago: Span = text.parse().ok()?;
    let then = now.checked_sub(ago).ok()?;
    (then <= *now).then(|| then.timestamp())
}

/// The filter for new photos, and the record to store when the run is complete.
#[derive(Debug)]
pub enum RunHistory {
    All,
    After(Timestamp),
    Run(Box<Run>),
}

#[derive(Debug)]
pub struct Run {
    journal: Journal,
    key: String,
    about: String,
    last: Option<Timestamp>,
    seen: SeenPhotos,
    _lock: RunLock,
}

impl RunHistory {
    /// Begins a run; `None` when the same run is under way in another process. `flags` are the options of the selection.
    pub fn begin(
        since: Option<&Since>,
        photos: &PhotoArgs,
        flags: &[String],
        context: &Context,
    ) -> Result<Option<Self>, CommandError> {
        let name = match since {
            None => return Ok(Some(Self::All)),
            Some(Since::Moment(moment)) => return Ok(Some(Self::After(*moment))),
            Some(Since::LastRun(name)) => name,
        };
        let folders = folders(&photos.paths)?;
        let key = key(name, &folders, photos, flags, context);
        let journal = context.journal()?;
        let data = context.data_folder().context("the journal has no folder")?;
        let Some(lock) = RunLock::take(&data, &key).map_err(journal_failed)? else { return Ok(None) };
        // Read under the lock, so that the previous run has stored what it saw.
        let last = journal.last_run(&key).map_err(journal_failed)?;
        let (finished, seen) = last.map_or((None, SeenPhotos::default()), |last| (Some(last.finished_ms), last.seen));
        let last = finished.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let about = folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(" ");
        Ok(Some(Self::Run(Box::new(Run { journal, key, about, last, seen, _lock: lock }))))
    }

    /// Removes the photos that are not new from the scan. A photo that cannot be identified counts as failed and is not
    /// taken as new, as it may have been delivered before.
    pub fn narrow(&self, mut scan: Scan, context: &Context) -> Scan {
        if matches!(self, Self::All) {
            return scan;
        }
        let (before, limits) = (scan.photos.len(), context.limits());
        let is_new = |path: &Path| match self {
            Self::All => Ok(true),
            Self::After(moment) => identity::stamp(path)
                .map(|stamp| i128::from(stamp.modified_ns.max(stamp.changed_ns)) >= moment.as_nanosecond()),
            Self::Run(run) => {
                let content = pipeline::identify(path, context.store(), &limits)?;
                if run.seen.has_content(content) || run.seen.has_content(broken_id(content)) {
                    return Ok(false);
                }
                // The bytes are new, but the picture may be known: the metadata may have been edited since.
                let known = run.seen.knows_pictures()
                    && run.seen.has_picture(pipeline::picture_of(path, content, context.store(), &limits)?);
                Ok(!known)
            }
        };
        let Scan { photos, unreadable, .. } = &mut scan;
        context.telemetry.time("identify_news", || {
            photos.retain(|photo| {
                is_new(&photo.path).unwrap_or_else(|cause| {
                    unreadable.push(Unreadable { path: photo.path.clone(), cause });
                    false
                })
            });
        });
        context.ui.detail(&format!("{} of {} new", scan.photos.len(), photos::counted(before, "photo")));
        scan
    }

    /// The time since when photos count as new, worded for a message.
    pub fn description(&self) -> Option<String> {
        let local = |moment: &Timestamp| moment.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string();
        match self {
            Self::All => None,
            Self::After(moment) => Some(local(moment)),
            Self::Run(run) => run.last.as_ref().map(|last| format!("the run of {}", local(last))),
        }
    }

    /// Stores the run. Must be called only when everything has been delivered. Broken photos are stored as well, so that
    /// only one run reports them.
    pub fn finish(self, seen: &[PhotoId], broken: &[PathBuf], context: &Context) -> Result<(), CommandError> {
        let Self::Run(mut run) = self else { return Ok(()) };
        let limits = context.limits();
        let broken = broken.iter().filter_map(|path| pipeline::identify(path, context.store(), &limits).ok());
        let broken = broken.map(|content| PhotoId { content: broken_id(content), picture: None });
        let seen: Vec<PhotoId> = seen.iter().copied().chain(broken).collect();
        let written = run.journal.finish_run(&run.key, &run.about, &seen);
        let again = "the album was delivered; the next run will look at the same photos again";
        written.map_err(|error| CommandError::failed(error).hint(again))
    }
}

/// The id stored for a photo that cannot be decoded. It includes the decoders' version, so that a newer version tries again.
fn broken_id(content: ContentId) -> ContentId {
    let version = concat!("broken/", env!("CARGO_PKG_VERSION"), "/");
    ContentId::of(&[version.as_bytes(), photo::REVISION.as_bytes(), &content.0].concat())
}

/// The canonical folders of a run, sorted.
fn folders(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CommandError> {
    let folder = |path: &PathBuf| {
        if path == Path::new("-") || path.is_file() {
            let cause = anyhow!("--since last-run compares whole folders, and {} is none", path.display());
            return Err(CommandError::usage(cause).hint("name the folder; for a list say since when: --since 7d"));
        }
        path.canonicalize().with_context(|| format!("cannot look at {}", path.display())).map_err(CommandError::failed)
    };
    let mut folders = paths.iter().map(folder).collect::<Result<Vec<_>, _>>()?;
    folders.sort();
    folders.dedup();
    Ok(folders)
}

/// The key of a run: its name, its folders, and the settings that the user has changed and that affect the selection.
/// Defaults are left out, so that a newer albumctl with other defaults continues the history. Output paths are left out
/// because they often contain a date.
fn key(name: &str, folders: &[PathBuf], photos: &PhotoArgs, flags: &[String], context: &Context) -> String {
    const RELEVANT: [&str; 4] = ["album.", "quality_assessment.", "portrait_analysis.", "thumbnail_sizes.medium"];
    let settings =
        context.config.leaves.iter().filter(|(key, _, origin)| {
            *origin != Origin::BuiltIn && RELEVANT.iter().any(|prefix| key.starts_with(prefix))
        });
    let mut parts = vec!["run/1".to_owned(), name.to_owned()];
    parts.extend(folders.iter().map(|folder| format!("{}", folder.as_os_str().as_encoded_bytes().escape_ascii())));
    parts.extend(settings.map(|(key, value, _)| format!("{key}={value}")));
    parts.extend(photos.walk.exclude.iter().map(|pattern| format!("--exclude={pattern}")));
    parts.extend(photos.walk.hidden.then(|| "--hidden".to_owned()));
    parts.extend(photos.walk.follow.then(|| "--follow".to_owned()));
    parts.extend_from_slice(flags);
    Fingerprint::of(parts.iter().map(String::as_str)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_times_and_durations_are_parsed() {
        let now = civil::date(2026, 3, 10).at(12, 0, 0, 0).to_zoned(TimeZone::fixed(jiff::tz::offset(2))).unwrap();
        let parsed = |text| moment(text, &now).map(|moment| moment.to_string());
        for (text, expected) in [
            ("2026-01-01", "2025-12-31T22:00:00Z"),
            ("2026-01-01T18:00", "2026-01-01T16:00:00Z"),
            ("2026-01-01T18:00Z", "2026-01-01T18:00:00Z"),
            ("7d", "2026-03-03T10:00:00Z"),
            ("36h", "2026-03-08T22:00:00Z"),
            ("2 weeks", "2026-02-24T10:00:00Z"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(expected), "{text}");
        }
        for invalid in ["", "yesterday", "7", "-7d", "last-run:", "2026-13-01"] {
            assert_eq!(parsed(invalid), None, "{invalid}");
        }
        assert_eq!("last-run".parse(), Ok(Since::LastRun(String::new())));
        assert_eq!("last-run:phone".parse(), Ok(Since::LastRun("phone".into())));
        assert!("last-run:".parse::<Since>().is_err() && "lastrun".parse::<Since>().is_err());
    }
}
