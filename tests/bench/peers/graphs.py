"""Published graphs side by side with ONNX Runtime and OpenCV: same files, same size of picture, one thread, by turns.

Processor time is compared, because other processes then count less.

    python tests/bench/peers/graphs.py FOLDER OURS…

FOLDER holds what its files are named after below, entries of the wheels in models/*.yaml; OURS is the bench `networks`. The
pictures are noise: what a network computes does not depend on them. For SSD both sides also decode and suppress boxes.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import time

import cv2
import numpy as np
import onnxruntime

ROUNDS = 15
TEXT = [("PP-OCRv6_det_small.onnx", [736, 992]), ("PP-OCRv6_rec_small.onnx", [48, 320]), ("PP-OCRv6_rec_small.onnx", [48, 960])]
SSD = "frozen_inference_graph.pb"


def timed(work, clock):
    start = time.clock_gettime(clock)
    work()
    return (time.clock_gettime(clock) - start) * 1e3


def clock_of(pid):
    """The clock of a process's processor time, as clock_getcpuclockid has it on Linux."""
    return (~pid << 3) | 2


def by_onnxruntime(path, shape):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: np.random.default_rng(1).uniform(-1, 1, [1, 3, *shape]).astype(np.float32)}
    return lambda: session.run(None, feed)


def by_opencv(path):
    net = cv2.dnn.readNetFromTensorflow(str(path), str(path.with_name("ssd_mobilenet_v2_coco_2018_03_29.pbtxt")))
    blob = np.random.default_rng(1).uniform(0, 255, [1, 3, 300, 300]).astype(np.float32)

    def run():
        net.setInput(blob)
        net.forward()

    return run


def main():
    folder, command = pathlib.Path(sys.argv[1]), sys.argv[2:]
    cv2.setNumThreads(1)
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    ours = subprocess.Popen([*command, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def ask(words):
        ours.stdin.write(words + "\n")
        ours.stdin.flush()
        ours.stdout.readline()

    cases = [(folder / name, shape, by_onnxruntime(folder / name, shape)) for name, shape in TEXT]
    cases.append((folder / SSD, [300, 300], by_opencv(folder / SSD)))
    print(f"onnxruntime {onnxruntime.__version__}, OpenCV {cv2.__version__}, one thread, medians of {ROUNDS} rounds")
    for path, shape, theirs in cases:
        times, words = [[], []], f"graph {path} {shape[0]} {shape[1]}"
        for round in range(ROUNDS + 1):
            both = [timed(lambda: ask(words), clock_of(ours.pid)), timed(theirs, time.CLOCK_PROCESS_CPUTIME_ID)]
            if round:
                [kept.append(time) for kept, time in zip(times, both)]
        mine, other = map(statistics.median, times)
        ratios = sorted(a / b for a, b in zip(*times))
        print(f"{path.name} {shape[0]}x{shape[1]}: ours {mine:.1f} ms, theirs {other:.1f} ms, {mine / other:.2f}x ({ratios[3]:.2f} to {ratios[-4]:.2f})", flush=True)


if __name__ == "__main__":
    main()
