//! Small networks in Tesseract's format: valid ones read a line, others are refused quickly and without much memory.

use std::time::{Duration, Instant};

use super::*;

/// Writes what `Bytes` reads.
#[derive(Default, Clone)]
struct Writer(Vec<u8>);

impl Writer {
    fn ints(mut self, values: &[i32]) -> Self {
        values.iter().for_each(|value| self.0.extend(value.to_le_bytes()));
        self
    }

    fn text(self, text: &str) -> Self {
        let mut writer = self.ints(&[text.len() as i32]);
        writer.0.extend(text.as_bytes());
        writer
    }

    fn layer(mut self, kind: &str, inputs: i32, outputs: i32) -> Self {
        self.0.push(0);
        let mut writer = self.text(kind);
        writer.0.extend([0, 0]);
        writer.ints(&[0, inputs, outputs, 0]).text(kind)
    }

    /// A matrix of weights, the bias last in each row; whole numbers are hundredths.
    fn weights(mut self, rows: usize, values: &[f64], integers: bool) -> Self {
        self.0.push(if integers { 0x81 } else { 0x80 });
        let mut writer = self.ints(&[rows as i32, (values.len() / rows) as i32]);
        if integers {
            writer.0.push(0);
            writer.0.extend(values.iter().map(|value| (value * 100.0).round() as i8 as u8));
            writer = writer.ints(&[rows as i32]);
            (0..rows).for_each(|_| writer.0.extend(0.01_f64.to_le_bytes()));
        } else {
            writer.0.extend([0; 8]);
            values.iter().for_each(|value| writer.0.extend(value.to_le_bytes()));
        }
        writer
    }
}

/// A file with a network of these layers, and the characters I, space and J for outputs 0 to 2; output 3 is none.
fn file(layers: &Writer) -> Vec<u8> {
    let network = [layers.0.clone(), Writer::default().text("[1,4,0,1]").ints(&[0, 0, 0, 3, 0, 0, 0]).0].concat();
    let list = "4\nI 1 0\nNULL 0 0\nJ 1 0\nJoined 0 0\n".as_bytes().to_vec();
    let mut codes = Writer::default().ints(&[4]);
    for code in 0..4 {
        codes.0.push(0);
        codes = codes.ints(&[1, code]);
    }
    let mut parts = vec![(NETWORK, network), (CHARACTERS, list), (CODES, codes.0)];
    let (mut table, mut at) = ([-1_i64; 24], 4 + 24 * 8);
    for (number, part) in &parts {
        table[*number] = at;
        at += part.len() as i64;
    }
    let table = table.iter().flat_map(|start| start.to_le_bytes());
    24_i32.to_le_bytes().into_iter().chain(table).chain(parts.drain(..).flat_map(|(_, part)| part)).collect()
}

use super::file::{CHARACTERS, CODES, NETWORK};

fn series(count: i32) -> Writer {
    let input = Writer::default().layer("Series", 4, 4).ints(&[count]).layer("Input", 4, 1);
    input.ints(&[1, 4, 0, 1, 0])
}

/// Four rows become one by their largest number; dark places are an I, others none.
fn dark_is_an_i(integers: bool) -> Vec<u8> {
    let weights = [-0.5, 0.0, 0.0, -1.0, 0.0, -1.0, 0.5, 0.0];
    let layers = series(3).layer("Maxpool", 1, 1).ints(&[1, 4]).layer("Softmax", 1, 4).weights(4, &weights, integers);
    file(&layers)
}

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
