//! Pixels in, faces out: MediaPipe's networks and the arithmetic around them.

use base::pixels::Pixels;
use judge::portrait::landmarks::{self, Refinement};
use judge::portrait::{self, Crop, Detection, Detector, EyesBy, Mesh, Outside, Portrait, ROW, Thresholds};
use kernels::Cpu;
use networks::tflite::{Graph, Network, Operator};

pub use crate::bundle::BundleError;
use crate::expressions::ExpressionNetworks;
pub use crate::face_network::FacesError;
use crate::face_network::{expect, network, scaled};

/// Which mesh network the landmarks come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Landmarks {
    /// Eyes and lips placed anew by attention heads: what the original uses.
    #[default]
    Attention,
    /// The plain mesh: faster, and its eyes and mouths are other numbers.
    Fast,
}

/// The contents of the `.tflite` files.
#[derive(Clone, Copy, Debug)]
pub struct FaceFiles<'a> {
    pub full_range: &'a [u8],
    pub short_range: &'a [u8],
    /// `face_landmark_with_attention.tflite`, or `face_landmark.tflite` for [`Landmarks::Fast`].
    pub mesh: &'a [u8],
    /// `face_landmarker.task`; without it nothing is said of expressions.
    pub bundle: Option<&'a [u8]>,
}

/// Finds and judges faces, from any number of threads.
#[derive(Debug)]
pub struct FaceAnalyzer {
    full_range: Network,
    short_range: Network,
    mesh: Network,
    /// Points that the attention heads place anew, by output from the second on; empty in the fast mode.
    refined: Vec<Vec<usize>>,
    expressions: Option<ExpressionNetworks>,
    thresholds: Thresholds,
    model: String,
    bytes: usize,
}

impl FaceAnalyzer {
    /// `model` is what records name as their source.
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

    /// About what its weights take in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What there is to say about the faces of an upright photo.
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

    /// The faces one detector finds, best first.
    pub fn detect(&self, pixels: &Pixels, detector: Detector) -> Vec<Detection> {
        let (network, least) = match detector {
            Detector::FullRange => (&self.full_range, self.thresholds.face_detection_confidence),
            Detector::ShortRange => (&self.short_range, self.thresholds.landmark_detection_confidence),
        };
        let (width, height) = (pixels.width(), pixels.height());
        let picture = Crop::whole(width, height).sample(pixels, detector.side(), Outside::Black);
        let input = scaled(&picture, 2.0 / 255.0, -1.0);
        let answers = network.run(&[&input]);
        portrait::decode(detector, &answers[0], &answers[1], least, width, height)
    }

    /// The landmarks of the face in a crop.
    pub fn mesh(&self, pixels: &Pixels, crop: &Crop) -> Mesh {
        let picture = crop.sample(pixels, landmarks::SIDE, Outside::Nearest);
        let answers = self.mesh.run(&[&scaled(&picture, 1.0 / 255.0, 0.0)]);
        let refinements: Vec<_> =
            self.refined.iter().zip(&answers[2..]).map(|(indices, points)| Refinement { points, indices }).collect();
        let landmarks =
            landmarks::place(&answers[0], landmarks::SIDE, &refinements, crop, pixels.width(), pixels.height());
        Mesh { presence: 1.0 / (1.0 + (-answers[1][0]).exp()), landmarks, expressed: None }
    }
}

/// The shape of a square picture.
fn picture(side: usize) -> Vec<usize> {
    vec![1, side, side, 3]
}

fn detector_network(bytes: &[u8], detector: Detector, cpu: Cpu) -> Result<Network, FacesError> {
    let name = match detector {
        Detector::FullRange => "full-range detector",
        Detector::ShortRange => "short-range detector",
    };
    let (side, rows) = (detector.side(), detector.rows());
    let (_, network) = network(name, bytes, &[0, 1], cpu)?;
    expect(name, &network, &[picture(side)], &[vec![1, rows, ROW], vec![1, rows, 1]])?;
    Ok(network)
}

/// The network, and for each of its outputs from the third on the points that it places anew.
fn mesh_network(bytes: &[u8], mode: Landmarks, cpu: Cpu) -> Result<(Network, Vec<Vec<usize>>), FacesError> {
    let coordinates = |points: usize, each: usize| vec![1, 1, 1, points * each];
    match mode {
        Landmarks::Fast => {
            let name = "face mesh";
            let (_, network) = network(name, bytes, &[0, 1], cpu)?;
            let outputs = [coordinates(landmarks::COUNT, 3), coordinates(1, 1)];
            expect(name, &network, &[picture(landmarks::SIDE)], &outputs)?;
            Ok((network, Vec::new()))
        }
        Landmarks::Attention => {
            // Mesh, presence, lips, eyes. The irises (outputs 4 and 5) serve no question asked here, and what only
            // they need is not run.
            let name = "face mesh with attention";
            let (graph, network) = network(name, bytes, &[0, 6, 1, 2, 3], cpu)?;
            let refined = regions(&graph);
            if let Some(index) = refined.iter().flatten().find(|&&index| index >= landmarks::COUNT) {
                return Err(FacesError::Other { network: name, problem: format!("there is no landmark {index}") });
            }
            let mut outputs = vec![coordinates(landmarks::COUNT, 3), coordinates(1, 1)];
            outputs.extend(refined.iter().map(|indices| coordinates(indices.len(), 2)));
            expect(name, &network, &[picture(landmarks::SIDE)], &outputs)?;
            Ok((network, refined))
        }
    }
}

/// The lists of points that the file itself gives for its crops of lips and eyes; its refined points come in that order.
fn regions(graph: &Graph) -> Vec<Vec<usize>> {
    let subset = |operator: &Operator| match operator {
        Operator::RegionMatrix(region) => Some(region.subset.clone()),
        _ => None,
    };
    graph.nodes.iter().filter_map(|node| subset(&node.operator)).collect()
}
