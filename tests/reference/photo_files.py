"""Draws the small files in fixtures/photo, in containers and codings that the tests cannot write themselves.

    pip install pillow==12.0.0 pillow-heif==1.8.1 pillow-jxl-plugin==1.3.8
    python tests/reference/photo_files.py fixtures/photo

All show the picture `quarters` of tests/photo/shared.rs.
"""
import io
import struct
import sys
import zlib
from pathlib import Path

import pillow_heif
import pillow_jxl  # noqa: F401  (registers the format)
from PIL import Image

WIDTH, HEIGHT = 96, 64
out = Path(sys.argv[1])


def quarters():
    image = Image.new("RGB", (WIDTH, HEIGHT))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            slope = x * 60 // WIDTH
            left, top = x * 2 < WIDTH, y * 2 < HEIGHT
            colour = [(195 + slope,) * 3, (0, slope, 195 + slope), (slope, 195 + slope, 0), (195 + slope, slope, 0)][left + 2 * top]
            image.putpixel((x, y), colour)
    return image


picture = quarters()
picture.save(out / "progressive.jpg", quality=92, progressive=True)
picture.save(out / "restart.jpg", quality=92, restart_marker_blocks=3)
picture.save(out / "sampling-411.jpg", quality=92, subsampling="4:1:1")
picture.save(out / "sampling-422.jpg", quality=92, subsampling="4:2:2")
picture.convert("L").save(out / "grey.jpg", quality=92)
picture.convert("CMYK").save(out / "cmyk.jpg", quality=95)
picture.convert("P", palette=Image.Palette.ADAPTIVE).save(out / "palette.png")
clear = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=64)
clear.save(out / "palette-transparent.png", transparency=clear.getpixel((0, 0)))
picture.save(out / "animated.png", save_all=True, append_images=[Image.new("RGB", picture.size)])
picture.save(out / "animated.gif", save_all=True, append_images=[Image.new("RGB", picture.size)])
picture.save(out / "lossy.webp", quality=92)
picture.save(out / "animated.webp", save_all=True, append_images=[Image.new("RGB", picture.size)], quality=92)
picture.save(out / "lzw.tif", compression="tiff_lzw")
picture.convert("CMYK").save(out / "cmyk.tif")
for sampling in ("4:2:0", "4:2:2", "4:4:4"):
    picture.save(out / f"sampling-{sampling.replace(':', '')}.avif", quality=92, subsampling=sampling, speed=6)
picture.convert("L").convert("RGB").save(out / "grey.avif", quality=92, subsampling="4:0:0", speed=6)
faded = picture.copy()
faded.putalpha(Image.new("L", picture.size, 128))
faded.save(out / "alpha.avif", quality=92, subsampling="4:4:4", speed=6)

# Pillow turns the EXIF orientation it is given into the container's own way to turn.
stored = {1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
          5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270}
for orientation, turn in stored.items():
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x0132] = "2026:05:01 10:12:13"
    turned = picture.transpose(turn) if turn is not None else picture
    turned.save(out / f"orientation-{orientation}.avif", quality=80, speed=6, exif=exif)


# JPEG XL: coded by perception with facts beside it, without loss, transparent, and around a JPEG.
exif = Image.Exif()
exif[0x0132] = "2026:05:01 10:12:13"
picture.save(out / "lossy.jxl", quality=92, exif=exif.tobytes())
picture.save(out / "lossless.jxl", lossless=True)
faded.save(out / "alpha.jxl", lossless=True)
picture.convert("L").save(out / "grey.jxl", quality=92)


# HEIC, coded by x265. All write full range into the stream itself; only the first says so in the container, too.
pillow_heif.register_heif_opener()
heic = {"format": "HEIF", "quality": 92, "chroma": "420", "full_range_flag": 1, "matrix_coefficients": 1}
picture.save(out / "sampling-420.heic", **heic)
picture.convert("L").save(out / "grey.heic", format="HEIF", quality=92)
faded.save(out / "alpha.heic", **heic)
picture.save(out / "sampling-444.heic", **{**heic, "chroma": "444"})


