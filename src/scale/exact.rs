//! Reproducible sums: f64 in eight lanes, added in a fixed order on every processor. Decisions between centroids and all
//! reported distances use them. `pulp` compiles the loops for the processor at hand; products are never fused into sums, so
//! the bits stay the same.

const LANES: usize = 8;

fn sum(x: &[f32], y: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let lanes = pulp::Arch::new().dispatch(
        #[inline(always)]
        || lanes(x, y, term),
    );
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

#[allow(clippy::inline_always, reason = "it must be compiled inside the dispatch")]
#[inline(always)]
fn lanes(x: &[f32], y: &[f32], term: impl Fn(f64, f64) -> f64) -> [f64; LANES] {
    let mut sums = [0.0; LANES];
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in xs.iter().zip(ys) {
        for ((sum, &x), &y) in sums.iter_mut().zip(x).zip(y) {
            *sum += term(f64::from(x), f64::from(y));
        }
    }
    for ((sum, &x), &y) in sums.iter_mut().zip(x_rest).zip(y_rest) {
        *sum += term(f64::from(x), f64::from(y));
    }
    sums
}

pub fn squared_distance(x: &[f32], y: &[f32]) -> f64 {
    sum(x, y, |x, y| (x - y) * (x - y))
}

pub fn squared_norm(x: &[f32]) -> f64 {
    sum(x, x, |x, y| x * y)
}

pub fn dot(x: &[f32], y: &[f32]) -> f64 {
    sum(x, y, |x, y| x * y)
}
