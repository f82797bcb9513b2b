//! What `cluster`, `select` and `analyze` share: what is known of each photo, and the groups.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;

use super::album_models::AlbumModels;
use super::photos::{self, Tally};
use crate::analyses::{Layout, Panel};
use crate::config::AlbumClustering;
use crate::context::Context;
use crate::error::CommandError;
use crate::library::grouping;
use crate::pipeline::{self, Analysis, PhotoFacts, Picture};
use crate::report::html::thumbnail::{self, Thumbnail};
use crate::report::html::thumbnail_budget;
use crate::report::records::AnalyzeRecord;
use crate::store::Fingerprint;
use base::reading::Stream;
use hub::Network as _;
use judge::cluster::moments::Clock;
use judge::cluster::{self, Clustering, Embeddings, Input, Method, Noise};
use judge::quality::Quality;
use judge::select::{Portrait, Why};
use photo::identity::ContentId;
use photo::scan::{self, Scan};

/// How photos are grouped; what is not given comes from the configuration.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Groups")]
pub struct GroupArgs {
    /// How photos are put into groups of one scene
    #[arg(long, value_name = "METHOD", value_parser = PossibleValuesParser::new(Method::NAMES))]
    pub method: Option<String>,

    /// Fewer photos than this are no group; at 1 every photo has one
    #[arg(long, value_name = "N")]
    pub min_cluster_size: Option<usize>,

    /// What becomes of photos in no group
    #[arg(long, value_name = "WHAT", value_parser = PossibleValuesParser::new(grouping::NOISE_WORDS))]
    pub noise: Option<String>,
}

impl GroupArgs {
    pub fn method(&self, context: &Context) -> Result<Method, CommandError> {
        grouping::method(&self.over(context)).map_err(CommandError::usage)
    }

    fn noise(&self, context: &Context) -> Result<Noise, CommandError> {
        grouping::noise(&self.over(context)).map_err(CommandError::usage)
    }

    /// What was typed, over what is configured.
    fn over(&self, context: &Context) -> AlbumClustering {
        let configured = context.settings().album.clustering.clone();
        AlbumClustering {
            method: self.method.clone().unwrap_or(configured.method),
            min_cluster_size: self.min_cluster_size.unwrap_or(configured.min_cluster_size),
            handle_noise: self.noise.clone().unwrap_or(configured.handle_noise),
            ..configured
        }
    }
}

/// What is known of one photo.
#[derive(Debug, Clone)]
pub struct Known {
    pub path: PathBuf,
    /// `None` for a line of a file that does not tell, of a photo that is gone.
    pub content: Option<ContentId>,
    /// Whether a file tells of it, and this run has not looked at it.
    pub from_file: bool,
    pub facts: PhotoFacts,
    pub measured_at: u32,
    pub quality: Quality,
    /// `name@version` of what made the embedding.
    pub model: String,
    pub embedding: Vec<f32>,
    /// On 1–10.
    pub aesthetic: Result<f64, Why>,
    pub aesthetic_model: Option<String>,
    /// What the model that rated it would compare it by.
    pub strength: Option<f32>,
    pub trained_on_ava: bool,
    pub portrait: Result<Portrait, Why>,
    /// All that was found about faces; `portrait` is what selection asks of it.
    pub faces: Option<judge::portrait::Portrait>,
    pub thumbnail: Option<Thumbnail>,
}

