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
use super::moments::Moment;
use base::random::{SplitMix, mixed};
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
/// The length of the projections by which likely pairs are found.
const PROJECTED: usize = 128;
/// By how much the cosine of projections may be lower than that of the rows: about their error.
const MARGIN: f64 = 0.08;
/// The number of lists of the index in which each photo looks for others, of those whose first photos are most like it.
const PROBES: usize = 48;
/// The number of links that a photo takes from a list, the nearest first.
const MOST_OF_LIST: usize = 4;

/// Finds most links, in time that grows a little faster than the number of photos.
pub fn likely(rows: &Embeddings, times: &[Option<Moment>], threshold: f64) -> Vec<Part> {
    let is_link = |a: usize, b: usize| 1.0 - dot(rows.row(a), rows.row(b)) <= threshold + SLACK;
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
    links.extend(Index::of(rows).links(rows, threshold));
    links.par_sort_unstable();
    links.dedup();
    parts(rows.len(), vec![Found { links, crowded: 0..0 }])
}

fn ordered(a: usize, b: usize) -> Link {
    (a.min(b) as u32, a.max(b) as u32)
}

/// Photos in lists, each list of those most like one chosen photo.
struct Index {
    /// The rows, projected.
    projected: Vec<f32>,
    /// The members of each list.
    members: Vec<Vec<u32>>,
    /// The photos that look into each list.
    visitors: Vec<Vec<u32>>,
}

impl Index {
    fn of(rows: &Embeddings) -> Self {
        let photos = rows.len();
        let projected = projected(rows);
        let row = |photo: usize| &projected[photo * PROJECTED..][..PROJECTED];
        // Chosen by their own numbers, so that few choices change where photos are added.
        let hash = |&photo: &usize| {
            let numbers = rows.row(photo).iter().take(8);
            (numbers.fold(0, |hash, number| mixed(hash ^ u64::from(number.to_bits()))), photo)
        };
        let mut chosen: Vec<usize> = (0..photos).collect();
        chosen.sort_by_cached_key(hash);
        chosen.truncate(((photos as f64).sqrt() * 4.0) as usize);
        let heads: Vec<f32> = chosen.iter().flat_map(|&photo| row(photo)).copied().collect();
        let probes = PROBES.min(chosen.len());
        let nearest: Vec<Vec<u32>> = distances::blocks(photos)
            .into_par_iter()
            .map_init(Vec::new, |scores, block| {
                scores.resize(block.len() * chosen.len(), 0.0);
                let span = &projected[block.start * PROJECTED..block.end * PROJECTED];
                rows_times_rows(span, &heads, PROJECTED, scores);
                scores.chunks_exact(chosen.len()).flat_map(|scores| best_places(scores, probes)).collect()
            })
            .collect();
        let mut lists =
            Self { projected, members: vec![Vec::new(); chosen.len()], visitors: vec![Vec::new(); chosen.len()] };
        for (photo, places) in nearest.iter().flat_map(|block| block.chunks_exact(probes)).enumerate() {
            lists.members[places[0] as usize].push(photo as u32);
            places.iter().for_each(|&list| lists.visitors[list as usize].push(photo as u32));
        }
        lists
    }

    fn gathered(&self, photos: &[u32]) -> Vec<f32> {
        photos.iter().flat_map(|&photo| &self.projected[photo as usize * PROJECTED..][..PROJECTED]).copied().collect()
    }

    fn links(&self, rows: &Embeddings, threshold: f64) -> Vec<Link> {
        let least = (1.0 - threshold - MARGIN) as f32;
        let of_list = |(members, visitors): (&Vec<u32>, &Vec<u32>)| {
            let own = self.gathered(members);
            let mut links = Vec::new();
            let mut products = Vec::new();
            for visitors in visitors.chunks(distances::BLOCK).filter(|_| !members.is_empty()) {
                products.resize(visitors.len() * members.len(), 0.0);
                rows_times_rows(&self.gathered(visitors), &own, PROJECTED, &mut products);
                for (&visitor, products) in visitors.iter().zip(products.chunks_exact(members.len())) {
                    let likely = members
                        .iter()
                        .zip(products)
                        .filter(|&(&member, &product)| product >= least && member != visitor);
                    let mut near: Vec<(f64, u32)> = likely
                        .map(|(&member, _)| (1.0 - dot(rows.row(visitor as usize), rows.row(member as usize)), member))
                        .filter(|(distance, _)| *distance <= threshold + SLACK)
                        .collect();
                    near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                    near.truncate(MOST_OF_LIST);
                    links.extend(near.into_iter().map(|(_, member)| ordered(visitor as usize, member as usize)));
                }
            }
            links
        };
        self.members.par_iter().zip(&self.visitors).flat_map_iter(of_list).collect()
    }
}

/// The rows in [`PROJECTED`] numbers each, whose products are about those of the rows.
fn projected(rows: &Embeddings) -> Vec<f32> {
    let mut chance = SplitMix(512);
    let scale = 1.0 / (PROJECTED as f32).sqrt();
    let directions: Vec<f32> =
        (0..PROJECTED * rows.dim()).map(|_| if chance.draw() >> 63 == 0 { scale } else { -scale }).collect();
    let mut projected = vec![0.0; rows.len() * PROJECTED];
    projected.par_chunks_mut(distances::BLOCK * PROJECTED).enumerate().for_each(|(block, out)| {
        let from = block * distances::BLOCK;
        let span = rows.span(from, from + out.len() / PROJECTED);
        rows_times_rows(&span, &directions, rows.dim(), out);
    });
    projected
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
