"""Records what PyTorch computes for the networks, for tests/parity.

    python -m venv v && v/bin/pip install -r tests/bench/peers/requirements.txt
    v/bin/python tests/reference/networks.py tests/parity

Weights and pictures come from formula.py, so only results are stored: features as base64 of little-endian f32.
"""
import base64
import json
import os
import pathlib
import sys

import numpy as np
import PIL
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
import transformers
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode as I

import formula

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VERSIONS = {"torch": torch.__version__, "torchvision": torchvision.__version__, "transformers": transformers.__version__, "pillow": PIL.__version__}


def fill(module, rename=lambda name: name):
    """Gives every tensor of the module the formula's values."""
    state = {name: torch.from_numpy(formula.tensor(rename(name), tuple(t.shape))).to(t.dtype).reshape(t.shape) for name, t in module.state_dict().items()}
    module.load_state_dict(state)
    return module.eval()


def resize_crop(filter):
    return T.Compose([T.Resize(256, filter), T.CenterCrop(224), T.ToTensor(), T.Normalize(MEAN, STD)])


def fix_scale(image):
    w, h = image.size
    ow, oh = (int(w * 224 / h), 224) if w > h else (224, int(h * 224 / w))
    image = image.resize((ow, oh), PIL.Image.Resampling.BILINEAR)
    x, y = round((ow - 224) / 2), round((oh - 224) / 2)
    return T.Compose([T.ToTensor(), T.Normalize(MEAN, STD)])(image.crop((x, y, x + 224, y + 224)))


def encode(tensor):
    return [base64.b64encode(row.numpy().astype("<f4").tobytes()).decode() for row in tensor]


def batch(transform, count=12):
    return torch.stack([transform(formula.picture(i)) for i in range(count)])


def save(name, net, content, rename=lambda name: name):
    path = pathlib.Path(sys.argv[1]) / f"{name}.json"
    tensors = {rename(key): " ".join(map(str, value.shape)) for key, value in net.state_dict().items()}
    path.write_text(json.dumps({"made_with": VERSIONS, **content, "tensors": tensors}, indent=0) + "\n")
    print(path, path.stat().st_size)


def positional_resnet50():
    net = torchvision.models.resnet50()
    return nn.Sequential(*list(net.children())[:-1], nn.Flatten())


class Rated(nn.Module):
    """The original's aesthetic network."""

    def __init__(self, outputs):
        super().__init__()
        self.backbone = positional_resnet50()
        self.head = nn.Sequential(nn.Linear(2048, 256), nn.ReLU(), nn.Dropout(0.2), nn.Linear(256, outputs))

    def forward(self, x):
        return self.head(self.backbone(x))


class Ranker(nn.Module):
    """The original's Siamese ranker."""

    def __init__(self, backbone, features, hidden, activation):
        super().__init__()
        self.backbone = backbone
        layers, width = [], features
        for h in hidden:
            layers += [nn.Linear(width, h), activation, nn.Dropout(0.0)]
            width = h
        self.mlp = nn.Sequential(*layers, nn.Linear(width, 2))

    def forward(self, a, b):
        return self.mlp(a - b)


class MultiHead(nn.Module):
    """The quality model of the original's later hub: a backbone, attention over channels, a head for each flaw."""

    FLAWS = ("color_cast", "blurriness", "watermark", "noise")

    class Entry(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)

        def forward(self, x):
            return self.bn(self.conv(x)).relu()

    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

        def forward(self, x):
            return (self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + x).relu()

    def __init__(self):
        super().__init__()
        layers, inputs = [], 3
        for width in (32, 64, 128, 256):
            layers += [self.Entry(inputs, width), self.Block(width), nn.MaxPool2d(2)]
            inputs = width
        self.backbone = nn.Sequential(*layers)
        self.channel_attention = nn.Sequential(nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 256), nn.Sigmoid())
        for flaw in self.FLAWS:
            head = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 1))
            setattr(self, f"head_{flaw}", head)
        self.register_buffer("degradation_weights", torch.zeros(4))

    def features(self, x):
        pooled = self.backbone(x).mean((2, 3))
        return pooled * self.channel_attention(pooled)

    def forward(self, x):
        features = self.features(x)
        flaws = torch.cat([getattr(self, f"head_{flaw}")(features) for flaw in self.FLAWS], 1).sigmoid()
        return torch.cat([flaws, 1 - (flaws * self.degradation_weights).sum(1, keepdim=True)], 1)


def vgg16_backbone():
    from collections import OrderedDict

    net = torchvision.models.vgg16()
    layers = OrderedDict((str(i), layer) for i, layer in enumerate(net.features))
    layers["31"], layers["32"] = net.avgpool, nn.Flatten()
    layers["fc6"], layers["relu6"], layers["dropout6"] = net.classifier[0], nn.ReLU(), nn.Dropout()
    layers["fc7"], layers["relu7"], layers["dropout7"] = net.classifier[3], nn.ReLU(), nn.Dropout()
    return nn.Sequential(layers)


