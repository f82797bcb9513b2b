"""One Lloyd iteration of scikit-learn or faiss over the rows that `cargo bench --bench scale` made.

python kmeans_peers.py scikit-learn|faiss FOLDER CENTROIDS.npy THREADS
"""

import glob
import os
import resource
import sys
import time

peer, folder, centroids, threads = sys.argv[1:]
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = threads

import numpy as np
import pyarrow
import pyarrow.parquet as pq

pyarrow.set_cpu_count(int(threads))
begin = np.load(centroids)
clusters, dim = begin.shape

started = time.perf_counter()
files = [pq.ParquetFile(f) for f in sorted(glob.glob(folder + "/*.parquet"))]
x = np.empty((sum(f.metadata.num_rows for f in files), dim), np.float32)
at = 0
for f in files:
    for batch in f.iter_batches(batch_size=8192, columns=["feature"]):
        rows = batch.column(0).values.to_numpy().reshape(-1, dim)
        x[at : at + len(rows)] = rows
        at += len(rows)
read = time.perf_counter() - started

if peer == "scikit-learn":
    import warnings

    import sklearn
    from sklearn.cluster import KMeans

    warnings.simplefilter("ignore")
    version = sklearn.__version__

    def fit(iterations):
        return KMeans(clusters, init=begin, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd").fit(x).inertia_
else:
    import faiss

    faiss.omp_set_num_threads(int(threads))
    version = faiss.__version__

    def fit(iterations):
        kmeans = faiss.Kmeans(dim, clusters, niter=iterations, max_points_per_centroid=1 << 30)
        kmeans.train(x, init_centroids=begin)
        return kmeans.obj[-1]


def timed(iterations):
    """The better of two: the first fit of a process also finds its memory."""
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        fit(iterations)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


one, six = timed(1), timed(6)
print(
    f"{peer} {version}: reading {read:.2f} s (pyarrow {pyarrow.__version__}); one iteration as a fit {one:.2f} s; each further "
    f"iteration {(six - one) / 5:.3f} s, all rows in memory; peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB"
)
