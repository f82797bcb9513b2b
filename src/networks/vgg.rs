//! VGG16 up to its second fully connected layer: 4096 features. A backbone of the Siamese ranker.

mod fused;
mod trained;

pub use fused::FusedVgg16;
pub use trained::Vgg16;

pub const FEATURES: usize = 4096;

/// The convolutions: index in the file's `Sequential`, inputs, outputs, and whether a pooling follows.
const CONVOLUTIONS: [(usize, usize, usize, bool); 13] = [
    (0, 3, 64, false),
    (2, 64, 64, true),
    (5, 64, 128, false),
    (7, 128, 128, true),
    (10, 128, 256, false),
    (12, 256, 256, false),
    (14, 256, 256, true),
    (17, 256, 512, false),
    (19, 512, 512, false),
    (21, 512, 512, true),
    (24, 512, 512, false),
    (26, 512, 512, false),
    (28, 512, 512, true),
];

/// Side and channels of the map before the fully connected layers.
const SIDE: usize = 7;
const CHANNELS: usize = 512;
