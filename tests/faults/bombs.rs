//! Files of a few bytes that ask for gigabytes or hours: each costs itself, and little.

mod tiffs;

use std::fs::{self, File};
use std::io::Write;
use std::time::Instant;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::files::{crc32, peak_of};
use crate::world::{World, report};

/// Memory that the bombs may take together, beside the program's own, in MB.
const ROOM: u64 = 500;

type Bomb = (&'static str, Vec<u8>);

#[test]
fn forty_bombs() {
    let world = World::new();
    world.photo("good.png", 1);
    let bombs: Vec<Bomb> =
        [png_bombs(), gif_bombs(), webp_bombs(), bmp_bombs(), tiffs::bombs(), jpeg_bombs(), box_bombs()].concat();
    assert!(bombs.len() >= 40, "{}", bombs.len());
    for (name, bytes) in &bombs {
        fs::write(world.photos().join(name), bytes).unwrap();
    }
    for isolate in ["off", "on"] {
        let room = format!("limits.max_decode_mb={ROOM}");
        let args =
            ["score", "photos", "-v", "--threads", "4", "--no-cache", "--set", &room, "--set", "limits.max_seconds=10"];
        let begun = Instant::now();
        let (seen, peak) = peak_of(world.command(args.iter().chain(&["--isolate", isolate])));
        let seen = seen.expect(3);
        let (count, seconds) = (bombs.len(), begun.elapsed().as_secs_f64());
        report(&format!("{count} bombs, isolate {isolate}: {peak} MB, {seconds:.1} s"));
        assert!(peak < 600, "{peak} MB");
        assert!(seconds < 120.0, "{seconds}");
        let names = seen.names();
        for (name, _) in &bombs {
            let start = format!("warning: photos/{name}: ");
            let warned = seen.stderr.lines().filter(|line| line.starts_with(&start)).count();
            let said = warned + names.iter().filter(|it| it == name).count();
            assert_eq!(said, 1, "{name}: {}", seen.stderr);
        }
        assert!(names.contains(&"good.png".to_owned()));
    }
}

/// Pictures that show nothing take few bytes too, and are read as long as they are no larger than a photo.
#[test]
fn empty_pictures() {
    let world = World::new();
    fs::write(world.photos().join("flat.webp"), flat_webp(4000, 3000)).unwrap();
    fs::write(world.photos().join("flat.png"), flat_png(4000, 3000, 8, 2)).unwrap();
    fs::write(world.photos().join("narrow.png"), flat_png(60_000, 2, 8, 0)).unwrap();
    assert_eq!(world.run(["score", "photos"]).expect(0).names(), ["flat.png", "flat.webp", "narrow.png"]);
}

#[test]
fn sparse_giants() {
    let world = World::new();
    world.photo("good.png", 1);
    for n in 0..4 {
        File::create(world.photos().join(format!("{n}.jpg"))).unwrap().set_len(400_000_000).unwrap();
    }
    let (seen, peak) = peak_of(world.command([
        "score",
        "photos",
        "--threads",
        "5",
        "--no-cache",
        "--isolate",
        "off",
        "--set",
        "limits.max_decode_mb=500",
    ]));
    assert_eq!(seen.expect(3).names(), ["good.png"]);
    report(&format!("four sparse files of 400 MB: {peak} MB"));
    assert!(peak < 700, "{peak} MB");
}

#[test]
fn too_long_a_side() {
    let world = World::new();
    for (name, width, height) in [("line.png", 299_000_000, 1), ("column.png", 1, 300_001)] {
        fs::write(world.photos().join(name), flat_png(width, height, 8, 0)).unwrap();
    }
    fs::write(world.photos().join("longest.png"), flat_png(300_000, 1, 8, 0)).unwrap();
    let seen = world.run(["score", "photos"]).expect(3);
    assert_eq!(seen.names(), ["longest.png"]);
    for name in
        ["line.png: decode: too large: 299000000 x 1 pixels", "column.png: decode: too large: 1 x 300001 pixels"]
    {
        let line = seen.stderr.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{}", seen.stderr));
        assert!(line.contains("cut the picture"), "{line}");
    }
}

#[test]
fn slow_decoder() {
    let world = World::new();
    // Nine million pixels of AV1 that mean nothing: one call of its decoder, which nothing stops.
    fs::write(world.photos().join("slow.avif"), avif((4096, 2304), &empty_av1(4096, 2304))).unwrap();
    let run = |seconds: &str, code| {
        let limit = format!("limits.max_seconds={seconds}");
        let begun = Instant::now();
        let seen = world.run(["score", "photos", "--no-cache", "--isolate", "off", "--set", &limit]).expect(code);
        (begun.elapsed(), seen.stderr)
    };
    let (whole, _) = run("100", 0);
    let (cut, words) = (0..3).map(|_| run("0.05", 1)).min().unwrap();
    assert!(cut < whole / 2, "{cut:?} of {whole:?}");
    assert!(words.contains("slow.avif: decode: decoding the AVIF was given up after 0.05 s"), "{words}");
}

fn png_bombs() -> Vec<Bomb> {
    let (width, height) = (19_000, 12_000);
    vec![
        ("line.png", flat_png(299_000_000, 1, 8, 0)),
        ("column.png", flat_png(1, 150_000_000, 8, 0)),
        ("line-30.png", flat_png(30_000_000, 1, 8, 0)),
        ("column-30.png", flat_png(1, 30_000_000, 8, 0)),
        ("large.png", flat_png(10_000, 9_000, 8, 2)),
        ("large-16.png", flat_png(8_000, 7_000, 16, 6)),
        ("one-bit.png", flat_png(width, height, 1, 0)),
        ("palette.png", [png_head(width, height, 8, 3), chunk(*b"PLTE", &[0; 3]), chunk(*b"IDAT", b"x")].concat()),
        ("header.png", [png_head(18_500, 18_500, 8, 2), chunk(*b"IDAT", b"")].concat()),
        ("endless.png", png_head(u32::MAX, u32::MAX, 8, 2)),
        ("profile.png", with_text(*b"iCCP", b"bomb\0\0")),
        ("text.png", with_text(*b"zTXt", b"Raw profile type exif\0\0")),
        ("xmp.png", with_text(*b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0")),
    ]
}

fn zeros(count: u64) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let block = vec![0; 1 << 20];
    let mut left = count;
    while left > 0 {
        let now = left.min(block.len() as u64);
        encoder.write_all(&block[..now as usize]).unwrap();
        left -= now;
    }
    encoder.finish().unwrap()
}

fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [&name[..], data].concat();
    [&(data.len() as u32).to_be_bytes()[..], &body, &crc32(&body).to_be_bytes()].concat()
}

fn png_head(width: u32, height: u32, depth: u8, colour: u8) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, colour, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n", &chunk(*b"IHDR", &header)[..]].concat()
}

