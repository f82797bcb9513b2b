//! The manifests that every binary carries, and the weights that are part of it.

/// Path in the repository, and text.
pub const MANIFESTS: &[(&str, &str)] = &[
    ("models/album-mini.yaml", include_str!("album-mini.yaml")),
    ("models/ava-resnet50.yaml", include_str!("ava-resnet50.yaml")),
    ("models/dinov2-b.yaml", include_str!("dinov2-b.yaml")),
    ("models/dinov2-l.yaml", include_str!("dinov2-l.yaml")),
    ("models/dinov2-s.yaml", include_str!("dinov2-s.yaml")),
    ("models/efficientnet-lite0.yaml", include_str!("efficientnet-lite0.yaml")),
    ("models/efficientnet-lite2.yaml", include_str!("efficientnet-lite2.yaml")),
    ("models/face-recognition-dlib.yaml", include_str!("face-recognition-dlib.yaml")),
    ("models/mediapipe-face-full-range.yaml", include_str!("mediapipe-face-full-range.yaml")),
    ("models/mediapipe-face-landmarker.yaml", include_str!("mediapipe-face-landmarker.yaml")),
    ("models/mediapipe-face-mesh-attention.yaml", include_str!("mediapipe-face-mesh-attention.yaml")),
    ("models/mediapipe-face-mesh.yaml", include_str!("mediapipe-face-mesh.yaml")),
    ("models/mediapipe-face-short-range.yaml", include_str!("mediapipe-face-short-range.yaml")),
    ("models/mobilenet-v2-v1.yaml", include_str!("mobilenet-v2-v1.yaml")),
    ("models/mobilenet-v2.yaml", include_str!("mobilenet-v2.yaml")),
    ("models/multihead-quality.yaml", include_str!("multihead-quality.yaml")),
    ("models/pp-ocrv6-small.yaml", include_str!("pp-ocrv6-small.yaml")),
    ("models/pp-ocrv6-tiny.yaml", include_str!("pp-ocrv6-tiny.yaml")),
    ("models/resnet50-v1.yaml", include_str!("resnet50-v1.yaml")),
    ("models/resnet50.yaml", include_str!("resnet50.yaml")),
    ("models/siamese-resnet50.yaml", include_str!("siamese-resnet50.yaml")),
    ("models/siglip2-base.yaml", include_str!("siglip2-base.yaml")),
    ("models/ssd-mobilenet-v2.yaml", include_str!("ssd-mobilenet-v2.yaml")),
    ("models/tesseract-eng.yaml", include_str!("tesseract-eng.yaml")),
    ("models/yolov8n.yaml", include_str!("yolov8n.yaml")),
    ("models/yolov8s.yaml", include_str!("yolov8s.yaml")),
];

/// Lists of classes that manifests name, and the classes, one a line.
pub const CLASSES: &[(&str, &str)] = &[("imagenet-1k", IMAGENET)];

/// The classes of ImageNet in the words of torchvision.
pub const IMAGENET: &str = include_str!("imagenet-1k.txt");

/// What these classes are kinds of: `words: places in the list`, one concept a line.
pub const IMAGENET_CONCEPTS: &str = include_str!("imagenet-1k-concepts.txt");

/// The model that tells what is in a photo.
pub const CLASSIFIER: &str = "efficientnet-lite0";

/// The names of COCO's classes, one a line, from 1 to 90; the lines of numbers that were never used are empty.
pub const COCO: &str = include_str!("coco.txt");

/// The models that find objects do this, and the one that does unless another is named.
pub const OBJECT_TASK: &str = "detection";
pub const OBJECT_FINDER: &str = "ssd-mobilenet-v2";

/// The models that read text do this, and the one that does unless another is named.
pub const TEXT_TASK: &str = "text";
pub const TEXT_READER: &str = "pp-ocrv6-small";

/// The models that compare pictures with words do this, and the one that is recommended.
pub const DESCRIBING_TASK: &str = "describing";
pub const DESCRIBER: &str = "siglip2-base";

/// The model that takes the place of any that is not here.
pub const MINI: &str = "album-mini";

/// File name, and content.
pub const WEIGHTS: &[(&str, &[u8])] = &[("album-mini.safetensors", include_bytes!("album-mini.safetensors"))];
