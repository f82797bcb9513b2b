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
use super::index::{Index, Link, ordered};
use super::moments::{Clock, Moment};

/// The tolerance of the threshold for pairs, because their distances are computed in single precision.
const SLACK: f64 = 1e-4;

/// A set of photos that links connect.
#[derive(Debug)]
pub struct Component {
    pub photos: Vec<usize>,
    /// The links, as places in `photos`.
    pub links: Vec<(u32, u32)>,
    /// Whether all links are listed. If not, those that are connect the photos.
    pub is_complete: bool,
}

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
pub fn all(rows: &Embeddings, threshold: f64) -> Vec<Component> {
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
    components(rows.len(), found)
}

/// Divides the photos into components, of two or more photos each.
fn components(photos: usize, found: Vec<Found>) -> Vec<Component> {
    let mut sets = DisjointSets::new(photos);
    found.iter().flat_map(|found| &found.links).for_each(|&(a, b)| _ = sets.join(a as usize, b as usize));
    let (component_of, count) = sets.numbered();
    let mut components: Vec<Component> =
        (0..count).map(|_| Component { photos: Vec::new(), links: Vec::new(), is_complete: true }).collect();
    let mut places = vec![0_u32; photos];
    for (photo, &component) in component_of.iter().enumerate() {
        let component = &mut components[component as usize];
        places[photo] = component.photos.len() as u32;
        component.photos.push(photo);
    }
    for Found { links, crowded } in found {
        crowded.for_each(|photo| components[component_of[photo] as usize].is_complete = false);
        for (a, b) in links {
            components[component_of[a as usize] as usize].links.push((places[a as usize], places[b as usize]));
        }
    }
    components.retain(|component| component.photos.len() > 1);
    components
}

/// The number of photos that follow in order, and in time, with which each is compared.
const FOLLOWING: usize = 32;
/// Finds most links, in time that grows a little faster than the number of photos. With a clock, photos with a long pause
/// between them are linked only if they are as alike as the clock asks for: in a library there are strangers that are
/// alike to every photo, and the clock would separate them again.
pub fn likely(rows: &Embeddings, times: &[Option<Moment>], threshold: f64, clock: Option<&Clock>) -> Vec<Component> {
    let least = 1.0 - threshold - SLACK;
    let asked = |a: usize, b: usize| {
        let is_far = |clock: &&Clock| times[a].zip(times[b]).is_some_and(|(a, b)| clock.is_far(a, b));
        clock.filter(is_far).map_or(least, |clock| least.max(clock.far_similarity))
    };
    let is_link = |a: usize, b: usize| dot(rows.row(a), rows.row(b)) >= asked(a, b);
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
    links.extend(Index::of(rows).links(least, asked));
    links.par_sort_unstable();
    links.dedup();
    components(rows.len(), vec![Found { links, crowded: 0..0 }])
}