def spread(head, features):
    """Scales the last layer so that its outputs have a deviation of 1 around 5.5 (one output) or 0; returns gain and bias."""
    with torch.no_grad():
        raw = head(features)
        gain = float(np.float32(1.0 / raw.std(dim=0).mean().item()))
        head[-1].weight *= gain
        head[-1].bias.copy_((5.5 if raw.shape[1] == 1 else 0.0) - gain * (raw.mean(0) - head[-1].bias))
    return gain, head[-1].bias.tolist()


@torch.no_grad()
def resnet():
    x = batch(resize_crop(I.BILINEAR))
    for name, make in (("resnet18", torchvision.models.resnet18), ("resnet50", torchvision.models.resnet50)):
        net = fill(make())
        net.fc = nn.Identity()
        save(name, net, {"features": encode(net(x))})


@torch.no_grad()
def ratings():
    x = batch(resize_crop(I.BILINEAR))
    for name, outputs in (("ava_regression", 1), ("ava_distribution", 10)):
        net = fill(Rated(outputs))
        features = net.backbone(x)
        gain, bias = spread(net.head, features)
        raw = net.head(features)
        scores = raw.clamp(1, 10).squeeze(1) if outputs == 1 else (raw.softmax(1) * torch.arange(1, 11)).sum(1)
        save(name, net, {"gain": gain, "bias": bias, "scores": scores.tolist()})


@torch.no_grad()
def preferences():
    x = batch(fix_scale)
    cases = (("siamese_linear", [], nn.ReLU()), ("siamese_mlp", [128, 64], nn.Tanh()))
    for name, hidden, activation in cases:
        net = fill(Ranker(positional_resnet50(), 2048, hidden, activation))
        features = net.backbone(x)
        differences = features - features.roll(1, 0)
        gain, _ = spread(net.mlp, differences)
        net.mlp[-1].bias.copy_(torch.tensor([0.3, -0.2]))
        # Probability of the second class, both ways round.
        pairs = [(i, (i + 1 + i % 3) % 12) for i in range(12)]
        there = [net(features[a : a + 1], features[b : b + 1]).softmax(1)[0, 1].item() for a, b in pairs]
        back = [net(features[b : b + 1], features[a : a + 1]).softmax(1)[0, 1].item() for a, b in pairs]
        save(name, net, {"gain": gain, "bias": [0.3, -0.2], "pairs": pairs, "class_1": there, "class_1_swapped": back})
    def placed(name):
        return f"backbone.{name}"

    net = fill(vgg16_backbone(), placed)
    save("vgg16", net, {"features": encode(net(x[:2]))}, placed)


@torch.no_grad()
def flaws():
    x = torch.stack([T.ToTensor()(formula.picture(i).resize((224, 224), PIL.Image.Resampling.LANCZOS)) for i in range(12)])
    net = fill(MultiHead())
    features = net.features(x)
    # Each head's outputs spread around one half.
    spreads = {flaw: spread(getattr(net, f"head_{flaw}"), features)[0] for flaw in net.FLAWS}
    for flaw in net.FLAWS:
        head = getattr(net, f"head_{flaw}")
        head[-1].bias -= 5.5
    biases = {flaw: getattr(net, f"head_{flaw}")[-1].bias.tolist() for flaw in net.FLAWS}
    save("multihead", net, {"gains": spreads, "biases": biases, "features": encode(net(x))})


