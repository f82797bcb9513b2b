//! `albumctl select`: selects the photos of the album.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use super::album::{Budget, EmbeddingsRead, Gathered, GroupArgs, Sought};
use super::album_export::{self, DeliverArgs, Selection};
use super::coverage::{self, CoverageArgs};
use super::human_decisions::{self, Ratings};
use super::learning::{self, AlbumTaste, TasteChoice};
use super::open_models::Networks;
use super::people::PeopleNeed;
use super::photos::{self, Tally};
use super::query::QueryArgs;
use super::run_history::{RunHistory, Since};
use super::select_summary;
use super::sequences::Sequences;
use crate::analyses::ComparisonAnalysis;
use crate::arguments::{PhotoArgs, at_least_one};
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::journal::{Decisions, PhotoId, TasteMemory};
use crate::library::Groups;
use crate::library::choice::{self, TieBreakSource};
use crate::library::model_selection::AlbumModels;
use crate::photo_report::PhotoReport;
use crate::pipeline::Analysis;
use crate::report::html::thumbnail_budget;
use crate::report::records::SelectRecord;
use judge::select::{Decision, Filters, Junk, Orientation, Photo, Rules, Verdict, Weights};
use photo::companions::Companions;
use photo::scan::{self, Scan};

/// Choose the album: the best of each group, ranked, each with its reason
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    /// Read the output of `albumctl analyze` instead of analysing photos; - is standard input
    ///
    /// Photos whose content has changed since are not copied, linked, put into a zip or rated.
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    pub from: Option<PathBuf>,

    /// Only photos that are new: since a local date or time, within a duration (7d, 36h), or since last-run
    ///
    /// A date refers to when the file arrived or changed, not to when the photo was taken. last-run means pictures that the
    /// last such run over the same folders with the same selection has not seen; jobs that share folders and selection can
    /// have names of their own (last-run:NAME). Photos are recorded as seen when all outputs of the run have been written.
    /// If the same run is still under way, a second one ends quietly.
    #[arg(long, value_name = "WHEN", conflicts_with = "from")]
    pub since: Option<Since>,

    #[command(flatten)]
    pub choice: ChoiceArgs,

    #[command(flatten)]
    pub groups: GroupArgs,

    /// Print every photo, with the reason why it was not picked
    #[arg(long)]
    pub all: bool,

    #[command(flatten)]
    pub deliver: DeliverArgs,
}

/// The rules of the selection; options that are not given come from the configuration.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Choice")]
pub struct ChoiceArgs {
    /// Pick at most N photos, more than one of a group only if they differ enough; without it, one of every group
    #[arg(short = 'n', long, value_name = "N", value_parser = at_least_one)]
    pub top: Option<usize>,

    /// Pick up to K photos of every group
    #[arg(long, value_name = "K", value_parser = at_least_one)]
    pub per_cluster: Option<usize>,

    /// Leave out photos below this technical quality, 0 to 1
    #[arg(long, value_name = "SCORE", value_parser = share)]
    pub min_iqa: Option<f64>,

    /// Leave out photos below this aesthetic score, 1 to 10
    #[arg(long, value_name = "SCORE", value_parser = rating)]
    pub min_aesthetic: Option<f64>,

    /// Leave out photos below this sharpness, 0 to 1
    #[arg(long, value_name = "SCORE", value_parser = share)]
    pub min_sharpness: Option<f64>,

    /// Leave out portraits with closed eyes
    #[arg(long)]
    pub require_eyes_open: bool,

    /// Only photos that are longer this way; sides that differ by a twentieth at most are square
    #[arg(long, value_name = "WAY", value_parser = PossibleValuesParser::new(Orientation::NAMES))]
    pub orientation: Option<String>,

    /// Pick at most K photos of a day; those whose day is unknown are not limited
    #[arg(long, value_name = "K", value_parser = at_least_one)]
    pub each_day: Option<usize>,

    #[command(flatten)]
    pub coverage: CoverageArgs,

    #[command(flatten)]
    pub query: QueryArgs,

