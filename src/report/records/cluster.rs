//! A line of `cluster`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::photo_report::TakenFrom;
use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterRecord {
    #[serde(flatten)]
    pub path: PhotoPath,
    /// Groups are numbered from 0 by first appearance; −1 only with `--noise exclude`.
    pub cluster_id: i64,
    /// The number of photos in its group.
    pub cluster_size: usize,
    /// Whether the method found no group for it.
    pub is_noise: bool,
    pub method: String,
    /// The time by the camera's clock, or only the day; null if neither the file nor its name has it.
    pub taken_at: Option<String>,
    /// The source of the time: the file's metadata or its name.
    pub taken_from: Option<TakenFrom>,
}

impl Record for ClusterRecord {
    const HEADINGS: &'static [&'static str] = &["photo", ">group", ">of", "taken at"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::path(&self.path.image_path),
            if self.cluster_id < 0 { Cell::faint("-") } else { Cell::plain(&self.cluster_id) },
            if self.is_noise { Cell::faint(&self.cluster_size) } else { Cell::plain(&self.cluster_size) },
            self.taken_at.as_ref().map_or_else(|| Cell::faint("-"), Cell::faint),
        ]
    }
}
