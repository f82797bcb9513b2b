//! Links: pairs of photos within a cosine distance. Two groups whose average distance is below a threshold contain at
//! least one such pair, so average links are found by merging along links alone.
//!
//! [`all`] compares every photo with every other. [`likely`] is for more photos than that is quick for: it compares each
//! with those next to it in time and in order, and with those that an index finds near it. What it misses are mostly
//! pairs little nearer than the threshold.

use std::ops::Range;

use rayon::prelude::*;

use super::disjoint_sets::DisjointSets;
use super::distances;
use super::embeddings::{Embeddings, dot};
use super::moments::{Clock, Moment};
use base::random::mixed;
use kernels::gram::rows_times_rows;

/// The tolerance of the threshold for pairs, because their distances are computed in single precision.
const SLACK: f64 = 1e-4;

/// A set of photos that links connect.
#[derive(Debug)]
pub struct Part {
    pub photos: Vec<usize>,
    /// The links, as places in `photos`.
    pub links: Vec<(u32, u32)>,
    /// Whether all links are listed. If not, those that are connect the photos.
    pub is_complete: bool,
}

type Link = (u32, u32);

/// Links found by one task.
#[derive(Debug, Default)]
struct Found {
    links: Vec<Link>,
    /// Photos of which not all links are listed.
    crowded: Range<usize>,
}

/// More links than this are not listed for one block of photos, so that memory does not grow with the square of photos
/// that are all alike.
const MOST_OF_BLOCK: usize = 512 * distances::BLOCK;
/// The number of rows with which a block is compared at once.
const TILE: usize = 4096;

/// Finds all links, except in crowds of photos that are all alike.
pub fn all(rows: &Embeddings, threshold: f64) -> Vec<Part> {
    // On unit vectors the squared Euclidean distance is twice the cosine distance. A zero vector, at cosine distance 1
    // from all, appears nearer here, but links that are none do no harm.
    let most = 2.0 * (threshold + SLACK);
    let norms = distances::squared_norms(rows);
    let of_block = |block: Range<usize>, lines: &mut Vec<f32>| -> Found {
        let mut tied = DisjointSets::new(rows.len() - block.start);
        let mut found = Found::default();
        for from in (block.start..rows.len()).step_by(TILE) {
            let to = from..rows.len().min(from + TILE);
            distances::squared(rows, &norms, &block, &to, lines);
            for (i, line) in block.clone().zip(lines.chunks_exact(to.len())) {
                for (j, _) in to.clone().zip(line).filter(|&(j, &squared)| j > i && f64::from(squared) <= most) {
                    let is_tie = tied.join(i - block.start, j - block.start);
                    if is_tie || found.crowded.is_empty() {
                        found.links.push((i as u32, j as u32));
                    }
                }
                if found.links.len() > MOST_OF_BLOCK {
                    found.crowded = block.clone();
                }
            }
        }
        found
    };
    let found: Vec<Found> = distances::blocks(rows.len())
        .into_par_iter()
        .map_init(Vec::new, |lines, block| of_block(block, lines))
        .collect();
    parts(rows.len(), found)
}

/// Divides the photos into parts, of two or more photos each.
fn parts(photos: usize, found: Vec<Found>) -> Vec<Part> {
    let mut sets = DisjointSets::new(photos);
    found.iter().flat_map(|found| &found.links).for_each(|&(a, b)| _ = sets.join(a as usize, b as usize));
    let (part_of, count) = sets.numbered();
    let mut parts: Vec<Part> =
        (0..count).map(|_| Part { photos: Vec::new(), links: Vec::new(), is_complete: true }).collect();
    let mut places = vec![0_u32; photos];
    for (photo, &part) in part_of.iter().enumerate() {
        let part = &mut parts[part as usize];
        places[photo] = part.photos.len() as u32;
        part.photos.push(photo);
    }
    for Found { links, crowded } in found {
        crowded.for_each(|photo| parts[part_of[photo] as usize].is_complete = false);
        for (a, b) in links {
            parts[part_of[a as usize] as usize].links.push((places[a as usize], places[b as usize]));
        }
    }
    parts.retain(|part| part.photos.len() > 1);
    parts
}

/// The number of photos that follow in order, and in time, with which each is compared.
const FOLLOWING: usize = 32;
/// The lists of the index, for each root of the number of photos.
const LISTS_PER_ROOT: f64 = 8.0;
/// The number of lists in which each photo looks for others, of those whose first photos are most like it.
const PROBES: usize = 24;
/// The number of links that a photo takes from a list, the nearest first.
const MOST_OF_LIST: usize = 8;

