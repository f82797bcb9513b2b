//! TIFF and BigTIFF files that ask for more than they hold.

use super::{Bomb, large_jpeg, zeros};

/// A TIFF of one directory: entries of (tag, type, count, value or place), then data from byte 1000 on.
fn tiff(entries: &[(u16, u16, u32, u32)], data: &[u8]) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        bytes.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    bytes.resize(DATA_AT as usize, 0);
    bytes.extend(data);
    bytes
}

const DATA_AT: u32 = 1000;

/// The same as a BigTIFF, where counts, places and lengths have eight bytes.
fn big_tiff(entries: &[(u16, u16, u32, u32)], data: &[u8]) -> Vec<u8> {
    let wide = |number: u32| u64::from(number).to_le_bytes();
    let mut bytes = b"II\x2b\0\x08\0\0\0\x10\0\0\0\0\0\0\0".to_vec();
    bytes.extend(wide(entries.len() as u32));
    for (tag, kind, count, value) in entries {
        bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        bytes.extend([wide(*count), wide(*value)].concat());
    }
    bytes.resize(DATA_AT as usize, 0);
    bytes.extend(data);
    bytes
}

/// Width, height, one sample of eight bits, how it is packed, rows in a strip, where the strips lie and how long they are.
fn strips(
    width: u32,
    height: u32,
    packing: u32,
    rows: u32,
    offsets: (u32, u32),
    lengths: (u32, u32),
) -> Vec<(u16, u16, u32, u32)> {
    vec![
        (0x100, 4, 1, width),
        (0x101, 4, 1, height),
        (0x102, 3, 1, 8),
        (0x103, 3, 1, packing),
        (0x106, 3, 1, 1),
        (0x111, 4, offsets.0, offsets.1),
        (0x115, 3, 1, 1),
        (0x116, 4, 1, rows),
        (0x117, 4, lengths.0, lengths.1),
    ]
}

pub fn bombs() -> Vec<Bomb> {
    let packed = zeros(30_000 * 1000);
    // Eight strips, all of them the same bytes.
    let places = [vec![DATA_AT + 64; 8], vec![packed.len() as u32; 8]].concat();
    let places: Vec<u8> = places.into_iter().flat_map(u32::to_le_bytes).collect();
    let shared =
        tiff(&strips(30_000, 8000, 8, 1000, (8, DATA_AT), (8, DATA_AT + 32)), &[&places[..], &packed].concat());
    let picture = large_jpeg(16_384, 16_384, 0xc0, 100);
    let inner = strips(16, 16, 7, 16, (1, DATA_AT), (1, picture.len() as u32));
    let plain = |more: &[(u16, u16, u32, u32)]| [&strips(8, 8, 1, 8, (1, DATA_AT), (1, 64)), more].concat();
    let maker: Vec<_> = plain(&[]);
    let maker = [&maker[..5], &[(0x10f, 2, 60_000_000, DATA_AT)], &maker[5..]].concat();
    let tiled = [
        &strips(10, 10, 8, 10, (1, DATA_AT), (1, 64))[..5],
        &[(0x115, 3, 1, 1), (0x142, 4, 1, 65_520), (0x143, 4, 1, 65_520), (0x144, 4, 1, DATA_AT), (0x145, 4, 1, 64)],
    ]
    .concat();
    vec![
        ("none.tif", tiff(&strips(100_000, 2900, 1, 2900, (1, DATA_AT), (1, 64)), &[0; 64])),
        ("line.tif", tiff(&strips(250_000_000, 1, 1, 1, (1, DATA_AT), (1, 64)), &[0; 64])),
        ("shared.tif", shared),
        ("inner.tif", tiff(&inner, &picture)),
        ("inner-big.tif", big_tiff(&inner, &picture)),
        ("maker.tif", tiff(&maker, &vec![b'A'; 60_000_000])),
        ("many.tif", tiff(&strips(8, 8, 1, 1, (0x0fff_ffff, DATA_AT), (0x0fff_ffff, DATA_AT)), &[0; 640])),
        ("tile.tif", tiff(&tiled, &zeros(64))),
    ]
}
