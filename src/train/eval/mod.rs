//! Pure: predictions and truths to figures. Correlations, rankings inside groups, and how sure one can be of them.

pub mod bootstrap;
pub mod grouping;
pub mod ranking;
pub mod scores;
pub mod variants;
