"""Networks and whole runs on a card: beside the processor, and beside PyTorch on the same card.

    tests/gpu/run measure OUT

Takes about five minutes on sixteen cores. Weights follow from their names (tests/reference/formula.py), so nothing is
fetched. Photos are those of fixtures/album, enlarged to 12 megapixels, each with grain of its own.
"""
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import threading
import time

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bench/peers"))
from enlarged_photos import photos

PHOTOS = int(os.environ.get("CARD_PHOTOS", "400"))
SECONDS = 2.0
COUNTS = (1, 16, 32, 128)


def lines(command):
    done = subprocess.run(command, capture_output=True, text=True)
    sys.stderr.write(done.stderr[-2000:])
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def with_torch():
    """The same networks, weights and precisions in PyTorch: floats to the card, rows back, each time."""
    import torch

    sys.path.insert(0, str(ROOT / "tests/reference"))
    import networks as builders
    import torchvision

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True

    def resnet():
        net = builders.fill(torchvision.models.resnet50())
        net.fc = torch.nn.Identity()
        return net

    def efficientnet():
        net = builders.efficientnet(0)[0]
        net.classifier = torch.nn.Identity()
        return net

    found = []
    kinds = {"resnet50": resnet, "dinov2_base": lambda: builders.ClassToken(builders.dinov2(768, 12)), "efficientnet_lite0": efficientnet}
    for name, build in kinds.items():
        try:
            net = build().eval().cuda()
        except Exception as error:  # A package that this machine lacks costs one network.
            found.append({"network": name, "on": "PyTorch", "error": str(error)[:200]})
            continue
        for precision, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
            net = net.to(dtype)
            for count in COUNTS:
                batch = numpy.random.default_rng(1).random((count, 3, 224, 224), dtype=numpy.float32)

                def once():
                    with torch.inference_mode():
                        return net(torch.from_numpy(batch).cuda().to(dtype)).float().cpu()

                for _ in range(5):
                    once()
                started, runs = time.time(), 0
                while time.time() - started < SECONDS:
                    once()
                    runs += 1
                speed = count * runs / (time.time() - started)
                found.append({"network": name, "on": "PyTorch", "precision": precision, "at_once": count, "photos_a_second": speed})
    return found, f"PyTorch {torch.__version__}"


class Utilisation:
    """How busy the card was while a command ran, as its driver says, five times a second."""

    def __enter__(self):
        asked = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits", "-lms", "200"]
        self.process = subprocess.Popen(asked, stdout=subprocess.PIPE, text=True)
        self.seen = []
        self.reader = threading.Thread(target=lambda: self.seen.extend(self.process.stdout))
        self.reader.start()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.reader.join()

    def share(self):
        numbers = [int(line.split(",")[0]) for line in self.seen if line.split(",")[0].strip().isdigit()]
        return statistics.mean(numbers) if numbers else None


def whole(program, weights, folder, out):
    """`select` with the networks of the original, and with what is built in; nothing is remembered between runs."""
    original = [
        "--set", f"quality_assessment.ava_checkpoint={weights}/rated.safetensors",
        "--set", f"quality_assessment.siamese_checkpoint={weights}/siamese.safetensors",
        "--set", "album.clustering.feature_method=dinov2-b",
        "--set", f"album.clustering.feature_checkpoint={weights}/dinov2_base.safetensors",
    ]
    runs = [
        ("built in", "cpu", []),
        ("built in", "cuda", []),
        # The driver compiles the kernels once a machine.
        ("the original's, first on this machine", "cuda", original),
        ("the original's", "cuda", original),
        ("the original's, a thread a core", "cuda", [*original, "--threads", str(os.cpu_count())]),
        ("the original's", "cpu", original),
    ]
    found, picks = [], {}
    for what, device, settings in runs:
        telemetry = out / "telemetry.json"
        command = [program, "select", str(folder), "--top", "10", "--device", device, "--no-cache", "--json", "--telemetry", str(telemetry), *settings]
        with Utilisation() as utilisation:
            started = time.time()
            done = subprocess.run(command, capture_output=True, text=True)
            took = time.time() - started
        entry = {"run": what, "device": device, "exit": done.returncode, "seconds": took, "photos_a_second": PHOTOS / took, "card_busy_percent": utilisation.share()}
        if done.returncode not in (0, 3):
            entry["error"] = done.stderr[-600:]
        else:
            picks[(what, device)] = [json.loads(line).get("path") for line in done.stdout.splitlines()]
        if telemetry.exists():
            entry["operations"] = json.loads(telemetry.read_text()).get("operations")
            telemetry.unlink()
        found.append(entry)
    same = picks.get(("the original's", "cpu")) == picks.get(("the original's", "cuda"))
    found.append({"run": "the same picks on card and processor", "same": bool(picks) and same, "picks": len(picks.get(("the original's", "cpu"), []))})
    return found


def training(program, folder, out):
    """A minute of `train aesthetics` as a sign of life."""
    labels = out / "labels.csv"
    names = sorted(path.name for path in folder.iterdir())
    labels.write_text("file,score\n" + "".join(f"{name},{1 + at % 9}\n" for at, name in enumerate(names)))
    command = ["timeout", "-s", "INT", "60", program, "train", "aesthetics", str(labels), "--photos", str(folder), "--run", str(out / "training"), "--device", "cuda", "--epochs", "40", "--progress", "never"]
    with Utilisation() as utilisation:
        started = time.time()
        done = subprocess.run(command, capture_output=True, text=True)
        took = time.time() - started
    course = (out / "training").rglob("*.jsonl") if (out / "training").exists() else []
    lines = [line for path in course for line in path.read_text().splitlines()]
    return [{"run": "train aesthetics", "device": "cuda", "exit": done.returncode, "seconds": took, "card_busy_percent": utilisation.share(), "said": (done.stdout + done.stderr)[-1500:], "course": lines[-3:]}]


def main():
    programs, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    wanted = sys.argv[3:] or ["networks", "torch", "whole", "training"]
    out.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / "albumctl-card"
    work.mkdir(exist_ok=True)
    card = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True).stdout.strip()
    found = [{"card": card, "date": datetime.date.today().isoformat(), "cores": os.cpu_count(), "processor": platform.processor()}]
    result = out / "card.jsonl"

    def keep(more):
        found.extend(more)
        result.write_text("".join(json.dumps(entry) + "\n" for entry in found))
        for entry in more:
            print(json.dumps({key: value for key, value in entry.items() if key != "operations"}), flush=True)

    keep([])
    print(found[0], flush=True)
    if "networks" in wanted:
        keep(lines([programs / "card", "measure"]))
    if "torch" in wanted:
        of_torch, version = with_torch()
        keep([{"peer": version}, *of_torch])
    if "whole" in wanted or "training" in wanted:
        folder = photos(work / "photos", PHOTOS)
    if "whole" in wanted:
        subprocess.run([programs / "card", "weights", str(work)], check=True)
        keep(whole(programs / "albumctl", work, folder, work))
    if "training" in wanted:
        keep(training(programs / "albumctl", folder, work))


main()