def original_positions(module, registers):
    """Resizes positions as the authors' own code does; the transformers library takes another scale."""

    def interpolate(embeddings, height, width):
        h, w = height // 14, width // 14
        table = module.position_embeddings
        side = int((table.shape[1] - 1) ** 0.5)
        if (h, w) == (side, side):
            return table
        patches = table[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        if registers:
            patches = F.interpolate(patches, mode="bicubic", antialias=True, size=(h, w))
        else:
            patches = F.interpolate(patches, mode="bicubic", antialias=False, scale_factor=(float(h + 0.1) / side, float(w + 0.1) / side))
        return torch.cat((table[:, :1], patches.permute(0, 2, 3, 1).reshape(1, h * w, -1)), dim=1)

    module.interpolate_pos_encoding = interpolate


def dinov2(width, depth, gated=False, registers=0, image=518):
    kind = transformers.Dinov2WithRegistersConfig if registers else transformers.Dinov2Config
    extra = {"num_register_tokens": registers} if registers else {}
    config = kind(hidden_size=width, num_hidden_layers=depth, num_attention_heads=width // 64, image_size=image, patch_size=14, use_swiglu_ffn=gated, layer_norm_eps=1e-6, hidden_act="gelu", **extra)
    net = (transformers.Dinov2WithRegistersModel if registers else transformers.Dinov2Model)(config)
    net = fill(net)
    original_positions(net.embeddings, registers > 0)
    return net


@torch.no_grad()
def transformers_():
    x = batch(resize_crop(I.BICUBIC))
    for name, width, depth, gated, registers in (("dinov2_small", 384, 12, False, 0), ("dinov2_base", 768, 12, False, 0), ("dinov2_gated", 128, 3, True, 0), ("dinov2_registers", 128, 3, False, 4)):
        net = dinov2(width, depth, gated, registers)
        out = net(x).last_hidden_state[:, 0]
        save(name, net, {"features": encode(out)})
    # A picture that is not square, without the resizing of positions' own size.
    net = dinov2(128, 3)
    save("dinov2_oblong", net, {"features": encode(net(x[:, :, :196, :168]).last_hidden_state[:, 0])})


def small_tokenizer():
    """Pairs of letters merged as in the tokenizer of SigLIP 2, over so few words that it fits into a record."""
    from tokenizers import Tokenizer, models, normalizers, processors, trainers
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=False, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    trainer = trainers.BpeTrainer(vocab_size=60, special_tokens=["<pad>", "<eos>", "<bos>", "<unk>"], show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    return tokenizer


TEXTS = ["a dog on the beach", "two cats", "a photo of the golden gate bridge at dusk, taken from the shore", "pizza"]


@torch.no_grad()
def siglip():
    tokenizer = small_tokenizer()
    sides = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.SiglipConfig(
        text_config={**sides, "vocab_size": 60, "max_position_embeddings": 16, "projection_size": 128},
        vision_config={**sides, "image_size": 224, "patch_size": 16},
    )
    net = fill(transformers.SiglipModel(config))
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")
    ids = fast(TEXTS, padding="max_length", max_length=16, truncation=True, return_tensors="pt")["input_ids"]
    bilinear = transformers.SiglipImageProcessor(size={"height": 224, "width": 224}, resample=2)
    pixels = bilinear([formula.picture(i) for i in range(4)], return_tensors="pt")["pixel_values"]
    out = net(input_ids=ids, pixel_values=pixels)
    content = {"pictures": encode(out.image_embeds), "texts": encode(out.text_embeds), "logits": encode(out.logits_per_image)}
    words = {"words": TEXTS, "ids": ids.tolist(), "tokenizer": json.loads(tokenizer.to_str())}
    save("siglip", net, {**content, **words})


class ClassToken(nn.Module):
    """Of a vision transformer, what describes the whole picture."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x).last_hidden_state[:, 0]


def efficientnet_names(net):
    """timm's names to those of efficientnet-pytorch, which the files have: blocks are counted through all stages."""
    stages = [len(stage) for stage in net.blocks]
    parts = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1", "conv_pwl": "_project_conv", "bn3": "_bn2"}
    # The first block expands nothing.
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    outside = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}

    def rename(name):
        if not name.startswith("blocks."):
            part, last = name.split(".")
            return f"{outside[part]}.{last}"
        _, stage, index, part, last = name.split(".")
        block = sum(stages[: int(stage)]) + int(index)
        return f"_blocks.{block}.{(parts if block else first)[part]}.{last}"

    return rename


def efficientnet(variant, weights=None):
    """EfficientNet-Lite by timm, with the formula's weights or those of a file with the names of efficientnet-pytorch."""
    import timm

    net = timm.create_model(f"tf_efficientnet_lite{variant}", pretrained=False)
    rename = efficientnet_names(net)
    if weights is None:
        return fill(net, rename), rename
    stored = torch.load(weights, weights_only=True)
    net.load_state_dict({name: stored[rename(name)] for name in net.state_dict()})
    return net.eval(), rename


def lite_crop(side):
    mean, std = 127 / 255, 128 / 255
    return T.Compose([T.Resize({224: 256, 260: 292}[side], I.BICUBIC), T.CenterCrop(side), T.ToTensor(), T.Normalize((mean,) * 3, (std,) * 3)])


@torch.no_grad()
def mobile():
    for variant, side in ((0, 224), (2, 260)):
        x = batch(lite_crop(side), 6)
        net, rename = efficientnet(variant)
        features = net.forward_features(x).mean((2, 3))
        save(f"efficientnet_lite{variant}", net, {"features": encode(features), "classes": encode(net.classifier(features[:1]))}, rename)
    net = fill(torchvision.models.mobilenet_v2())
    features = net.features(batch(resize_crop(I.BILINEAR), 6)).mean((2, 3))
    save("mobilenet_v2", net, {"features": encode(features), "classes": encode(net.classifier(features[:1]))})
    # The published weights, where ALBUMCTL_WEIGHTS names the folder they are in.
    folder = os.environ.get("ALBUMCTL_WEIGHTS")
    if folder:
        for variant, side, name in ((0, 224, "efficientnet-lite0-57934424.pth"), (2, 260, "efficientnet-lite2-9656183e.pth")):
            net, rename = efficientnet(variant, pathlib.Path(folder) / name)
            features = net.forward_features(batch(lite_crop(side), 2)).mean((2, 3))
            save(f"efficientnet_lite{variant}_published", torch.nn.Module(), {"file": name, "side": side, "features": encode(features), "classes": encode(net.classifier(features))})


if __name__ == "__main__":
    torch.set_num_threads(2)
    wanted = sys.argv[2:]
    for part in (transformers_, resnet, ratings, preferences, flaws, mobile, siglip):
        if not wanted or part.__name__ in wanted:
            part()
