"""scikit-learn's HDBSCAN on the rows of `tests/bench/cluster.rs`, in the same run of the machine.

    python3 -m venv venv && venv/bin/pip install "numpy<2.3" scikit-learn==1.9.1
    venv/bin/python tests/bench/peers/hdbscan_speed.py [5000 ...]
"""

import resource
import sys
import time

import numpy
import sklearn
from sklearn.cluster import HDBSCAN


def uniforms(count, seed=7):
    """SplitMix64, all at once."""
    step = numpy.uint64(0x9E3779B97F4A7C15)
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(seed) + numpy.arange(1, count + 1, dtype=numpy.uint64) * step
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> numpy.uint64(31))) >> numpy.uint64(11)).astype(numpy.float64) / float(1 << 53)


def takes(n, dim):
    scenes = n // 8
    drawn = uniforms(scenes * dim + n * dim)
    centres = drawn[: scenes * dim].reshape(scenes, dim) - 0.5
    rows = centres[numpy.arange(n) % scenes] + 0.6 * (drawn[scenes * dim :].reshape(n, dim) - 0.5)
    rows = rows.astype(numpy.float32).astype(numpy.float64)
    return rows / numpy.linalg.norm(rows, axis=1, keepdims=True)


def main():
    print(f"scikit-learn {sklearn.__version__}, numpy {numpy.__version__}")
    for n in [int(arg) for arg in sys.argv[1:]] or [1000, 5000]:
        x = takes(n, 384)
        for algorithm in ["brute", "kd_tree"]:
            start = time.perf_counter()
            labels = HDBSCAN(
                min_cluster_size=3, min_samples=3, algorithm=algorithm, copy=True, n_jobs=-1
            ).fit_predict(x)
            seconds = time.perf_counter() - start
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{n} x 384, {algorithm}: {seconds:.2f} s, peak {peak:.0f} MB, {labels.max() + 1} groups")


main()
