//! Small networks in Tesseract's format, `.traineddata`.

/// The numbers of a file's parts.
const NETWORK: usize = 17;
const CHARACTERS: usize = 21;
const CODES: usize = 22;

/// Writes numbers, names and layers one behind the other.
#[derive(Default, Clone)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn ints(mut self, values: &[i32]) -> Self {
        values.iter().for_each(|value| self.0.extend(value.to_le_bytes()));
        self
    }

    pub fn text(self, text: &str) -> Self {
        let mut writer = self.ints(&[text.len() as i32]);
        writer.0.extend(text.as_bytes());
        writer
    }

    pub fn layer(mut self, kind: &str, inputs: i32, outputs: i32) -> Self {
        self.0.push(0);
        let mut writer = self.text(kind);
        writer.0.extend([0, 0]);
        writer.ints(&[0, inputs, outputs, 0]).text(kind)
    }

    /// A matrix of weights, the bias last in each row; whole numbers are hundredths.
    pub fn weights(mut self, rows: usize, values: &[f64], integers: bool) -> Self {
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
pub fn file(layers: &Writer) -> Vec<u8> {
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

pub fn series(count: i32) -> Writer {
    let input = Writer::default().layer("Series", 4, 4).ints(&[count]).layer("Input", 4, 1);
    input.ints(&[1, 4, 0, 1, 0])
}

/// Four rows become one by their largest number; dark places are an I, others none.
pub fn dark_is_an_i(integers: bool) -> Vec<u8> {
    let weights = [-0.5, 0.0, 0.0, -1.0, 0.0, -1.0, 0.5, 0.0];
    let layers = series(3).layer("Maxpool", 1, 1).ints(&[1, 4]).layer("Softmax", 1, 4).weights(4, &weights, integers);
    file(&layers)
}
