//! Networks (tensor names, configuration, forward pass) and the formats of weight files.
//!
//! Most networks have two implementations: candle modules for training, and fused kernels for inference. Weight files are
//! data: nothing in them is executed, and every length is checked before memory is allocated. This crate must never know
//! where a file came from, a manifest, or which device was chosen.

mod axes;
mod bilinear;
pub mod checkpoint;
mod convolution;
mod depthwise;
pub mod dinov2;
pub mod dlib;
pub mod folded_norm;
pub mod fused;
pub mod graph;
pub mod head;
pub mod languages;
pub mod mini;
pub mod mobile;
pub mod multihead;
pub mod objects;
pub mod onnx;
pub mod preference;
pub mod preprocess;
pub mod rating;
mod rectified;
pub mod resnet;
pub mod siglip;
pub mod singlehead;
pub mod tensorflow;
pub mod tesseract;
pub mod text;
pub mod tflite;
pub mod vgg;
pub mod weights;