/// A sound file that shows one colour.
fn flat_png(width: u32, height: u32, depth: u8, colour: u8) -> Vec<u8> {
    let channels = [1, 0, 3, 1, 2, 0, 4][usize::from(colour)];
    let line = (u64::from(width) * u64::from(depth) * channels).div_ceil(8) + 1;
    let data = chunk(*b"IDAT", &zeros(line * u64::from(height)));
    [png_head(width, height, depth, colour), data, chunk(*b"IEND", b"")].concat()
}

/// A small sound file with 300 MB of zeros in a chunk beside the picture.
fn with_text(name: [u8; 4], head: &[u8]) -> Vec<u8> {
    let file = flat_png(40, 30, 8, 2);
    let (head_of_file, rest) = file.split_at(33);
    [head_of_file, &chunk(name, &[head, &zeros(300_000_000)].concat()), rest].concat()
}

fn gif_bombs() -> Vec<Bomb> {
    let gif = |screen: (u16, u16), frame: (u16, u16)| {
        let sides = |(width, height): (u16, u16)| [width.to_le_bytes(), height.to_le_bytes()].concat();
        [b"GIF89a", &sides(screen)[..], b"\0\0\0,\0\0\0\0", &sides(frame), b"\0\x02\x02D\x01\0;"].concat()
    };
    let comments = [b"GIF89a\x10\0\x10\0\0\0\0!\xfe", &vec![255; 20_000_000][..]].concat();
    vec![
        ("screen.gif", gif((65_535, 4_500), (1, 1))),
        ("both.gif", gif((65_535, 4_500), (65_535, 4_500))),
        ("frame.gif", gif((1, 1), (65_535, 65_535))),
        ("frame-16.gif", gif((16, 16), (16_000, 16_000))),
        ("all.gif", gif((65_535, 65_535), (65_535, 65_535))),
        ("within.gif", gif((5_000, 5_000), (5_000, 5_000))),
        ("comments.gif", comments),
    ]
}

