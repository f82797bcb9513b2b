//! Passes: queries over all rows, independent of the engine. Partial answers can be merged in any order with bit-identical
//! results. `scan_pool` runs them on the threads of this machine, `super::distributed` on a cluster.

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

    /// The threads of this machine, for computations on answers.
    fn pool(&self) -> &rayon::ThreadPool;

    fn ask(&self, pass: &Pass, groups: &[Group]) -> Result<Answer, ScaleError>;

    /// Runs a pass that samples rows.
    fn draw(&self, pass: &Pass, groups: &[Group]) -> Result<SampledRows, ScaleError> {
        match self.ask(pass, groups)? {
            Answer::Drawn(sampled) => Ok(sampled),
            Answer::Sums(_) => Err(ScaleError::Engine { cause: "sums where rows were asked for".into() }),
        }
    }

    /// Runs a step of k-means.
    fn step(&self, nearest: &Nearest, scale: Scale, groups: &[Group]) -> Result<Partial, ScaleError> {
        match self.ask(&Pass { question: Question::Step { scale }, nearest: Some(nearest) }, groups)? {
            Answer::Sums(partial) => Ok(partial),
            Answer::Drawn(_) => Err(ScaleError::Engine { cause: "rows where sums were asked for".into() }),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// The length of the longest row, and a uniform sample of rows.
    Survey { wanted: usize, seed: u64 },
    /// A sample of rows with probabilities proportional to the squared distance from the nearest centroid.
    Far { wanted: usize, seed: u64 },
    /// The rows farthest from their centroids.
    Farthest { wanted: usize },
    /// The sums of the rows nearest to each centroid.
    Step { scale: Scale },
}

/// A question and its centroids.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    pub question: Question,
    /// The centroids, for all questions but a survey.
    pub nearest: Option<&'a Nearest>,
}

#[derive(Debug)]
pub enum Answer {
    Drawn(SampledRows),
    Sums(Partial),
}

#[derive(Debug)]
pub struct SampledRows {
    /// The number of rows read.
    pub rows: u64,
    /// The squared length of the longest row.
    pub longest: f64,
    pub drawn: Smallest,
}

impl Pass<'_> {
    pub fn begin(&self, dim: usize) -> Answer {
        let sampled = |wanted| Answer::Drawn(SampledRows { rows: 0, longest: 0.0, drawn: Smallest::new(wanted) });
        match self.question {
            Question::Survey { wanted, .. } | Question::Far { wanted, .. } | Question::Farthest { wanted } => {
                sampled(wanted)
            }
            Question::Step { scale } => {
                let clusters = self.nearest.map_or(0, |nearest| nearest.centroids().len());
                Answer::Sums(Partial::new(clusters, dim, scale))
            }
        }
    }

    /// Processes rows; `norms` are their squared lengths.
    pub fn take(
        &self,
        answer: &mut Answer,
        dim: usize,
        rows: &[f32],
        norms: &[f64],
        nearest_scratch: &mut NearestScratch,
    ) {
        match answer {
            Answer::Sums(partial) => {
                if let Some(nearest) = self.nearest {
                    partial.assign(nearest, rows, norms, nearest_scratch);
                }
            }
            Answer::Drawn(sampled) => {
                sampled.rows += norms.len() as u64;
                sampled.longest = norms.iter().fold(sampled.longest, |longest, &norm| longest.max(norm));
                self.draw(&mut sampled.drawn, dim, rows, norms, nearest_scratch);
            }
        }
    }

    fn draw(
        &self,
        drawn: &mut Smallest,
        dim: usize,
        rows: &[f32],
        norms: &[f64],
        nearest_scratch: &mut NearestScratch,
    ) {
        let distance =
            |nearest: &Nearest, row: &[f32], cluster| squared_distance(row, nearest.centroids().row(cluster));
        match (self.question, self.nearest) {
            (Question::Survey { seed, .. }, _) => {
                rows.chunks_exact(dim).for_each(|row| drawn.offer(share(lot(seed, row)), row, 0));
            }
            (Question::Far { seed, .. }, Some(nearest)) => {
                nearest.assign(rows, norms, nearest_scratch, |row, cluster| {
                    let row = &rows[row * dim..][..dim];
                    let distance = distance(nearest, row, cluster);
                    if distance > 0.0 {
                        drawn.offer(share(lot(seed, row)) / distance, row, cluster);
                    }
                });
            }
            (Question::Farthest { .. }, Some(nearest)) => {
                nearest.assign(rows, norms, nearest_scratch, |row, cluster| {
                    let row = &rows[row * dim..][..dim];
                    let distance = distance(nearest, row, cluster);
                    if distance > 0.0 {
                        drawn.offer(-distance, row, cluster);
                    }
                });
            }
            _ => {}
        }
    }
}

