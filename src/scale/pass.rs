//! Passes: queries over all rows, independent of the engine. Partial outputs can be merged in any order with bit-identical
//! results. `scan_pool` runs them on the threads of this machine, `super::distributed` on a cluster.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use super::error::ScaleError;
use super::exact::squared_distance;
use super::nearest::{Centroids, Nearest, NearestScratch};
use super::sampling::{Drawn, Smallest, lot, share};
use super::source::{Group, Source};
use super::step::{Partial, Scale};

/// An engine that runs passes over rows.
pub trait Engine {
    fn source(&self) -> &Source;

    /// The threads of this machine, for computations on outputs.
    fn pool(&self) -> &rayon::ThreadPool;

    fn sample(&self, sample: &Sample<&Nearest>, groups: &[Group]) -> Result<SampledRows, ScaleError>;

    /// Sums the rows nearest to each centroid.
    fn step(&self, nearest: &Nearest, scale: Scale, groups: &[Group]) -> Result<Partial, ScaleError>;
}

/// A query over rows.
pub trait Pass: Sync {
    type Output: PassOutput;

    fn begin(&self, dim: usize) -> Self::Output;

    /// Adds rows to an output; `norms` are their squared lengths.
    fn take(&self, output: &mut Self::Output, dim: usize, rows: &[f32], norms: &[f64], scratch: &mut NearestScratch);
}

/// What a pass computes from some of the rows.
pub trait PassOutput: Send {
    /// Merges the output of other rows, in any order.
    fn merge(&mut self, other: Self);

    /// The number of rows in the output.
    fn rows(&self) -> u64;
}

/// A sample of rows. `N` holds the centroids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sample<N> {
    /// A uniform sample.
    Uniform { wanted: usize, seed: u64 },
    /// Rows with probabilities proportional to the squared distance from the nearest centroid.
    Far { wanted: usize, seed: u64, nearest: N },
    /// The rows farthest from their centroids.
    Farthest { wanted: usize, nearest: N },
}

/// A step of k-means. `N` holds the centroids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step<N> {
    pub nearest: N,
    pub scale: Scale,
}

#[derive(Debug)]
pub struct SampledRows {
    /// The number of rows read.
    pub rows: u64,
    /// The squared length of the longest row.
    pub longest: f64,
    pub drawn: Smallest,
}

impl<N: Borrow<Nearest> + Sync> Pass for Sample<N> {
    type Output = SampledRows;

    fn begin(&self, _: usize) -> SampledRows {
        let (Self::Uniform { wanted, .. } | Self::Far { wanted, .. } | Self::Farthest { wanted, .. }) = *self;
        SampledRows { rows: 0, longest: 0.0, drawn: Smallest::new(wanted) }
    }

    fn take(&self, sampled: &mut SampledRows, dim: usize, rows: &[f32], norms: &[f64], scratch: &mut NearestScratch) {
        sampled.rows += norms.len() as u64;
        sampled.longest = norms.iter().fold(sampled.longest, |longest, &norm| longest.max(norm));
        let drawn = &mut sampled.drawn;
        let mut far = |nearest: &Nearest, key: &dyn Fn(&[f32], f64) -> f64| {
            nearest.assign(rows, norms, scratch, |row, cluster| {
                let row = &rows[row * dim..][..dim];
                let distance = squared_distance(row, nearest.centroids().row(cluster));
                if distance > 0.0 {
                    drawn.offer(key(row, distance), row, cluster);
                }
            });
        };
        match self {
            Self::Uniform { seed, .. } => {
                rows.chunks_exact(dim).for_each(|row| drawn.offer(share(lot(*seed, row)), row, 0));
            }
            Self::Far { seed, nearest, .. } => {
                far(nearest.borrow(), &|row, distance| share(lot(*seed, row)) / distance);
            }
            Self::Farthest { nearest, .. } => far(nearest.borrow(), &|_, distance| -distance),
        }
    }
}

impl<N: Borrow<Nearest> + Sync> Pass for Step<N> {
    type Output = Partial;

    fn begin(&self, dim: usize) -> Partial {
        Partial::new(self.nearest.borrow().centroids().len(), dim, self.scale)
    }

    fn take(&self, partial: &mut Partial, _: usize, rows: &[f32], norms: &[f64], scratch: &mut NearestScratch) {
        partial.assign(self.nearest.borrow(), rows, norms, scratch);
    }
}

impl PassOutput for Partial {
    fn merge(&mut self, other: Self) {
        Self::merge(self, &other);
    }

    fn rows(&self) -> u64 {
        self.counts().iter().sum()
    }
}

impl PassOutput for SampledRows {
    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.longest = self.longest.max(other.longest);
        self.drawn.merge(other.drawn);
    }

    fn rows(&self) -> u64 {
        self.rows
    }
}

