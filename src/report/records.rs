//! The lines of the commands, field by field in the order of the contract.

mod device;
mod portrait;
mod score;
mod setting;

pub use device::DeviceRecord;
pub use portrait::PortraitRecord;
pub use score::ScoreRecord;
pub use setting::SettingRecord;
