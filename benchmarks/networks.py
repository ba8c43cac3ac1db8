"""CLRNets as files for every way of running them.

    python -m benchmarks.networks NAME FOLDER

writes one of ``NETWORKS``, or with a name such as ``16x128`` the released one with as many initial
filters and pixels: ``network.json``, its sizes and its work; ``weights.pt`` for PyTorch;
``keras.npz`` for the authors' graph; ``naive.onnx``, as any user of ``torch.onnx.export`` would get
it; ``ours.onnx``, this project's export. What is there already is not made again, but for the last
where the exporter has changed since. Of ``16x128`` and its like only the last is made.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

import model_export
from model_export.clrnet import CLRNet
from model_export.keras_layers import keras_shapes, kind_of
from model_export.layers import ConvLSTM2d
from model_export.onnx_export import export
from model_export.scaling import SCALINGS, Scaling
from service.classifier.contract import PROBABILITY_NAME, ModelContract, OperatingPoint
from service.registry import BUILT_IN_MODEL


@dataclass(frozen=True)
class Network:
    """A CLRNet's sizes and its work for one clip, in floating-point operations, multiplications and
    additions counted singly; convolutions alone, which are all but a thousandth of it."""

    filters: int
    repetitions: tuple[int, ...]
    frames: int
    side: int
    divisor: float
    shift: float
    needed: float = 0.0
    as_written: float = 0.0
    """With the state convolved at the first step too, where it is zero, as Keras does."""

    @classmethod
    def read(cls, folder: Path) -> Network:
        """From ``network.json``."""
        found = json.loads((folder / "network.json").read_text())
        return cls(**{**found, "repetitions": tuple(found["repetitions"])})

    def write(self, folder: Path) -> None:
        """To ``network.json``."""
        (folder / "network.json").write_text(json.dumps(asdict(self)))


Made = tuple[Network, dict[str, Tensor]]
"""A network and its weights."""


class Plain(nn.Module):
    """P(fake) (N,) of uint8 (N, T, H, W, 3) RGB, as anybody would wrap the network."""

    def __init__(self, model: CLRNet, scaling: Scaling) -> None:
        super().__init__()
        self.model, self.scaling = model, scaling

    def forward(self, clips: Tensor) -> Tensor:
        """Pixels to P(fake)."""
        return self.model.fake_probability(self.model(self.scaling(clips.permute(0, 1, 4, 2, 3))))


def empty(network: Network) -> CLRNet:
    """The network on the ``meta`` device: shapes without numbers, at once."""
    with torch.device("meta"):
        return CLRNet(network.filters, network.repetitions).eval()


def load(folder: Path) -> Plain:
    """The network of a folder with its weights."""
    network = Network.read(folder)
    model = empty(network)
    weights = torch.load(folder / "weights.pt", weights_only=True)
    missing, unexpected = model.load_state_dict(weights, assign=True, strict=False)
    assert not unexpected
    assert all(name.endswith("batches_tracked") for name in missing), missing
    return Plain(model, Scaling(network.divisor, network.shift)).eval()


def work(network: Network) -> tuple[float, float]:
    """Operations for one clip: needed, and as written; from the shapes of every layer."""
    needed = as_written = 0.0

    def count(layer: nn.Module, inputs: tuple[Tensor, int], output: Tensor) -> None:
        nonlocal needed, as_written
        assert isinstance(layer, ConvLSTM2d)
        steps, places = inputs[1], output.shape[-2] * output.shape[-1]
        from_input = 2.0 * places * layer.weight.numel() * steps
        each_state = 2.0 * places * layer.recurrent_weight.numel()
        needed += from_input + each_state * (steps - 1)
        as_written += from_input + each_state * steps

    model = empty(network)
    for layer in model.modules():
        if isinstance(layer, ConvLSTM2d):
            layer.register_forward_hook(count)
    size = (1, network.frames, 3, network.side, network.side)
    model(torch.empty(size, device="meta"))
    return needed, as_written


def random_weights(network: Network, seed: int = 0) -> dict[str, Tensor]:
    """A state as far from trained as the clock does not mind: normal, scaled by each fan-in.

    Not the constructor's: orthogonal kernels of this size take minutes.
    """
    generator = torch.Generator().manual_seed(seed)
    model = empty(network).to_empty(device="cpu")
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
                continue
            for parameter in module.parameters(recurse=False):
                fan_in = parameter[0].numel() if parameter.dim() > 1 else 100
                parameter.normal_(0.0, 1 / math.sqrt(fan_in), generator=generator)
    return dict(model.state_dict())


def from_the_box() -> Made:
    """The model in the box, back from its ONNX file."""
    graph = onnx.load(BUILT_IN_MODEL)
    contract = ModelContract.parse({each.key: each.value for each in graph.metadata_props})
    arrays = {
        each.name.removesuffix("/half").removeprefix("model."): numpy_helper.to_array(each)
        for each in graph.graph.initializer
    }
    filters = arrays["stem.recurrent_weight"].shape[1]
    blocks = len({name.split(".")[1] for name in arrays if name.startswith("blocks.")})
    # Each stage opens with a projection.
    openings = [at for at in range(blocks) if f"blocks.{at}.projection.weight" in arrays]
    ends = [*openings[1:], blocks]
    scaling = SCALINGS["centred"]
    assert isinstance(scaling.divisor, float)
    assert isinstance(scaling.shift, float)
    network = Network(
        filters,
        tuple(end - start for start, end in zip(openings, ends, strict=True)),
        contract.clip_length,
        contract.input_height,
        scaling.divisor,
        scaling.shift,
    )
    names = [name for name in empty(network).state_dict() if not name.endswith("batches_tracked")]
    # float16 in the file, widened when it is loaded.
    return network, {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in names}


def keras_arrays(model: CLRNet) -> dict[str, NDArray[np.float32]]:
    """Every layer's weights in Keras' order and axes, under ``NAME/NUMBER``."""
    arrays = {}
    for name, module in model.named_modules():
        if not isinstance(module, ConvLSTM2d | nn.BatchNorm2d | nn.Linear):
            continue
        tensors = kind_of(module).tensors(module)
        for number, (tensor, shape) in enumerate(zip(tensors, keras_shapes(module), strict=True)):
            array = tensor.detach().numpy()
            array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
            assert array.shape == shape
            arrays[f"{name}/{number}"] = array
    return arrays


def write_naive(plain: Plain, path: Path, network: Network) -> None:
    """What ``torch.onnx.export`` makes of the module with its default options."""
    example = torch.zeros((2, network.frames, network.side, network.side, 3), dtype=torch.uint8)
    with torch.no_grad():
        torch.onnx.export(
            plain,
            (example,),
            path,
            input_names=["clips"],
            output_names=[PROBABILITY_NAME],
            dynamic_shapes={"clips": {0: torch.export.Dim("N")}},
            verbose=False,
        )


def write_ours(plain: Plain, path: Path, network: Network) -> None:
    """This project's export."""
    contract = ModelContract(
        name="benchmark",
        version="1",
        architecture="clrnet",
        clip_length=network.frames,
        input_height=network.side,
        input_width=network.side,
        class_order="fake,real",
        crop_margin=1.25,
        alignment="clip",
        precision="",
        trained_on="nothing",
        strategy="random weights",
        operating_point=OperatingPoint(),
        metrics=(),
        weights_sha256="unknown",
        licence="Apache-2.0",
        notice="random weights",
    )
    export(plain.model, path, contract, scaling=plain.scaling)


