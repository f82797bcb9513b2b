"""Draws small JPEG files in many codings with libjpeg-turbo's `cjpeg` into fixtures/jpeg, and writes what its `djpeg`
makes of these and of the album's first files: the SHA-256 of the pixels, whole and at 1/2, 1/4 and 1/8.

    apt-get install libjpeg-turbo-progs && python3 tests/reference/jpeg_pixels.py
"""

import hashlib
import json
import math
import subprocess
from pathlib import Path

here = Path(__file__).resolve().parent
fixtures = here.parent.parent / "fixtures"

PROGRESSIVE = """
0,1,2: 0-0, 0, 1;
0: 1-5, 0, 2;
2: 1-63, 0, 1;
1: 1-63, 0, 1;
0: 6-63, 0, 2;
0: 1-63, 2, 1;
0,1,2: 0-0, 1, 0;
2: 1-63, 1, 0;
1: 1-63, 1, 0;
0: 1-63, 1, 0;
"""
APART = "0;\n1;\n2;\n"
TWO_AND_ONE = "0;\n1,2;\n"

# name: (width, height, options of cjpeg, scan script)
FILES = {
    "444": (67, 45, "-sample 1x1 -quality 92", None),
    "422": (67, 45, "-sample 2x1 -quality 85", None),
    "420": (67, 45, "-sample 2x2 -quality 85", None),
    "440": (67, 45, "-sample 1x2 -quality 85", None),
    "411": (67, 45, "-sample 4x1 -quality 85", None),
    "410": (67, 45, "-sample 4x2 -quality 85", None),
    "one-pixel": (1, 1, "-sample 2x2", None),
    "narrow": (3, 40, "-sample 2x2", None),
    "flat": (40, 3, "-sample 2x2", None),
    "whole-units": (64, 48, "-sample 2x2", None),
    "coarse": (67, 45, "-quality 4 -sample 2x2", None),
    "finest": (67, 45, "-quality 100 -sample 1x1", None),
    "fitted": (67, 45, "-quality 75 -optimize", None),
    "restarts": (131, 45, "-quality 85 -restart 3B", None),
    "grey": (67, 45, "-quality 85 -grayscale", None),
    "rgb": (67, 45, "-quality 85 -rgb", None),
    "progressive": (67, 45, "-quality 85 -progressive", None),
    "progressive-422": (131, 45, "-quality 60 -sample 2x1 -progressive -restart 2", None),
    "progressive-own": (67, 45, "-quality 85 -sample 2x2", PROGRESSIVE),
    "progressive-grey": (67, 45, "-quality 85 -grayscale -progressive", None),
    "scans-apart": (67, 45, "-quality 85 -sample 2x2", APART),
    "scans-two": (67, 45, "-quality 85 -sample 2x1", TWO_AND_ONE),
}


def drawn(width, height):
    """Slopes, edges and a fine texture in all three colours."""
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            wave = math.sin(x / 5) * math.cos(y / 7)
            ring = 255 if (x - width / 3) ** 2 + (y - height / 2) ** 2 < 150 else 0
            pixels += bytes(
                int(min(255, max(0, level)))
                for level in (127 + 120 * wave, x * 255 / width, (y * 255 / height + ring + (x * 7 + y * 13) % 23) / 2)
            )
    return f"P6\n{width} {height}\n255\n".encode() + bytes(pixels)


def ppm_pixels(ppm):
    kind, size, _, data = ppm.split(b"\n", 3)
    width, height = map(int, size.split())
    return data if kind == b"P6" else bytes(level for level in data for _ in range(3))


def main():
    folder = fixtures / "jpeg"
    folder.mkdir(exist_ok=True)
    for name, (width, height, options, scans) in FILES.items():
        extra = []
        if scans:
            script = Path("/tmp/scans.txt")
            script.write_text(scans)
            extra = ["-scans", str(script)]
        command = ["cjpeg", *options.split(), *extra]
        (folder / f"{name}.jpg").write_bytes(subprocess.run(command, input=drawn(width, height), stdout=-1, check=True).stdout)
    files = [*sorted(folder.glob("*.jpg")), *sorted((fixtures / "album").glob("DSC_01[0123]5.jpg"))]
    table = {}
    for path in files:
        commands = [["djpeg", "-ppm", "-scale", f"1/{shrink}", str(path)] for shrink in (1, 2, 4, 8)]
        shown = [ppm_pixels(subprocess.run(command, stdout=-1, check=True).stdout) for command in commands]
        table[str(path.relative_to(fixtures))] = [hashlib.sha256(pixels).hexdigest() for pixels in shown]
    version = subprocess.run(["djpeg", "-version"], capture_output=True, text=True).stderr.splitlines()[0]
    (here / "jpeg_pixels.json").write_text(json.dumps({"made by": version, "sha256": table}, indent=1) + "\n")


main()
