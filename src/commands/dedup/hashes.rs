//! Finding duplicates among photos by perceptual hashes.

use std::collections::HashMap;
use std::path::PathBuf;

use super::super::photos;
use super::{Args, read_scores, warn_of_missing};
use crate::analyses::PerceptualHashAnalysis;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::library::ModelHubError;
use crate::report::photo_path::PhotoPath;
use crate::report::records::DuplicateRecord;
use kernels::Precision;
use photo::identity::ContentId;
use scale::dedup::Keep;
use scale::phash;

/// The long side at which photos are hashed: enough pixels for each of the 32 cells, and fast to decode.
const MEASURED_AT: u32 = 256;

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    refuse_what_is_for_features(args)?;
    let named = PhotoArgs { paths: args.paths.clone(), walk: args.walk.clone() };
    let scan = photos::find_beside(&named, args.folder.place(), context)?;
    let (mut paths, mut contents, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    let hub = context.model_hub(Precision::Full)?;
    let mut tally =
        photos::analyse(&scan, &[&PerceptualHashAnalysis], Some(MEASURED_AT), &hub, context, |_, report| {
            hashes.push(report.perceptual_hash.ok_or(ModelHubError::Unanswered)?);
            contents.push(report.content);
            paths.push(report.path);
            Ok(())
        })?;
    photos::unless_interrupted(context)?;
    let ids: Vec<String> = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let scores = scores(args, &ids, context)?;
    let mut order: Vec<usize> = (0..ids.len()).collect();
    if args.keep(!scores.is_empty())? == Keep::Best {
        let score = |i: usize| scores[i].unwrap_or(f32::NEG_INFINITY);
        order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    }
    if args.keep.is_none() {
        plainest_of_twins_first(&mut order, &paths, &contents);
    }
    let duplicates = phash::near(&hashes, &order, args.bits);
    photos::unless_interrupted(context)?;
    let kept = paths.iter().zip(&duplicates).filter(|(_, duplicate)| duplicate.is_none() && args.folder.is_asked());
    let mut delivery = args.delivery(kept.map(|(path, _)| path.clone()))?;
    let mut output = context.output::<DuplicateRecord>()?;
    for ((path, id), duplicate) in paths.iter().zip(&ids).zip(&duplicates) {
        let placed = if duplicate.is_none() { delivery.next(None, &mut tally, context)? } else { Vec::new() };
        if args.shows(duplicate.is_none()) {
            output.write(
                &context.ui,
                &DuplicateRecord {
                    path: PhotoPath::of(path),
                    id: id.clone(),
                    kept: duplicate.is_none(),
                    duplicate_of: duplicate.map(|(other, _)| ids[other].clone()),
                    cosine: None,
                    differing_bits: duplicate.map(|(_, bits)| bits),
                    written: placed,
                },
            )?;
        }
    }
    delivery.finish(context)?;
    tally.close(output, context)?;
    let gone = duplicates.iter().flatten().count();
    context.ui.note(&format!("dedup: {} photos, {} stay, {gone} are duplicates", ids.len(), ids.len() - gone));
    Ok(tally.end("dedup", context))
}

/// Among identical files, moves the one with the simplest path to their first place in the order, so that `IMG_1.jpg` stays
/// and `IMG_1 (1).jpg` goes.
fn plainest_of_twins_first(order: &mut [usize], paths: &[PathBuf], contents: &[Option<ContentId>]) {
    let mut places: HashMap<ContentId, Vec<usize>> = HashMap::new();
    for (place, &photo) in order.iter().enumerate() {
        if let Some(content) = contents[photo] {
            places.entry(content).or_default().push(place);
        }
    }
    for places in places.into_values().filter(|places| places.len() > 1) {
        let mut twins: Vec<usize> = places.iter().map(|&place| order[place]).collect();
        twins.sort_by_key(|&photo| (paths[photo].components().count(), paths[photo].as_os_str().len(), &paths[photo]));
        places.into_iter().zip(twins).for_each(|(place, photo)| order[place] = photo);
    }
}

fn refuse_what_is_for_features(args: &Args) -> Result<(), CommandError> {
    let wrong = if args.paths.is_empty() {
        "--method phash compares photos; none were named"
    } else if !args.data.is_empty() || args.score_column.is_some() {
        "--data, --data-file and --score-column are for features; --method phash takes photos"
    } else if !args.engine.is_local() {
        "--engine is for features; --method phash hashes photos on this machine"
    } else if args.keep(true)? == Keep::Nearest || args.keep(true)? == Keep::Farthest {
        "--keep nearest and farthest are for features; --method phash knows best and first"
    } else {
        return Ok(());
    };
    Err(CommandError::usage(anyhow::anyhow!(wrong)))
}

fn scores(args: &Args, ids: &[String], context: &Context) -> Result<Vec<Option<f32>>, CommandError> {
    let Some(file) = &args.scores else { return Ok(Vec::new()) };
    let by_id = read_scores(file, args.score_field.as_deref(), context)?;
    let scores: Vec<_> = ids.iter().map(|id| by_id.get(id).copied()).collect();
    warn_of_missing(&scores, file, context);
    Ok(scores)
}
