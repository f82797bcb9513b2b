//! Bilinear interpolation between the pixels of a picture; edges are repeated.

use base::pixels::Pixels;

/// The colour at a place between pixels.
pub(crate) fn blended(picture: &Pixels, x: f32, y: f32) -> [f32; 3] {
    let (right, bottom) = (picture.width() - 1, picture.height() - 1);
    let (x, y) = (x.clamp(0.0, right as f32), y.clamp(0.0, bottom as f32));
    let (x0, y0) = (x as u32, y as u32);
    let (dx, dy) = (x - x0 as f32, y - y0 as f32);
    let (x1, y1) = ((x0 + 1).min(right), (y0 + 1).min(bottom));
    let [a, b, c, d] = [picture.get(x0, y0), picture.get(x1, y0), picture.get(x0, y1), picture.get(x1, y1)];
    std::array::from_fn(|k| {
        let [a, b, c, d] = [a[k], b[k], c[k], d[k]].map(f32::from);
        (1.0 - dy) * ((1.0 - dx) * a + dx * b) + dy * ((1.0 - dx) * c + dx * d)
    })
}

/// The picture at another size, each pixel taken from the four around its centre, as OpenCV's `INTER_LINEAR` does.
pub(crate) fn stretched(picture: &Pixels, width: usize, height: usize) -> impl Iterator<Item = [f32; 3]> {
    let scale = [picture.width() as f32 / width as f32, picture.height() as f32 / height as f32];
    let at = move |place: usize, axis: usize| (place as f32 + 0.5) * scale[axis] - 0.5;
    (0..height).flat_map(move |row| (0..width).map(move |column| blended(picture, at(column, 0), at(row, 1))))
}
