"""The training loop on tiny runs: what it promises about weights, files and refusals."""

from __future__ import annotations

import csv
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor

from model_export.clrnet import CLRNet
from model_export.data.prepared import (
    clips_path,
    read_clips,
    read_rows,
    write_clips,
    write_rows,
)
from model_export.errors import TrainingError
from model_export.training import trainer
from model_export.training.checkpoint import (
    CHECKPOINT,
    WEIGHTS,
    build_model,
    load_run,
    read_tensors,
)
from model_export.training.config import RunConfig
from model_export.training.freezing import freeze
from model_export.training.run_folder import read_result
from model_export.training.sources import open_sources
from model_export.training.trainer import train
from tests.unit.model_export.training.tiny import SIZE, TINY_CLRNET, tiny_dataset, tiny_run


def weights(folder: Path) -> dict[str, Tensor]:
    return load_run(folder)[0].state_dict()


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    assert ours.keys() == theirs.keys()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def losses(folder: Path) -> list[tuple[str, ...]]:
    with (folder / "log.csv").open() as file:
        return [
            (row["loss"], row["accuracy"], row["validation_loss"], row["validation_auc"])
            for row in csv.DictReader(file)
        ]


def test_the_same_run_twice_is_the_same_to_the_last_bit(data: Path, tmp_path: Path) -> None:
    config = tiny_run(data, average=0.9, model=TINY_CLRNET)
    first = train(config, tmp_path / "a")
    second = train(config, tmp_path / "b")
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert (first.best_epoch, first.best_loss) == (second.best_epoch, second.best_loss)
    train(tiny_run(data, average=0.9, model=TINY_CLRNET, seed=1), tmp_path / "c")
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_a_finished_folder_says_what_it_found_and_has_every_file(
    data: Path, tmp_path: Path
) -> None:
    screen = Console(file=StringIO(), width=100)
    result = train(tiny_run(data), tmp_path / "run", console=screen)
    assert (result.epochs, result.steps, result.samples) == (2, 6, 48)
    assert result.stopped == "epochs"
    assert 0 < result.loader_share < 1
    assert "the model waited" in screen.file.getvalue()  # type: ignore[attr-defined]
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        *("run.json", "result.json", "log.csv", "curves.png", "tensorboard", WEIGHTS),
    }
    before = (tmp_path / "run" / WEIGHTS).stat().st_mtime_ns
    assert train(tiny_run(data, workers=1), tmp_path / "run") == result
    assert (tmp_path / "run" / WEIGHTS).stat().st_mtime_ns == before


def test_it_learns(data: Path, tmp_path: Path) -> None:
    options = {
        "initial_filters": 4,
        "repetitions": [1],
        "dropout": 0.0,
        "batch_norm_momentum": 0.3,
    }
    config = tiny_run(
        data,
        model={**TINY_CLRNET, "options": options, "length": 1, "scaling": "centred"},
        augmentation="none",
        optimiser__rate=3e-2,
        schedule__epochs=4,
        schedule__batch=4,
    )
    result = train(config, tmp_path / "run")
    assert result.best_loss < 0.1
    assert result.validation_auc > 0.95


@pytest.mark.parametrize("architecture", ["forensic_transfer", "shallownetv3"])
def test_networks_with_losses_of_their_own_are_trained_and_scored(
    data: Path, tmp_path: Path, architecture: str
) -> None:
    model = {"architecture": architecture, "size": SIZE}
    config = tiny_run(data, model=model, average=0.5, schedule__epochs=1)
    result = train(config, tmp_path / "run")
    network, scores, fakes = load_run(tmp_path / "run")[0], [], []
    with torch.no_grad():
        for batch in open_sources(config, 0, 1).held_out():
            scores.append(network.fake_probability(network(batch.clips / 255)))
            fakes.append(batch.fake)
    right = (torch.cat(scores) >= 0.5) == (torch.cat(fakes) > 0.5)
    assert right.float().mean().item() == pytest.approx(result.validation_accuracy)


def test_small_batches_add_up_to_the_large_one(data: Path, tmp_path: Path) -> None:
    # No batch norm and no dropout work here: a frozen norm is the same for every batch size.
    changes: dict[str, Any] = {
        "model": {**TINY_CLRNET, "options": {**TINY_CLRNET["options"], "dropout": 0.0}},
        "schedule__epochs": 1,
        "optimiser__rate": 1e-3,
        # Adam does not mind the size of gradients; beside a penalty it shows.
        "optimiser__l2": 0.1,
    }
    found = []
    for batch, accumulate in ((12, 1), (4, 3)):
        config = tiny_run(data, schedule__batch=batch, schedule__accumulate=accumulate, **changes)
        folder = tmp_path / f"{batch}"
        with _still_norms():
            assert train(config, folder).steps == 2
        found.append(weights(folder))
    start = build_model(config.model)
    moved = [name for name, _ in start.named_parameters()]
    for name in moved:
        torch.testing.assert_close(found[0][name], found[1][name], atol=2e-5, rtol=1e-4)