    /// What becomes of pictures that are no photographs: screenshots, documents, receipts, charts, drawings, memes
    ///
    /// last: they are picked only when photographs leave places; drop: never; keep: they compete like photographs. What a
    /// person keeps is picked in any case. The built-in model tells them; the configuration says last.
    #[arg(long, value_name = "HOW", value_parser = PossibleValuesParser::new(Junk::NAMES))]
    pub junk: Option<String>,

    /// Whether ratings of other programs, in photos and sidecars, count as decisions
    ///
    /// A photo that is rejected there is never picked; one that is picked there or has five stars always is. Decisions by
    /// `albumctl decide` take precedence, and no rating of a person is ever overwritten.
    #[arg(long, value_name = "HOW", default_value = "obey")]
    pub ratings: Ratings,

    /// What becomes of exposure brackets, focus stacks and panorama sweeps
    ///
    /// They are recognised by what the camera wrote, and by what small pictures of the frames show. whole: each takes one
    /// place, its middle exposure or frame stands for it, and the others are delivered with that. best: its best frame alone.
    /// ignore: all frames are photos like others.
    #[arg(long, value_name = "HOW", default_value = "whole")]
    pub sequences: Sequences,

    /// Whether the taste that was learned from your decisions counts in the score
    ///
    /// Where it counts, a line says how well it does beside the scores alone, and every reason that it changed says so.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub taste: TasteChoice,
}

fn share(text: &str) -> Result<f64, String> {
    between(text, 0.0, 1.0)
}

fn rating(text: &str) -> Result<f64, String> {
    between(text, 1.0, 10.0)
}

fn between(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("it must be a number from {least} to {most}"))
}

impl ChoiceArgs {
    /// Refuses queries that ask for nothing, and configured values outside their range.
    pub fn check(&self, context: &Context) -> Result<(), CommandError> {
        self.query.check()?;
        Self::check_settings(context)
    }

    /// Refuses configured values outside their range.
    pub fn check_settings(context: &Context) -> Result<(), CommandError> {
        let album = &context.settings().album;
        let bars = [
            ("quality.min_iqa_score", album.quality.min_iqa_score, 1.0),
            ("quality.min_ava_score", album.quality.min_ava_score, 10.0),
            ("quality.min_sharpness", album.quality.min_sharpness, 1.0),
            ("portrait.face_quality_weight", album.portrait.face_quality_weight, 1.0),
            ("selection.min_relevance", album.selection.min_relevance, 1.0),
        ];
        if let Some((key, value, most)) = bars.into_iter().find(|(_, value, most)| !(0.0..=*most).contains(value)) {
            let cause = anyhow::anyhow!("`album.{key}` is {value}; it must be a number from 0 to {most}");
            return Err(CommandError::usage(cause));
        }
        if album.selection.images_per_cluster == 0 {
            let cause = anyhow::anyhow!("`album.selection.images_per_cluster` is 0; it must be at least 1");
            return Err(CommandError::usage(cause));
        }
        Ok(())
    }

    /// Whether the choice needs people to be recognised.
    pub fn people(&self, context: &Context) -> Result<PeopleNeed, CommandError> {
        match self.coverage.people_need() {
            PeopleNeed::None => self.query.people(context),
            need => Ok(need),
        }
    }

