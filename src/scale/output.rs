//! What a pass computes from some of the rows: outputs are merged in any order, and travel between machines as bytes.

use serde::{Deserialize, Serialize};

use super::error::ScaleError;
use super::sample::SampledRows;
use super::sampled_pairs::PairCounts;
use super::sampling::Smallest;
use super::splinters::SplinterRows;
use super::step::{Partial, Scale};

#[derive(Debug)]
pub enum Output {
    Sampled(SampledRows),
    Sums(Partial),
    Splinters(SplinterRows),
    Pairs(PairCounts),
}

/// The first line of an output's bytes. The longest length is stored by its bits.
#[derive(Debug, Serialize, Deserialize)]
enum Header {
    Sampled {
        dim: usize,
        rows: u64,
        longest: u64,
        wanted: usize,
    },
    Sums {
        dim: usize,
        clusters: usize,
        scale: Scale,
    },
    /// For each cluster, the wanted rows and the length of their bytes.
    Splinters {
        dim: usize,
        rows: u64,
        drawn: Vec<(usize, usize)>,
    },
    Pairs(PairCounts),
}

impl Output {
    /// Merges the output of other rows, in any order; `false` if it is of another pass.
    #[must_use]
    pub fn merge(&mut self, other: Self) -> bool {
        match (self, other) {
            (Self::Sampled(own), Self::Sampled(other)) => own.merge(other),
            (Self::Sums(own), Self::Sums(other)) if own.is_like(&other) => own.merge(&other),
            (Self::Splinters(own), Self::Splinters(other)) if own.drawn.len() == other.drawn.len() => own.merge(other),
            (Self::Pairs(own), Self::Pairs(other)) => own.merge(other),
            _ => return false,
        }
        true
    }

    /// The number of rows in the output.
    pub fn rows(&self) -> u64 {
        match self {
            Self::Sampled(sampled) => sampled.rows,
            Self::Sums(sums) => sums.counts().iter().sum(),
            Self::Splinters(splinters) => splinters.rows,
            Self::Pairs(counts) => counts.rows,
        }
    }

    /// Merges one of the pieces of another output; `false` if it is of another pass.
    #[must_use]
    pub fn merge_piece(&mut self, piece: usize, pieces: usize, other: Self) -> bool {
        match (self, other) {
            (Self::Sums(own), Self::Sums(other)) => own.merge_piece(piece, pieces, &other),
            (own, other) => piece == 0 && own.merge(other),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.piece_to_bytes(0, 1).unwrap_or_default()
    }

    /// A piece as an output of its own. Sums are divided into those of as many ranges of clusters, so that several machines
    /// can merge them; of other outputs the first piece is all.
    pub fn piece_to_bytes(&self, piece: usize, pieces: usize) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        let header = match self {
            Self::Sums(sums) => {
                let clusters = sums.write(piece, pieces, &mut content);
                Header::Sums { dim: sums.dim(), clusters, scale: sums.scale() }
            }
            _ if piece > 0 => return None,
            Self::Sampled(SampledRows { rows, longest, drawn }) => {
                drawn.write(&mut content);
                Header::Sampled { dim: drawn.dim(), rows: *rows, longest: longest.to_bits(), wanted: drawn.wanted() }
            }
            Self::Splinters(SplinterRows { rows, drawn }) => {
                let write = |drawn: &Smallest| {
                    let before = content.len();
                    drawn.write(&mut content);
                    (drawn.wanted(), content.len() - before)
                };
                let dim = drawn.iter().map(Smallest::dim).max().unwrap_or(0);
                Header::Splinters { dim, rows: *rows, drawn: drawn.iter().map(write).collect() }
            }
            Self::Pairs(counts) => Header::Pairs(*counts),
        };
        let mut bytes = serde_json::to_vec(&header).unwrap_or_default();
        bytes.push(b'\n');
        bytes.append(&mut content);
        Some(bytes)
    }

