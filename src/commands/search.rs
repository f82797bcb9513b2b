//! `albumctl search`: ranks photos by what they have to do with words.

use std::path::PathBuf;

use super::open_models::Networks;
use super::people;
use super::photos::{self, Tally};
use super::query::QueryArgs;
use super::{album, select};
use crate::analyses::{DescriptionAnalysis, present};
use crate::arguments::{PhotoArgs, at_least_one};
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::photo_report::PhotoReport;
use crate::pipeline::Analysis;
use crate::report::records::SearchRecord;

/// Search photos by words: what they show, say and are called
///
/// All words must apply: 'dog on the beach'. A comma separates alternatives, and quotation marks hold a phrase together. Words
/// are looked for in what photos show (1000 classes and what they are kinds of: `albumctl models pull classes`; objects: `models
/// pull objects`), in kinds of pictures (receipt, screenshot, …), in text on photos (`models pull text`), and in the names of
/// people, files and folders. The best come first. What was looked at before is not read again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The words
    #[arg(value_name = "TEXT")]
    pub text: String,

    #[command(flatten)]
    pub photos: PhotoArgs,

    /// Search the output of `albumctl analyze` instead of photos; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    pub from: Option<PathBuf>,

    /// Compare photos also with the words as a whole, by this model: siglip2-base
    ///
    /// It knows words of many languages. `albumctl models pull siglip2-base --trust-first` fetches it, 1.5 GB; the configuration
    /// can name it (album.selection.relevance_model).
    #[arg(long, value_name = "NAME", conflicts_with = "from")]
    pub model: Option<String>,

    /// Leave out photos about these words; may be repeated
    #[arg(long, value_name = "WORDS")]
    pub not: Vec<String>,

    /// Print at most N photos
    #[arg(short = 'n', long, value_name = "N", value_parser = at_least_one)]
    pub top: Option<usize>,

    /// Print every photo, with the reason why it was left out
    #[arg(long)]
    pub all: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let query = QueryArgs { about: Some(args.text.clone()), not: args.not.clone() };
    query.check()?;
    select::ChoiceArgs::check_settings(context)?;
    let (reports, tally, model) = match &args.from {
        Some(file) => {
            let reports = album::read(file, context)?;
            let tally = Tally { done: reports.len(), from_store: reports.len(), ..Tally::default() };
            (reports, tally, None)
        }
        None => look(args, &query, context)?,
    };
    photos::unless_interrupted(context)?;
    let mut records: Vec<SearchRecord> = reports.iter().map(|report| SearchRecord::of(&report.path)).collect();
    for (record, answer) in records.iter_mut().zip(query.answers(&reports, model.as_ref(), context)?) {
        record.answered(&answer.relevance.unwrap_or_default(), answer.unwanted.as_ref());
    }
    let least = context.settings().album.selection.min_relevance;
    let found = rank(&mut records, least);
    let shown = if args.all { records.len() } else { found.min(args.top.unwrap_or(found)) };
    let mut output = context.output::<SearchRecord>()?;
    for record in &records[..shown] {
        output.write(&context.ui, record)?;
    }
    output.finish(&context.ui)?;
    let of = photos::counted(reports.len(), "photo");
    let summary = format!("found {found} of {of} for “{}”", args.text);
    Ok(tally.end_with(&summary, context.output_file().is_some(), "search", context))
}

/// Analyses the photos by all models at hand that tell what is on them.
fn look(
    args: &Args,
    query: &QueryArgs,
    context: &Context,
) -> Result<(Vec<PhotoReport>, Tally, Option<DescriptionAnalysis>), CommandError> {
    let networks = Networks::configured(context)?;
    let hub = &networks.hub;
    let (kind, text, objects) = (hub.kind_model()?, hub.text_if_here()?, hub.objects_if_here()?);
    let classification = query.classification(&networks, context)?;
    let description = query.description(args.model.as_deref(), &networks, context)?;
    let people = people::recognition_as(query.people(context)?, &networks, context)?;
    let analyses = present([
        Some(&kind as &dyn Analysis),
        classification.as_ref().map(|classification| classification as &dyn Analysis),
        text.as_ref().map(|text| text as &dyn Analysis),
        objects.as_ref().map(|objects| objects as &dyn Analysis),
        people.as_ref().map(|people| people as &dyn Analysis),
        description.as_ref().map(|description| description as &dyn Analysis),
    ]);
    let scan = photos::find(&args.photos, context)?;
    let mut reports = Vec::new();
    let tally = photos::analyse(&scan, &analyses, hub.medium(), hub, context, |_, report| {
        reports.push(report);
        Ok(())
    })?;
    if let Some(recognising) = &people {
        people::tell_apart(&mut reports, recognising, context)?;
    }
    Ok((reports, tally, description))
}

/// Puts the most relevant photos first, equal ones in scan order, and gives ranks to those that are relevant enough and not
/// left out. Returns how many these are.
fn rank(records: &mut [SearchRecord], least: f64) -> usize {
    let is_found = |record: &SearchRecord| !record.is_unwanted && record.relevance > 0.0 && record.relevance >= least;
    records.sort_by(|a, b| is_found(b).cmp(&is_found(a)).then(b.relevance.total_cmp(&a.relevance)));
    let found = records.iter().take_while(|record| is_found(record)).count();
    records[..found].iter_mut().zip(1..).for_each(|(record, rank)| record.rank = Some(rank));
    found
}
