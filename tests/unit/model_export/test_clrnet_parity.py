"""CLRNet computes what Keras computes, and the tests would notice if it did not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_export import layers
from model_export.clrnet import Block, CLRNet
from model_export.detector import LayerOrder
from service.classifier.cam import heat_map, normalise
from tests.shared import SHARED, needs_shared

from .parity import (
    ODD,
    OLD,
    RELATIVE,
    SMALL,
    assert_parity,
    channels_last,
    clips,
    clrnet,
    load,
    relative,
)

CASES = [
    pytest.param(SMALL / "weights_only.h5", SMALL / "golden.npz", 64, id="small weights"),
    pytest.param(SMALL / "model.h5", SMALL / "golden.npz", 64, id="small whole model"),
    pytest.param(SMALL / "model.weights.h5", SMALL / "golden.npz", 64, id="small .weights.h5"),
    pytest.param(OLD / "weights_only.h5", OLD / "golden_weights_only.npz", 97, id="TF 1.13"),
    # The same weights, written by TF 1.13; this reference was computed by TF 2.15.
    pytest.param(OLD / "weights_only.h5", ODD / "golden.npz", 97, id="odd size, two blocks"),
]

_FOLDER = ("golden", "clrnet")
_ELSEWHERE = [
    ("f6_r2222_97/weights_only.h5", "f6_r2222_97/golden.npz"),
    ("f6_r2222_97/model.h5", "f6_r2222_97/golden.npz"),
    ("f6_r2222_97/model.weights.h5", "f6_r2222_97/golden.npz"),
    ("tf113_f6_r2222_97/checkpoint-01-0.50.hdf5", "tf113_f6_r2222_97/golden_checkpoint.npz"),
]


@pytest.mark.parametrize(("weights", "golden", "size"), CASES)
def test_outputs_equal_keras(weights: Path, golden: Path, size: int) -> None:
    assert_parity(clrnet(weights, size), load(golden), f"{weights.parent.name}/{weights.name}")


@needs_shared(*_FOLDER)
@pytest.mark.parametrize(("weights", "golden"), _ELSEWHERE)
def test_outputs_equal_keras_on_larger_files(weights: str, golden: str) -> None:
    folder = SHARED.joinpath(*_FOLDER)
    assert_parity(clrnet(folder / weights, 97), load(folder / golden), weights)


def _named_modules(model: CLRNet) -> Iterator[tuple[str, nn.Module]]:
    """Names in ``intermediates.npz`` and the modules that put them out."""
    first = model.blocks[0]
    assert isinstance(first, Block)
    assert first.projection is not None
    assert first.projection_norm is not None
    yield "stem_convlstm", model.stem
    yield "L5_res0a_branch2a", first.conv1
    yield "L7_batch_normalization_1", first.norm2
    yield "L9_conv_lstm2d_1", first.conv2
    yield "L11_batch_normalization_2", first.norm3
    yield "L12_conv_lstm2d_3", first.projection
    yield "L14_batch_normalization_3", first.projection_norm
    yield "L15_conv_lstm2d_2", first.conv3
    for index, block in enumerate(model.blocks):
        yield f"add_{index}" if index else "add", block


@pytest.mark.parametrize(
    ("weights", "folder", "size"),
    [(SMALL / "weights_only.h5", SMALL, 64), (OLD / "weights_only.h5", ODD, 97)],
)
@torch.no_grad()
def test_intermediates_equal_keras(weights: Path, folder: Path, size: int) -> None:
    model = clrnet(weights, size)
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> None:
        modules = dict(_named_modules(model))
        modules[name].register_forward_hook(lambda _m, _i, out: seen.__setitem__(name, out))

    for name, _ in _named_modules(model):
        keep(name)
    model.stem_norm.register_forward_hook(
        lambda _m, _i, out: seen.__setitem__("stem_relu", torch.relu(out))
    )
    first = model.blocks[0]
    first.register_forward_pre_hook(lambda _m, inputs: seen.__setitem__("pool", inputs[0]))
    model.features(clips(load(folder / "golden.npz")["x"]))

    wanted = load(folder / "intermediates.npz")
    assert set(seen) == set(wanted)
    worst = 0.0
    for name, reference in wanted.items():
        time_major = seen[name]
        frames = time_major.reshape(5, -1, *time_major.shape[1:]).transpose(0, 1)
        worst = max(worst, relative(channels_last(frames), reference))
    print(f"{folder.name}: worst of {len(wanted)} intermediates {worst:.1e}")
    assert worst <= RELATIVE


@pytest.mark.parametrize("folder", [SMALL, ODD])
def test_drawn_heat_map_equals_keras(folder: Path) -> None:
    golden = load(folder / "golden.npz")
    drawn = normalise(np.asarray(golden["cam_raw"], np.float32))
    assert np.isfinite(drawn).all()
    finite = np.isfinite(golden["cam_norm"])
    np.testing.assert_allclose(drawn[finite], golden["cam_norm"][finite], atol=1e-6)
    size = golden["x"].shape[2]
    for clip, colours in zip(drawn, golden["heatmap_rgb"], strict=True):
        for cam, wanted in zip(clip, colours, strict=True):
            heat = heat_map(cam, size, size)
            if finite.all():
                assert np.array_equal(heat, wanted)
            else:
                assert not heat.any()


def _swapped(block: Block) -> LayerOrder:
    """The projection and the last ConvLSTM of stage 0, of equal shape, in each other's place."""
    order = _layer_order(block)
    if block.norm1 is None:
        a, b = (order.index(("ConvLSTM2D", layer)) for layer in (block.projection, block.conv3))
        order[a], order[b] = order[b], order[a]
    return order


_layer_order = Block.layer_order


def _symmetric(size: int, kernel: int, stride: int) -> tuple[int, int]:
    return kernel // 2, kernel // 2


@pytest.mark.parametrize("mutation", ["swap projection", "torch hard sigmoid", "symmetric padding"])
def test_a_wrong_network_fails_the_parity_test(
    mutation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = load(SMALL / "golden.npz")
    assert_parity(clrnet(SMALL / "weights_only.h5", 64), golden, "unchanged")
    if mutation == "swap projection":
        monkeypatch.setattr(Block, "layer_order", _swapped)
    elif mutation == "torch hard sigmoid":
        monkeypatch.setattr(layers, "hard_sigmoid", F.hardsigmoid)
    else:
        monkeypatch.setattr(layers, "same_padding", _symmetric)
    model = clrnet(SMALL / "weights_only.h5", 64)
    with pytest.raises(AssertionError):
        assert_parity(model, golden, mutation)