    pub fn sought(&self, people: PeopleNeed, embeddings: EmbeddingsRead) -> Sought<'_> {
        Sought { people, query: &self.query, sequences: self.sequences, embeddings }
    }

    /// The photos as input of the selection, with decisions, taste and relevance; and the taste.
    pub fn candidates(
        &self,
        reports: &[PhotoReport],
        groups: &Groups,
        rules: &Rules,
        decisions: &Decisions,
        models: &AlbumModels,
        context: &Context,
    ) -> Result<(Vec<Photo>, AlbumTaste), CommandError> {
        let decided = human_decisions::of(reports, self.ratings, decisions);
        let mut photos = choice::candidates(reports, groups, &decided);
        let album = learning::ScoredAlbum { reports, photos: &photos, weights: &rules.weights };
        let taste = AlbumTaste::of(self.taste, album, &context.taste_memory()?, decisions);
        taste.apply(&mut photos);
        taste.report(context);
        self.query.apply(&mut photos, reports, models.description.as_ref(), context)?;
        Ok((photos, taste))
    }

    /// The rules, with who of the people on these photos shall be in the album.
    pub fn rules_for(&self, reports: &[PhotoReport], context: &Context) -> Result<Rules, CommandError> {
        Ok(Rules { coverage: self.coverage.quotas(reports, context)?, ..self.rules(context) })
    }

    pub fn rules(&self, context: &Context) -> Rules {
        let album = &context.settings().album;
        let (selection, quality) = (&album.selection, &album.quality);
        Rules {
            weights: Weights {
                aesthetic: selection.ava_weight,
                iqa: selection.iqa_weight,
                portrait: selection.portrait_weight,
                relevance: selection.relevance_weight,
            },
            filters: Filters {
                min_iqa: self.min_iqa.unwrap_or(quality.min_iqa_score),
                min_aesthetic: self.min_aesthetic.unwrap_or(quality.min_ava_score),
                min_sharpness: self.min_sharpness.unwrap_or(quality.min_sharpness),
                require_eyes_open: self.require_eyes_open || album.portrait.require_eyes_open,
                orientation: self.orientation.as_deref().and_then(Orientation::named),
                min_relevance: selection.min_relevance,
            },
            top: self.top,
            per_group: self.per_cluster.unwrap_or(selection.images_per_cluster),
            per_day: self.each_day,
            junk: self.junk.as_deref().and_then(Junk::named).unwrap_or(selection.junk),
            coverage: Vec::new(),
            fill: self.per_cluster.is_none(),
            diversity: selection.diversity_threshold,
            category_distance: selection.category_distance,
            tiebreak_margin: selection.tiebreak_margin,
            blink_margin: selection.blink_margin,
            face_sharpness_margin: selection.face_sharpness_margin,
            best_of_sequences: self.sequences == Sequences::Best,
        }
    }
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    args.groups.check(context)?;
    args.choice.check(context)?;
    let Some(history) = RunHistory::begin(args.since.as_ref(), &args.photos, &args.selection_flags(), context)? else {
        context.ui.note("the same run is under way in another process, which delivers what is new");
        return Ok(Ending::AllDone);
    };
    let networks = Networks::configured(context)?;
    let Some(mut gathered) = gather(args, &history, &networks, context)? else {
        let since = history.description().map_or_else(String::new, |since| format!(" since {since}"));
        context.ui.note(&format!("no new photos{since}"));
        context.output::<SelectRecord>()?.finish_empty(&context.ui)?;
        if !args.deliver.dry_run {
            history.finish(&[], &[], context)?;
        }
        return Ok(Ending::NothingFound);
    };
    photos::unless_interrupted(context)?;
    if gathered.reports.is_empty() {
        gathered.tally.close(context.output::<SelectRecord>()?, context)?;
        if !args.deliver.dry_run {
            history.finish(&[], &gathered.tally.broken, context)?;
        }
        return Ok(gathered.tally.end("select", context));
    }
    let groups = gathered.groups(&args.groups.settings(context), &networks.hub, context)?;
    let Gathered { mut reports, mut tally, models, .. } = gathered;
    args.choice.sequences.mark(&mut reports);
    let rules = args.choice.rules_for(&reports, context)?;
    let decisions = human_decisions::in_journal(&reports, args.deliver.dry_run, context)?;
    let (photos, taste) = args.choice.candidates(&reports, &groups, &rules, &decisions, &models, context)?;
    let verdicts = choose(&reports, &photos, &rules, &groups, &models, &networks, &mut tally, context)?;
    note_kept_beyond_top(&photos, &verdicts, &rules, context);
    coverage::note_lacking(&photos, &verdicts, &rules, context);
    log_selection(&photos, &verdicts, context);
    photos::unless_interrupted(context)?;
    let is_whole = args.choice.sequences == Sequences::Whole;
    let album =
        Selection { reports: &reports, from_file: args.from.is_some(), photos: &photos, verdicts: &verdicts, is_whole };
    let unreadable = tally.failed;
    let written = album_export::deliver(&args.deliver, album, &mut tally, context)?;
    let (mut output, mut companions) = (context.output::<SelectRecord>()?, Companions::default());
    for verdict in verdicts.iter().filter(|verdict| args.all || verdict.selected()) {
        let report = &reports[verdict.photo];
        let mut record = SelectRecord::new(&photos, verdict, report, &mut companions);
        record.written.clone_from(&written[verdict.photo]);
        output.write(&context.ui, &record)?;
    }
    output.finish(&context.ui)?;
    if let Some(file) = &args.deliver.report {
        album_export::write_page(file, album, &args.deliver, context)?;
    }
    // Photos that could not be read are not recorded as seen, so the next run tries them again. At this point everything
    // delivered, including its folders, has been synced to disk.
    let delivered = tally.failed == unreadable && !args.deliver.dry_run;
    if delivered {
        let seen: Vec<PhotoId> = reports.iter().filter_map(PhotoReport::id).collect();
        history.finish(&seen, &tally.broken, context)?;
    }
    if !args.deliver.dry_run {
        taste.keep(context);
    }
    let picks = verdicts.iter().filter(|verdict| verdict.selected()).count();
    let summary =
        select_summary::summary(&args.deliver, (picks, photos.len(), how(&rules)), &written, context.output_file());
    Ok(tally.end_with(&summary, args.deliver.writes() || context.output_file().is_some(), "select", context))
}

