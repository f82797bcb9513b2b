//! An index over rows, by which pairs with a large cosine are found without comparing all: each row is in the list of the
//! chosen row that it is most like, and looks for others in the lists of several. Bytes tell which cosines to compute.

use std::cmp::Reverse;

use rayon::prelude::*;

use super::distances::{self, BLOCK};
use super::embeddings::{Embeddings, dot};
use base::random::mixed;
use kernels::Cpu;
use kernels::byte_gram::{Panels, Steps, products};

/// The lists, for each root of the number of rows.
const LISTS_PER_ROOT: f64 = 8.0;
/// The number of lists in which each row looks for others, of those whose chosen rows are most like it.
const PROBES: usize = 24;
/// The number of links that a row takes from a list, the nearest first.
const MOST_OF_LIST: usize = 8;
/// Products that are looked at together.
const TOGETHER: usize = 32;

/// Two rows, the earlier first.
pub type Link = (u32, u32);

pub fn ordered(a: usize, b: usize) -> Link {
    (a.min(b) as u32, a.max(b) as u32)
}

/// Rows as bytes.
struct Bytes {
    steps: Steps,
    all: Vec<u8>,
}

impl Bytes {
    fn of(rows: &Embeddings) -> Self {
        let largest_of = |row: usize| rows.row(row).iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let largest = (0..rows.len()).into_par_iter().map(largest_of).reduce(|| 0.0, f32::max);
        let steps = Steps::of(largest, rows.dim());
        let mut all = vec![0; rows.len() * steps.row_bytes()];
        let each = all.par_chunks_exact_mut(steps.row_bytes()).enumerate();
        each.for_each(|(row, bytes)| steps.write(rows.row(row), bytes));
        Self { steps, all }
    }

    fn row(&self, row: usize) -> &[u8] {
        let length = self.steps.row_bytes();
        &self.all[row * length..(row + 1) * length]
    }

    /// The product from which two rows may have this cosine.
    fn least(&self, cosine: f64) -> i16 {
        self.steps.product(cosine as f32 - self.steps.slack()) as i16
    }
}

pub struct Index<'a> {
    rows: &'a Embeddings,
    bytes: Bytes,
    members: Vec<Vec<u32>>,
    /// The rows that look into each list.
    visitors: Vec<Vec<u32>>,
}

impl<'a> Index<'a> {
    pub fn of(rows: &'a Embeddings) -> Self {
        // Chosen by their own numbers, so that few choices change where photos are added.
        let hash = |&row: &usize| {
            let numbers = rows.row(row).iter().take(8);
            (numbers.fold(0, |hash, number| mixed(hash ^ u64::from(number.to_bits()))), row)
        };
        let mut chosen: Vec<usize> = (0..rows.len()).collect();
        chosen.sort_by_cached_key(hash);
        chosen.truncate(((rows.len() as f64).sqrt() * LISTS_PER_ROOT) as usize);
        let (lists, probes) = (chosen.len(), PROBES.min(chosen.len()));
        let (bytes, mut heads) = (Bytes::of(rows), Panels::default());
        heads.fill(chosen.iter().map(|&row| bytes.row(row)), bytes.steps.row_bytes());
        let nearest: Vec<Vec<u32>> = distances::blocks(rows.len())
            .into_par_iter()
            .map_init(Vec::new, |scores, block| {
                products(Cpu::best(), &block.map(|row| bytes.row(row)).collect::<Vec<_>>(), &heads, scores);
                scores.chunks_exact(heads.line()).flat_map(|scores| best_places(&scores[..lists], probes)).collect()
            })
            .collect();
        let (mut members, mut visitors) = (vec![Vec::new(); lists], vec![Vec::new(); lists]);
        for (row, places) in nearest.iter().flat_map(|block| block.chunks_exact(probes)).enumerate() {
            members[places[0] as usize].push(row as u32);
            places.iter().for_each(|&list| visitors[list as usize].push(row as u32));
        }
        Self { rows, bytes, members, visitors }
    }

    /// Pairs with the cosine that `asked` asks of them, which is at least `least`.
    pub fn links(&self, least: f64, asked: impl Fn(usize, usize) -> f64 + Sync) -> Vec<Link> {
        let bytes = &self.bytes;
        let of_list = |own: &mut Panels, lines: &mut Vec<i16>, members: &[u32], visitors: &[u32]| {
            own.fill(members.iter().map(|&row| bytes.row(row as usize)), bytes.steps.row_bytes());
            let (mut links, mut near) = (Vec::new(), Vec::new());
            for visitors in visitors.chunks(BLOCK) {
                let theirs: Vec<&[u8]> = visitors.iter().map(|&row| bytes.row(row as usize)).collect();
                products(Cpu::best(), &theirs, own, lines);
                for (&visitor, line) in visitors.iter().zip(lines.chunks_exact(own.line())) {
                    at_least(bytes.least(least), &line[..members.len()], |at, product| {
                        near.push((Reverse(product), members[at]));
                    });
                    near.sort_unstable();
                    let is_link = |&(Reverse(product), member): &(Reverse<i16>, u32)| {
                        let (a, b) = (visitor as usize, member as usize);
                        let asked = asked(a, b);
                        a != b && product >= bytes.least(asked) && dot(self.rows.row(a), self.rows.row(b)) >= asked
                    };
                    let linked = near.drain(..).filter(is_link).take(MOST_OF_LIST);
                    links.extend(linked.map(|(_, member)| ordered(visitor as usize, member as usize)));
                }
            }
            links
        };
        let lists: Vec<(&Vec<u32>, &Vec<u32>)> =
            self.members.iter().zip(&self.visitors).filter(|(members, _)| !members.is_empty()).collect();
        let links: Vec<Vec<Link>> = lists
            .into_par_iter()
            .map_init(Default::default, |(own, lines), (members, visitors)| of_list(own, lines, members, visitors))
            .collect();
        links.concat()
    }
}

/// Calls `each` with the places and values of the scores from `least` on.
fn at_least(least: i16, scores: &[i16], mut each: impl FnMut(usize, i16)) {
    for (chunk, scores) in scores.chunks(TOGETHER).enumerate() {
        if scores.iter().max().is_some_and(|&most| most >= least) {
            let places = scores.iter().enumerate().filter(|(_, score)| **score >= least);
            places.for_each(|(at, &score)| each(chunk * TOGETHER + at, score));
        }
    }
}

/// The places of the highest scores, the highest first; of equal ones the earlier.
fn best_places(scores: &[i16], count: usize) -> Vec<u32> {
    let mut best: Vec<(Reverse<i16>, u32)> = Vec::new();
    let mut least = i16::MIN;
    for (chunk, scores) in scores.chunks(TOGETHER * 2).enumerate() {
        at_least(least, scores, |at, score| best.push((Reverse(score), (chunk * TOGETHER * 2 + at) as u32)));
        if best.len() >= count * 3 {
            least = best.select_nth_unstable(count - 1).1.0.0;
            best.truncate(count);
        }
    }
    best.sort_unstable();
    best.truncate(count);
    best.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_places_are_those_of_sorting_all() {
        let mut chance = base::random::SplitMix(3);
        let scores: Vec<i16> = (0..1_000).map(|_| (chance.draw() % 200) as i16 - 100).collect();
        let mut sorted: Vec<u32> = (0..1_000).collect();
        sorted.sort_by_key(|&place| (Reverse(scores[place as usize]), place));
        for count in [1, 24, 1_000] {
            assert_eq!(best_places(&scores, count), sorted[..count]);
        }
    }
}
