"""Records what scikit-learn's Lloyd makes of rows that both sides compute by the same whole-number formula.

python tests/reference/kmeans.py > tests/reference/kmeans.json      (needs numpy and scikit-learn)
"""

import json

import numpy as np
import sklearn
from sklearn.cluster import KMeans

ROWS, DIM, CLUSTERS = 600, 12, 9


def row(i):
    group = i % 7
    return [((group * 37 + j * 11 + group * j) % 64) / 8 + (((i + 1) * (7919 + j * 613)) % 1021 - 510) / 128 for j in range(DIM)]


x = np.array([row(i) for i in range(ROWS)])
begin = x[[i * 61 for i in range(CLUSTERS)]]
runs = []
for iterations in (1, 2, 5, 100):
    fitted = KMeans(CLUSTERS, init=begin, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd").fit(x)
    runs.append({"iterations": iterations, "inertia": fitted.inertia_, "labels": fitted.labels_.tolist()})
print(json.dumps({"sklearn": sklearn.__version__, "numpy": np.__version__, "runs": runs}))