/// Finds most links, in time that grows a little faster than the number of photos. With a clock, photos with a long pause
/// between them are linked only if they are as alike as the clock asks for: in a library there are strangers that are
/// alike to every photo, and the clock would separate them again.
pub fn likely(rows: &Embeddings, times: &[Option<Moment>], threshold: f64, clock: Option<&Clock>) -> Vec<Part> {
    let least = 1.0 - threshold - SLACK;
    let are_linked = |a: usize, b: usize, cosine: f64| {
        let is_far = |clock: &&Clock| times[a].zip(times[b]).is_some_and(|(a, b)| clock.is_far(a, b));
        cosine >= least && clock.filter(is_far).is_none_or(|clock| cosine >= clock.far_similarity)
    };
    let is_link = |a: usize, b: usize| are_linked(a, b, dot(rows.row(a), rows.row(b)));
    let mut timed: Vec<(i64, usize)> =
        times.iter().enumerate().filter_map(|(photo, time)| Some(((*time)?.exact()?, photo))).collect();
    timed.sort_unstable();
    let in_time: Vec<usize> = timed.into_iter().map(|(_, photo)| photo).collect();
    let in_order: Vec<usize> = (0..rows.len()).collect();
    let mut links: Vec<Link> = [in_time, in_order]
        .par_iter()
        .flat_map(|order| {
            let following = move |at: usize| {
                let others = order[at + 1..].iter().take(FOLLOWING).copied();
                others.filter(move |&other| is_link(order[at], other)).map(move |other| ordered(order[at], other))
            };
            (0..order.len()).into_par_iter().flat_map_iter(following)
        })
        .collect();
    links.extend(Index::of(rows).links(rows, are_linked));
    links.par_sort_unstable();
    links.dedup();
    parts(rows.len(), vec![Found { links, crowded: 0..0 }])
}

fn ordered(a: usize, b: usize) -> Link {
    (a.min(b) as u32, a.max(b) as u32)
}

/// Photos in lists, each list of those most like one chosen photo.
struct Index {
    members: Vec<Vec<u32>>,
    /// The photos that look into each list.
    visitors: Vec<Vec<u32>>,
}

impl Index {
    fn of(rows: &Embeddings) -> Self {
        // Chosen by their own numbers, so that few choices change where photos are added.
        let hash = |&photo: &usize| {
            let numbers = rows.row(photo).iter().take(8);
            (numbers.fold(0, |hash, number| mixed(hash ^ u64::from(number.to_bits()))), photo)
        };
        let mut chosen: Vec<usize> = (0..rows.len()).collect();
        chosen.sort_by_cached_key(hash);
        chosen.truncate(((rows.len() as f64).sqrt() * LISTS_PER_ROOT) as usize);
        let (lists, probes) = (chosen.len(), PROBES.min(chosen.len()));
        let heads = rows.subset(&chosen);
        let heads = heads.span(0, lists);
        let nearest: Vec<Vec<u32>> = distances::blocks(rows.len())
            .into_par_iter()
            .map_init(Vec::new, |scores, block| {
                scores.resize(block.len() * lists, 0.0);
                rows_times_rows(&rows.span(block.start, block.end), &heads, rows.dim(), scores);
                scores.chunks_exact(lists).flat_map(|scores| best_places(scores, probes)).collect()
            })
            .collect();
        let mut index = Self { members: vec![Vec::new(); lists], visitors: vec![Vec::new(); lists] };
        for (photo, places) in nearest.iter().flat_map(|block| block.chunks_exact(probes)).enumerate() {
            index.members[places[0] as usize].push(photo as u32);
            places.iter().for_each(|&list| index.visitors[list as usize].push(photo as u32));
        }
        index
    }

    fn links(&self, rows: &Embeddings, are_linked: impl Fn(usize, usize, f64) -> bool + Sync) -> Vec<Link> {
        let gather = |photos: &[u32], into: &mut _| rows.gather(photos.iter().map(|&photo| photo as usize), into);
        let of_list = |(members, visitors): (&Vec<u32>, &Vec<u32>)| {
            let (mut own, mut theirs) = (Vec::new(), Vec::new());
            gather(members, &mut own);
            let (mut links, mut cosines) = (Vec::new(), Vec::new());
            for visitors in visitors.chunks(distances::BLOCK).filter(|_| !members.is_empty()) {
                cosines.resize(visitors.len() * members.len(), 0.0);
                gather(visitors, &mut theirs);
                rows_times_rows(&theirs, &own, rows.dim(), &mut cosines);
                for (&visitor, cosines) in visitors.iter().zip(cosines.chunks_exact(members.len())) {
                    let others = members.iter().zip(cosines);
                    let mut near: Vec<(f32, u32)> = others
                        .filter(|&(&member, &cosine)| {
                            member != visitor && are_linked(visitor as usize, member as usize, cosine.into())
                        })
                        .map(|(&member, &cosine)| (cosine, member))
                        .collect();
                    near.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                    near.truncate(MOST_OF_LIST);
                    links.extend(near.into_iter().map(|(_, member)| ordered(visitor as usize, member as usize)));
                }
            }
            links
        };
        self.members.par_iter().zip(&self.visitors).flat_map_iter(of_list).collect()
    }
}

/// The places of the highest scores, the highest first; of equal ones the earlier.
fn best_places(scores: &[f32], count: usize) -> Vec<u32> {
    let better = |&a: &u32, &b: &u32| scores[b as usize].total_cmp(&scores[a as usize]).then(a.cmp(&b));
    let mut places: Vec<u32> = (0..scores.len() as u32).collect();
    if count < places.len() {
        places.select_nth_unstable_by(count, better);
        places.truncate(count);
    }
    places.sort_unstable_by(better);
    places
}