/// The rule that limited the number of picks, for the closing line.
pub fn how(rules: &Rules) -> &'static str {
    match (rules.top, rules.per_group) {
        (Some(_), _) => "",
        (None, 1) => ", the best of each scene (--top N picks N)",
        (None, _) => ", the best of each scene",
    }
}

impl Args {
    /// A taste compares all photos by their embeddings, and sidecars and pages name their model.
    fn embeddings_read(&self, context: &Context) -> Result<EmbeddingsRead, CommandError> {
        let is_named = self.deliver.ratings.xmp.is_some() || self.deliver.report.is_some();
        let learns = self.choice.taste != TasteChoice::Off
            && (context.taste_memory()? != TasteMemory::default() || context.decisions()? != Decisions::default());
        Ok(if is_named || learns { EmbeddingsRead::AtOnce } else { EmbeddingsRead::WhenNeeded })
    }

    /// The given options that affect the selection.
    fn selection_flags(&self) -> Vec<String> {
        fn flag<T: ToString>(name: &str, value: Option<&T>) -> Option<String> {
            value.map(|value| format!("{name}={}", value.to_string()))
        }
        let (choice, groups) = (&self.choice, &self.groups);
        let given = [
            flag("--top", choice.top.as_ref()),
            flag("--per-cluster", choice.per_cluster.as_ref()),
            flag("--min-iqa", choice.min_iqa.as_ref()),
            flag("--min-aesthetic", choice.min_aesthetic.as_ref()),
            flag("--min-sharpness", choice.min_sharpness.as_ref()),
            choice.require_eyes_open.then(|| "--require-eyes-open".to_owned()),
            flag("--orientation", choice.orientation.as_ref()),
            flag("--each-day", choice.each_day.as_ref()),
            flag("--junk", choice.junk.as_ref()),
            (choice.ratings == Ratings::Ignore).then(|| "--ratings=ignore".to_owned()),
            choice.sequences.flag(),
            (choice.taste == TasteChoice::On).then(|| "--taste=on".to_owned()),
            (choice.taste == TasteChoice::Off).then(|| "--taste=off".to_owned()),
            flag("--method", groups.method.as_ref()),
            flag("--min-cluster-size", groups.min_cluster_size.as_ref()),
            flag("--noise", groups.noise.as_ref()),
        ];
        given.into_iter().flatten().chain(choice.coverage.flags()).chain(choice.query.flags()).collect()
    }
}

/// Analyses the photos or reads them from a file; `None` when `--since` leaves no photos.
fn gather(
    args: &Args,
    history: &RunHistory,
    networks: &Networks<'_>,
    context: &Context,
) -> Result<Option<Gathered>, CommandError> {
    let pages = args.deliver.report.is_some() && !args.deliver.dry_run;
    let thumbnails = pages.then_some(thumbnail_budget as Budget);
    if let Some(file) = &args.from {
        return Gathered::from_file(file, thumbnails, networks, context).map(Some);
    }
    let scan = history.narrow(photos::find_beside(&args.photos, args.deliver.folder.place(), context)?, context);
    if args.since.is_some() && scan.photos.is_empty() && scan.unreadable.is_empty() {
        return Ok(None);
    }
    let people = match args.choice.people(context)? {
        PeopleNeed::None if args.deliver.tells_people() => PeopleNeed::IfHere,
        need => need,
    };
    let sought = args.choice.sought(people, args.embeddings_read(context)?);
    Gathered::from_photos(&scan, sought, thumbnails, networks, context).map(Some)
}

