"""Networks side by side with ONNX Runtime and PyTorch: same weights, same pictures' size, same threads, by turns.

    make bench-peers

Our side is `cargo bench --bench networks -- serve`, which times one run per request; the weights of both sides come
from tests/reference/formula.py. Every round asks each contender once, so that a busy moment of the machine hits all
of them; medians are compared.
"""
import argparse
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import numpy as np
import onnxruntime
import torch
import torchvision

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "reference"))
import networks  # noqa: E402  (the builders of tests/reference)


def model(name):
    if name == "resnet50":
        net = networks.fill(torchvision.models.resnet50())
        net.fc = torch.nn.Identity()
        return net.eval()
    if name == "efficientnet_lite0":
        net = networks.efficientnet(0)[0]
        net.classifier = torch.nn.Identity()
        return net.eval()
    if name == "mobilenet_v2":
        net = networks.fill(torchvision.models.mobilenet_v2())
        net.classifier = torch.nn.Identity()
        return net.eval()
    width = {"dinov2_small": 384, "dinov2_base": 768}[name]
    net = networks.dinov2(width, 12)
    # The resized positions are a constant of the exported graph.
    positions = net.embeddings.interpolate_pos_encoding(None, 224, 224).detach()
    net.embeddings.interpolate_pos_encoding = lambda embeddings, height, width: positions
    return networks.ClassToken(net).eval()


def session(net, name, folder, threads):
    path = folder / f"{name}.onnx"
    dynamic = {"x": {0: "photos"}, "y": {0: "photos"}}
    torch.onnx.export(net, (torch.zeros(2, 3, 224, 224),), str(path), input_names=["x"], output_names=["y"], dynamic_axes=dynamic, opset_version=18, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Ours:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


def timed(work, clock=time.CLOCK_MONOTONIC):
    start = time.clock_gettime(clock)
    work()
    return (time.clock_gettime(clock) - start) * 1e3


def answered(ours, args, *words):
    """The time of a run of ours: as it tells it, or by the clock that Linux has for each process."""
    if not args.processor_time:
        return float(ours.ask(*words))
    return timed(lambda: ours.ask(*words), (~ours.process.pid << 3) | 2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ours", nargs="+", help="the command of our bench, without `serve`")
    parser.add_argument("--networks", default="resnet50,dinov2_small,dinov2_base,efficientnet_lite0,mobilenet_v2")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processor-time", action="store_true", help="of the process: for one thread on a busy machine")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    ours = Ours([*args.ours, "serve"])
    paths = [p for p in ours.ask("paths").split() if p != "plain"]
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
    print(f"machine: {cpu}, {args.threads} threads; onnxruntime {onnxruntime.__version__}, torch {torch.__version__}")
    peaks = {path: float(ours.ask("peak", path)) for path in paths if not path.endswith("-fast")}
    for path, peak in peaks.items():
        print(f"peak {path}: {peak} GFLOP/s (a large matrix product)")
    folder = pathlib.Path(__file__).parent / ".onnx"
    folder.mkdir(exist_ok=True)
    with torch.no_grad():
        for name in args.networks.split(","):
            net = model(name)
            onnx = session(net, name, folder, args.threads)
            for count in map(int, args.batches.split(",")):
                x = torch.randn(count, 3, 224, 224)
                feed = {"x": x.numpy()}
                contenders = {path: lambda path=path: answered(ours, args, name, path, count) for path in [*paths, "candle"]}
                clock = time.CLOCK_PROCESS_CPUTIME_ID if args.processor_time else time.CLOCK_MONOTONIC
                contenders["onnxruntime"] = lambda: timed(lambda: onnx.run(None, feed), clock)
                contenders["torch"] = lambda: timed(lambda: net(x), clock)
                times = {who: [] for who in contenders}
                for round in range(args.rounds + 1):
                    for who, run in contenders.items():
                        if who == "candle" and round > 4:
                            continue
                        # Idle threads of the last contender stop spinning before the next is timed.
                        time.sleep(0.03)
                        elapsed = run()
                        if round:
                            times[who].append(elapsed)
                medians = {who: statistics.median(t) / count for who, t in times.items()}
                base = medians["onnxruntime"]
                operations = float(ours.ask("operations", name))
                print(f"\n{name}, batch {count}: ms a photo, as a multiple of onnxruntime's time, and of the path's peak")
                for who, ms in sorted(medians.items(), key=lambda item: item[1]):
                    share = f"  {operations / ms * 1e3 / peaks[who]:4.0%}" if who in peaks else ""
                    print(f"  {who:12} {ms:8.2f}  {ms / base:5.2f}x{share}")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
