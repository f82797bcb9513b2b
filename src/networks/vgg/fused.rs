//! The inference implementation.

use super::{CHANNELS, CONVOLUTIONS, FEATURES, SIDE};
use crate::checkpoint::{Names, WeightsError};
use crate::fused::{Network, Photos, Workspace};
use kernels::{Activation, Conv, Engine, Linear, Shape, Window, max_pool};

const WINDOW: Window = Window { side: 3, stride: 1, padding: 1 };
const POOL: Window = Window { side: 2, stride: 2, padding: 0 };

#[derive(Debug)]
pub struct FusedVgg16 {
    engine: Engine,
    convs: Vec<Conv>,
    fc6: Linear,
    fc7: Linear,
}

impl FusedVgg16 {
    pub fn new(engine: Engine, names: &Names<'_>) -> Result<Self, WeightsError> {
        let conv = |(place, inputs, outputs, _)| {
            let names = names.under(place);
            let weight = names.take("weight", &[outputs, inputs, WINDOW.side, WINDOW.side])?;
            Ok(Conv::new(engine, WINDOW, &weight, &names.take("bias", &[outputs])?))
        };
        let (fc6, fc7) = (names.under("fc6"), names.under("fc7"));
        let inputs = SIDE * SIDE * CHANNELS;
        let weight = pixels_first(&fc6.take("weight", &[FEATURES, inputs])?);
        Ok(Self {
            engine,
            convs: CONVOLUTIONS.into_iter().map(conv).collect::<Result<_, _>>()?,
            fc6: Linear::new(engine, &weight, &fc6.take("bias", &[FEATURES])?),
            fc7: Linear::new(engine, &fc7.take("weight", &[FEATURES, FEATURES])?, &fc7.take("bias", &[FEATURES])?),
        })
    }
}

/// Reorders rows over channels, then pixels (the file's order) to pixels, then channels (the order of our maps).
fn pixels_first(weight: &[f32]) -> Vec<f32> {
    const PIXELS: usize = SIDE * SIDE;
    let row = |row: &[f32]| -> Vec<f32> {
        (0..PIXELS * CHANNELS).map(|i| row[i % CHANNELS * PIXELS + i / CHANNELS]).collect()
    };
    weight.chunks_exact(PIXELS * CHANNELS).flat_map(row).collect()
}

impl Network for FusedVgg16 {
    fn features(&self) -> usize {
        FEATURES
    }

    fn bytes(&self) -> usize {
        self.convs.iter().map(Conv::bytes).sum::<usize>() + self.fc6.bytes() + self.fc7.bytes()
    }

    fn accepts(&self, height: usize, width: usize) -> bool {
        // Other sizes would need the adaptive pooling that is the identity at 7x7.
        [height, width].map(|pixels| pixels / 32) == [SIDE, SIDE]
    }

    fn forward(&self, photos: Photos<'_>, out: &mut [f32], work: &mut Workspace) {
        let mut map = photos.map(1, &mut work.arena);
        for (conv, (.., pooled)) in self.convs.iter().zip(CONVOLUTIONS) {
            let mut next = work.arena.take(conv.output(map.shape(), 1));
            conv.apply(&map, &mut next, None, Activation::Relu, &mut work.scratch);
            work.arena.give(std::mem::replace(&mut map, next));
            if pooled {
                let from = map.shape();
                // The last map feeds a linear layer, so it needs no border.
                let border = usize::from(from.height / 2 > SIDE);
                let shape = Shape { height: from.height / 2, width: from.width / 2, border, ..from };
                let mut next = work.arena.take(shape);
                max_pool(self.engine.cpu, POOL, &map, &mut next, work.scratch.threads);
                work.arena.give(std::mem::replace(&mut map, next));
            }
        }
        let mut hidden = work.arena.buffer(photos.count * FEATURES);
        self.fc6.apply(map.data(), &mut hidden, Activation::Relu, &mut work.scratch);
        self.fc7.apply(&hidden, out, Activation::Relu, &mut work.scratch);
        work.arena.give_buffer(hidden);
        work.arena.give(map);
    }
}
