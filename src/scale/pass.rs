//! Passes: queries over all rows, independent of the engine. Outputs of some of the rows can be merged in any order with
//! bit-identical results. `scan_pool` runs them on the threads of this machine, `super::distributed` on a cluster.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use super::error::ScaleError;
use super::nearest::{Centroids, Nearest, NearestScratch};
use super::output::Output;
use super::sample::{Sample, SampledRows};
use super::sampled_pairs::{PairCounts, SampledPairs};
use super::source::{Group, Source};
use super::splinters::{SplinterRows, Splinters};
use super::step::{Partial, Scale};

/// An engine that runs passes over rows.
pub trait Engine {
    fn source(&self) -> &Source;

    /// The threads of this machine, for computations on outputs.
    fn pool(&self) -> &rayon::ThreadPool;

    /// Runs a pass over some groups.
    fn run(&self, pass: &Pass<&Nearest>, groups: &[Group]) -> Result<Output, ScaleError>;

    fn sample(&self, sample: &Sample<&Nearest>, groups: &[Group]) -> Result<SampledRows, ScaleError> {
        match self.run(&Pass::Sample(*sample), groups)? {
            Output::Sampled(sampled) => Ok(sampled),
            other => Err(other.unexpected()),
        }
    }

    /// Sums the rows nearest to each centroid.
    fn step(&self, nearest: &Nearest, scale: Scale, groups: &[Group]) -> Result<Partial, ScaleError> {
        match self.run(&Pass::Step(Step { nearest, scale }), groups)? {
            Output::Sums(sums) => Ok(sums),
            other => Err(other.unexpected()),
        }
    }

    fn splinters(&self, splinters: Splinters<&Nearest>, groups: &[Group]) -> Result<SplinterRows, ScaleError> {
        match self.run(&Pass::Splinters(splinters), groups)? {
            Output::Splinters(rows) => Ok(rows),
            other => Err(other.unexpected()),
        }
    }

    fn pairs(&self, pairs: SampledPairs<&Nearest>, groups: &[Group]) -> Result<PairCounts, ScaleError> {
        match self.run(&Pass::Pairs(pairs), groups)? {
            Output::Pairs(counts) => Ok(counts),
            other => Err(other.unexpected()),
        }
    }
}

/// A query over rows. `N` holds the centroids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Pass<N> {
    Sample(Sample<N>),
    Step(Step<N>),
    Splinters(Splinters<N>),
    Pairs(SampledPairs<N>),
}

/// A step of k-means. `N` holds the centroids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step<N> {
    pub nearest: N,
    pub scale: Scale,
}

impl<N> Pass<N> {
    /// The centroids that rows are assigned to, if any.
    pub fn nearest(&self) -> Option<&N> {
        match self {
            Self::Sample(Sample::Uniform { .. }) => None,
            Self::Sample(Sample::Far { nearest, .. } | Sample::Farthest { nearest, .. })
            | Self::Step(Step { nearest, .. })
            | Self::Splinters(Splinters { nearest, .. }) => Some(nearest),
            Self::Pairs(SampledPairs { divisions, .. }) => divisions.first(),
        }
    }

    /// The same pass with other centroids; `None` if there are none for some.
    fn with<M>(&self, mut other: impl FnMut(&N) -> Option<M>) -> Option<Pass<M>> {
        Some(match self {
            Self::Sample(sample) => Pass::Sample(match sample {
                Sample::Uniform { wanted, seed } => Sample::Uniform { wanted: *wanted, seed: *seed },
                Sample::Far { wanted, seed, nearest } => {
                    Sample::Far { wanted: *wanted, seed: *seed, nearest: other(nearest)? }
                }
                Sample::Farthest { wanted, nearest } => Sample::Farthest { wanted: *wanted, nearest: other(nearest)? },
            }),
            Self::Step(Step { nearest, scale }) => Pass::Step(Step { nearest: other(nearest)?, scale: *scale }),
            Self::Splinters(Splinters { nearest, seed, wanted }) => {
                Pass::Splinters(Splinters { nearest: other(nearest)?, seed: *seed, wanted: wanted.clone() })
            }
            Self::Pairs(SampledPairs { similarity, divisions, sample, parts_of_sample }) => Pass::Pairs(SampledPairs {
                similarity: *similarity,
                divisions: divisions.iter().map(&mut other).collect::<Option<_>>()?,
                sample: other(sample)?,
                parts_of_sample: parts_of_sample.clone(),
            }),
        })
    }
}

impl<N: Borrow<Nearest>> Pass<N> {
    /// The output of no rows.
    pub fn begin(&self, dim: usize) -> Output {
        match self {
            Self::Sample(sample) => Output::Sampled(sample.begin()),
            Self::Step(Step { nearest, scale }) => {
                Output::Sums(Partial::new(nearest.borrow().centroids().len(), dim, *scale))
            }
            Self::Splinters(splinters) => Output::Splinters(splinters.begin()),
            Self::Pairs(_) => Output::Pairs(PairCounts::default()),
        }
    }