fn riff(chunks: &[u8]) -> Vec<u8> {
    [b"RIFF", &(chunks.len() as u32 + 4).to_le_bytes()[..], b"WEBP", chunks].concat()
}

fn riff_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let pad = [0][..data.len() % 2].to_vec();
    [&name[..], &(data.len() as u32).to_le_bytes(), data, &pad].concat()
}

/// Lossless WebP with codes of no bits: a picture of any size in a few bytes.
fn vp8l(width: u32, height: u32) -> Vec<u8> {
    let head = u64::from(width - 1) | u64::from(height - 1) << 14;
    // No transform, no cache, one group of codes; each code has one symbol, written in one bit.
    let codes = (0..5).fold(0_u64, |bits, at| bits | 1 << (3 + 4 * at));
    [&[0x2f][..], &(head as u32).to_le_bytes(), &codes.to_le_bytes()].concat()
}

fn flat_webp(width: u32, height: u32) -> Vec<u8> {
    riff(&riff_chunk(b"VP8L", &vp8l(width, height)))
}

fn webp_bombs() -> Vec<Bomb> {
    let extended = |flags: u8, side: u32| {
        let side = &(side - 1).to_le_bytes()[..3];
        riff_chunk(b"VP8X", &[&[flags, 0, 0, 0][..], side, side].concat())
    };
    let lossy =
        |side: u16| [b"\x10\x02\0\x9d\x01\x2a", &side.to_le_bytes()[..], &side.to_le_bytes(), &[0; 40]].concat();
    let frame = riff_chunk(
        b"ANMF",
        &[&[0; 6][..], &[0xff, 0x3f, 0, 0xff, 0x3f, 0, 1, 0, 0, 0], &vp8l(16_384, 16_384)].concat(),
    );
    vec![
        ("flat.webp", flat_webp(16_384, 16_384)),
        ("flat-190.webp", flat_webp(16_000, 12_000)),
        ("flat-25.webp", flat_webp(5_000, 5_000)),
        ("canvas.webp", riff(&extended(0, 1 << 24))),
        ("animated.webp", riff(&[extended(2, 16_384), riff_chunk(b"ANIM", &[0; 6]), frame].concat())),
        ("lossy.webp", riff(&riff_chunk(b"VP8 ", &lossy(16_383)))),
        ("profile.webp", riff(&[extended(0x20, 16), b"ICCP\xf0\xff\xff\xff".to_vec(), vec![7; 9_000_000]].concat())),
    ]
}

fn bmp_bombs() -> Vec<Bomb> {
    let bmp = |width: i32, height: i32, bits: u8, packing: u8, data: &[u8]| {
        let header = [
            &40_u32.to_le_bytes()[..],
            &width.to_le_bytes(),
            &height.to_le_bytes(),
            &[1, 0, bits, 0, packing, 0, 0, 0],
            &[0; 20],
        ]
        .concat();
        let table = vec![0; if bits <= 8 { 4 << bits } else { 0 }];
        let at = (14 + header.len() + table.len()) as u32;
        [b"BM\0\0\0\0\0\0\0\0", &at.to_le_bytes()[..], &header, &table, data].concat()
    };
    vec![
        ("true.bmp", bmp(65_535, 65_535, 24, 0, &[0; 40])),
        ("packed.bmp", bmp(20_000, 14_000, 8, 1, &[0, 1])),
        ("packed-4.bmp", bmp(20_000, 14_000, 4, 2, &[0, 1])),
        ("line.bmp", bmp(30_000_000, 1, 1, 0, &[0; 400])),
        ("head.bmp", bmp(16_000, 15_000, 24, 0, b"")),
        ("upside.bmp", bmp(15_000, i32::MIN, 32, 0, &[0; 40])),
    ]
}