impl SampledRows {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.rows.to_le_bytes());
        bytes.extend(self.longest.to_le_bytes());
        bytes.extend((self.drawn.wanted() as u64).to_le_bytes());
        for drawn in self.drawn.rows() {
            bytes.extend(drawn.key.to_le_bytes());
            bytes.extend((drawn.cluster as u64).to_le_bytes());
            bytes.extend(drawn.row.iter().flat_map(|x| x.to_le_bytes()));
        }
        bytes
    }

    /// Parses the output of [`Self::to_bytes`] for rows of `dim` numbers.
    pub fn from_bytes(bytes: &[u8], dim: usize) -> Option<Self> {
        let (head, drawn) = bytes.split_at_checked(24)?;
        let word = |at: usize| <[u8; 8]>::try_from(&head[at..at + 8]).unwrap_or_default();
        let mut smallest = Smallest::new(u64::from_le_bytes(word(16)) as usize);
        let entries = drawn.chunks_exact(16 + 4 * dim);
        if !entries.remainder().is_empty() {
            return None;
        }
        for entry in entries {
            let key = f64::from_le_bytes(entry[..8].try_into().ok()?);
            let cluster = u64::from_le_bytes(entry[8..16].try_into().ok()?) as usize;
            let row: Vec<f32> = entry[16..].as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
            smallest.offer(key, &row, cluster);
        }
        Some(Self { rows: u64::from_le_bytes(word(0)), longest: f64::from_le_bytes(word(8)), drawn: smallest })
    }

    /// The sampled rows, smallest key first.
    pub fn into_rows(self) -> Vec<Drawn> {
        self.drawn.into_rows()
    }
}

/// Any pass, with its centroids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnyPass<N> {
    Sample(Sample<N>),
    Step(Step<N>),
}

impl<N> AnyPass<N> {
    pub fn nearest(&self) -> Option<&N> {
        match self {
            Self::Sample(Sample::Uniform { .. }) => None,
            Self::Sample(Sample::Far { nearest, .. } | Sample::Farthest { nearest, .. })
            | Self::Step(Step { nearest, .. }) => Some(nearest),
        }
    }

    /// The same pass with other centroids; `None` if it needs some and there are none.
    fn with<M>(&self, nearest: Option<M>) -> Option<AnyPass<M>> {
        Some(match *self {
            Self::Sample(Sample::Uniform { wanted, seed }) => AnyPass::Sample(Sample::Uniform { wanted, seed }),
            Self::Sample(Sample::Far { wanted, seed, .. }) => {
                AnyPass::Sample(Sample::Far { wanted, seed, nearest: nearest? })
            }
            Self::Sample(Sample::Farthest { wanted, .. }) => {
                AnyPass::Sample(Sample::Farthest { wanted, nearest: nearest? })
            }
            Self::Step(Step { scale, .. }) => AnyPass::Step(Step { nearest: nearest?, scale }),
        })
    }
}

/// A pass as a file, for other machines.
#[derive(Debug)]
pub struct StoredPass {
    pub dim: usize,
    pub normalize: bool,
    pub pass: AnyPass<Nearest>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    dim: usize,
    normalize: bool,
    pass: AnyPass<()>,
    centroids: usize,
}

impl StoredPass {
    pub fn write(pass: AnyPass<&Nearest>, dim: usize, normalize: bool) -> Vec<u8> {
        let centroids = pass.nearest().map_or(&[][..], |nearest| &nearest.centroids().values);
        let without = pass.with(Some(()));
        let mut bytes = without.map_or_else(Vec::new, |pass| {
            let header = Header { dim, normalize, pass, centroids: centroids.len() / dim };
            serde_json::to_vec(&header).unwrap_or_default()
        });
        bytes.push(b'\n');
        bytes.extend(centroids.iter().flat_map(|x| x.to_le_bytes()));
        bytes
    }

    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let end = bytes.iter().position(|&byte| byte == b'\n').ok_or("no pass of k-means")?;
        let Header { dim, normalize, pass, centroids } =
            serde_json::from_slice(&bytes[..end]).map_err(|error| format!("no pass of k-means: {error}"))?;
        let words = bytes[end + 1..].as_chunks::<4>();
        if dim == 0 || words.0.len() != centroids * dim || !words.1.is_empty() {
            return Err("a pass of k-means cut short".into());
        }
        let values: Vec<f32> = words.0.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let nearest = (centroids > 0).then(|| Nearest::new(Centroids::new(dim, values)));
        let pass = pass.with(nearest).ok_or("a pass of k-means without centroids")?;
        Ok(Self { dim, normalize, pass })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_and_its_answers_survive_their_bytes() {
        let nearest = Nearest::new(Centroids::new(2, vec![0.0, 0.0, 5.0, 5.0]));
        let far = AnyPass::Sample(Sample::Far { wanted: 3, seed: 7, nearest: &nearest });
        let bytes = StoredPass::write(far, 2, true);
        let stored = StoredPass::read(&bytes).unwrap();
        assert_eq!((stored.dim, stored.normalize), (2, true));
        let AnyPass::Sample(sample @ Sample::Far { wanted: 3, seed: 7, nearest: again }) = &stored.pass else {
            panic!("another pass: {stored:?}")
        };
        assert_eq!(again.centroids().values, nearest.centroids().values);
        assert!(StoredPass::read(&bytes[..bytes.len() - 1]).is_err() && StoredPass::read(b"x").is_err());

        let rows = [1.0f32, 0.0, 4.0, 5.0, 9.0, 9.0, 0.0, 0.5, 7.0, 1.0];
        let norms: Vec<f64> = rows.chunks_exact(2).map(super::super::exact::squared_norm).collect();
        let mut sampled = sample.begin(2);
        sample.take(&mut sampled, 2, &rows, &norms, &mut NearestScratch::default());
        let again = SampledRows::from_bytes(&sampled.to_bytes(), 2).unwrap();
        assert_eq!((again.rows, again.longest), (5, 162.0));
        assert!(SampledRows::from_bytes(&sampled.to_bytes()[1..], 2).is_none());
        assert_eq!(again.into_rows(), sampled.into_rows());
    }
}
