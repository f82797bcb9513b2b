"""Writes the small checkpoints of fixtures/checkpoints: real files of torch.save, in the shapes the original's have.

    python tests/reference/checkpoints.py fixtures/checkpoints

Every number follows from a formula that the tests repeat: value i of a tensor is i / 8 - 1.
"""
import pathlib
import sys
from collections import OrderedDict

import numpy as np
import torch


class Foreign:
    """Something a reader has no idea of."""


def numbers(*shape, dtype=torch.float32):
    count = int(np.prod(shape)) if shape else 1
    return (torch.arange(count, dtype=torch.float32) / 8 - 1).reshape(shape).to(dtype)


def windows_path(text):
    """What pickling on Windows leaves in the file; this system cannot make the real thing."""

    class Path:
        def __reduce__(self):
            return Named("pathlib", "WindowsPath"), tuple(text.split("\\"))

    return Path()


class Named:
    """Pickled as the name of a class that cannot be imported here."""

    def __new__(cls, module, name):
        import types

        placeholder = type(name, (), {})
        placeholder.__module__, placeholder.__qualname__ = module, name
        home = sys.modules.setdefault(module, types.ModuleType(module))
        if not hasattr(home, name):
            setattr(home, name, placeholder)
        return getattr(home, name)


def state():
    backbone = numbers(4, 3)
    state = OrderedDict()
    state["backbone.0.weight"] = backbone
    state["backbone.1.weight"] = numbers(4)
    state["backbone.1.num_batches_tracked"] = torch.tensor(7)
    # A view of a larger storage, transposed.
    state["head.0.weight"] = numbers(6, 4).t()[:, 1:5]
    state["half"] = numbers(5, dtype=torch.float16)
    state["brain"] = numbers(5, dtype=torch.bfloat16)
    state["double"] = numbers(2, 2, dtype=torch.float64)
    state["empty"] = torch.zeros(0, 3)
    return state


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model": {"mlp_hidden_dims": [256], "activation": "relu", "output_mode": "regression", "dropout": 0.2}, "transform": {"resize_size": 256, "normalize_mean": [0.485, 0.456, 0.406]}, "seed": 42, "pretrained": True, "cached": None, "unicode": "Bäume"}
    nested = {"epoch": 11, "model_state_dict": state(), "val_spearman": np.float64(0.637), "val_acc": np.float32(0.5), "config": {**config, "output_dir": pathlib.PurePosixPath("outputs/ava")}}
    torch.save(nested, folder / "nested.pt")
    torch.save({**nested, "config": {**config, "output_dir": windows_path("D:\\runs\\siamese")}}, folder / "windows.pt")
    torch.save(state(), folder / "bare.pth")
    torch.save(OrderedDict(("module." + k, torch.nn.Parameter(v) if v.is_floating_point() else v) for k, v in state().items()), folder / "parallel.pth")
    torch.save({"state_dict": state(), "optimizer": Foreign(), "when": {"a": {1, 2}}}, folder / "foreign.pt")
    torch.save(nested, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"answer": 42}, folder / "no_tensors.pt")
    from safetensors.torch import save_file

    save_file({k: v.contiguous() for k, v in state().items()}, folder / "plain.safetensors", metadata={"format": "pt", "config": '{"activation": "tanh"}'})
    for path in sorted(folder.iterdir()):
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