impl Answer {
    /// Merges the answer of other rows, in any order.
    pub fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Sums(sums), Self::Sums(other)) => sums.merge(&other),
            (Self::Drawn(sampled), Self::Drawn(other)) => sampled.merge(other),
            _ => debug_assert!(false, "answers to two questions"),
        }
    }

    /// The number of rows in the answer.
    pub fn rows(&self) -> u64 {
        match self {
            Self::Sums(sums) => sums.counts().iter().sum(),
            Self::Drawn(sampled) => sampled.rows,
        }
    }
}

impl SampledRows {
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.longest = self.longest.max(other.longest);
        self.drawn.merge(other.drawn);
    }

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

/// A pass as a file, for other machines.
#[derive(Debug)]
pub struct Stored {
    pub dim: usize,
    pub normalize: bool,
    pub question: Question,
    pub nearest: Option<Nearest>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    dim: usize,
    normalize: bool,
    question: Question,
    centroids: usize,
}

impl Stored {
    pub fn write(pass: &Pass, dim: usize, normalize: bool) -> Vec<u8> {
        let centroids = pass.nearest.map_or(&[][..], |nearest| &nearest.centroids().values);
        let head = Head { dim, normalize, question: pass.question, centroids: centroids.len() / dim };
        let mut bytes = serde_json::to_vec(&head).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend(centroids.iter().flat_map(|x| x.to_le_bytes()));
        bytes
    }

    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let end = bytes.iter().position(|&byte| byte == b'\n').ok_or("no pass of k-means")?;
        let head: Head =
            serde_json::from_slice(&bytes[..end]).map_err(|error| format!("no pass of k-means: {error}"))?;
        let words = bytes[end + 1..].as_chunks::<4>();
        if head.dim == 0 || words.0.len() != head.centroids * head.dim || !words.1.is_empty() {
            return Err("a pass of k-means cut short".into());
        }
        let values: Vec<f32> = words.0.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let nearest = (head.centroids > 0).then(|| Nearest::new(Centroids::new(head.dim, values)));
        Ok(Self { dim: head.dim, normalize: head.normalize, question: head.question, nearest })
    }

    pub fn pass(&self) -> Pass<'_> {
        Pass { question: self.question, nearest: self.nearest.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_and_its_answers_survive_their_bytes() {
        let nearest = Nearest::new(Centroids::new(2, vec![0.0, 0.0, 5.0, 5.0]));
        let far = Pass { question: Question::Far { wanted: 3, seed: 7 }, nearest: Some(&nearest) };
        let bytes = Stored::write(&far, 2, true);
        let stored = Stored::read(&bytes).unwrap();
        assert_eq!((stored.question, stored.dim, stored.normalize), (far.question, 2, true));
        assert_eq!(stored.nearest.as_ref().unwrap().centroids().values, nearest.centroids().values);
        assert!(Stored::read(&bytes[..bytes.len() - 1]).is_err() && Stored::read(b"x").is_err());

        let rows = [1.0f32, 0.0, 4.0, 5.0, 9.0, 9.0, 0.0, 0.5, 7.0, 1.0];
        let norms: Vec<f64> = rows.chunks_exact(2).map(super::super::exact::squared_norm).collect();
        let mut answer = stored.pass().begin(2);
        stored.pass().take(&mut answer, 2, &rows, &norms, &mut NearestScratch::default());
        let Answer::Drawn(sampled) = answer else { panic!("rows were asked for") };
        let again = SampledRows::from_bytes(&sampled.to_bytes(), 2).unwrap();
        assert_eq!((again.rows, again.longest), (5, 162.0));
        assert!(SampledRows::from_bytes(&sampled.to_bytes()[1..], 2).is_none());
        assert_eq!(again.into_rows(), sampled.into_rows());
    }
}
