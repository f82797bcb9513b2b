"""What ONNX Runtime answers for small graphs that together use every operator read here.

    venv/bin/pip install onnx onnxruntime numpy
    venv/bin/python tests/reference/onnx_operators.py > tests/parity/onnx_operators.json
"""
import base64
import json

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(7)


class Build:
    def __init__(self, channels):
        self.nodes, self.constants, self.count, self.channels = [], [], 0, channels
        self.at = "x"

    def constant(self, values, kind=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def weights(self, *shape):
        """Kept in eight bits, to be small; constants alone decide what they are."""
        scale = 1.0 / np.sqrt(max(1, np.prod(shape[1:])))
        name = self.constant(rng.integers(-127, 128, shape), np.int8)
        at, wide = self.at, self.op("Cast", name, to=1)
        wide = self.op("Mul", wide, self.constant(scale / 64))
        self.at = at
        return wide

    def op(self, kind, *inputs, **attributes):
        self.count += 1
        name = f"t{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        self.at = name
        return name

    def conv(self, outputs, side, stride=1, groups=1, bias=True, **more):
        inputs = self.channels // groups
        parts = [self.at, self.weights(outputs, inputs, *side)] + ([self.weights(outputs)] if bias else [])
        if "auto_pad" not in more:
            more.setdefault("pads", [s // 2 for s in side] * 2)
        self.channels = outputs
        strides = stride if isinstance(stride, list) else [stride, stride]
        return self.op("Conv", *parts, kernel_shape=list(side), strides=strides, group=groups, **more)

    def added(self):
        return self.op("Add", self.at, self.weights(1, self.channels, 1, 1))

    def gelu(self):
        x = self.at
        bent = self.op("Erf", self.op("Div", x, self.constant(np.sqrt(2.0))))
        product = self.op("Mul", x, self.op("Add", bent, self.constant(1.0)))
        return self.op("Mul", product, self.constant(0.5))

    def normalized(self):
        parts = [self.constant(rng.uniform(0.5, 1.5, self.channels)) for _ in range(4)]
        return self.op("BatchNormalization", self.at, *parts, epsilon=1e-3)


def convolutions(b):
    b.conv(24, (3, 3), 2)
    b.op("Relu", b.at)
    b.conv(12, (2, 2), bias=False, auto_pad="SAME_UPPER")
    b.added()
    b.conv(32, (3, 5))
    b.normalized()
    b.op("Relu", b.at)
    residual = b.at
    b.conv(32, (1, 1), bias=False)
    b.added()
    b.op("Identity", b.at)
    b.op("Add", residual, b.at)
    b.conv(16, (3, 3), [2, 1], pads=[0, 0, 0, 0])


def depthwise(b):
    b.conv(48, (3, 3))
    b.conv(48, (7, 7), groups=48, bias=False)
    b.added()
    residual = b.at
    b.conv(48, (3, 3), groups=48)
    b.op("Add", b.at, residual)
    b.conv(20, (1, 1), 2)
    b.conv(20, (5, 5), groups=20)
    b.op("Relu", b.at)
    b.conv(20, (3, 3), [2, 1], groups=20)


def gates(b):
    b.conv(32, (3, 3))
    x = b.at
    b.op("ReduceMean", x, axes=[2, 3], keepdims=1)
    b.conv(8, (1, 1))
    b.op("Relu", b.at)
    b.conv(32, (1, 1))
    gate = b.op("HardSigmoid", b.at, alpha=0.2, beta=0.5)
    scaled = b.op("Mul", gate, x)
    b.op("Add", x, scaled)
    b.conv(64, (1, 1), bias=False)
    b.added()
    b.gelu()
    b.conv(32, (1, 1))
    gap = b.op("GlobalAveragePool", b.at)
    b.op("Sub", scaled, gap)
    b.op("Sigmoid", b.at)


def pyramid(b):
    b.conv(24, (3, 3), 2)
    fine = b.at
    pooled = b.op("MaxPool", fine, kernel_shape=[2, 2], strides=[1, 1], auto_pad="SAME_UPPER")
    joined = b.op("Concat", fine, pooled, axis=1)
    b.channels = 48
    b.op("AveragePool", joined, kernel_shape=[2, 2], strides=[2, 2])
    b.conv(24, (3, 3))
    larger = b.op("Resize", b.at, b.constant([]), b.constant([1, 1, 2, 2]), mode="nearest",
                  nearest_mode="floor", coordinate_transformation_mode="asymmetric")
    b.op("Add", fine, larger)
    b.op("ConvTranspose", b.at, b.weights(24, 6, 2, 2), kernel_shape=[2, 2], strides=[2, 2])
    b.channels = 6
    b.added()
    b.op("Relu", b.at)
    b.op("ConvTranspose", b.at, b.weights(6, 1, 2, 2), b.weights(1), kernel_shape=[2, 2], strides=[2, 2])


def attention(b):
    b.conv(16, (4, 4), [4, 4], pads=[0, 0, 0, 0])
    rows = b.op("Reshape", b.at, b.constant([0, 16, -1], np.int64))
    rows = b.op("Transpose", rows, perm=[0, 2, 1])
    mean = b.op("ReduceMean", rows, axes=[-1], keepdims=1)
    apart = b.op("Sub", rows, mean)
    spread = b.op("ReduceMean", b.op("Pow", apart, b.constant(2.0)), axes=[2])
    root = b.op("Sqrt", b.op("Add", spread, b.constant(1e-5)))
    normal = b.op("Add", b.op("Mul", b.op("Div", apart, root), b.weights(16)), b.weights(16))
    all = b.op("Add", b.op("MatMul", normal, b.weights(16, 48)), b.weights(48))
    all = b.op("Reshape", all, b.constant([0, -1, 3, 2, 8], np.int64))
    all = b.op("Transpose", all, perm=[2, 0, 3, 1, 4])
    part = [b.op("Squeeze", b.op("Slice", all, b.constant([i], np.int64), b.constant([i + 1], np.int64),
                                 b.constant([0], np.int64)), axes=[0]) for i in range(3)]
    likeness = b.op("MatMul", part[0], b.op("Transpose", part[1], perm=[0, 1, 3, 2]))
    shares = b.op("Softmax", likeness, axis=3)
    mixed = b.op("Transpose", b.op("MatMul", shares, part[2]), perm=[0, 2, 1, 3])
    mixed = b.op("Reshape", mixed, b.constant([0, -1, 16], np.int64))
    b.op("MatMul", mixed, b.weights(16, 32))
    b.op("Add", b.at, b.weights(32))
    b.gelu()
    shape = b.op("Shape", b.at)
    again = b.op("Concat", b.op("Slice", shape, b.constant([0], np.int64), b.constant([2], np.int64)),
                 b.constant([8, 4], np.int64), axis=0)
    b.op("Unsqueeze", b.op("Reshape", b.op("MatMul", b.op("Add", normal, mixed), b.weights(16, 32)), again), axes=[1])


cases = []
for build, shape in [(convolutions, [1, 3, 30, 26]), (depthwise, [1, 3, 25, 33]), (gates, [1, 3, 12, 10]),
                     (pyramid, [1, 3, 32, 24]), (attention, [1, 3, 16, 20])]:
    b = Build(3)
    build(b)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "height", "width"])
    y = helper.make_tensor_value_info(b.at, TensorProto.FLOAT, None)
    graph = helper.make_graph(b.nodes, build.__name__, [x], [y], b.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    data = np.sin(np.arange(np.prod(shape), dtype=np.float32) * np.float32(0.37)).reshape(shape)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"x": data})
    cases.append({"name": build.__name__, "model": base64.b64encode(model.SerializeToString()).decode(), "shape": shape,
                  "output_shape": list(output.shape), "output": [float(f"{v:.5g}") for v in output.ravel()]})
print(json.dumps({"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__, "cases": cases}))
