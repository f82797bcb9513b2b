//! The lines of the commands, field by field in the order of the contract.

mod aesthetics;
mod compare;
mod device;
mod embed;
mod score;
mod setting;

pub use aesthetics::AestheticsRecord;
pub use compare::{Method, PairRecord, RankRecord};
pub use device::DeviceRecord;
pub use embed::EmbedRecord;
pub use score::ScoreRecord;
pub use setting::SettingRecord;
