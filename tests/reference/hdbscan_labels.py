"""Labels of scikit-learn's HDBSCAN and of the `hdbscan` package on small data sets made by a formula.

    python3 -m venv venv && venv/bin/pip install "numpy<2.3" scikit-learn==1.9.1 hdbscan==0.8.44
    venv/bin/python tests/reference/hdbscan_labels.py > tests/reference/hdbscan_labels.json

`src/cluster/tests.rs` makes the same points from the same formula and compares labels. scikit-learn counts the point
itself among `min_samples`, the `hdbscan` package does not: hence the + 1.
"""

import json
import math
import sys

import hdbscan
import numpy
import sklearn
from sklearn.cluster import HDBSCAN

MASK = (1 << 64) - 1


class Chance:
    """SplitMix64, uniform in 0..1."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return ((z ^ (z >> 31)) >> 11) / (1 << 53)

    def bell(self):
        """Nearly normal: twelve uniforms."""
        total = 0.0
        for _ in range(12):
            total += self.uniform()
        return total - 6.0


def points(case):
    chance = Chance(case["seed"])
    dim, blobs = case["dim"], case["blobs"]
    centres = [[chance.bell() for _ in range(dim)] for _ in range(blobs)]
    spreads = [case["spread"] * (0.5 + chance.uniform()) for _ in range(blobs)]
    rows = []
    for i in range(case["n"]):
        if chance.uniform() < case["noise"]:
            row = [chance.bell() for _ in range(dim)]
        else:
            blob = i % blobs
            row = [centre + spreads[blob] * chance.bell() for centre in centres[blob]]
        row = [float(numpy.float32(value)) for value in row]
        norm = math.sqrt(sum(value * value for value in row))
        rows.append([value * (1.0 / norm) for value in row])
    return numpy.asarray(rows, dtype=numpy.float32).astype(numpy.float64)


def cases():
    seed = 1
    sizes = [(40, 3, 3), (60, 8, 5), (90, 16, 6), (120, 5, 4), (150, 32, 12), (200, 64, 20), (300, 24, 9), (400, 12, 30)]
    for n, dim, blobs in sizes:
        for min_cluster_size, min_samples, epsilon in [
            (2, 1, 0.0), (3, 1, 0.0), (5, 1, 0.0), (3, 1, 0.25), (2, 2, 0.0), (5, 5, 0.0), (3, 3, 0.25)
        ]:
            yield {
                "seed": seed, "n": n, "dim": dim, "blobs": blobs, "spread": [0.15, 0.3, 0.5][seed % 3],
                "noise": [0.0, 0.1, 0.25][seed % 3 - 1], "min_cluster_size": min_cluster_size,
                "min_samples": min_samples, "epsilon": epsilon,
            }
            seed += 1


def main():
    print(f"scikit-learn {sklearn.__version__}", file=sys.stderr)
    lines = []
    for case in cases():
        x = points(case)
        shared = {"min_cluster_size": case["min_cluster_size"], "cluster_selection_epsilon": case["epsilon"]}
        theirs = HDBSCAN(min_samples=case["min_samples"] + 1, algorithm="brute", copy=True, **shared).fit_predict(x)
        package = hdbscan.HDBSCAN(
            min_samples=case["min_samples"], algorithm="prims_kdtree", approx_min_span_tree=False, **shared
        ).fit_predict(x)
        case["scikit_learn"] = theirs.tolist()
        case["package"] = package.tolist()
        lines.append(json.dumps(case, separators=(",", ":")))
    print("[\n" + ",\n".join(lines) + "\n]")


main()
