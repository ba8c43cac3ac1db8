"""What ends a run with one sentence."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from model_export.errors import TrainingError
from model_export.training import trainer
from model_export.training.distributed import joined_world, spawn
from model_export.training.trainer import train
from tests.unit.model_export.training.tiny import SIZE, TINY_CLRNET, tiny_run


def test_a_network_of_clips_is_not_inflated(data: Path, tmp_path: Path) -> None:
    clips, prepared_at = tmp_path / "clips", {**TINY_CLRNET, "length": 2}
    train(tiny_run(data, model=prepared_at, schedule__epochs=1), clips)
    again = tiny_run(data, model=TINY_CLRNET, init__weights=str(clips), init__inflate=True)
    with pytest.raises(TrainingError, match=r"clips was trained on clips of 2 frames, not on sing"):
        train(again, tmp_path / "run")


def test_fp16_does_not_skip_steps_for_ever(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A scale that falls too slowly to ever fit.
    scaler = partial(torch.amp.GradScaler, init_scale=2.0**126, backoff_factor=0.99)
    monkeypatch.setattr(trainer.torch.amp, "GradScaler", scaler)
    monkeypatch.setattr(trainer, "MOST_SKIPPED", 4)
    config = tiny_run(data, precision="fp16")
    with pytest.raises(
        TrainingError, match=r"epoch 2, step 4: .* 4 steps in a row .* bf16 or fp32"
    ):
        train(config, tmp_path / "run")


def nothing() -> None:
    """What a device would do."""


def test_more_devices_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    message = "2 devices need as many GPUs, and there is 1"
    with pytest.raises(TrainingError, match=message):
        spawn(2, nothing)
    # As torchrun starts it.
    for name, value in (("WORLD_SIZE", "2"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=message), joined_world():
        pass


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"architecture": "meso4", "size": SIZE, "length": 3}, "meso4: .* 1 frame, not 3"),
        ({"architecture": "meso5", "size": SIZE}, "there is no network 'meso5'"),
        ({"architecture": "meso4", "size": SIZE, "options": {"depth": 3}}, "no option 'depth'"),
    ],
)
def test_a_network_that_does_not_take_such_clips_is_refused_before_anything_is_made(
    model: dict[str, object], message: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=message):
        train(tiny_run(data, model=model), tmp_path / "run")
    assert not (tmp_path / "run").exists()
