//! The lines of the commands, field by field in the order of the contract.

mod device;
mod model;
mod score;
mod setting;

pub use device::DeviceRecord;
pub use model::{ModelFile, ModelPathRecord, ModelQuality, ModelRecord, PulledRecord, RemovedRecord, VerifiedRecord};
pub use score::ScoreRecord;
pub use setting::SettingRecord;