    /// Adds rows to an output of this pass; `norms` are their squared lengths.
    pub fn take(&self, output: &mut Output, dim: usize, rows: &[f32], norms: &[f64], scratch: &mut NearestScratch) {
        match (self, output) {
            (Self::Sample(sample), Output::Sampled(sampled)) => sample.take(sampled, dim, rows, norms, scratch),
            (Self::Step(step), Output::Sums(sums)) => sums.assign(step.nearest.borrow(), rows, norms, scratch),
            (Self::Splinters(pass), Output::Splinters(splinters)) => pass.take(splinters, dim, rows, norms, scratch),
            (Self::Pairs(pairs), Output::Pairs(counts)) => pairs.take(counts, dim, rows, norms, scratch),
            (_, output) => debug_assert!(false, "an output of another pass: {output:?}"),
        }
    }
}

/// A pass as a file, for other machines.
#[derive(Debug)]
pub struct StoredPass {
    pub dim: usize,
    pub normalize: bool,
    pub pass: Pass<Nearest>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    dim: usize,
    normalize: bool,
    /// With the places of centroids in the list below.
    pass: Pass<usize>,
    /// The number of centroids in each set, in the order in which they follow.
    centroids: Vec<usize>,
}

impl StoredPass {
    pub fn write(pass: &Pass<&Nearest>, dim: usize, normalize: bool) -> Vec<u8> {
        let mut sets: Vec<&Centroids> = Vec::new();
        let without = pass.with(|nearest| {
            sets.push(nearest.centroids());
            Some(sets.len() - 1)
        });
        let mut bytes = without.map_or_else(Vec::new, |pass| {
            let header = Header { dim, normalize, pass, centroids: sets.iter().map(|set| set.len()).collect() };
            serde_json::to_vec(&header).unwrap_or_default()
        });
        bytes.push(b'\n');
        bytes.extend(sets.iter().flat_map(|set| &set.values).flat_map(|x| x.to_le_bytes()));
        bytes
    }

    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let end = bytes.iter().position(|&byte| byte == b'\n').ok_or("no pass of k-means")?;
        let Header { dim, normalize, pass, centroids } =
            serde_json::from_slice(&bytes[..end]).map_err(|error| format!("no pass of k-means: {error}"))?;
        let mut left = &bytes[end + 1..];
        let mut sets = Vec::new();
        for count in centroids {
            let length = count.checked_mul(dim).and_then(|numbers| numbers.checked_mul(4));
            let (set, rest) = length.and_then(|length| left.split_at_checked(length)).ok_or(SHORT)?;
            let values: Vec<f32> = set.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
            sets.push(Some(values).filter(|values| !values.is_empty()));
            left = rest;
        }
        if dim == 0 || !left.is_empty() {
            return Err(SHORT.into());
        }
        let pass = pass.with(|&set| Some(Nearest::new(Centroids::new(dim, sets.get_mut(set)?.take()?))));
        let pass = pass.ok_or("a pass of k-means without centroids")?;
        Ok(Self { dim, normalize, pass })
    }
}

const SHORT: &str = "a pass of k-means cut short";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_and_its_answers_survive_their_bytes() {
        let nearest = Nearest::new(Centroids::new(2, vec![0.0, 0.0, 5.0, 5.0]));
        let far = Pass::Sample(Sample::Far { wanted: 3, seed: 7, nearest: &nearest });
        let bytes = StoredPass::write(&far, 2, true);
        let stored = StoredPass::read(&bytes).unwrap();
        assert_eq!((stored.dim, stored.normalize), (2, true));
        let Pass::Sample(Sample::Far { wanted: 3, seed: 7, nearest: again }) = &stored.pass else {
            panic!("another pass: {stored:?}")
        };
        assert_eq!(again.centroids().values, nearest.centroids().values);
        assert!(StoredPass::read(&bytes[..bytes.len() - 1]).is_err() && StoredPass::read(b"x").is_err());
        assert!(StoredPass::read(&[&bytes[..], b"1234"].concat()).is_err());

        let other = Nearest::new(Centroids::new(2, vec![1.0, 0.0]));
        let pairs = SampledPairs {
            similarity: 0.1 + 0.2,
            divisions: vec![&nearest, &other],
            sample: &other,
            parts_of_sample: vec![vec![1], vec![0]],
        };
        let stored = StoredPass::read(&StoredPass::write(&Pass::Pairs(pairs.clone()), 2, true)).unwrap();
        let Pass::Pairs(again) = &stored.pass else { panic!("another pass: {stored:?}") };
        assert_eq!((again.similarity, &again.parts_of_sample), (pairs.similarity, &pairs.parts_of_sample));
        let of = |all: &[&Nearest]| all.iter().map(|one| one.centroids().values.clone()).collect::<Vec<_>>();
        assert_eq!(of(&again.divisions.iter().collect::<Vec<_>>()), of(&pairs.divisions));
        assert_eq!(again.sample.centroids().values, [1.0, 0.0]);
    }
}
