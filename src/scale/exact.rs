//! Sums whose every bit is fixed: f64, eight lanes, added in one order on every processor. What decides between
//! centroids, and every distance that is shown, comes from here.

const LANES: usize = 8;

fn lanes(x: &[f32], y: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sums = [0.0f64; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let (x_rest, y_rest) = (xs.remainder(), ys.remainder());
    for (x, y) in xs.zip(ys) {
        for lane in 0..LANES {
            sums[lane] += term(f64::from(x[lane]), f64::from(y[lane]));
        }
    }
    for (lane, (&x, &y)) in x_rest.iter().zip(y_rest).enumerate() {
        sums[lane] += term(f64::from(x), f64::from(y));
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

pub fn squared_distance(x: &[f32], y: &[f32]) -> f64 {
    lanes(x, y, |x, y| (x - y) * (x - y))
}

pub fn squared_norm(x: &[f32]) -> f64 {
    lanes(x, x, |x, y| x * y)
}

pub fn dot(x: &[f32], y: &[f32]) -> f64 {
    lanes(x, y, |x, y| x * y)
}
