//! Small networks in Tesseract's format: valid ones read a line, others are refused quickly and without much memory.

use std::time::{Duration, Instant};

use super::file::NETWORK;
use super::*;

#[path = "../../../tests/world/traineddata_file.rs"]
mod traineddata_file;

use traineddata_file::{Writer, dark_is_an_i, file, series};

fn load(file: &[u8]) -> Result<LineReader, GraphError> {
    LineReader::load(file, Cpu::best())
}

/// A line of four rows, dark where there is a bar.
fn line(text: &str) -> Vec<f32> {
    let row = text.chars().map(|mark| if mark == '|' { 0.0 } else { 255.0 });
    row.clone().chain(row.clone()).chain(row.clone()).chain(row).collect()
}

#[test]
fn a_line_is_read_by_weights_of_whole_numbers_and_of_fractions() {
    for integers in [true, false] {
        let reader = load(&dark_is_an_i(integers)).unwrap();
        assert_eq!(reader.height(), 4);
        let (text, confidence) = reader.read_as_is(&line("..||..|..|||.."), None).unwrap();
        assert_eq!(text, "III");
        assert!((0.2..0.6).contains(&confidence), "{confidence}");
    }
}

#[test]
fn a_recurrent_layer_remembers_in_its_own_direction() {
    // The candidate is the input, every gate is open: each output knows what came before it.
    let open = [vec![4.0, 0.0, 0.0], vec![0.0, 0.0, 9.0], vec![0.0, 0.0, 9.0], vec![0.0, 0.0, 9.0]];
    let lstm =
        |writer: Writer| open.iter().fold(writer.layer("LSTM", 1, 1).ints(&[2]), |w, gate| w.weights(1, gate, false));
    let pooled = || series(3).layer("Maxpool", 1, 1).ints(&[1, 4]);
    let told = |layers: &Writer| {
        let file = file(layers);
        let mut bytes = Bytes::new(file::part(&file, NETWORK).unwrap().unwrap());
        let network = layer::read(&mut bytes, Engine { cpu: Cpu::best(), precision: Precision::Full }).unwrap();
        let data = [0.0, 0.0, 1.0, 0.0].repeat(4);
        network.layer.apply(Map { height: 4, width: 4, depth: 1, data }).unwrap().data
    };
    let after = told(&lstm(pooled()));
    assert!(after[1].abs() < 0.01 && after[2] > 0.7 && after[3] > 0.7, "{after:?}");
    let before = told(&lstm(pooled().layer("RTLReversed", 1, 1).ints(&[1])));
    assert!(before[3].abs() < 0.01 && before[2] > 0.7 && before[0] > 0.7, "{before:?}");
}

#[test]
fn what_is_cut_or_wrong_is_refused_at_once() {
    let whole = dark_is_an_i(true);
    let started = Instant::now();
    for end in 0..whole.len() - 1 {
        // The last part has a byte that nothing reads at its end only where it is whole.
        assert!(load(&whole[..end]).is_err(), "{end} bytes");
    }
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut wrong = whole.clone();
            wrong[at] = value;
            if let Ok(reader) = load(&wrong) {
                drop(reader.read(&vec![9.0; reader.height() * 20], None));
            }
        }
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let layers = |layers: Writer| load(&file(&layers)).unwrap_err().to_string();
    let said = layers(series(2).layer("Par2dLSTM", 1, 1));
    assert!(said.contains("operator Par2dLSTM of Tesseract is not supported"), "{said}");
    let deep = (0..99).fold(Writer::default(), |writer, _| writer.layer("Series", 4, 4).ints(&[1]));
    assert!(layers(deep).contains("the nesting of layers"));
    let huge = series(2).layer("Softmax", 1, 4).ints(&[]);
    let huge = Writer([huge.0, vec![0x81]].concat()).ints(&[i32::MAX, i32::MAX]);
    assert!(layers(huge).contains("asks for more than this reader allows"));
    assert!(load(b"no traineddata").is_err());
}
