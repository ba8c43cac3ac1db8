"""Peepholes compute equation (1) of the papers, written down once more in NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model_export.clrnet import CLRNet
from model_export.layers import ConvLSTM2d
from model_export.onnx_export import export
from tests.networks import one_thread as one_thread

from .test_onnx_export import contract

Array = NDArray[np.float64]


def convolved(x: Array, kernel: Array) -> Array:
    """(C, H, W) by an odd square kernel (F, C, k, k), stride 1, zeros around."""
    half = kernel.shape[-1] // 2
    padded = np.pad(x, ((0, 0), (half, half), (half, half)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[-2:], (1, 2))
    return np.einsum("chwij,fcij->fhw", windows, kernel)


def equation_1(x: Array, layer: ConvLSTM2d) -> Array:
    """Hidden states (T, F, H, W) of one clip (T, C, H, W)."""
    w, u = (
        np.split(each.detach().double().numpy(), 4)
        for each in (layer.weight, layer.recurrent_weight)
    )
    b = np.split(layer.bias.detach().double().numpy(), 4)
    assert layer.peepholes is not None
    p = layer.peepholes.detach().double().numpy()
    h = c = np.zeros((layer.filters, *x.shape[-2:]))
    states = []
    for frame in x:
        sums = [
            convolved(frame, w[gate]) + convolved(h, u[gate]) + b[gate][:, None, None]
            for gate in range(4)
        ]
        i = np.clip(0.2 * (sums[0] + p[0] * c) + 0.5, 0, 1)
        f = np.clip(0.2 * (sums[1] + p[1] * c) + 0.5, 0, 1)
        c = f * c + i * np.tanh(sums[2])
        o = np.clip(0.2 * (sums[3] + p[2] * c) + 0.5, 0, 1)
        h = o * np.tanh(c)
        states.append(h)
    return np.stack(states)


@torch.no_grad()
def test_peepholes_are_those_of_the_papers() -> None:
    torch.manual_seed(0)
    layer = ConvLSTM2d(3, 4, 3, peepholes=True)
    plain = ConvLSTM2d(3, 4, 3)
    plain.load_state_dict({k: v for k, v in layer.state_dict().items() if k != "peepholes"})
    x = torch.randn(5, 3, 6, 7)
    torch.testing.assert_close(layer(x, 5), plain(x, 5), atol=0, rtol=0)
    assert layer.peepholes is not None
    layer.peepholes.normal_(std=2)
    found = layer(x, 5).numpy()
    np.testing.assert_allclose(found, equation_1(x.double().numpy(), layer), atol=1e-5)
    assert np.abs(found - plain(x, 5).numpy()).max() > 0.1


def test_a_network_with_peepholes_exports(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = CLRNet(4, (1,), peepholes=True).eval()
    seen = [layer.peepholes for layer in model.modules() if isinstance(layer, ConvLSTM2d)]
    assert len(seen) == 5
    for peepholes in seen:
        assert peepholes is not None
        torch.nn.init.normal_(peepholes)
    report = export(model, tmp_path / "model.onnx", contract(model, 3, 32, 32))
    assert report.probability_difference <= 1e-5
