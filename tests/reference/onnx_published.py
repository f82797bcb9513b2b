"""What ONNX Runtime answers for the published networks for text.

    venv/bin/pip install onnxruntime numpy
    venv/bin/python tests/reference/onnx_published.py FOLDER > tests/parity/onnx_published.json

FOLDER holds PP-OCRv6_{det,rec}_{small,tiny}.onnx, entries of the wheels that models/pp-ocrv6-*.yaml name.
"""
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

cases = []
for part, shape in [("det", [1, 3, 64, 96]), ("rec", [1, 3, 48, 320])]:
    for size in ["small", "tiny"]:
        name = f"PP-OCRv6_{part}_{size}.onnx"
        session = onnxruntime.InferenceSession(Path(sys.argv[1]) / name, providers=["CPUExecutionProvider"])
        data = np.sin(np.arange(np.prod(shape), dtype=np.float32) * np.float32(0.37)).reshape(shape)
        (output,) = session.run(None, {session.get_inputs()[0].name: data})
        step = max(1, output.size // 500)
        every = [float(f"{v:.6g}") for v in output.ravel()[::step]]
        cases.append({"file": name, "shape": shape, "output_shape": list(output.shape), "step": step, "every": every})
print(json.dumps({"onnxruntime": onnxruntime.__version__, "cases": cases}))