/// Analyses the photos; with a budget in bytes, makes thumbnails, too.
pub fn gather(
    scan: &Scan,
    models: &AlbumModels,
    thumbnails: Option<usize>,
    context: &Context,
) -> Result<(Vec<Known>, Tally), CommandError> {
    let settings = context.settings();
    let medium = settings.thumbnail_sizes.medium;
    let thumbs = thumbnails.map(|budget| Thumbs { budget });
    let panel = models.panel(settings);
    let panel = Panel { features: Some(models.features.analysis()), ..panel };
    let rating = panel.rating;
    let mut analyses = panel.analyses();
    analyses.extend(thumbs.as_ref().map(|thumbs| thumbs as &dyn Analysis));
    let model = models.features.reference();
    let mut known = Vec::new();
    let tally = photos::analyse(scan, &analyses, Some(medium), context, |photo, analysed| {
        models.tell(context);
        let (found, more) = panel.read(&analysed.findings)?;
        known.push(Known {
            path: photo.path.clone(),
            content: Some(analysed.content),
            from_file: false,
            measured_at: medium.min(analysed.facts.width.max(analysed.facts.height)),
            quality: found.quality,
            model: model.clone(),
            aesthetic: found.aesthetic_score(),
            strength: found.aesthetic.and_then(|judgement| judgement.strength),
            aesthetic_model: rating.map(|rating| rating.network.reference()),
            trained_on_ava: rating.is_some_and(|rating| rating.network.trained_on_ava()),
            portrait: found.portrait(),
            embedding: found.embedding.unwrap_or_default(),
            faces: found.faces,
            thumbnail: more.first().and_then(|finding| Thumbnail::from_bytes(finding)),
            facts: analysed.facts,
        });
        Ok(())
    })?;
    models.tell(context);
    Ok((known, tally))
}

