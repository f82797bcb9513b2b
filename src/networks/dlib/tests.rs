//! Files in dlib's format: valid ones are read, others are refused quickly and without much memory.

use std::time::{Duration, Instant};

use super::*;
use crate::fused::Runner;
use base::pixels::Pixels;
use kernels::{Cpu, Engine, Precision};

/// Writes what `Stream` reads.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn int(&mut self, value: i64) -> &mut Self {
        let bytes = value.unsigned_abs().to_le_bytes();
        let length = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |at| at + 1);
        self.0.push(length as u8 | if value < 0 { 0x80 } else { 0 });
        self.0.extend(&bytes[..length]);
        self
    }

    fn ints(&mut self, values: &[i64]) -> &mut Self {
        values.iter().fold(self, |writer, value| writer.int(*value))
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.int(text.len() as i64).0.extend(text.as_bytes());
        self
    }

    /// A number of 24 bits after the point.
    fn float(&mut self, value: f64) -> &mut Self {
        self.int((value * f64::from(1 << 24)).round() as i64).int(-24)
    }

    fn tensor(&mut self, shape: [i64; 4], value: impl Fn(usize) -> f32) -> &mut Self {
        self.int(2).ints(&shape);
        (0..shape.iter().product::<i64>() as usize).for_each(|at| self.0.extend(value(at).to_le_bytes()));
        self
    }

    fn trailer(&mut self) -> &mut Self {
        self.0.extend(b"110");
        (0..3).fold(self, |writer, _| writer.tensor([0; 4], |_| 0.0))
    }

    fn layer(&mut self, name: &str, ints: &[i64]) -> &mut Self {
        self.text(name).ints(ints).trailer()
    }

    fn convolution(&mut self, inputs: i64, outputs: i64, window: [i64; 3], is_first: bool) -> &mut Self {
        let [side, stride, padding] = window;
        let weights = outputs * inputs * side * side;
        let spread = 1.0 / (inputs * side * side) as f32;
        self.text("con_4").tensor([weights + outputs, 1, 1, 1], |at| spread * (((at * 7919) % 13) as f32 - 5.0));
        self.int(outputs).ints(&[side, side, stride, stride, padding, padding]);
        self.int(1).ints(&[outputs, inputs, side, side]).int(1).ints(&[1, outputs, 1, 1]);
        (0..4).for_each(|_| _ = self.float(1.0));
        self.trailer();
        if is_first {
            self.int(1);
        }
        self.text("affine_").tensor([2 * outputs, 1, 1, 1], |at| if (at as i64) < outputs { 1.0 } else { 0.01 });
        (0..2).for_each(|_| _ = self.int(1).ints(&[1, outputs, 1, 1]));
        self.int(0).trailer()
    }
}

fn network() -> Vec<u8> {
    let mut file = Writer::default();
    file.int(1).text("loss_metric_2").float(0.04).float(0.6);
    (0..129).for_each(|at| _ = file.int(1 + i64::from(at % 4 != 0)));
    file.int(3).text("input_rgb_image_sized").float(122.0).float(117.0).float(104.0).ints(&[150, 150]);
    file.convolution(3, 32, [7, 2, 0], true).layer("relu_", &[]).layer("max_pool_2", &[3, 3, 2, 2, 0, 0]);
    let mut inputs = 32;
    for (outputs, blocks) in [(32, 3), (64, 4), (128, 3), (256, 3), (256, 1)] {
        for block in 0..blocks {
            let halves = block == 0 && (outputs != 32);
            let window = if halves { [3, 2, 0] } else { [3, 1, 1] };
            file.convolution(inputs, outputs, window, false).layer("relu_", &[]);
            file.convolution(outputs, outputs, [3, 1, 1], false);
            if halves {
                file.layer("avg_pool_2", &[2, 2, 2, 2, 0, 0]);
            }
            file.layer("add_prev_", &[]).layer("relu_", &[]);
            inputs = outputs;
        }
    }
    file.layer("avg_pool_2", &[0, 0, 1, 1, 0, 0]);
    file.text("fc_2").ints(&[128, 256]).tensor([256, 128, 1, 1], |at| ((at % 17) as f32 - 8.0) / 64.0);
    file.int(1).ints(&[256, 128, 1, 1]).int(1).ints(&[0; 4]).int(1);
    (0..4).for_each(|_| _ = file.float(1.0));
    file.trailer();
    file.0
}

