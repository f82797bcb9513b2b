"""Weights and pictures that Python and Rust both compute, so that only results need to be stored.

The twin is tests/parity/formula.rs; both work in 64-bit integers and doubles and round to f32 once.
"""
import math

import numpy as np
from PIL import Image

SIZES = [(300, 400), (400, 300), (256, 256), (224, 500), (640, 250), (333, 257), (224, 224), (257, 700), (512, 384), (301, 299), (480, 360), (230, 1000)]


def fnv1a(text):
    h = 0xCBF29CE484222325
    for b in text.encode():
        h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def noise(name, count):
    """`count` numbers in -1..1: splitmix64 from the hash of the name on."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(name)) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 8388608.0 - 1.0


def tensor(name, shape):
    count = math.prod(shape)
    u = noise(name, count)
    last = name.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        values = np.zeros(count)
    elif last == "running_var":
        values = 1.0 + 0.5 * u
    elif last == "running_mean" or last == "bias":
        values = 0.1 * u
    elif last in ("gamma", "lambda1"):
        values = 0.3 + 0.1 * u
    elif last in ("cls_token", "pos_embed", "position_embeddings", "register_tokens", "mask_token"):
        values = 0.5 * u
    elif len(shape) == 1:
        # The last normalisation of a residual branch is small, or fifty layers would explode.
        values = 0.3 + 0.1 * u if "bn3" in name else 1.0 + 0.2 * u
    else:
        fan_in = math.prod(shape[1:])
        gain = 6.0 if len(shape) == 4 else 3.0
        values = u * math.sqrt(gain / fan_in)
    return values.astype(np.float32).reshape(shape)


def picture(index):
    """A smooth scene, edges and some noise; every index has shapes and colours of its own."""
    width, height = SIZES[index % len(SIZES)]
    y, x = np.mgrid[0:height, 0:width].astype(np.uint64)
    planes = []
    for c in range(3):
        h = (x * np.uint64(73856093)) ^ (y * np.uint64(19349663)) ^ np.uint64((c + 3 * index + 1) * 83492791)
        h = (h ^ (h >> np.uint64(13))) & np.uint64(0xFFFFFFFF)
        h = (h * np.uint64(0x5BD1E995)) & np.uint64(0xFFFFFFFF)
        grain = (h >> np.uint64(15)) & np.uint64(255)
        period = np.uint64(9 + 7 * ((index * 5 + c * 3) % 11))
        edge = np.where((x // period + y // (period + np.uint64(index))) % np.uint64(3) == 0, np.uint64(255), np.uint64(0))
        slope = (x * np.uint64(1 + (index + c) % 4) + y * np.uint64(1 + (index * 3 + c) % 5)) // np.uint64(4) % np.uint64(256)
        weight = np.uint64(1 + index % 4)
        planes.append((grain + edge * weight + slope * np.uint64(6 - index % 4)) // (np.uint64(7) + weight - np.uint64(index % 4)))
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8), "RGB")
