//! The lines of the commands, field by field in the order of the contract.

mod analyze;
mod cluster;
mod device;
mod score;
pub mod select;
mod setting;

pub use analyze::AnalyzeRecord;
pub use cluster::ClusterRecord;
pub use device::DeviceRecord;
pub use score::ScoreRecord;
pub use select::SelectRecord;
pub use setting::SettingRecord;