@contextmanager
def _still_norms() -> Iterator[None]:
    before = trainer.training_mode
    trainer.training_mode = lambda module: module.eval()  # type: ignore[assignment]
    try:
        yield
    finally:
        trainer.training_mode = before


def test_frozen_layers_keep_weights_and_statistics_bit_for_bit(data: Path, tmp_path: Path) -> None:
    config = tiny_run(data, model=TINY_CLRNET, freeze="first_half", optimiser__weight_decay=0.1)
    train(config, tmp_path / "run")
    torch.manual_seed(config.seed)
    start = build_model(config.model)
    frozen = freeze(start, config.freeze)
    after = load_run(tmp_path / "run")[0]
    for index, ((name, old), (_, new)) in enumerate(
        zip(start.layer_order(), after.layer_order(), strict=True)
    ):
        if old is None or new is None:
            continue
        assert same(old.state_dict(), new.state_dict()) == (index < frozen.count), (index, name)


def test_patience_ends_a_run_whose_best_epoch_is_kept(data: Path, tmp_path: Path) -> None:
    config = tiny_run(data, schedule__epochs=20, schedule__patience=2, optimiser__rate=0.1)
    result = train(config, tmp_path / "run")
    assert result.stopped == "patience"
    assert result.epochs == result.best_epoch + 2 < 20
    assert result.best_loss == min(float(row[2]) for row in losses(tmp_path / "run"))
    # The weights on disk are those of which that was measured.
    model, _ = load_run(tmp_path / "run")
    sources, total = open_sources(config, 0, 1), 0.0
    with torch.no_grad():
        for batch in sources.held_out():
            total += model.loss(batch.clips / 255, batch.fake).item() * len(batch)
    assert total / sources.validation.samples == pytest.approx(result.best_loss, rel=1e-5)


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(
    data: Path, tmp_path: Path
) -> None:
    config = tiny_run(data, optimiser__rate=1e30)
    with pytest.raises(TrainingError, match=r"epoch 1, step 2: loss nan.*1e\+30.*step 1 is kept"):
        train(config, tmp_path / "run", checkpoint_seconds=0.0)
    tensors, state = read_tensors(tmp_path / "run" / CHECKPOINT)
    assert state["position"]["step"] == 1
    assert all(tensor.isfinite().all() for tensor in tensors.values())


def test_gradients_are_clipped_together(data: Path, tmp_path: Path) -> None:
    # So small that Adam's epsilon outweighs them: nothing moves.
    config = tiny_run(data, schedule__epochs=1, optimiser__clip_norm=1e-14)
    train(config, tmp_path / "run")
    torch.manual_seed(config.seed)
    start, after = build_model(config.model), load_run(tmp_path / "run")[0]
    for ours, theirs in zip(start.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_a_gradient_that_overflows_is_not_stepped_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "add_penalty", lambda some, l2: some[0].grad.fill_(torch.inf))
    with pytest.raises(TrainingError, match=r"step 1: loss 0\..* gradient inf.*No checkpoint"):
        train(tiny_run(data), tmp_path / "run")


def test_another_run_s_folder_is_refused_by_name_of_the_setting(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    config = tiny_run(data, schedule__epochs=1)
    train(config, folder)
    with pytest.raises(TrainingError, match=r"optimiser\.rate is 0\.01 there and 0\.02 here"):
        train(tiny_run(data, schedule__epochs=1, optimiser__rate=0.02), folder)


def test_a_run_does_not_go_on_with_other_data(tmp_path: Path) -> None:
    data = tiny_dataset(tmp_path / "data", videos=2)
    config = tiny_run(data, schedule__epochs=1)
    done = train(config, tmp_path / "run")
    data = data.rename(tmp_path / "elsewhere")
    moved = tiny_run(data, schedule__epochs=1)
    assert train(moved, tmp_path / "run") == done
    rows = read_rows(data / "videos.csv")
    place = next(place for place, row in enumerate(rows) if row.video.part == "train")
    clips = read_clips(clips_path(data, rows[place].video.id))
    clips.pixels[0, 0, 0, 0, 0] ^= 1
    digest = write_clips(clips, clips_path(data, rows[place].video.id))
    rows[place] = replace(rows[place], sha256=digest)
    write_rows(rows, data / "videos.csv")
    with pytest.raises(TrainingError, match="dataset's hash"):
        train(moved, tmp_path / "run")


def test_a_run_does_not_go_on_from_other_weights(data: Path, tmp_path: Path) -> None:
    first, other = tmp_path / "first", tmp_path / "other"
    train(tiny_run(data, schedule__epochs=1), first)
    train(tiny_run(data, schedule__epochs=1, seed=5), other)
    config = tiny_run(data, schedule__epochs=1, init__weights=str(first))
    done = train(config, tmp_path / "run")
    moved = tiny_run(data, schedule__epochs=1, init__weights=str(first.rename(tmp_path / "moved")))
    assert train(moved, tmp_path / "run") == done
    with pytest.raises(TrainingError, match=r"init\.weights' hash is"):
        train(tiny_run(data, schedule__epochs=1, init__weights=str(other)), tmp_path / "run")
    with pytest.raises(TrainingError, match=r"init\.weights: .*first cannot be read"):
        train(config, tmp_path / "run")


def test_clips_of_another_size_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"clips of 32 pixels, model\.size is 64"):
        train(tiny_run(data, model__size=64), tmp_path / "run")


