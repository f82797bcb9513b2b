//! SigLIP as a model of the hub: it says how well words describe a picture.

use std::sync::Arc;
use std::time::Instant;

use tokenizers::Tokenizer;

use super::loaded_networks::{Key, Weight};
use super::prepare;
use super::verified_file::VerifiedFile;
use super::{Hub, HubError, Shared};
use base::pixels::Pixels;
use candle_core::Device;
use networks::preprocess::{Preprocess, Resize};
use networks::siglip::{LogitScale, SiglipError, SiglipPictures, SiglipTexts};
use photo::resize::Filter;

/// Part of the key of stored results; changes when the results for the same pixels change.
const REVISION: &str = "siglip/1";

/// Networks were trained to tell the one text of a picture among so many, and judge a pair by that. Of an album, rather one
/// photo of so many is about what is asked for. The odds of a pair are those of training times the quotient.
const PAIRS_OF_TRAINING: f32 = 32_768.0;
const PHOTOS_PER_SUBJECT: f32 = 50.0;

/// Compares pictures with words; can be used from several threads.
#[derive(Clone, Debug)]
pub struct Describer {
    shared: Arc<Shared>,
    weights: VerifiedFile,
    tokenizer: VerifiedFile,
    device: Device,
    key: Key,
}

/// Texts that pictures can be compared with.
#[derive(Clone, Debug)]
pub struct DescribedTexts {
    vectors: Vec<Vec<f32>>,
    logit_scale: LogitScale,
}

impl Weight for SiglipPictures {
    fn bytes(&self) -> usize {
        Self::bytes(self)
    }
}

impl Hub {
    /// Opens a model that compares pictures with texts, by `name` or `name@version`, if its files are here.
    pub fn describer(&self, name: &str) -> Result<Describer, HubError> {
        let manifest = self.runnable(name, models::DESCRIBING_TASK)?;
        let reference = manifest.reference();
        let device = self.shared.device_for(manifest)?;
        let files = self.files_of(manifest)?.try_into();
        let [weights, tokenizer]: [VerifiedFile; 2] =
            files.map_err(|_| HubError::DoesNotRun { reference: reference.clone() })?;
        let place = format!("{:?}", device.location());
        let built_from = vec![weights.stamp(), tokenizer.stamp(), place];
        Ok(Describer { shared: self.shared.clone(), weights, tokenizer, device, key: Key { reference, built_from } })
    }
}

impl Describer {
    /// `name@version`.
    pub fn reference(&self) -> &str {
        &self.key.reference
    }

    /// Part of the key of stored results. Covers everything that affects the vector of a picture.
    pub fn identity(&self) -> Vec<String> {
        let hash = Some(self.weights.hash()).filter(|hash| !hash.is_empty());
        let file = hash.unwrap_or_else(|| self.weights.stamp());
        vec![REVISION.to_owned(), self.reference().to_owned(), file]
    }

    pub fn runs_on_card(&self) -> bool {
        !self.device.is_cpu()
    }

    /// The unit vector of an upright photo.
    pub fn embed(&self, photo: &Pixels) -> Result<Vec<f32>, HubError> {
        let network = self.pictures()?;
        let side = network.side() as u32;
        // The whole picture as a square, in -1..1.
        let (mean, std) = ([0.5; 3], [0.5; 3]);
        let preprocess = Preprocess { resize: Resize::Square(side), filter: Filter::Bilinear, crop: None, mean, std };
        let batch = prepare::batch(&preprocess, std::slice::from_ref(photo));
        network.embed(&batch.data).map_err(|error| self.failed(error))
    }

    /// Prepares texts for comparisons. The network for texts is loaded for that alone.
    pub fn describe(&self, texts: &[String]) -> Result<DescribedTexts, HubError> {
        let tokenizer = self.tokenizer.read()?;
        let tokenizer = Tokenizer::from_bytes(tokenizer).map_err(|error| self.no_tokenizer(error.to_string()))?;
        let file = self.weights.open()?;
        let network = SiglipTexts::load(&file, &self.device).map_err(|error| self.failed(error))?;
        let vector = |text: &String| {
            let ids = tokens(&tokenizer, text, network.tokens()).map_err(|why| self.no_tokenizer(why))?;
            network.embed(&ids).map_err(|error| self.failed(error))
        };
        let vectors = texts.iter().map(vector).collect::<Result<_, _>>()?;
        Ok(DescribedTexts { vectors, logit_scale: LogitScale::of(&file)? })
    }

    fn pictures(&self) -> Result<Arc<SiglipPictures>, HubError> {
        let leases = || -> Arc<dyn std::fmt::Debug + Send + Sync> { Arc::new(self.weights.clone()) };
        self.shared.loaded.describers.get(&self.key, self.shared.memory, leases, || self.build())
    }

    fn build(&self) -> Result<SiglipPictures, HubError> {
        let started = Instant::now();
        let network = SiglipPictures::load(&self.weights.open()?, &self.device).map_err(|error| self.failed(error))?;
        let (megabytes, milliseconds) = (network.bytes() as f64 / 1e6, started.elapsed().as_millis());
        (self.shared.note)(&format!("Loaded {} ({megabytes:.0} MB, {milliseconds} ms)", self.reference()));
        Ok(network)
    }

    fn failed(&self, error: SiglipError) -> HubError {
        match error {
            SiglipError::Weights(error) => error.into(),
            SiglipError::Run(source) => HubError::Run { model: self.reference().to_owned(), source },
        }
    }

    fn no_tokenizer(&self, why: String) -> HubError {
        HubError::Tokenizer { model: self.reference().to_owned(), why }
    }
}

/// The tokens of a text in lower case, as the network was trained: cut or padded to `count`, the end kept.
fn tokens(tokenizer: &Tokenizer, text: &str, count: usize) -> Result<Vec<u32>, String> {
    let encoding = tokenizer.encode(text.to_lowercase(), true).map_err(|error| error.to_string())?;
    let mut ids = encoding.get_ids().to_vec();
    if let Some(&end) = ids.last().filter(|_| ids.len() > count) {
        ids.truncate(count.saturating_sub(1));
        ids.push(end);
    }
    ids.resize(count, tokenizer.token_to_id("<pad>").unwrap_or(0));
    Ok(ids)
}

impl DescribedTexts {
    /// How likely each text describes the picture of this vector, 0 to 1.
    pub fn shares(&self, picture: &[f32]) -> Vec<f64> {
        let shift = (PAIRS_OF_TRAINING / PHOTOS_PER_SUBJECT).ln();
        let share = |text: &Vec<f32>| f64::from(self.logit_scale.logit(picture, text) + shift);
        self.vectors.iter().map(share).map(|logit| 1.0 / (1.0 + (-logit).exp())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odds_of_training_become_those_of_an_album() {
        let logit_scale = LogitScale { scale: 10.0, bias: -10.0 };
        let texts = DescribedTexts { vectors: vec![vec![1.0, 0.0], vec![0.0, 1.0]], logit_scale };
        let shares = texts.shares(&[1.0, 0.0]);
        // Undecided in training is nearly certain in an album; what is as unlikely as chance stays unlikely.
        assert!(shares[0] > 0.99 && shares[1] < 0.05, "{shares:?}");
    }
}
