//! The records of the commands, with their fields in the order of the contract.

mod aesthetics;
mod analyze;
mod classify;
mod cluster;
mod compare;
mod decide;
mod device;
mod embed;
mod eval;
mod kmeans;
mod model;
mod ocr;
mod portrait;
mod score;
pub mod select;
mod setting;
mod taste;
mod train;

pub use self::train::TrainRecord;
pub use aesthetics::AestheticsRecord;
pub use analyze::AnalyzeRecord;
pub use classify::{ClassifyRecord, LabelRecord};
pub use cluster::ClusterRecord;
pub use compare::{Method, PairRecord, RankRecord};
pub use decide::{DecidedRecord, DecisionLine, DecisionPlace, DecisionRecord, DecisionWord, LoggedRecord};
pub use device::{DeviceRecord, Gpu};
pub use embed::EmbedRecord;
pub use eval::EvalRecord;
pub use kmeans::{DuplicateRecord, KmeansModelRecord, NearestRecord};
pub use model::{ModelFile, ModelPathRecord, ModelQuality, ModelRecord, PulledRecord, RemovedRecord, VerifiedRecord};
pub use ocr::{OcrRecord, TextLineRecord, TextRecord};
pub use portrait::PortraitRecord;
pub use score::{DegradedRecord, FlawedRecord, QualityRecord, ScoreRecord};
pub use select::SelectRecord;
pub use setting::SettingRecord;
pub use taste::{TasteLessonRecord, TasteRecord};
