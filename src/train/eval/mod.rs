//! Metrics from predictions and labels: correlations, rankings within groups, and confidence intervals. Pure functions.

pub mod bootstrap;
pub mod grouping;
pub mod ranking;
pub mod scores;
pub mod variants;