/// An aligner whose trees all say the same: nothing.
fn aligner() -> Vec<u8> {
    let mean = [0.8, 0.3, 0.6, 0.3, 0.2, 0.3, 0.4, 0.3, 0.5, 0.6];
    let mut file = Writer::default();
    file.int(1).ints(&[-10, -1]);
    mean.iter().for_each(|v| _ = file.float(*v));
    file.int(15);
    for _ in 0..15 {
        file.int(500);
        for _ in 0..500 {
            file.int(15);
            (0..15).for_each(|at| _ = file.int(at).int(799 - at).float(0.5));
            file.int(16);
            for _ in 0..16 {
                file.ints(&[-10, -1]);
                (0..10).for_each(|_| _ = file.float(0.0));
            }
        }
    }
    file.int(15);
    for _ in 0..15 {
        file.int(800);
        (0..800).for_each(|at| _ = file.int(at % 5));
    }
    file.int(15);
    for _ in 0..15 {
        file.int(800);
        (0..1600).for_each(|at| _ = file.float(f64::from(at % 100) / 1000.0));
    }
    file.0
}

fn engine() -> Engine {
    Engine { cpu: Cpu::best(), precision: Precision::Full }
}

fn soon<T>(read: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let answer = read();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    answer
}

#[test]
fn sound_files_are_read_and_describe_every_face_alike_on_every_processor() {
    let bytes = network();
    let chip: Vec<u8> = (0..CHIP * CHIP * 3).map(|at| ((at * 31) % 251) as u8).collect();
    let described = |cpu| {
        let network = FaceDescriptor::read(&bytes, Engine { cpu, precision: Precision::Full }).unwrap();
        let batch = FaceDescriptor::batch(&chip);
        Runner::new(Box::new(network)).run(&batch).unwrap()
    };
    let (best, plain) = (described(Cpu::best()), described(Cpu::Plain));
    assert_eq!(best.len(), DESCRIPTOR);
    assert!(best.iter().any(|v| v.abs() > 1e-3) && best.iter().all(|v| v.is_finite()), "{best:?}");
    for (a, b) in best.iter().zip(&plain) {
        assert!((a - b).abs() <= 1e-3 * (1.0 + b.abs()), "{a} {b}");
    }
    let alignment = Alignment::read(&aligner()).unwrap();
    let photo = Pixels::new(300, 200, vec![90; 300 * 200 * 3]).unwrap();
    let points = alignment.points(&photo, Rectangle { left: 100, top: 50, right: 200, bottom: 150 });
    assert_eq!(points[0], [180.0, 80.0]);
    assert_eq!(face_chip(&photo, &points).len(), CHIP * CHIP * 3);
    // Partly and wholly outside the photo.
    for left in [-90, 1000, i64::from(i32::MAX)] {
        let points = alignment.points(&photo, Rectangle { left, top: -50, right: left + 3000, bottom: 150 });
        face_chip(&photo, &points);
    }
    let same = [[5.0, 5.0]; 5];
    assert!(face_chip(&photo, &same).iter().all(|v| *v == 0 || *v == 90));
}

#[test]
fn files_that_are_cut_are_refused() {
    let (network, aligner) = (network(), aligner());
    for part in 0..24 {
        let cut = |bytes: &[u8]| bytes[..bytes.len() * part / 24].to_vec();
        let (network, aligner) = (cut(&network), cut(&aligner));
        soon(|| FaceDescriptor::read(&network, engine()).map(drop)).unwrap_err();
        soon(|| Alignment::read(&aligner).map(drop)).unwrap_err();
    }
    let longer = [network.as_slice(), &[0]].concat();
    assert_eq!(FaceDescriptor::read(&longer, engine()).unwrap_err(), DlibError::LeftOver(1));
}

#[test]
fn huge_counts_and_other_bytes_are_refused_before_memory_is_taken() {
    let huge = |what: &mut Writer| what.ints(&[2, i64::MAX, i64::MAX, 1, 1]).0.clone();
    let mut file = Writer::default();
    file.int(1).text("loss_metric_2").float(0.04).float(0.6);
    (0..129).for_each(|_| _ = file.int(2));
    file.int(3).text("input_rgb_image_sized").float(1.0).float(1.0).float(1.0).ints(&[150, 150]).text("con_4");
    let bytes = huge(&mut file);
    let error = soon(|| FaceDescriptor::read(&bytes, engine()).map(drop)).unwrap_err();
    assert!(error.to_string().starts_with("convolution of shape [9223372036854775807"), "{error}");
    let mut trees = Writer::default();
    trees.int(1).ints(&[i64::MIN + 1, -1]);
    let error = soon(|| Alignment::read(&trees.0).map(drop)).unwrap_err();
    assert!(error.to_string().starts_with("mean face -9223372036854775807"), "{error}");
    for bytes in [&b""[..], b"\x01\x01", b"\x09AAAAAAAAA", b"PK\x03\x04", &[0xFF; 4096], &[0; 4096]] {
        soon(|| FaceDescriptor::read(bytes, engine()).map(drop)).unwrap_err();
        soon(|| Alignment::read(bytes).map(drop)).unwrap_err();
    }
    // Any byte of the structure may be another one: never a panic.
    let sound = network();
    for at in (0..400).step_by(7) {
        let mut bent = sound.clone();
        bent[at] ^= 0xA5;
        let _ = soon(|| FaceDescriptor::read(&bent, engine()).map(drop));
    }
}
