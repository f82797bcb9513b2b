"""What ultralytics answers for YOLOv8 networks of random weights.

    venv/bin/pip install ultralytics torch
    venv/bin/python tests/reference/yolo.py tests/parity/yolov8_tiny
    venv/bin/python tests/reference/yolo.py --scale n FOLDER/yolov8n_random
    venv/bin/python tests/reference/yolo.py --scale s FOLDER/yolov8s_random

writes NAME.pt as ultralytics saves a model, and NAME.json with the predictions for a picture that the test makes, too.
Without --scale the network is the same with a few channels. Weights are random, because no package carries trained ones.
"""
import argparse
import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
import ultralytics
import yaml
from ultralytics.nn.tasks import DetectionModel

arguments = argparse.ArgumentParser()
arguments.add_argument("--scale")
arguments.add_argument("name")
arguments = arguments.parse_args()

config = yaml.safe_load((Path(ultralytics.__file__).parent / "cfg/models/v8/yolov8.yaml").read_text())
if arguments.scale:
    config["scale"], size = arguments.scale, [320, 416]
else:
    config["scales"], config["scale"], config["nc"], size = {"t": [0.33, 0.03, 96]}, "t", 3, [96, 128]
torch.manual_seed(7)
model = DetectionModel(config, verbose=False)
for module in model.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        torch.nn.init.normal_(module.weight, 1.0, 0.2)
        torch.nn.init.normal_(module.bias, 0.0, 0.2)
        module.momentum = 1.0
# Biases far below zero would make every score zero.
for branch in model.model[-1].cv3:
    torch.nn.init.normal_(branch[-1].bias, -1.0, 1.0)
if not arguments.scale:
    model.names = {0: "person", 1: "dog", 2: "teddy bear"}
shape = [1, 3, *size]
picture = np.sin(np.arange(np.prod(shape), dtype=np.float32) * np.float32(0.0137)) * 0.5 + 0.5
picture = torch.from_numpy(picture.reshape(shape))
# The means and variances of this picture, so that it makes a difference behind every layer.
with torch.no_grad():
    model.train()(picture)
model.eval()
stored = {"model": deepcopy(model).half(), "ema": None, "train_args": {"imgsz": 640}, "version": ultralytics.__version__}
torch.save(stored, f"{arguments.name}.pt")

network = torch.load(f"{arguments.name}.pt", map_location="cpu")["model"].float().eval()
with torch.no_grad():
    answer = network(picture)
answer = (answer[0] if isinstance(answer, tuple) else answer)[0].numpy()
boxes, scores = answer[:4].T, answer[4:].T
step = max(1, len(boxes) // 300)
cells = [
    [float(f"{v:.6g}") for v in [*box, score.max()]] + [int(score.argmax())] for box, score in zip(boxes, scores)
][::step]
Path(f"{arguments.name}.json").write_text(
    json.dumps({"ultralytics": ultralytics.__version__, "shape": shape, "step": step, "count": len(boxes), "cells": cells})
)
