"""A `.pth` of torchvision's ResNet-50 as people have it, classified by us and by PyTorch, from the pictures on.

    venv/bin/pip install torch torchvision
    venv/bin/python tests/reference/resnet50_pth.py ALBUMCTL

Weights are random, with the statistics of a few random batches; 100 MB in a temporary folder. It prints by how much the
logarithms of the probabilities differ, which is by how much the logits do.
"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import torch
import torchvision
from PIL import Image
from torchvision import transforms

ROOT = pathlib.Path(__file__).parents[2]

torch.manual_seed(0)
net = torchvision.models.resnet50(weights=None)
with torch.no_grad():
    for _ in range(2):
        net(torch.rand(4, 3, 224, 224))
net.eval()
seen = transforms.Compose([
    transforms.Resize(256),
    transforms.CenterCrop(224),
    transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
])
names = (ROOT / "models/imagenet-1k.txt").read_text().splitlines()
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    torch.save(net.state_dict(), folder / "resnet50.pth")
    for photo in sorted((ROOT / "fixtures/album").glob("*.jpg"))[:4]:
        Image.open(photo).convert("RGB").resize((400, 300)).save(folder / f"{photo.stem}.png")
    command = [sys.argv[1], "classify", "--model", folder / "resnet50.pth", "--top", "1000", "--json", "--no-cache", folder]
    worst = 0.0
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        line = json.loads(line)
        with torch.no_grad():
            expected = torch.log_softmax(net(seen(Image.open(line["image_path"])).unsqueeze(0))[0].double(), 0).tolist()
        # Some names stand for two classes; sorted, what belongs together meets.
        ours = sorted((entry["label"], math.log(entry["score"])) for entry in line["labels"])
        theirs = sorted(zip(names, expected))
        assert [name for name, _ in ours] == [name for name, _ in theirs]
        worst = max(worst, *(abs(a - b) for (_, a), (_, b) in zip(ours, theirs)))
print(f"torch {torch.__version__}, torchvision {torchvision.__version__}: logits off by at most {worst:.1e}")
