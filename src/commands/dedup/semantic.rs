//! Finding duplicates among rows of features.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::path::Path;

use super::super::addresses::here_only;
use super::super::features;
use super::super::folder_delivery::Delivery;
use super::super::photos::{self, Tally};
use super::{Args, read_scores, warn_of_missing};
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::photo_path::PhotoPath;
use crate::report::records::DuplicateRecord;
use scale::dedup::{Duplicates, Options, Removed, Rules, dedup, dedup_on};
use scale::{ScaleError, Source};

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    here_only(args.work.as_deref(), "the folder of rows", "--work DIR")?;
    here_only(args.scores.as_deref(), "the file of scores", "copy it and give a path")?;
    let cluster = args.engine.cluster(context)?;
    let source = features::open(&args.data, context)?;
    if args.folder.is_asked() {
        let hint = "the list names what stays; --copy-to and --link-to take photos of this machine";
        source.each_id(|_, id| here_only(Some(Path::new(id)), "what is put into a folder", hint))?;
    }
    let options = options(args, &source, context)?;
    let found = match cluster {
        None => dedup(&source, &options, context.stop()),
        Some(cluster) => {
            let passes = (share(args)?, args.passes.task_rows);
            cluster.run((&source, true), passes, context, |engine| dedup_on(engine, &options))
        }
    };
    photos::unless_interrupted(context)?;
    let found = found?;
    let tally = write(args, &source, &found, context)?;
    summarise(&found, context);
    Ok(if tally.failed > 0 { Ending::SomeFailed } else { Ending::AllDone })
}

/// Where the machines of a cluster exchange centroids.
fn share(args: &Args) -> Result<String, CommandError> {
    let work = || args.work.as_deref().map(|work| scale::absolute(work).to_string_lossy().into_owned());
    args.passes.share.clone().or_else(work).ok_or_else(|| {
        let unshared =
            anyhow::anyhow!("the machines of a cluster exchange centroids through a folder that all of them see");
        CommandError::usage(unshared).hint("--share DIR|URL")
    })
}

fn options(args: &Args, source: &Source, context: &Context) -> Result<Options, CommandError> {
    let mut scores = Vec::new();
    if let Some(column) = &args.score_column {
        scores = source.scores(column)?;
    } else if let Some(file) = &args.scores {
        let by_id = read_scores(file, args.score_field.as_deref(), context)?;
        source.each_id(|_, id| {
            scores.push(by_id.get(id).copied());
            Ok::<_, ScaleError>(())
        })?;
        warn_of_missing(&scores, file, context);
    }
    Ok(Options {
        clusters: args.clusters.map(|clusters| clusters as usize),
        rules: Rules { similarity: args.similarity, keep: args.keep(!scores.is_empty())?, scores },
        seed: args.seed,
        threads: context.threads(),
        memory: (args.memory as usize) << 20,
        spill: args.work.clone().unwrap_or_else(std::env::temp_dir),
        sample: args.sample,
    })
}

fn write(args: &Args, source: &Source, found: &Duplicates, context: &Context) -> Result<Tally, CommandError> {
    let (mut delivery, mut tally) = (delivery(args, source, found)?, Tally::default());
    let wanted: HashSet<u64> = found.removed.iter().map(|removed| removed.duplicate_of).collect();
    let mut names: HashMap<u64, String> = HashMap::with_capacity(wanted.len());
    source.each_id(|row, id| {
        if wanted.contains(&row) {
            names.insert(row, id.to_owned());
        }
        Ok::<_, ScaleError>(())
    })?;
    let mut output = context.output::<DuplicateRecord>()?;
    let mut removed = found.removed.iter().peekable();
    source.each_id(|row, id| {
        let gone: Option<&Removed> = removed.next_if(|removed| removed.row == row);
        let placed = if gone.is_none() { delivery.next(None, &mut tally, context)? } else { Vec::new() };
        if args.shows(gone.is_none()) {
            output.write(
                &context.ui,
                &DuplicateRecord {
                    path: PhotoPath::of(id.as_ref()),
                    id: id.to_owned(),
                    kept: gone.is_none(),
                    duplicate_of: gone.and_then(|gone| names.get(&gone.duplicate_of).cloned()),
                    cosine: gone.map(|gone| gone.cosine),
                    differing_bits: None,
                    written: placed,
                },
            )?;
        }
        Ok::<_, CommandError>(())
    })?;
    delivery.finish(context)?;
    output.finish(&context.ui)?;
    Ok(tally)
}

/// Plans the delivery. All ids that stay are held in memory only if they are delivered, to resolve clashes of names.
fn delivery(args: &Args, source: &Source, found: &Duplicates) -> Result<Delivery, CommandError> {
    let mut kept = Vec::new();
    if args.folder.is_asked() {
        let mut removed = found.removed.iter().peekable();
        source.each_id(|row, id| {
            if removed.next_if(|removed| removed.row == row).is_none() {
                kept.push(id.to_owned());
            }
            Ok::<_, ScaleError>(())
        })?;
    }
    args.delivery(kept.into_iter().map(Into::into))
}

fn summarise(found: &Duplicates, context: &Context) {
    let gone = found.removed.len() as u64;
    let seconds = context.telemetry.elapsed().as_secs_f64();
    let mut text = format!(
        "dedup: {} rows in {seconds:.1} s, {} stay, {gone} are duplicates; {} groups",
        found.rows,
        found.rows - gone,
        found.clusters
    );
    if found.split > 0 {
        let _ = write!(text, ", {} split to fit in memory", found.split);
    }
    context.ui.note(&text);
    if found.cut > 0 {
        let cut = found.cut;
        context.ui.warn(&format!(
            "{cut} groups of rows too alike to split were compared in pieces; raise --memory to compare them whole"
        ));
    }
    if let Some(recall) = found.recall {
        let estimate = recall.share().map_or_else(
            || "no duplicates among them, so there is no estimate".to_owned(),
            |share| format!("{} of {} pairs were in one group: recall about {share:.3}", recall.found, recall.pairs),
        );
        context.ui.note(&format!("{} rows compared with all others: {estimate}", recall.sampled));
    }
}