    /// Parses the output of [`Self::to_bytes`]; `None` if it is damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|&byte| byte == b'\n')?;
        let mut content = &bytes[end + 1..];
        Some(match serde_json::from_slice(&bytes[..end]).ok()? {
            Header::Sampled { dim, rows, longest, wanted } => {
                let drawn = Smallest::read(wanted, dim, content)?;
                Self::Sampled(SampledRows { rows, longest: f64::from_bits(longest), drawn })
            }
            Header::Sums { dim, clusters, scale } => Self::Sums(Partial::read(clusters, dim, scale, content)?),
            Header::Splinters { dim, rows, drawn } => {
                let mut read = |(wanted, length)| {
                    let (own, rest) = content.split_at_checked(length)?;
                    content = rest;
                    Smallest::read(wanted, dim, own)
                };
                let drawn = drawn.into_iter().map(&mut read).collect::<Option<_>>()?;
                Some(Self::Splinters(SplinterRows { rows, drawn })).filter(|_| content.is_empty())?
            }
            Header::Pairs(counts) => Some(Self::Pairs(counts)).filter(|_| content.is_empty())?,
        })
    }

    /// The error for an output of another pass than was asked for.
    pub fn unexpected(&self) -> ScaleError {
        ScaleError::Engine { cause: "the engine answered another pass than it was asked for".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smallest(wanted: usize, keys: &[f64]) -> Smallest {
        let mut smallest = Smallest::new(wanted);
        keys.iter().for_each(|&key| smallest.offer(key, &[key as f32, 1.0], key as usize));
        smallest
    }

    fn again(output: &Output) -> Output {
        let bytes = output.to_bytes();
        assert!(Output::from_bytes(&bytes[..bytes.len() - 1]).is_none(), "a byte is missing from {output:?}");
        assert!(Output::from_bytes(&[&bytes[..], b"x"].concat()).is_none(), "a byte too many behind {output:?}");
        Output::from_bytes(&bytes).unwrap()
    }

    #[test]
    fn outputs_survive_their_bytes() {
        let sampled = SampledRows { rows: 5, longest: 0.1 + 0.2, drawn: smallest(3, &[1.0, 2.0]) };
        let Output::Sampled(read) = again(&Output::Sampled(sampled)) else { panic!("another output") };
        assert_eq!((read.rows, read.longest, read.drawn.wanted()), (5, 0.1 + 0.2, 3));
        assert_eq!(read.into_rows(), smallest(3, &[1.0, 2.0]).into_rows());

        let drawn = || vec![smallest(1, &[3.0]), smallest(4, &[]), smallest(2, &[5.0, 4.0])];
        let splinters = Output::Splinters(SplinterRows { rows: 7, drawn: drawn() });
        let Output::Splinters(read) = again(&splinters) else { panic!("another output") };
        let rows = |all: Vec<Smallest>| all.into_iter().map(|one| (one.wanted(), one.into_rows())).collect::<Vec<_>>();
        assert_eq!((read.rows, rows(read.drawn)), (7, rows(drawn())));

        let counts = PairCounts { rows: 9, pairs: 3, met: 2 };
        let Output::Pairs(read) = again(&Output::Pairs(counts)) else { panic!("another output") };
        assert_eq!(read, counts);
        assert!(Output::Pairs(counts).piece_to_bytes(1, 2).is_none(), "counts are one piece");

        let mut sums = Partial::new(2, 3, Scale::new(4, 2.0));
        sums.add(1, &[1.0, -2.0, 0.5], 5.25);
        let Output::Sums(read) = again(&Output::Sums(sums.clone())) else { panic!("another output") };
        assert_eq!(read, sums);
    }

    #[test]
    fn sums_are_merged_in_pieces_as_in_one() {
        let scale = Scale::new(10, 4.0);
        let sums = |rows: &[(usize, [f32; 2])]| {
            let mut sums = Partial::new(5, 2, scale);
            rows.iter().for_each(|(cluster, row)| sums.add(*cluster, row, 1.0));
            sums
        };
        let (one, two) = (sums(&[(0, [1.0, -2.0]), (4, [0.5, 3.0])]), sums(&[(3, [1.0, 1.0]), (4, [-1.0, 2.0])]));
        let mut whole = one.clone();
        whole.merge(&two);
        for pieces in [1, 2, 3, 5, 8] {
            let mut merged = Output::Sums(Partial::new(5, 2, scale));
            for output in [&one, &two] {
                let output = Output::Sums(output.clone());
                for piece in 0..pieces {
                    let part = Output::from_bytes(&output.piece_to_bytes(piece, pieces).unwrap()).unwrap();
                    assert!(merged.merge_piece(piece, pieces, part));
                }
            }
            let Output::Sums(merged) = merged else { panic!("another output") };
            assert_eq!(merged, whole, "{pieces} pieces");
        }
        assert!(!Output::Sums(whole).merge(Output::Pairs(PairCounts::default())));
    }
}
