//! The technical measures of one picture at the size at which photos are measured.

use base::pixels::Pixels;
use criterion::{Criterion, criterion_group, criterion_main};
use judge::quality::{Weights, measure};

fn textured(width: u32, height: u32) -> Pixels {
    let mut state = 7u32;
    let data = (0..width * height * 3)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((i / 97 % 200) as u8).wrapping_add((state >> 28) as u8)
        })
        .collect();
    Pixels::new(width, height, data).expect("sides and bytes fit")
}

fn measures(criterion: &mut Criterion) {
    let picture = textured(1024, 768);
    criterion.bench_function("quality of 1024x768", |bencher| {
        bencher.iter(|| measure(std::hint::black_box(&picture), &Weights::default()));
    });
}

criterion_group!(benches, measures);
criterion_main!(benches);
