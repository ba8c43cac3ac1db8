"""Networks by name: what they take, what they refuse, and what their losses mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from model_export.backbone import Backbone
from model_export.errors import TrainingError
from model_export.networks import NAMES, NETWORKS, build, check
from model_export.outputs import Output, RealSigmoid, Sigmoids, Softmax
from tests.networks import BACKBONE, SMALL, small
from tests.networks import one_thread as one_thread


def test_every_network_is_here_and_small_for_tests() -> None:
    assert tuple(SMALL) == NAMES
    assert [NETWORKS[name].detector.clip_length for name in NAMES] == [5, 1, 1, 1, 1, 1, 5, 20, 1]


@pytest.mark.parametrize("architecture", NAMES)
@torch.no_grad()
def test_shapes(architecture: str) -> None:
    model, size = small(architecture).eval(), SMALL[architecture].size
    x = torch.rand(3, model.clip_length, 3, size, size)
    features = model.features(x)
    assert features.shape[:2] == x.shape[:2]
    assert features.ndim == 5
    logits = model(x)
    assert logits.shape in [(3, 1), (3, 2)]
    probability = model.fake_probability(logits)
    assert probability.shape == (3,)
    assert ((probability >= 0) & (probability <= 1)).all()
    assert model.loss(x, torch.tensor([0.0, 1.0, 1.0])).shape == ()
    if model.has_cam:
        assert model.cam(features).shape == (*x.shape[:2], *features.shape[-2:])
    else:
        with pytest.raises(NotImplementedError, match=f"{architecture} has no class activation"):
            model.cam(features)


@pytest.mark.parametrize("architecture", ["clrnet", "dbirnn", "cnn_lstm"])
@torch.no_grad()
def test_networks_of_clips_take_any_length_and_see_the_order(architecture: str) -> None:
    model, size = small(architecture).eval(), SMALL[architecture].size
    for steps in (1, 4):
        x = torch.rand(2, steps, 3, size, size)
        assert model(x).shape == (2, 2)
    # Neither the first nor the last frame changes: all of them must have been read, in order.
    assert not torch.allclose(model(x), model(x[:, [0, 2, 1, 3]]), atol=1e-6)
    torch.testing.assert_close(model(x.flip(0)), model(x).flip(0), atol=1e-5, rtol=1e-4)


LOGITS = torch.tensor([[0.3, -0.2], [-1.0, 0.5], [2.0, 1.0], [0.0, -3.0]])
FAKE = torch.tensor([1.0, 0.0, 1.0, 0.0])

OUTPUTS = pytest.mark.parametrize(
    ("output", "logits"),
    [(Softmax(), LOGITS), (Sigmoids(), LOGITS), (RealSigmoid(), LOGITS[:, 1:])],
    ids=["softmax", "sigmoids", "real sigmoid"],
)


@OUTPUTS
def test_the_loss_is_the_cross_entropy_of_the_probability(output: Output, logits: Tensor) -> None:
    probability = output.fake_probability(logits).double()
    wanted = -(FAKE * probability.log() + (1 - FAKE) * (1 - probability).log()).mean()
    if isinstance(output, Sigmoids):
        real = torch.sigmoid(logits[:, 1]).double()
        of_real = -((1 - FAKE) * real.log() + FAKE * (1 - real).log()).mean()
        wanted = (wanted + of_real) / 2
    assert output.loss(logits, FAKE).item() == pytest.approx(wanted.item(), rel=1e-5)


@OUTPUTS
def test_log_odds_are_those_of_the_probability_and_do_not_saturate(
    output: Output, logits: Tensor
) -> None:
    probability = output.fake_probability(logits.double())
    torch.testing.assert_close(output.log_odds(logits.double()), torch.logit(probability))
    sure = 1000 * logits
    assert torch.isfinite(output.log_odds(sure)).all()
    torch.testing.assert_close(output.log_odds(sure), 1000 * output.log_odds(logits))


@OUTPUTS
def test_a_sure_mistake_has_a_finite_loss_and_a_slope(output: Output, logits: Tensor) -> None:
    sure = torch.tensor([[-500.0, 500.0], [500.0, -500.0]])[:, -logits.shape[1] :]
    sure.requires_grad_()
    loss = output.loss(sure, FAKE[:2])
    loss.backward()
    assert 499 < loss.item() < 1001
    assert sure.grad is not None
    assert (sure.grad.abs() >= 0.25).all()


def test_keras_binary_cross_entropy_of_a_softmax_is_the_mean_over_both_units() -> None:
    both = torch.softmax(LOGITS, dim=1)
    target = torch.stack([FAKE, 1 - FAKE], dim=1)
    keras = torch.nn.functional.binary_cross_entropy(both, target)
    assert Softmax().loss(LOGITS, FAKE).item() == pytest.approx(keras.item(), rel=1e-6)


@OUTPUTS
def test_labels_between_count_as_shares(output: Output, logits: Tensor) -> None:
    real, fake = (output.loss(logits, torch.full((4,), label)).item() for label in (0.0, 1.0))
    share = output.loss(logits, torch.full((4,), 0.25)).item()
    assert share == pytest.approx(0.75 * real + 0.25 * fake, rel=1e-5)


@pytest.mark.parametrize(
    ("architecture", "options", "message"),
    [
        ("resnet", {}, "no network 'resnet'; there are clrnet, shallownetv3, meso"),
        ("clrnet", {"filters": 8}, "clrnet has no option 'filters'; it has initial_filters, rep"),
        ("meso4", {"size": 3}, "meso4 has no option 'size'; it has dropout"),
        ("clrnet", {"repetitions": [1, 2.5]}, r"option repetitions = \[1, 2.5\]: .*integer"),
        ("clrnet", {"repetitions": []}, "at least 1 item"),
        ("clrnet", {"initial_filters": True}, "initial_filters = True: .*integer"),
        ("clrnet", {"initial_filters": 0}, "greater than 0"),
        ("clrnet", {"peepholes": 1}, "peepholes = 1: .*boolean"),
        ("clrnet", {"dropout": 1.0}, "less than 1"),
        ("xception", {"units": 3}, "a head of 3 units"),
        ("xception", {"activation": "relu"}, "'softmax' or 'sigmoid'"),
        ("dbirnn", {"backbone": "densnet121"}, "timm has no network 'densnet121'"),
        ("dbirnn", {"backbone": "test_vit"}, "test_vit gives no map of features"),
        ("dbirnn", {**BACKBONE, "weights": "/nowhere/x.pth"}, "/nowhere/x.pth is not there"),
        ("forensic_transfer", {"widths": [8, 15]}, "15 maps has no two halves"),
    ],
)
def test_what_is_not_known_is_refused(
    architecture: str, options: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        build(architecture, (160, 160), options)


@pytest.mark.parametrize(
    ("architecture", "size", "options"),
    [("shallownetv3", 16, {}), ("cnn_lstm", 32, {}), ("xception_ffpp", 1, {})],
)
def test_frames_that_are_too_small_are_refused(
    architecture: str, size: int, options: Mapping[str, Any]
) -> None:
    with pytest.raises(TrainingError, match=f"{size}x{size}.*{architecture}|{architecture}.*small"):
        build(architecture, (size, size), options)


@pytest.mark.parametrize("architecture", NAMES)
def test_clips_of_a_length_that_a_network_does_not_take_are_refused(architecture: str) -> None:
    size, options = SMALL[architecture].size, SMALL[architecture].options
    check(architecture, (size, size), options)
    if NETWORKS[architecture].detector.clip_length > 1:
        check(architecture, (size, size), options, 3)
        return
    for attempt in (check, build):
        with pytest.raises(TrainingError, match=f"{architecture}: a single-frame model .* not 3"):
            attempt(architecture, (size, size), options, 3)


def test_options_reach_the_network() -> None:
    model = build("clrnet", (32, 32), {"initial_filters": 3, "repetitions": [1, 1], "dropout": 0})
    assert model.training
    assert sum(kind == "Add" for kind, _ in model.layer_order()) == 2
    assert model.head.weight.shape == (2, 24)
    tall = build("meso4", (64, 32), {})
    assert tall(torch.rand(2, 1, 3, 64, 32)).shape == (2, 1)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_trained_weights_of_a_backbone(suffix: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    trained = timm.create_model("test_resnet").eval()
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(trained.state_dict(), path)
    else:
        save_file(trained.state_dict(), path)
    model = build("xception_ffpp", (64, 64), {**BACKBONE, "weights": str(path)}).eval()
    x = torch.rand(2, 1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.features(x)[:, 0], trained.forward_features(x[:, 0]))


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    weights = timm.create_model("test_resnet").state_dict()
    path = tmp_path / "weights.pth"
    spoiled = dict(weights)
    del spoiled["layer1.0.conv1.weight"]
    cases: list[tuple[object, str]] = [
        (spoiled, "'layer1.0.conv1.weight' is missing"),
        ({**weights, "stem": torch.zeros(1)}, "'stem' has no place in it"),
        (
            {**weights, "bn1.weight": torch.zeros(2)},
            r"'bn1.weight' has shape \(2,\), not \(32,\)",
        ),
        ({"state_dict": Unsafe()}, "no weights that can be read safely"),
    ]
    for content, message in cases:
        torch.save(content, path)
        with pytest.raises(TrainingError, match=message) as caught:
            Backbone("test_resnet", str(path))
        assert str(path) in str(caught.value)
    path.write_bytes(b"no weights")
    with pytest.raises(TrainingError, match="no weights that can be read safely"):
        Backbone("test_resnet", str(path))


class Unsafe:
    """Anything but tensors: unpickling it could run code."""