/// A JPEG whose frame header is changed to this size and process, with that many bytes of zeros as data.
fn large_jpeg(width: u16, height: u16, process: u8, data: usize) -> Vec<u8> {
    let small = include_bytes!("../../fixtures/jpeg/grey.jpg");
    let frame = small.windows(2).position(|it| it == [0xff, 0xc0]).expect("a frame header");
    let scan = small.windows(2).position(|it| it == [0xff, 0xda]).expect("a scan");
    let mut bytes = [&small[..scan + 10], &vec![0; data], &[0xff, 0xd9]].concat();
    bytes[frame + 1] = process;
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

fn jpeg_bombs() -> Vec<Bomb> {
    let progressive = large_jpeg(16_000, 15_000, 0xc2, 600_000);
    let scan = progressive.windows(2).position(|it| it == [0xff, 0xda]).expect("a scan");
    let scans = [&progressive[..scan], &progressive[scan..scan + 12].repeat(3000), &progressive[scan..]].concat();
    let part = b"\xff\xe2\0\x11ICC_PROFILE\0\x01\xff\0";
    let small = include_bytes!("../../fixtures/jpeg/420.jpg");
    let profile = [&small[..2], &part.repeat(800_000), &small[2..]].concat();
    vec![
        ("claims.jpg", large_jpeg(16_383, 16_383, 0xc0, 1000)),
        ("largest.jpg", large_jpeg(65_500, 65_500, 0xc0, 1000)),
        ("zeros.jpg", large_jpeg(65_500, 1_400, 0xc0, 1_300_000)),
        ("zeros-all.jpg", large_jpeg(17_000, 17_000, 0xc0, 700_000)),
        ("progressive.jpg", progressive),
        ("scans.jpg", scans),
        ("profile.jpg", profile),
    ]
}

fn boxed(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32 + 8).to_be_bytes()[..], name, &body].concat()
}

/// An AVIF with one picture that the container says is this large, and `more` behind its properties.
fn avif_with(size: (u32, u32), kind: &[u8; 4], data: &[u8], more: &[u8]) -> Vec<u8> {
    still(b"avif", size, kind, data, &[], more)
}

/// The same of any brand, with a second property, how it is coded.
fn still(
    brand: &[u8; 4],
    (width, height): (u32, u32),
    kind: &[u8; 4],
    data: &[u8],
    coding: &[u8],
    more: &[u8],
) -> Vec<u8> {
    let file = boxed(b"ftyp", &[brand, b"\0\0\0\0", brand, b"mif1miaf"]);
    let size = boxed(b"ispe", &[&[0; 4], &width.to_be_bytes(), &height.to_be_bytes()]);
    let meta = |at: u32| {
        let item = boxed(b"infe", &[b"\x02\0\0\0\0\x01\0\0", kind, b"\0"]);
        let place =
            [b"\0\0\0\0\x44\0\0\x01\0\x01\0\0\0\x01", &at.to_be_bytes()[..], &(data.len() as u32).to_be_bytes()]
                .concat();
        boxed(
            b"meta",
            &[
                &[0; 4],
                &boxed(b"pitm", &[b"\0\0\0\0\0\x01"]),
                &boxed(b"iinf", &[b"\0\0\0\0\0\x01", &item]),
                &boxed(b"iloc", &[&place]),
                &boxed(
                    b"iprp",
                    &[
                        &boxed(b"ipco", &[&size, coding]),
                        &boxed(b"ipma", &[b"\0\0\0\0\0\0\0\x01\0\x01\x02\x01\x02"]),
                        more,
                    ],
                ),
            ],
        )
    };
    let at = file.len() + meta(0).len() + 8;
    [file, meta(at as u32), boxed(b"mdat", &[data])].concat()
}

fn avif(size: (u32, u32), data: &[u8]) -> Vec<u8> {
    avif_with(size, b"av01", data, b"")
}

