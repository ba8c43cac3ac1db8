"""Freezing counts Keras' layers: ours are the same, entry by entry.

How the lists were made stands in ``tests/reference/layer_order_keras.py``.
"""

from __future__ import annotations

import json
from typing import Any

import h5py
import pytest
import torch
from torch import nn

from model_export.clrnet import CLRNet
from model_export.detector import Detector, LayerOrder
from model_export.keras_layers import keras_shapes
from model_export.mesonet import Meso4, MesoInception4
from model_export.networks import NAMES
from model_export.shallownet import ShallowNetV3
from model_export.xception import Xception
from tests.networks import one_thread as one_thread
from tests.networks import small

from .parity import GOLDEN, SMALL

KERAS = json.loads((GOLDEN / "layer_order.json").read_text())

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)

MODELS: dict[str, Detector] = {
    "f4_r1111_64": CLRNet(4, (1, 1, 1, 1)),
    "f6_r2222_97": CLRNet(6, (2, 2, 2, 2)),
    "meso4": Meso4((32, 32)),
    "mesoinception4": MesoInception4((32, 32)),
    "shallownetv3": ShallowNetV3((24, 24)),
}


def as_keras(order: LayerOrder) -> list[list[Any]]:
    """Class name and weight shapes of each layer, as the reference has them."""
    return [
        [kind, [list(shape) for shape in keras_shapes(module)] if module is not None else []]
        for kind, module in order
    ]


def parameters(order: LayerOrder) -> int:
    """How many numbers training changes in these layers."""
    modules = [module for _, module in order if module is not None]
    return sum(each.numel() for module in modules for each in module.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_is_that_of_keras(name: str) -> None:
    assert as_keras(MODELS[name].layer_order()) == KERAS[name]


def test_every_layer_of_xception_is_that_of_keras() -> None:
    with torch.device("meta"):
        model = Xception()
    assert as_keras(model.layer_order()) == KERAS["xception"]
    assert len(KERAS["xception"]) == 132 + 2


def test_the_released_clrnet_has_207_layers() -> None:
    with torch.device("meta"):
        order = CLRNet().layer_order()
    assert len(order) == 207
    # all_but_last:120 of the released code freezes 0 to 86, the papers' 14.9 million parameters.
    assert round(parameters(order[:87]) / 1e6, 1) == 14.9


@pytest.mark.parametrize("architecture", NAMES)
def test_every_parameter_stands_in_the_list_once(architecture: str) -> None:
    model = small(architecture)
    listed = [
        parameter
        for _, module in model.layer_order()
        if module is not None
        for parameter in module.parameters()
    ]
    assert len({id(parameter) for parameter in listed}) == len(listed)
    assert {id(parameter) for parameter in listed} == {id(each) for each in model.parameters()}
    assert [module for _, module in model.layer_order() if module is not None] == list(
        model.keras_layers()
    )


@pytest.mark.parametrize(("architecture", "own"), [("cnn_lstm", 6), ("dbirnn", 3)])
def test_a_backbone_can_be_frozen_alone(architecture: str, own: int) -> None:
    model = small(architecture)
    frozen = parameters(model.layer_order()[:-own])
    assert frozen == sum(each.numel() for each in model.get_submodule("backbone").parameters())


def test_the_penalty_of_clrnet_is_on_the_kernels_that_keras_penalises() -> None:
    with h5py.File(SMALL / "model.h5") as file:
        config = json.loads(file.attrs["model_config"])
    model = MODELS["f4_r1111_64"]
    wanted = []
    for layer, (_, module) in zip(config["config"]["layers"], model.layer_order(), strict=True):
        penalty = layer["config"].get("kernel_regularizer")
        if penalty is not None:
            assert penalty["config"]["l2"] == pytest.approx(1e-4)
            assert module is not None
            wanted.append(module.weight)
    assert len(wanted) == 17
    assert {id(each) for each in wanted} == {id(each) for each in model.penalised()}


@pytest.mark.parametrize("architecture", NAMES)
def test_the_penalty_spares_biases_norms_recurrence_and_the_output(architecture: str) -> None:
    model = small(architecture)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    penalised = [names[id(parameter)] for parameter in model.penalised()]
    assert len(set(penalised)) == len(penalised)
    norms = [name for name, module in model.named_modules() if isinstance(module, NORMS)]
    for name in penalised:
        assert name.rpartition(".")[2] in ("weight", "weight_ih_l0", "weight_ih_l0_reverse")
        assert name.rpartition(".")[0] not in ("head", *norms)
    kernels = [name for name, each in model.named_parameters() if each.ndim > 1]
    spared = {name for name in kernels if "recurrent_weight" in name or "weight_hh" in name}
    assert set(penalised) == set(kernels) - spared - {"head.weight"}