/// Reads what `analyze` wrote; `-` is standard input.
pub fn read(file: &Path, context: &Context) -> Result<Vec<Known>, CommandError> {
    let named = file.display();
    let records = if file == Path::new("-") {
        context.reads_stdin()?;
        Stream::standard_input(context.stop())
    } else {
        context.reads(file)?;
        let opened = Stream::open(file, context.stop());
        opened.with_context(|| format!("cannot read {named}")).map_err(CommandError::usage)?
    };
    let mut known = Vec::new();
    for (number, line) in records.lines().enumerate() {
        let line = line.with_context(|| format!("cannot read {named}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let record: AnalyzeRecord = serde_json::from_str(&line)
            .with_context(|| format!("{named}, line {}: not a line of `albumctl analyze`", number + 1))
            .map_err(CommandError::usage)?;
        known.push(of_record(record, context));
    }
    Ok(known)
}

fn of_record(mut record: AnalyzeRecord, context: &Context) -> Known {
    let path = record.path.to_path();
    let told = record.content.as_ref().and_then(|content| content.parse().ok());
    let faces = faces_of(&mut record);
    let portrait = record.is_portrait.map(|is_portrait| Portrait {
        is_portrait,
        eyes_open: record.eyes_open,
        is_smiling: record.is_smiling,
        smile_score: record.smile_score,
    });
    Known {
        content: told.or_else(|| pipeline::identify(&path, context.store(), &context.limits()).ok()),
        path,
        from_file: true,
        measured_at: record.measured_at,
        quality: Quality {
            overall: record.iqa_score,
            sharpness: record.sharpness,
            exposure: record.exposure,
            colorfulness: record.colorfulness,
            contrast: record.contrast,
            sharpness_raw: record.sharpness_raw,
            colorfulness_raw: record.colorfulness_raw,
        },
        model: record.model,
        embedding: record.embedding,
        aesthetic: record.aesthetic_score.ok_or(Why::ModelMissing),
        trained_on_ava: record.ava_score.is_some(),
        aesthetic_model: record.aesthetic_model,
        strength: None,
        portrait: portrait.ok_or(Why::ModelMissing),
        faces,
        thumbnail: None,
        facts: PhotoFacts {
            width: record.width,
            height: record.height,
            taken_ms: record.taken_at.as_deref().and_then(milliseconds),
            taken_at: record.taken_at,
        },
    }
}

fn faces_of(record: &mut AnalyzeRecord) -> Option<judge::portrait::Portrait> {
    Some(judge::portrait::Portrait {
        has_face: record.has_face?,
        num_faces: record.num_faces?,
        is_portrait: record.is_portrait?,
        eyes_open: record.eyes_open,
        is_smiling: record.is_smiling,
        smile_score: record.smile_score,
        eye_aspect_ratio: record.eye_aspect_ratio,
        face_ratio: record.face_ratio,
        center_offset: record.center_offset,
        portrait_score: record.portrait_score?,
        faces: record.faces.take()?,
        portrait_model: record.portrait_model.take()?,
    })
}

/// Thumbnails of photos read from a file, as far as they still lie there and are the same; how many could not be read.
pub fn find_pictures(known: &mut [Known], context: &Context) -> Result<usize, CommandError> {
    let thumbs = Thumbs { budget: thumbnail_budget(known.len()) };
    let there = known.iter().filter(|photo| photo.path.is_file());
    let there = there.map(|photo| scan::Photo { path: photo.path.clone(), raws: Vec::new() }).collect();
    let scan = Scan { photos: there, ..Scan::default() };
    let mut pictures: HashMap<PathBuf, (ContentId, Option<Thumbnail>)> = HashMap::new();
    let medium = Some(context.settings().thumbnail_sizes.medium);
    let tally = photos::analyse(&scan, &[&thumbs], medium, context, |photo, analysed| {
        let thumbnail = Thumbnail::from_bytes(&analysed.findings[0]);
        pictures.insert(photo.path.clone(), (analysed.content, thumbnail));
        Ok(())
    })?;
    let mut without = 0;
    for photo in known.iter_mut() {
        let same = pictures.get(&photo.path).filter(|(content, _)| photo.content.is_none_or(|told| told == *content));
        photo.thumbnail = same.and_then(|(_, thumbnail)| thumbnail.clone());
        without += usize::from(photo.thumbnail.is_none());
    }
    if without > tally.failed {
        let gone = photos::counted(without - tally.failed, "photo");
        context
            .ui
            .note(&format!("{gone} moved or changed since they were analysed: the page is without their pictures"));
    }
    Ok(tally.failed)
}

/// What the camera's clock showed, as the pipeline counts it; the distance from UTC is not part of it.
fn milliseconds(taken_at: &str) -> Option<i64> {
    let (date, time) = taken_at.split_once('T')?;
    let time = time.split(['+', '-']).next()?;
    let clock: jiff::civil::DateTime = format!("{date}T{time}").parse().ok()?;
    Some(clock.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// Puts the photos into groups.
pub fn group(known: &[Known], args: &GroupArgs, context: &Context) -> Result<Grouped, CommandError> {
    let method = args.method(context)?;
    let noise = args.noise(context)?;
    let dim = known.first().map_or(0, |photo| photo.embedding.len());
    if let Some(odd) = known.iter().find(|photo| photo.embedding.len() != dim) {
        let cause = anyhow::anyhow!("{}: its embedding is of another length than the others", odd.path.display());
        return Err(CommandError::usage(cause));
    }
    let rows: Vec<f32> = known.iter().flat_map(|photo| &photo.embedding).copied().collect();
    let embeddings = Embeddings::new(&rows, dim).map_err(CommandError::failed)?;
    let times: Vec<Option<i64>> = known.iter().map(|photo| photo.facts.taken_ms).collect();
    // How near in likeness counts as near was measured for the built-in embedding; others are left alone.
    let built_in = known.first().is_some_and(|photo| photo.model == Layout::reference());
    let clock = (built_in && context.settings().album.clustering.use_times).then(Clock::default);
    let input = Input { clock, ..Input::new(&embeddings, &times) };
    let clustering = context
        .telemetry
        .time("cluster_images", || cluster::cluster(&input, &method, noise))
        .map_err(CommandError::usage)?;
    Ok(Grouped { embeddings, clustering, method: method.name() })
}

#[derive(Debug)]
pub struct Grouped {
    pub embeddings: Embeddings,
    pub clustering: Clustering,
    pub method: &'static str,
}

/// Thumbnails for the report page.
#[derive(Debug, Clone, Copy)]
struct Thumbs {
    budget: usize,
}

impl Analysis for Thumbs {
    fn name(&self) -> &'static str {
        "thumbnails"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(["thumbnail/1", &self.budget.to_string()])
    }

    fn analyse(&self, picture: &Picture) -> anyhow::Result<Vec<u8>> {
        let small = thumbnail::encode(picture.medium(), self.budget).context("no thumbnail can be made of it")?;
        Ok(small.to_bytes())
    }

    fn can_read(&self, finding: &[u8]) -> bool {
        Thumbnail::from_bytes(finding).is_some()
    }
}