/// The stream of a small sound picture with another size in its header, and always the same byte for data: the arithmetic
/// coder takes any for a picture. Sizes up to 4096 x 2304 are one tile, as the small one is.
fn empty_av1(width: u32, height: u32) -> Vec<u8> {
    let small = include_bytes!("../../fixtures/photo/sampling-420.avif");
    let start = small.windows(4).position(|it| it == [0x12, 0, 0x0a, 6]).expect("the stream");
    // Profile 0, still, short header, level 31, both sides in 16 bits; then what followed the sides in the old one.
    let sides = format!("{:016b}{:016b}", width - 1, height - 1);
    let header = bytes(&format!("00011{:05b}{:04b}{:04b}{sides}01100000010000100", 31, 15, 15));
    // What comes before the number of rows of tiles, of which the small one could have but one; none; what followed.
    let frame = small[start + 13..start + 25].iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let frame = format!("{frame:096b}");
    let frame = bytes(&format!("{}0{}", &frame[..5], &frame[5..]));
    let payload = [frame, vec![0xaa; 1_000_000]].concat();
    let length = payload.len();
    let sized = [length as u8 | 0x80, (length >> 7) as u8 | 0x80, (length >> 14 & 0x7f) as u8];
    [&[0x12, 0, 0x0a, header.len() as u8], &header[..], &[0x32], &sized, &payload].concat()
}

/// A HEIC that the container says is small, and HEVC this large: parameters as short as they can be, and no picture.
fn empty_hevc(width: u32, height: u32) -> Vec<u8> {
    let golomb = |number: u32| {
        let bits = format!("{:b}", number + 1);
        "0".repeat(bits.len() - 1) + &bits
    };
    // One layer; its profile and level; the number, 4:2:0, the sides; not cut, 8 bits; blocks of 8 to 64; the rest is off.
    let blocks = ["011", "011", "1", "1", "011", "011", "1", "1"].concat();
    let sequence = format!(
        "00000001{}{}010{}{}01111{blocks}00001000001",
        "0".repeat(96),
        golomb(0),
        golomb(width),
        golomb(height)
    );
    let unit = |kind: u8, bits: &str| {
        let payload = [&[kind << 1, 1][..], &bytes(bits)].concat();
        [&[0x80 | kind, 0, 1][..], &(payload.len() as u16).to_be_bytes(), &payload].concat()
    };
    let units = [unit(33, &sequence), unit(34, "1100000111111000000001001")].concat();
    let coding = boxed(b"hvcC", &[&[1; 21], &[0xff, 2], &units]);
    still(b"heic", (64, 64), b"hvc1", &vec![0; 100_000], &coding, b"")
}

fn bytes(bits: &str) -> Vec<u8> {
    let byte = |bits: &[u8]| (0..8).fold(0, |sum, at| sum << 1 | (bits.get(at).unwrap_or(&b'0') - b'0'));
    bits.as_bytes().chunks(8).map(byte).collect()
}

fn box_bombs() -> Vec<Bomb> {
    let properties = boxed(b"ipma", &[&[0; 4], &100_000_u32.to_be_bytes(), &[1, 1, 200].repeat(7_000_000)]);
    let tracks = boxed(b"moov", &[&boxed(b"trak", &[]).repeat(2_000_000)]);
    let canon = [boxed(b"ftyp", &[b"crx \0\0\0\x01crx isom"]), tracks].concat();
    vec![
        ("inside.avif", avif((64, 64), &empty_av1(65_536, 4_500))),
        ("inside-60.avif", avif((64, 64), &empty_av1(8_000, 7_500))),
        ("outside.avif", avif((60_000, 4_900), &empty_av1(64, 64))),
        ("described.avif", avif_with((64, 64), b"av01", &empty_av1(64, 64), &properties)),
        ("grid.avif", avif_with((64, 64), b"grid", b"\0\0\xff\xff\xea\x60\x13\x24", b"")),
        ("inside.heic", empty_hevc(65_528, 4_504)),
        ("inside-60.heic", empty_hevc(8_000, 7_504)),
        ("grid.heic", still(b"heic", (64, 64), b"grid", b"\0\0\xff\xff\xea\x60\x13\x24", &[], b"")),
        ("tracks.cr3", canon),
        ("starts.orf", [b"IIRO\x08\0\0\0", &b"\xff\xd8\xff\xc0\0\x02".repeat(2_000_000)[..]].concat()),
    ]
}
