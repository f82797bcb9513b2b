//! The model hub: what a model is, where its files lie, and how it becomes something that answers.

pub mod face_files;
pub mod faces;
pub mod tflite;
