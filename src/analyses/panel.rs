//! All analyses of a photo that take part in judging it, and their findings told apart.

use super::{Embedding, FaceFinding, Rating, Scoring};
use crate::pipeline::Analysis;
use hub::Judgement;
use judge::portrait::Portrait;
use judge::quality::Quality;
use judge::select::{self, Why};

/// What is asked, as far as its models are there.
#[expect(missing_debug_implementations, reason = "analyses need not be printable")]
#[derive(Clone, Copy)]
pub struct Panel<'a> {
    pub scoring: Scoring,
    pub features: Option<&'a dyn Analysis>,
    pub rating: Option<&'a Rating>,
    pub faces: Option<&'a FaceFinding>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    pub quality: Quality,
    pub embedding: Option<Vec<f32>>,
    pub aesthetic: Option<Judgement>,
    pub faces: Option<Portrait>,
}

impl Found {
    /// The number that the 32-bit one is written as: the same digits come out of every command.
    pub fn aesthetic_score(&self) -> Result<f64, Why> {
        let score = self.aesthetic.ok_or(Why::ModelMissing)?.score;
        Ok(score.to_string().parse().unwrap_or(f64::from(score)))
    }

    /// What selection asks of the faces.
    pub fn portrait(&self) -> Result<select::Portrait, Why> {
        let faces = self.faces.as_ref().ok_or(Why::ModelMissing)?;
        Ok(select::Portrait {
            is_portrait: faces.is_portrait,
            eyes_open: faces.eyes_open,
            is_smiling: faces.is_smiling,
            smile_score: faces.smile_score,
        })
    }
}

impl<'a> Panel<'a> {
    /// In the order in which [`Panel::read`] takes their findings.
    pub fn analyses(&'a self) -> Vec<&'a dyn Analysis> {
        let mut analyses: Vec<&dyn Analysis> = vec![&self.scoring];
        analyses.extend(self.features);
        analyses.extend(self.rating.map(|rating| rating as &dyn Analysis));
        analyses.extend(self.faces.map(|faces| faces as &dyn Analysis));
        analyses
    }

    /// What was found, and the findings of analyses that were asked after these.
    pub fn read<'f>(&self, findings: &'f [Vec<u8>]) -> anyhow::Result<(Found, &'f [Vec<u8>])> {
        let mut rest = findings.iter();
        let mut next = |asked: bool| asked.then(|| rest.next()).flatten();
        let quality = next(true).ok_or_else(|| anyhow::anyhow!("a finding is missing"))?;
        let embedding = next(self.features.is_some());
        let aesthetic = next(self.rating.is_some());
        let faces = next(self.faces.is_some());
        let found = Found {
            quality: Scoring::read(quality)?,
            embedding: embedding.map(|finding| Embedding::read(finding)),
            aesthetic: aesthetic.map(|finding| Rating::read_judgement(finding)).transpose()?,
            faces: faces.map(|finding| FaceFinding::read(finding)).transpose()?,
        };
        Ok((found, rest.as_slice()))
    }
}