def write_plain(folder: Path) -> Path:
    """``plain.onnx``: this project's export as convolutions alone, made where it is missing."""
    path = folder / "plain.onnx"
    if not up_to_date(path):
        graph = onnx.load(folder / "ours.onnx")
        contract = ModelContract.parse({each.key: each.value for each in graph.metadata_props})
        del graph
        network = load(folder)
        export(network.model, path, contract, scaling=network.scaling, plain=True)
    return path


def up_to_date(path: Path) -> bool:
    """Whether a file is there and no older than the code that would write it."""
    sources = Path(model_export.__file__).parent.rglob("*.py")
    newest = max(source.stat().st_mtime for source in sources)
    return path.exists() and path.stat().st_mtime >= newest


def full() -> Made:
    """The released network with random weights."""
    network = Network(64, (3, 4, 6, 3), 5, 240, 255.0, 0.0)
    return network, random_weights(network)


def small() -> Made:
    """One that runs in a moment, to try the benchmark out."""
    network = Network(8, (1, 1), 5, 64, 255.0, 0.0)
    return network, random_weights(network)


NETWORKS: Mapping[str, Callable[[], Made]] = {"full": full, "box": from_the_box, "small": small}


def sized(name: str) -> Made:
    """The released network of another width and input, with random weights."""
    filters, side = (int(part) for part in name.split("x"))
    network = Network(filters, (3, 4, 6, 3), 5, side, 255.0, 0.0)
    return network, random_weights(network)


def main(name: str, folder: Path) -> None:
    """Write what is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "weights.pt").exists():
        network, weights = NETWORKS[name]() if name in NETWORKS else sized(name)
        needed, as_written = work(network)
        replace(network, needed=needed, as_written=as_written).write(folder)
        torch.save(weights, folder / "weights.pt")
        del weights
    network, plain = Network.read(folder), load(folder)
    compared = name in NETWORKS
    if compared and not (folder / "keras.npz").exists():
        np.savez(folder / "keras.npz", **keras_arrays(plain.model))  # type: ignore[arg-type]
    if compared and not (folder / "naive.onnx").exists():
        write_naive(plain, folder / "naive.onnx", network)
    if name == "box":
        shutil.copyfile(BUILT_IN_MODEL, folder / "ours.onnx")
    elif not up_to_date(folder / "ours.onnx"):
        write_ours(plain, folder / "ours.onnx", network)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
