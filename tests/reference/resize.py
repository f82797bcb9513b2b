"""Records what Pillow's Image.resize and thumbnail give, for the test in src/photo/resize.rs.

    pip install pillow==12.0.0
    python tests/reference/resize.py > tests/reference/resize.json

The picture is made by a formula that the test repeats, so only sizes and digests of the results are stored,
with a few pixels for a readable failure. Pillow 10.2 to 12.0 agree; 13.0 orders the two passes differently.
"""
import json

import PIL
from PIL import Image

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC, "lanczos3": Image.Resampling.LANCZOS}


def picture(width, height):
    data = bytearray()
    for y in range(height):
        for x in range(width):
            for c in range(3):
                h = (x * 73856093 ^ y * 19349663 ^ c * 83492791) & 0xFFFFFFFF
                h = (h ^ (h >> 13)) * 0x5BD1E995 & 0xFFFFFFFF
                noise = (h >> 15) & 255
                edge = 255 if (x // 7 + y // 5 + c) % 3 == 0 else 0
                data.append((noise + edge + (x * 3 + y * 2) % 256) // 3)
    return Image.frombytes("RGB", (width, height), bytes(data))


def fnv1a(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def record(source, result):
    return {"from": source, "to": list(result.size), "fnv1a": fnv1a(result.tobytes()), "head": list(result.tobytes()[:12])}


resized = []
for source, target in [
    ((64, 48), (32, 24)), ((64, 48), (17, 31)), ((97, 61), (40, 61)), ((97, 61), (97, 20)), ((33, 21), (70, 50)),
    ((200, 3), (13, 2)), ((5, 300), (5, 7)), ((1, 1), (9, 4)), ((301, 203), (224, 151)), ((128, 96), (1, 1)), ((50, 40), (75, 13)),
]:
    image = picture(*source)
    for name, method in FILTERS.items():
        resized.append({"filter": name, **record(source, image.resize(target, method))})

thumbnails = []
for source, side in [((301, 203), 100), ((203, 301), 64), ((640, 479), 128), ((1000, 3), 50), ((3, 1000), 50), ((90, 60), 90), ((90, 60), 200), ((333, 250), 111), ((257, 256), 32)]:
    image = picture(*source)
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=None)
    thumbnails.append({"side": side, **record(source, image)})

print(json.dumps({"pillow": PIL.__version__, "resized": resized, "thumbnails": thumbnails}, indent=None).replace('}, {', '},\n{'))