def test_masks_twins_average_and_precision_go_together(data: Path, tmp_path: Path) -> None:
    mask_losses, plain = {}, {}
    for precision in ("fp32", "bf16", "fp16"):
        folder = tmp_path / precision
        train(_everything(data, precision), folder)
        with (folder / "log.csv").open() as file:
            (row,) = csv.DictReader(file)
        mask_losses[precision] = float(row["mask_loss"])
        plain[precision] = weights(folder)
        assert not any(name.startswith("head.layers") for name in plain[precision])
    # Chance is 0.69 at places that are half forged. Fewer digits change a little, and something.
    assert 0.3 < mask_losses["fp32"] < 1.5
    for precision in ("bf16", "fp16"):
        assert mask_losses[precision] == pytest.approx(mask_losses["fp32"], rel=0.05)
        assert not same(plain[precision], plain["fp32"])
    for change in ({"mask_weight": 0.0}, {"average": None}, {"data__twins": False}):
        folder = tmp_path / next(iter(change))
        changes = {**change, "mask_weight": 0.0} if "data__twins" in change else change
        train(_everything(data, "fp32", **changes), folder)
        assert not same(weights(folder), plain["fp32"]), change


def _everything(data: Path, precision: str, **changes: Any) -> RunConfig:
    options: dict[str, Any] = {
        "model": {**TINY_CLRNET, "length": 1},
        "data__twins": True,
        "mask_weight": 1.0,
        "average": 0.99,
        "precision": precision,
        "optimiser__name": "adamw",
        "optimiser__clip_norm": 1.0,
        "schedule__epochs": 1,
        "schedule__shape": "cosine",
        "schedule__warmup_steps": 2,
        "schedule__validation_clips": 8,
    }
    return tiny_run(data, **{**options, **changes})


def test_a_run_starts_from_another_s_weights_inflated(data: Path, tmp_path: Path) -> None:
    frames = tiny_run(data, model={**TINY_CLRNET, "length": 1}, schedule__epochs=1)
    train(frames, tmp_path / "frames")
    changes: dict[str, Any] = {"init__weights": str(tmp_path / "frames"), "init__inflate": True}
    clips = tiny_run(data, model=TINY_CLRNET, schedule__epochs=1, optimiser__rate=1e-12, **changes)
    train(clips, tmp_path / "clips")
    started, came = load_run(tmp_path / "frames")[0], load_run(tmp_path / "clips")[0]
    assert isinstance(started, CLRNet)
    assert isinstance(came, CLRNet)
    torch.testing.assert_close(started.head.weight, came.head.weight, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        0.05 * started.stem.recurrent_weight, came.stem.recurrent_weight, atol=1e-6, rtol=0
    )
    wider = {**TINY_CLRNET, "options": {"initial_filters": 3, "repetitions": [1, 1]}}
    with pytest.raises(TrainingError, match="does not fit this run's clrnet"):
        train(tiny_run(data, model=wider, **changes), tmp_path / "wider")


def test_a_full_disk_is_said_in_one_line(data: Path, tmp_path: Path) -> None:
    config = tiny_run(data, model={"architecture": "shallownetv3", "size": 32})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(TrainingError, match=r"run cannot be written: .*run the same command"):
            train(config, tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / "run").glob("*.part"))
    assert not list((tmp_path / "run").glob(".*.part"))


def test_ctrl_c_keeps_the_last_step(data: Path, tmp_path: Path) -> None:
    config = tiny_run(data, schedule__epochs=3)
    steps = trainer.rate_at

    def pressing(step: int, *args: Any) -> float:
        if step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return steps(step, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "rate_at", pressing)
        with pytest.raises(TrainingError, match=r"epoch 2, step 5 of 9\. The checkpoint of step 5"):
            train(config, tmp_path / "stopped")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert read_result(tmp_path / "stopped") is None
    train(config, tmp_path / "stopped")
    train(config, tmp_path / "whole")
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")
    assert same(weights(tmp_path / "stopped"), weights(tmp_path / "whole"))
