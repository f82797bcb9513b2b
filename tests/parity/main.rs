//! Our numbers beside those of the systems we re-implement.

#[path = "../world/mod.rs"]
mod world;

mod candle;
mod formula;
mod graphs;
mod networks;
mod quality;
mod siglip;
mod yolo;
