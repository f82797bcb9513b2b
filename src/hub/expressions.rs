//! MediaPipe's expression network and its mesh, from a face landmarker bundle.

use base::pixels::Pixels;
use judge::portrait::landmarks;
use judge::portrait::{BLENDSHAPES, Blendshapes, Crop, ExpressionOutput, Outside, glasses};
use kernels::Cpu;
use networks::tflite::Network;

use crate::bundle::Bundle;
use crate::face_network::{FacesError, expect, network, scaled};

/// Side of the mesh network's input.
const SIDE: usize = 256;
/// Points of the mesh: those of the face, and five for each iris.
const POINTS: usize = landmarks::COUNT + 10;

/// The mesh points that the expression network takes.
const EXPRESSION_POINTS: [usize; 146] = [
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153,
    154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251,
    263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318,
    321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
];

#[derive(Debug)]
pub struct ExpressionNetworks {
    mesh: Network,
    blendshapes: Network,
}

impl ExpressionNetworks {
    /// Loads the networks from the content of `face_landmarker.task`.
    pub fn load(bundle: &[u8], cpu: Cpu) -> Result<Self, FacesError> {
        let bundle = Bundle::read(bundle).map_err(FacesError::Bundle)?;
        let of_entry = |name: &'static str, wanted: &[usize]| {
            let content = bundle.entry(name).map_err(FacesError::Bundle)?;
            Ok::<_, FacesError>(network(name, &content, wanted, cpu)?.1)
        };
        // The third output is the second in another shape.
        let (mesh, blendshapes) = ("face_landmarks_detector.tflite", "face_blendshapes.tflite");
        let networks = Self { mesh: of_entry(mesh, &[0, 1])?, blendshapes: of_entry(blendshapes, &[0])? };
        expect(mesh, &networks.mesh, &[1, SIDE, SIDE, 3], &[vec![1, 1, 1, POINTS * 3], vec![1, 1, 1, 1]])?;
        expect(blendshapes, &networks.blendshapes, &[1, EXPRESSION_POINTS.len(), 2], &[vec![BLENDSHAPES.len()]])?;
        Ok(networks)
    }

    /// Runs the networks on the face in a crop.
    pub fn look(&self, pixels: &Pixels, crop: &Crop) -> ExpressionOutput {
        let (width, height) = (pixels.width(), pixels.height());
        let picture = crop.sample(pixels, SIDE, Outside::Nearest);
        let answers = self.mesh.run(&scaled(&picture, 1.0 / 255.0, 0.0));
        let points = landmarks::place(&answers[0], SIDE, &[], crop, width, height);
        let looked_at: Vec<f32> = EXPRESSION_POINTS
            .iter()
            .flat_map(|&index| [points[index][0] * f64::from(width), points[index][1] * f64::from(height)])
            .map(|v| v as f32)
            .collect();
        let scores = self.blendshapes.run(&looked_at);
        let blendshapes = Blendshapes(std::array::from_fn(|i| scores[0][i]));
        let presence = 1.0 / (1.0 + (-answers[1][0]).exp());
        let dark_glasses = glasses::are_dark(pixels, &points);
        ExpressionOutput { presence, landmarks: points, blendshapes, dark_glasses }
    }
}