pub fn note_kept_beyond_top(photos: &[Photo], verdicts: &[Verdict], rules: &Rules, context: &Context) {
    let picks = verdicts.iter().filter(|verdict| verdict.selected());
    let kept = picks.filter(|pick| photos[pick.photo].decision == Some(Decision::Keep)).count();
    if let Some(top) = rules.top.filter(|&top| top < kept) {
        context.ui.note(&format!("you kept {kept} of these photos: all are picked, though --top asks for {top}"));
    }
}

/// Logs the result of the selection, in the words of the original system's log.
pub fn log_selection(photos: &[Photo], verdicts: &[Verdict], context: &Context) {
    let groups_of = |some: &dyn Fn(&Verdict) -> bool| {
        // A photo without a group counts as a group of its own.
        let group = |verdict: &Verdict| photos[verdict.photo].group.map_or((1, verdict.photo), |group| (0, group));
        verdicts.iter().filter(|verdict| some(verdict)).map(group).collect::<BTreeSet<_>>().len()
    };
    let picks = verdicts.iter().filter(|verdict| verdict.selected()).count();
    context.ui.detail(&format!("Selected {picks} images from {} clusters", groups_of(&|_| true)));
    let close = groups_of(&|verdict| verdict.tiebreak.is_some());
    if close > 0 {
        context.ui.detail(&format!("Applied Siamese tiebreaker: {close} close calls"));
    }
}

/// Ranks the photos. Photos that fail during a tie-break count as failed.
#[expect(clippy::too_many_arguments, reason = "a choice is made of all of these")]
pub fn choose(
    reports: &[PhotoReport],
    photos: &[Photo],
    rules: &Rules,
    groups: &Groups,
    models: &AlbumModels,
    networks: &Networks<'_>,
    tally: &mut Tally,
    context: &Context,
) -> Result<Vec<Verdict>, CommandError> {
    photos::unless_interrupted(context)?;
    let mut tie_breaks = TieBreak { networks, tally, context, seen: HashMap::new() };
    networks.hub.choose(reports, photos, rules, groups, models, &mut tie_breaks)
}

/// Opens the comparison network for a tie-break and runs it on the photos, once on each.
#[derive(Debug)]
pub struct TieBreak<'a> {
    pub networks: &'a Networks<'a>,
    pub tally: &'a mut Tally,
    pub context: &'a Context,
    pub seen: HashMap<PathBuf, PhotoReport>,
}

impl TieBreakSource for TieBreak<'_> {
    type Error = CommandError;

    fn comparison(&mut self) -> Result<Option<ComparisonAnalysis>, CommandError> {
        if !self.context.settings().album.selection.use_siamese_tiebreaker {
            return Ok(None);
        }
        self.networks.hub.comparing(&mut &*self.networks).map(Some)
    }

    fn analyse(&mut self, photos: &[scan::Photo], analysis: &dyn Analysis) -> Result<Vec<PhotoReport>, CommandError> {
        let (known, unseen): (Vec<_>, Vec<_>) =
            photos.iter().cloned().partition(|photo| self.seen.contains_key(&photo.path));
        let mut reports: Vec<PhotoReport> = known.iter().map(|photo| self.seen[&photo.path].clone()).collect();
        if !unseen.is_empty() {
            let (hub, scan) = (&self.networks.hub, Scan { photos: unseen, ..Scan::default() });
            let looked = photos::analyse(&scan, &[analysis], hub.medium(), hub, self.context, |photo, report| {
                self.seen.insert(photo.path.clone(), report.clone());
                reports.push(report);
                Ok(())
            })?;
            self.tally.failed += looked.failed;
            photos::unless_interrupted(self.context)?;
        }
        Ok(reports)
    }
}
