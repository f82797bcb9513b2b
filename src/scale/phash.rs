//! Perceptual hashes: 64 bits that hardly change when a photo is scaled, recompressed or slightly retouched. Each bit tells
//! whether a low-frequency DCT coefficient exceeds the median.

use std::collections::HashMap;

use base::pixels::Pixels;

/// Side of the reduced picture in cells.
const SIDE: usize = 32;
/// Frequencies per axis; the constant one is left out.
const WAVES: usize = 8;

pub fn phash(pixels: &Pixels) -> u64 {
    let grey = reduced(pixels);
    let waves = waves(&grey);
    let mut sorted = waves;
    sorted.sort_by(f64::total_cmp);
    let median = f64::midpoint(sorted[31], sorted[32]);
    waves.iter().enumerate().fold(0, |hash, (bit, &wave)| hash | u64::from(wave > median) << bit)
}

/// The mean luma of each cell; pixels on a border count by their share in each cell.
fn reduced(pixels: &Pixels) -> [[f64; SIDE]; SIDE] {
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    let mut sums = [[0_u64; SIDE]; SIDE];
    for (y, line) in pixels.rows().enumerate() {
        let mut cells = [0_u64; SIDE];
        for (x, &[r, g, b]) in line.as_chunks::<3>().0.iter().enumerate() {
            let luma = u64::from(r) * 299 + u64::from(g) * 587 + u64::from(b) * 114;
            shares(x, width).for_each(|(cell, share)| cells[cell] += share * luma);
        }
        for (row, share) in shares(y, height) {
            sums[row].iter_mut().zip(&cells).for_each(|(sum, cell)| *sum += share * cell);
        }
    }
    sums.map(|row| row.map(|sum| sum as f64 / (1000 * width * height) as f64))
}

/// The cells that a pixel overlaps, with the overlap in units of 1/`SIDE` pixels; a cell is `length` units long.
fn shares(pixel: usize, length: usize) -> impl Iterator<Item = (usize, u64)> {
    let (begin, end) = (pixel * SIDE, (pixel + 1) * SIDE);
    (begin / length..end.div_ceil(length)).map(move |cell| {
        let within = end.min((cell + 1) * length) - begin.max(cell * length);
        (cell, within as u64)
    })
}

/// The 8 × 8 lowest frequencies of the DCT without the constant ones: frequencies 1 to 8.
fn waves(grey: &[[f64; SIDE]; SIDE]) -> [f64; WAVES * WAVES] {
    let cosine =
        |wave: usize, at: usize| (std::f64::consts::PI * (wave + 1) as f64 * (at as f64 + 0.5) / SIDE as f64).cos();
    let table: Vec<[f64; SIDE]> = (0..WAVES).map(|wave| std::array::from_fn(|at| cosine(wave, at))).collect();
    let mut waves = [0.0; WAVES * WAVES];
    for (down, vertical) in table.iter().enumerate() {
        for (across, horizontal) in table.iter().enumerate() {
            let row = |row: &[f64; SIDE]| row.iter().zip(horizontal).map(|(grey, wave)| grey * wave).sum::<f64>();
            waves[down * WAVES + across] = grey.iter().zip(vertical).map(|(cells, wave)| row(cells) * wave).sum();
        }
    }
    waves
}

/// For each hash, the kept one that it duplicates and the number of differing bits; `None` for kept ones. Earlier hashes in
/// `order` are preferred.
///
/// Two hashes that differ in at most `bits` bits are equal in at least one of `bits + 1` bands, so only such pairs are
/// compared.
pub fn near(hashes: &[u64], order: &[usize], bits: u32) -> Vec<Option<(usize, u32)>> {
    let bands = (bits + 1).min(64);
    let band = |hash: u64, band: u32| {
        let (begin, end) = (64 * band / bands, 64 * (band + 1) / bands);
        (band, hash >> begin & (u64::MAX >> (64 - (end - begin))))
    };
    let mut kept: HashMap<(u32, u64), Vec<usize>> = HashMap::new();
    let mut duplicates = vec![None; hashes.len()];
    for (rank, &i) in order.iter().enumerate() {
        let others = (0..bands).filter_map(|b| kept.get(&band(hashes[i], b))).flatten();
        let nearest = others.map(|&rank| ((hashes[order[rank]] ^ hashes[i]).count_ones(), rank)).min();
        match nearest.filter(|(differing, _)| *differing <= bits) {
            Some((differing, rank)) => duplicates[i] = Some((order[rank], differing)),
            None => (0..bands).for_each(|b| kept.entry(band(hashes[i], b)).or_default().push(rank)),
        }
    }
    duplicates
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picture(width: u32, height: u32, seed: f64, brighter: u8) -> Pixels {
        let mut data = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
                let wave = ((u * (5.0 + seed) + v * 3.0 * seed).sin() + (v * 7.0 - u * seed).cos() + 2.0) * 50.0;
                data.extend([wave as u8 + brighter, (wave * 0.7) as u8 + brighter, 90]);
            }
        }
        Pixels::new(width, height, data).unwrap()
    }

    #[test]
    fn scaled_and_brightened_pictures_stay_near_and_others_are_far() {
        let hash = phash(&picture(640, 480, 1.0, 0));
        for other in [picture(320, 240, 1.0, 0), picture(200, 150, 1.0, 8), picture(40, 30, 1.0, 0)] {
            let differing = (phash(&other) ^ hash).count_ones();
            assert!(differing <= 6, "{differing} bits of {}x{}", other.width(), other.height());
        }
        for seed in [2.0, 3.5, 6.0] {
            let differing = (phash(&picture(640, 480, seed, 0)) ^ hash).count_ones();
            assert!(differing > 12, "{seed}: {differing}");
        }
        phash(&picture(1, 1, 1.0, 0));
    }

    proptest! {
        #[test]
        fn near_hashes_are_those_that_trying_all_finds(
            base in prop::collection::vec(any::<u64>(), 1..12),
            flips in prop::collection::vec((0usize..12, 0u32..64, 0u32..64, 0u32..64), 0..60),
            bits in 0u32..7,
        ) {
            let mut hashes = base.clone();
            hashes.extend(flips.iter().map(|&(i, a, b, c)| base[i % base.len()] ^ 1 << a ^ 1 << b ^ 1 << c));
            let order: Vec<usize> = (0..hashes.len()).rev().collect();
            let mut kept: Vec<usize> = Vec::new();
            let mut expected = vec![None; hashes.len()];
            for &i in &order {
                let nearest = kept.iter().map(|&other| ((hashes[other] ^ hashes[i]).count_ones(), other));
                match nearest.min_by_key(|&(differing, _)| differing).filter(|&(differing, _)| differing <= bits) {
                    Some((differing, other)) => expected[i] = Some((other, differing)),
                    None => kept.push(i),
                }
            }
            prop_assert_eq!(near(&hashes, &order, bits), expected);
        }
    }
}
