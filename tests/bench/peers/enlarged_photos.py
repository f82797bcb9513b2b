"""Photos of 12 megapixels, like a camera's: those of fixtures/album enlarged, each with grain of its own."""
import concurrent.futures
import pathlib

import numpy
from PIL import Image

ALBUM = pathlib.Path(__file__).resolve().parents[3] / "fixtures/album"


def enlarged(job):
    source, target, seed = job
    grain = numpy.random.default_rng(seed).integers(-6, 7, (3000, 4000, 1), dtype=numpy.int16)
    picture = numpy.asarray(Image.open(source).convert("RGB").resize((4000, 3000), Image.BICUBIC), dtype=numpy.int16)
    Image.fromarray(numpy.clip(picture + grain, 0, 255).astype(numpy.uint8)).save(target, quality=85)


def photos(folder, count):
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted(ALBUM.rglob("*.jpg"))
    jobs = [(sources[at % len(sources)], folder / f"photo{at:04}.jpg", at) for at in range(count)]
    with concurrent.futures.ProcessPoolExecutor() as pool:
        list(pool.map(enlarged, jobs))
    return folder
