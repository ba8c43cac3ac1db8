"""A small network that tells noise from smooth pictures, and a dataset of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model_export.clrnet import CLRNet
from model_export.data.prepared import PreparedDataset
from model_export.data.video import PARTS, Part
from model_export.import_contract import Provenance, import_contract
from model_export.keras_import import ImportedModel
from model_export.onnx_export import export, weights_sha256
from model_export.scaling import Scaling
from service.classifier.contract import Metric
from tests.unit.model_export.evaluation.made import prepared

SIZE, LENGTH, CLIPS = 32, 5, 3


def clips(seed: int, noise: float, count: int = CLIPS) -> NDArray[np.uint8]:
    """Smooth pictures with some ``noise``, uint8 (count, T, S, S, 3)."""
    rng = np.random.default_rng(seed)
    shape = (count, LENGTH, SIZE, SIZE, 3)
    smooth = rng.uniform(60, 190, (count, 1, 1, 1, 3)) + np.linspace(-30, 30, SIZE)[:, None]
    return np.clip(smooth + noise * rng.normal(size=shape), 0, 255).astype(np.uint8)


def dataset(folder: Path) -> PreparedDataset:
    """Three people in each part; each has a real video and a forged one."""
    videos: list[tuple[str, str, str, Part, NDArray[np.uint8]]] = []
    for number, part in enumerate(PARTS):
        for one in range(3):
            seed = 100 * number + one
            person = f"{part}{one}"
            videos.append((f"r{seed}", person, "real", part, clips(seed, noise=20)))
            videos.append((f"f{seed}", person, "DF", part, clips(seed, noise=24)))
    return prepared(folder, videos, size=SIZE)


def trained(path: Path) -> Path:
    """The network as a float32 model of ours."""
    torch.manual_seed(0)
    model = CLRNet(8, (1,))
    pixels = torch.from_numpy(np.concatenate([clips(7, 20, 12), clips(8, 24, 12)]))
    x = Scaling()(pixels.permute(0, 1, 4, 2, 3))
    fake = torch.arange(24) >= 12
    with torch.no_grad():
        for _ in range(5):
            model.train()(x)
        features = model.eval().features(x)
    optimiser = torch.optim.Adam(model.head.parameters(), lr=0.02)
    for _ in range(300):
        optimiser.zero_grad()
        # Class 0 is fake.
        loss = torch.nn.functional.cross_entropy(model.classify(features), (~fake).long())
        loss.backward()
        optimiser.step()
    imported = ImportedModel(model, (SIZE, SIZE), LENGTH, "none", weights_sha256(model))
    contract = import_contract(imported, Provenance("small", alignment="clip"))
    figure = Metric(name="clip_auc", value=0.9, data="elsewhere")
    contract = contract.model_copy(update={"metrics": (figure,), "notice": "A test's."})
    export(model, path, contract, plain=True)
    return path
