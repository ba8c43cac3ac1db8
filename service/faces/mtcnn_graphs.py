"""MTCNN's three networks as ONNX graphs, built in memory from the weights in ``mtcnn``.

The PyPI package ``mtcnn`` 1.0.0 (MIT licence) carries the weights of Zhang et al. 2016,
"Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks", as three
joblib pickles. Importing the package imports TensorFlow, so its files are found through the
installed distribution's file list instead, and only bytes with the known SHA-256 are unpickled.

What the weights expect (from the package's own layers):

* kernels are (height, width, in, out), images upright RGB, values (x - 127.5) / 128;
* convolutions are unpadded; the first pool of each network and O-Net's last one are Keras
  'same' (a window that hangs over the lower and right edge counts), the others unpadded;
* the dense layers read the feature map with the column as the slowest axis, then the row, then
  the channel;
* class outputs are [not a face, face].
"""

from __future__ import annotations

import hashlib
import io
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import joblib
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from service.errors import ModelError

Network = Literal["pnet", "rnet", "onet"]
Weights = list[NDArray[np.float32]]

SHA256: dict[Network, str] = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}
SIDE: dict[Network, int] = {"pnet": 12, "rnet": 24, "onet": 48}
"""Side in pixels of the square each network judges; P-Net also slides over larger images."""

_OPSET = 17
# What follows each convolution: (window, 'same' padding), or None for no pool.
_POOLS: dict[Network, tuple[tuple[int, bool] | None, ...]] = {
    "pnet": ((2, True), None, None),
    "rnet": ((3, True), (3, False), None),
    "onet": ((3, True), (3, False), (2, True), None),
}
_OUTPUTS: dict[Network, tuple[str, ...]] = {
    "pnet": ("offsets", "face"),
    "rnet": ("offsets", "face"),
    "onet": ("offsets", "landmarks", "face"),
}


def weight_bytes(network: Network) -> bytes:
    """The packed weights of one network, unchecked, from the installed ``mtcnn`` package."""
    try:
        package = metadata.distribution("mtcnn")
    except metadata.PackageNotFoundError:
        raise ModelError(
            "the package mtcnn, whose weights the face detector uses, is missing"
        ) from None
    for file in package.files or []:
        if PurePosixPath(file).parts[-2:] == ("weights", f"{network}.lz4"):
            try:
                return Path(str(package.locate_file(file))).read_bytes()
            except OSError:
                break
    raise ModelError(f"the package mtcnn lacks its weight file {network}.lz4")


def load_weights(network: Network) -> Weights:
    """Weights of one network in Keras order and layout, from bytes with the known SHA-256.

    The check comes first because unpickling runs whatever the pickle says, and the same bytes
    are unpickled that were checked.
    """
    data = weight_bytes(network)
    if hashlib.sha256(data).hexdigest() != SHA256[network]:
        raise ModelError(
            f"{network}.lz4 of the package mtcnn is not the file of version 1.0.0 (SHA-256 differs)"
        )
    arrays = joblib.load(io.BytesIO(data))
    return [np.asarray(array, dtype=np.float32) for array in arrays]


def build(network: Network) -> bytes:
    """One network as a serialised ONNX model.

    Input ``images``: uint8 (N, H, W, 3) RGB, with H and W free for P-Net and fixed for the
    others. Outputs, float32: ``offsets`` (N, 4, ...) of the box's edges as shares of its side,
    in the order x0, y0, x1, y1; ``landmarks`` (N, 10), five x then five y as shares of the side;
    ``face`` (N, ...) the probability of a face. P-Net's carry a grid (rows, columns) behind.
    """
    weights = load_weights(network)
    graph = _Graph()
    value = graph.add("Cast", ["images"], to=TensorProto.FLOAT)
    value = graph.add("Transpose", [value], perm=[0, 3, 1, 2])
    for number, pool in enumerate(_POOLS[network]):
        kernel, bias, slope = weights[:3]
        weights = weights[3:]
        if number == 0:
            # (x - 127.5) / 128 folded into the first layer; exact, since it has no padding.
            bias = bias - kernel.sum(axis=(0, 1, 2)) * np.float32(127.5 / 128)
            kernel = kernel / np.float32(128)
        value = graph.convolution(value, kernel, bias)
        value = graph.prelu(value, slope.reshape(-1, 1, 1))
        if pool is not None:
            window, same = pool
            value = graph.add(
                "MaxPool",
                [value],
                kernel_shape=[window, window],
                strides=[2, 2],
                auto_pad="SAME_UPPER" if same else "VALID",
            )
    if network != "pnet":
        value = graph.add("Transpose", [value], perm=[0, 3, 2, 1])
        value = graph.add("Flatten", [value], axis=1)
        kernel, bias, slope = weights[:3]
        weights = weights[3:]
        value = graph.dense(value, kernel, bias)
        value = graph.prelu(value, slope)
    for name in _OUTPUTS[network]:
        kernel, bias = weights[:2]
        weights = weights[2:]
        head = graph.convolution if network == "pnet" else graph.dense
        if name == "face":
            # Softmax over two classes is the logistic function of their difference.
            more = head(value, kernel[..., 1:] - kernel[..., :1], bias[1:] - bias[:1])
            graph.add(
                "Sigmoid", [graph.add("Squeeze", [more, graph.constant(np.asarray([1]))])], name
            )
        else:
            graph.add("Identity", [head(value, kernel, bias)], name)
    if weights:
        raise ModelError(f"{network}.lz4 of the package mtcnn holds more layers than expected")
    return graph.serialised(network)


class _Graph:
    """An ONNX graph under construction; values are known by their names."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, array: NDArray[Any] | np.generic) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(self, op: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        output = output or f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def prelu(self, value: str, slope: NDArray[np.float32]) -> str:
        """max(x, 0) + slope min(x, 0), in four steps: ONNX Runtime's PRelu takes longer than the
        convolutions."""
        zero = self.constant(np.float32(0))
        below = self.add("Mul", [self.add("Min", [value, zero]), self.constant(slope)])
        return self.add("Add", [self.add("Relu", [value]), below])

    def convolution(
        self, value: str, kernel: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> str:
        kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        return self.add("Conv", [value, self.constant(kernel), self.constant(bias)])

    def dense(self, value: str, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        return self.add("Gemm", [value, self.constant(kernel), self.constant(bias)])

    def serialised(self, network: Network) -> bytes:
        grid: list[str | int] = ["rows", "columns"] if network == "pnet" else []
        size: list[str | int] = ["height", "width"] if grid else [SIDE[network]] * 2
        shapes: dict[str, list[str | int]] = {
            "offsets": ["n", 4, *grid],
            "landmarks": ["n", 10],
            "face": ["n", *grid],
        }
        model = helper.make_model(
            helper.make_graph(
                self._nodes,
                network,
                [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", *size, 3])],
                [
                    helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name])
                    for name in _OUTPUTS[network]
                ],
                self._constants,
            ),
            opset_imports=[helper.make_opsetid("", _OPSET)],
            # The newest IR version the oldest supported ONNX Runtime reads, whatever onnx writes.
            ir_version=8,
        )
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
