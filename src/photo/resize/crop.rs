//! Parts of pictures, cut out without resizing.

use std::ops::Range;

use base::pixels::Pixels;

/// torchvision's `CenterCrop(side)`; offsets round half to even, as in Python. A smaller picture is not padded.
pub fn centre_crop(source: &Pixels, side: u32) -> Pixels {
    let (x, y) = (middle(source.width(), side), middle(source.height(), side));
    cut(source, x.start, y.start, x.end - x.start, y.end - y.start)
}

/// The centred range of at most `wanted` pixels.
pub fn middle(long: u32, wanted: u32) -> Range<u32> {
    let length = long.min(wanted.max(1));
    let offset = (f64::from(long - length) / 2.0).round_ties_even() as u32;
    offset..offset + length
}

/// Crops a rectangle; `None` if it is empty or not inside the picture.
pub fn crop(source: &Pixels, x: u32, y: u32, width: u32, height: u32) -> Option<Pixels> {
    let inside = x.checked_add(width)? <= source.width() && y.checked_add(height)? <= source.height();
    (inside && width > 0 && height > 0).then(|| cut(source, x, y, width, height))
}

pub fn cut(source: &Pixels, x: u32, y: u32, width: u32, height: u32) -> Pixels {
    let (from, to) = (x as usize * 3, (x + width) as usize * 3);
    let mut data = Vec::with_capacity((to - from) * height as usize);
    for row in source.rows().skip(y as usize).take(height as usize) {
        data.extend_from_slice(&row[from..to]);
    }
    whole(width, height, data)
}

pub fn whole(width: u32, height: u32, data: Vec<u8>) -> Pixels {
    Pixels::new(width, height, data).expect("the buffer was made for this size")
}
