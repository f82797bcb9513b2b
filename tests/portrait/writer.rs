//! Writes small `.tflite` files, so that the reader and the interpreter are tested without anybody's weights.

/// Bytes of a FlatBuffer, written front to back: a table's children come after it and are patched in.
#[derive(Default)]
struct Bytes(Vec<u8>);

/// A field of a table.
pub enum Field {
    Absent,
    Byte(u8),
    Word(i32),
    Child(Child),
}

pub enum Child {
    Table(Vec<Field>),
    Tables(Vec<Vec<Field>>),
    Words(Vec<i32>),
    Raw(Vec<u8>),
}

impl Bytes {
    fn align(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn word(&mut self, value: i32) -> usize {
        self.0.extend(value.to_le_bytes());
        self.0.len() - 4
    }

    fn point(&mut self, from: usize, to: usize) {
        self.0[from..from + 4].copy_from_slice(&((to - from) as u32).to_le_bytes());
    }

    fn table(&mut self, fields: Vec<Field>) -> usize {
        self.align();
        let vtable = self.0.len();
        let lens = [4 + 2 * fields.len(), 4 + 4 * fields.len()];
        let offset = |(i, field): (usize, &Field)| if matches!(field, Field::Absent) { 0 } else { 4 + 4 * i };
        for value in lens.into_iter().chain(fields.iter().enumerate().map(offset)) {
            self.0.extend((value as u16).to_le_bytes());
        }
        self.align();
        let table = self.0.len();
        self.word((table - vtable) as i32);
        let slots: Vec<usize> = fields
            .iter()
            .map(|field| match field {
                Field::Absent | Field::Child(_) => self.word(0),
                Field::Byte(value) => self.word(i32::from(*value)),
                Field::Word(value) => self.word(*value),
            })
            .collect();
        for (slot, field) in slots.into_iter().zip(fields) {
            if let Field::Child(child) = field {
                let at = self.child(child);
                self.point(slot, at);
            }
        }
        table
    }

    fn child(&mut self, child: Child) -> usize {
        match child {
            Child::Table(fields) => self.table(fields),
            Child::Tables(tables) => {
                self.align();
                let at = self.word(tables.len() as i32);
                let slots: Vec<usize> = tables.iter().map(|_| self.word(0)).collect();
                for (slot, fields) in slots.into_iter().zip(tables) {
                    let table = self.table(fields);
                    self.point(slot, table);
                }
                at
            }
            Child::Words(words) => {
                self.align();
                let at = self.word(words.len() as i32);
                for word in words {
                    self.word(word);
                }
                at
            }
            Child::Raw(bytes) => {
                self.align();
                let at = self.word(bytes.len() as i32);
                self.0.extend(bytes);
                at
            }
        }
    }
}

fn words(values: impl IntoIterator<Item = usize>) -> Field {
    Field::Child(Child::Words(values.into_iter().map(|v| v as i32).collect()))
}

/// One use of an operator.
struct Use {
    code: usize,
    inputs: Vec<usize>,
    output: usize,
    options: Vec<Field>,
}

/// A graph under construction; tensors and operators are named by number.
#[derive(Default)]
pub struct Writer {
    codes: Vec<(i32, &'static str)>,
    tensors: Vec<(Vec<usize>, u8, usize)>,
    buffers: Vec<Vec<u8>>,
    operators: Vec<Use>,
}

impl Writer {
    pub fn new() -> Self {
        // The first buffer is empty by custom: it stands for what is computed.
        Self { buffers: vec![Vec::new()], ..Self::default() }
    }

    pub fn tensor(&mut self, shape: &[usize]) -> usize {
        self.tensors.push((shape.to_vec(), 0, 0));
        self.tensors.len() - 1
    }

    fn stored(&mut self, shape: &[usize], kind: u8, bytes: Vec<u8>) -> usize {
        self.buffers.push(bytes);
        self.tensors.push((shape.to_vec(), kind, self.buffers.len() - 1));
        self.tensors.len() - 1
    }

    pub fn floats(&mut self, shape: &[usize], values: &[f32]) -> usize {
        self.stored(shape, 0, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    pub fn integers(&mut self, shape: &[usize], values: &[i32]) -> usize {
        self.stored(shape, 2, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// As the face networks keep their weights: in half precision, widened by an operator.
    pub fn halves(&mut self, shape: &[usize], values: &[f32]) -> usize {
        let bytes = values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect();
        let half = self.stored(shape, 1, bytes);
        let whole = self.tensor(shape);
        self.operator(6, "", &[half], whole, vec![]);
        whole
    }

    pub fn operator(&mut self, code: i32, custom: &'static str, inputs: &[usize], output: usize, options: Vec<Field>) {
        let known = self.codes.iter().position(|&known| known == (code, custom));
        let index = known.unwrap_or_else(|| {
            self.codes.push((code, custom));
            self.codes.len() - 1
        });
        self.operators.push(Use { code: index, inputs: inputs.to_vec(), output, options });
    }

    pub fn finish(self, inputs: &[usize], outputs: &[usize]) -> Vec<u8> {
        let codes = self.codes.into_iter().map(|(code, custom)| {
            let custom = Field::Child(Child::Raw(custom.as_bytes().to_vec()));
            vec![Field::Byte(code.min(127) as u8), custom, Field::Word(1), Field::Word(code)]
        });
        let tensors = self.tensors.into_iter().map(|(shape, kind, buffer)| {
            let name = Field::Child(Child::Raw(b"tensor".to_vec()));
            vec![words(shape), Field::Byte(kind), Field::Word(buffer as i32), name]
        });
        let operators = self.operators.into_iter().map(|Use { code, inputs, output, options }| {
            let options = Field::Child(Child::Table(options));
            vec![Field::Word(code as i32), words(inputs), words([output]), Field::Absent, options]
        });
        let buffers = self.buffers.into_iter().map(|bytes| vec![Field::Child(Child::Raw(bytes))]);
        let graph = vec![
            Field::Child(Child::Tables(tensors.collect())),
            words(inputs.iter().copied()),
            words(outputs.iter().copied()),
            Field::Child(Child::Tables(operators.collect())),
        ];
        let model = vec![
            Field::Word(3),
            Field::Child(Child::Tables(codes.collect())),
            Field::Child(Child::Tables(vec![graph])),
            Field::Absent,
            Field::Child(Child::Tables(buffers.collect())),
        ];
        let mut bytes = Bytes(b"\0\0\0\0TFL3".to_vec());
        let root = bytes.table(model);
        bytes.point(0, root);
        bytes.0
    }
}