def pq(level):
    """What a level of sRGB is in PQ, where white is 203 candela a square metre."""
    light = level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4
    part = (light * 203 / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * part) / (1 + 2392 / 128 * part)) ** (2523 / 32)


wide = b"".join(struct.pack("<H", round(pq(level / 255) * 65535)) for pixel in picture.getdata() for level in pixel)
bright = pillow_heif.from_bytes(mode="RGB;16", size=picture.size, data=wide)
coding = {"chroma": "420", "full_range_flag": 1, "matrix_coefficients": 1, "color_primaries": 1, "transfer_characteristics": 16}
bright.save(out / "pq.heic", quality=92, **coding)


def box(name, *parts):
    payload = b"".join(parts)
    return struct.pack(">I", len(payload) + 8) + name + payload


def inside(data, name):
    at = data.index(name)
    return data[at + 4 : at - 4 + struct.unpack(">I", data[at - 4 : at])[0]]


def grid(stored, side, quarters_left):
    """Tiles below each other under one `grid` item, as telephones store photos, turned by the container."""
    width, height = stored.size
    rows = -(-height // side)
    tiles, coding = [], None
    for row in range(rows):
        tile = Image.new("RGB", (side, side))
        tile.paste(stored.crop((0, row * side, width, min(height, (row + 1) * side))), (0, 0))
        coded = io.BytesIO()
        tile.save(coded, **heic)
        tiles.append(inside(coded.getvalue(), b"mdat"))
        coding = inside(coded.getvalue(), b"hvcC")
    full, whole = b"\0\0\0\0", rows + 1
    layout = bytes([0, 0, rows - 1, 0]) + struct.pack(">HH", width, height)
    size = lambda width, height: box(b"ispe", full, struct.pack(">II", width, height))
    entry = lambda item, kind: box(b"infe", b"\2\0\0\0", struct.pack(">HH", item, 0), kind, b"\0")
    items = [entry(at + 1, b"hvc1") for at in range(rows)] + [entry(whole, b"grid")]
    properties = [box(b"hvcC", coding), size(side, side), size(width, height), box(b"irot", bytes([quarters_left]))]
    of_items = b"".join(struct.pack(">HB2B", at + 1, 2, 0x81, 2) for at in range(rows)) + struct.pack(">HB2B", whole, 2, 3, 0x84)

    def meta(start):
        places = b""
        for at, tile in enumerate(tiles):
            places += struct.pack(">HHHHII", at + 1, 0, 0, 1, start, len(tile))
            start += len(tile)
        places += struct.pack(">HHHHII", whole, 1, 0, 1, 0, len(layout))
        return box(
            b"meta",
            full,
            box(b"hdlr", full, full, b"pict", bytes(13)),
            box(b"pitm", full, struct.pack(">H", whole)),
            box(b"iloc", b"\1\0\0\0", b"\x44\0", struct.pack(">H", whole), places),
            box(b"iinf", full, struct.pack(">H", whole), *items),
            box(b"iprp", box(b"ipco", *properties), box(b"ipma", full, struct.pack(">I", whole), of_items)),
            box(b"iref", full, box(b"dimg", struct.pack(">HH", whole, rows), *(struct.pack(">H", at + 1) for at in range(rows)))),
            box(b"idat", layout),
        )

    head = box(b"ftyp", b"heic", full, b"mif1heic")
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", *tiles)


(out / "grid-turned.heic").write_bytes(grid(picture.transpose(Image.Transpose.ROTATE_90), 64, 3))


# Adam7, which Pillow reads but does not write.
def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


rows = b""
for x0, y0, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
    for y in range(y0, HEIGHT, dy):
        rows += b"\0" + bytes(v for x in range(x0, WIDTH, dx) for v in picture.getpixel((x, y)))
header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 1)
png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
(out / "interlaced.png").write_bytes(png)
