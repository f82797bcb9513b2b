//! Face analysis with MediaPipe's networks: pixels in, faces out.

use base::pixels::Pixels;
use judge::portrait::landmarks::{self, Refinement};
use judge::portrait::{self, Crop, Detection, Detector, EyesBy, Mesh, Outside, Portrait, ROW, Thresholds};
use kernels::Cpu;
use networks::tflite::{Graph, Network, Operator};

pub use crate::bundle::BundleError;
use crate::expressions::ExpressionNetworks;
pub use crate::face_network::FacesError;
use crate::face_network::{expect, network, scaled};

/// The choice of mesh network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Landmarks {
    /// The mesh with attention, which refines eyes and lips; used by the original.
    #[default]
    Attention,
    /// The plain mesh: faster, with other values for eyes and mouths.
    Fast,
}

/// The contents of the `.tflite` files.
#[derive(Clone, Copy, Debug)]
pub struct FaceFiles<'a> {
    pub full_range: &'a [u8],
    pub short_range: &'a [u8],
    /// `face_landmark_with_attention.tflite`, or `face_landmark.tflite` for [`Landmarks::Fast`].
    pub mesh: &'a [u8],
    /// `face_landmarker.task`; without it there are no expressions.
    pub bundle: Option<&'a [u8]>,
}

/// Finds and judges faces; can be used from several threads.
#[derive(Debug)]
pub struct FaceAnalyzer {
    full_range: Network,
    short_range: Network,
    mesh: Network,
    /// The points that the attention heads refine, for each output from the second on; empty in fast mode.
    refined: Vec<Vec<usize>>,
    expressions: Option<ExpressionNetworks>,
    thresholds: Thresholds,
    model: String,
    bytes: usize,
}

impl FaceAnalyzer {
    /// Loads the networks; records name `model` as their source.
    pub fn load(
        files: FaceFiles,
        mode: Landmarks,
        thresholds: Thresholds,
        model: impl Into<String>,
        cpu: Cpu,
    ) -> Result<Self, FacesError> {
        let all = [files.full_range, files.short_range, files.mesh, files.bundle.unwrap_or_default()];
        let bytes = all.iter().map(|file| file.len()).sum();
        let (mesh, refined) = mesh_network(files.mesh, mode, cpu)?;
        Ok(Self {
            full_range: detector_network(files.full_range, Detector::FullRange, cpu)?,
            short_range: detector_network(files.short_range, Detector::ShortRange, cpu)?,
            mesh,
            refined,
            expressions: files.bundle.map(|bundle| ExpressionNetworks::load(bundle, cpu)).transpose()?,
            thresholds,
            model: model.into(),
            bytes,
        })
    }

    /// The approximate memory of the weights.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Analyses the faces of an upright photo.
    pub fn analyse(&self, pixels: &Pixels) -> Portrait {
        let (width, height) = (pixels.width(), pixels.height());
        let faces = self.detect(pixels, Detector::FullRange);
        let close = if faces.is_empty() { Vec::new() } else { self.detect(pixels, Detector::ShortRange) };
        let crops = portrait::crops(&faces, &close, width, height, &self.thresholds);
        let look = |crop: Crop| {
            let expressed = self.expressions.as_ref().filter(|_| self.thresholds.eyes == EyesBy::States);
            Mesh { expressed: expressed.map(|networks| networks.look(pixels, &crop)), ..self.mesh(pixels, &crop) }
        };
        let meshes = crops.into_iter().map(|crop| crop.map(look)).collect();
        Portrait::judge(&faces, meshes, width, height, &self.thresholds, &self.model)
    }

    /// The faces that one detector finds, best first.
    pub fn detect(&self, pixels: &Pixels, detector: Detector) -> Vec<Detection> {
        let (network, least) = match detector {
            Detector::FullRange => (&self.full_range, self.thresholds.face_detection_confidence),
            Detector::ShortRange => (&self.short_range, self.thresholds.landmark_detection_confidence),
        };
        let (width, height) = (pixels.width(), pixels.height());
        let picture = Crop::whole(width, height).sample(pixels, detector.side(), Outside::Black);
        let input = scaled(&picture, 2.0 / 255.0, -1.0);
        let answers = network.run(&input);
        portrait::decode(detector, &answers[0], &answers[1], least, width, height)
    }

    /// The landmarks of the face in a crop.
    pub fn mesh(&self, pixels: &Pixels, crop: &Crop) -> Mesh {
        let picture = crop.sample(pixels, landmarks::SIDE, Outside::Nearest);
        let answers = self.mesh.run(&scaled(&picture, 1.0 / 255.0, 0.0));
        let refinements: Vec<_> =
            self.refined.iter().zip(&answers[2..]).map(|(indices, points)| Refinement { points, indices }).collect();
        let landmarks =
            landmarks::place(&answers[0], landmarks::SIDE, &refinements, crop, pixels.width(), pixels.height());
        Mesh { presence: 1.0 / (1.0 + (-answers[1][0]).exp()), landmarks, expressed: None }
    }
}

/// The shape of a square RGB input.
fn picture(side: usize) -> [usize; 4] {
    [1, side, side, 3]
}

fn detector_network(bytes: &[u8], detector: Detector, cpu: Cpu) -> Result<Network, FacesError> {
    let name = match detector {
        Detector::FullRange => "full-range detector",
        Detector::ShortRange => "short-range detector",
    };
    let (side, rows) = (detector.side(), detector.rows());
    let (_, network) = network(name, bytes, &[0, 1], cpu)?;
    expect(name, &network, &picture(side), &[vec![1, rows, ROW], vec![1, rows, 1]])?;
    Ok(network)
}

/// Loads the network; also returns the points that each output from the third on refines.
fn mesh_network(bytes: &[u8], mode: Landmarks, cpu: Cpu) -> Result<(Network, Vec<Vec<usize>>), FacesError> {
    let coordinates = |points: usize, each: usize| vec![1, 1, 1, points * each];
    match mode {
        Landmarks::Fast => {
            let name = "face mesh";
            let (_, network) = network(name, bytes, &[0, 1], cpu)?;
            let outputs = [coordinates(landmarks::COUNT, 3), coordinates(1, 1)];
            expect(name, &network, &picture(landmarks::SIDE), &outputs)?;
            Ok((network, Vec::new()))
        }
        Landmarks::Attention => {
            // Mesh, presence, lips, eyes. The irises (outputs 4 and 5) are not used, so nothing that only they need is run.
            let name = "face mesh with attention";
            let (graph, network) = network(name, bytes, &[0, 6, 1, 2, 3], cpu)?;
            let refined = regions(&graph);
            if let Some(index) = refined.iter().flatten().find(|&&index| index >= landmarks::COUNT) {
                return Err(FacesError::Other { network: name, problem: format!("there is no landmark {index}") });
            }
            let mut outputs = vec![coordinates(landmarks::COUNT, 3), coordinates(1, 1)];
            outputs.extend(refined.iter().map(|indices| coordinates(indices.len(), 2)));
            expect(name, &network, &picture(landmarks::SIDE), &outputs)?;
            Ok((network, refined))
        }
    }
}

/// The point lists in the file for its crops of lips and eyes, which give the order of the refined points.
fn regions(graph: &Graph) -> Vec<Vec<usize>> {
    let subset = |operator: &Operator| match operator {
        Operator::RegionMatrix(region) => Some(region.subset.clone()),
        _ => None,
    };
    graph.nodes.iter().filter_map(|node| subset(&node.operator)).collect()
}
