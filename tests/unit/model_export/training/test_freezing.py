"""Freezing counts the Keras layers as the papers do and holds batch norms still."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from model_export.clrnet import CLRNet
from model_export.errors import TrainingError
from model_export.training.freezing import freeze, frozen_count, training_mode


def _published() -> CLRNet:
    with torch.device("meta"):
        return CLRNet()


@pytest.mark.parametrize(
    ("rule", "last", "frozen"),
    [
        ("first_half", 102, 28_057_856),
        ("first:120", 119, 45_905_152),
        ("all_but_last:120", 86, 14_933_760),
    ],
)
def test_the_three_rules_on_the_published_network(rule: str, last: int, frozen: int) -> None:
    model = _published()
    found = freeze(model, rule)
    assert (found.count, found.layers) == (last + 1, 207)
    assert found.parameters == frozen
    assert found.parameters + found.trained == 248_160_514
    for index, (_, module) in enumerate(model.layer_order()):
        for parameter in module.parameters() if module is not None else ():
            assert parameter.requires_grad == (index > last)


def test_nothing_is_frozen_by_none() -> None:
    model = _published()
    assert freeze(model, "none").count == 0
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_rule_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(TrainingError, match="first:500 leaves nothing"):
        freeze(_published(), "first:500")


def test_more_layers_to_train_than_there_are_freeze_nothing() -> None:
    assert frozen_count("all_but_last:120", 50) == 0


def test_training_mode_leaves_frozen_norms_in_inference_mode() -> None:
    model = CLRNet(2, (1, 1))
    freeze(model, "first_half")
    training_mode(model)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.training for norm in norms} == {True, False}
    for norm in norms:
        assert norm.training == norm.weight.requires_grad
    assert model.dropout.training
