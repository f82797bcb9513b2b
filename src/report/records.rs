//! The lines of the commands, field by field in the order of the contract.

mod device;
mod kmeans;
mod score;
mod setting;

pub use device::DeviceRecord;
pub use kmeans::{DuplicateRecord, KmeansModelRecord, NearestRecord};
pub use score::ScoreRecord;
pub use setting::SettingRecord;
