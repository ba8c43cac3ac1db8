"""Served models: loaded together, checked, replaced while they score."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.classifier.contract import OperatingPoint
from service.engine import ServedEnsemble
from service.errors import ModelError, UnknownModel
from service.registry import BUILT_IN_MODEL, Registry, default_batch
from service.settings import Ensemble, ExtraModel, ModelSettings
from tests.onnx_models import CONTRACT, brightness_model
from tests.unit.batching.test_batcher import Inbox, clip, until

ROOM = 2**30


def written(path: Path, name: str = "brightness", **changes: Any) -> Path:
    path.write_bytes(brightness_model(CONTRACT.model_copy(update={"name": name, **changes})))
    return path


@asynccontextmanager
async def registry(settings: ModelSettings) -> AsyncIterator[Registry]:
    own = Registry(settings, ROOM)
    try:
        await own.load()
        yield own
    finally:
        await own.close()


async def test_several_models_and_an_ensemble_are_served(tmp_path: Path) -> None:
    settings = ModelSettings(
        path=written(tmp_path / "a.onnx", "one"),
        more=[ExtraModel(path=written(tmp_path / "b.onnx", "other", clip_length=1))],
        ensembles=[Ensemble(name="both", members=["one", "other"], rule="max")],
        default="both",
    )
    async with registry(settings) as served:
        assert [each.served.contract.name for each in served.models()] == ["one", "other"]
        assert served.ensembles() == (ServedEnsemble("both", "max", ("one", "other")),)
        panel = served.panel(None)
        assert (panel.name, panel.rule) == ("both", "max")
        assert [spec.length for spec in panel.specs] == [5, 1]
        assert [panel.members_of(0), panel.members_of(1)] == [[0], [1]]
        assert served.panel("other").members == panel.members[1:]
        with pytest.raises(UnknownModel):
            served.panel("third")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha256": "0" * 64}, "is not the one that was meant: its SHA-256 is"),
        ({"default": "third"}, "the default model 'third' is not served"),
        ({"ensembles": [Ensemble(name="e", members=["one", "x"])]}, "'e' needs a model 'x'"),
        ({"ensembles": [Ensemble(name="one", members=["one", "two"])]}, "two models are called"),
    ],
)
async def test_what_cannot_be_served_is_named(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    settings = ModelSettings(path=written(tmp_path / "a.onnx", "one"), **change)
    own = Registry(settings, ROOM)
    with pytest.raises(ModelError, match=words):
        await own.load()
    assert own.default is None
    await own.close()


async def test_a_hash_beside_the_file_is_held_against_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.onnx")
    beside = tmp_path / "a.onnx.sha256"
    beside.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  a.onnx\n")
    async with registry(ModelSettings(path=path)):
        pass
    path.write_bytes(path.read_bytes() + b"\x00")
    own = Registry(ModelSettings(path=path), ROOM)
    with pytest.raises(ModelError, match=r"a\.onnx' (is not the one|cannot be used)"):
        await own.load()
    await own.close()


def test_the_model_in_the_box_has_its_hash_beside_it() -> None:
    said = BUILT_IN_MODEL.with_name(f"{BUILT_IN_MODEL.name}.sha256").read_text().split()[0]
    assert said == hashlib.sha256(BUILT_IN_MODEL.read_bytes()).hexdigest()


async def test_a_gpu_that_is_not_there_is_an_error_unless_the_cpu_may_stand_in(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "a.onnx")
    own = Registry(ModelSettings(path=path, device="cuda"), ROOM)
    with pytest.raises(ModelError, match="CUDA"):
        await own.load()
    await own.close()
    async with registry(ModelSettings(path=path, device="cuda", cpu_fallback=True)) as served:
        (only,) = served.models()
        assert (only.served.provider, only.served.fallback) == ("CPUExecutionProvider", True)


@pytest.mark.parametrize(
    ("provider", "most"),
    [
        ("CPUExecutionProvider", 8),
        ("OpenVINO CPU", 8),
        ("CUDAExecutionProvider", 16),
        ("TensorrtExecutionProvider", 16),
    ],
)
def test_batches_are_smaller_where_larger_ones_gain_little(provider: str, most: int) -> None:
    assert default_batch(provider) == most


async def test_a_new_file_takes_over_and_old_requests_finish(tmp_path: Path) -> None:
    path = written(tmp_path / "a.onnx", version="1")
    async with registry(ModelSettings(path=path)) as served:
        before = served.panel(None)
        inbox = Inbox()
        with before.members[0].batcher.lane(inbox) as lane:
            written(path, version="2")
            await served.load()
            assert served.panel(None).members[0].served.contract.version == "2"
            await lane.submit(clip(1, 0, 51))
            await until(lambda: len(inbox.scored) == 1)
        assert inbox.scored[0].fake == pytest.approx(0.2, abs=1e-5)
        await asyncio.sleep(0.01)
        assert not served._retiring


@pytest.mark.parametrize("broken", [b"", b"not a model", None])
async def test_a_bad_file_never_replaces_a_good_model(tmp_path: Path, broken: bytes | None) -> None:
    path = written(tmp_path / "a.onnx", version="1")
    async with registry(ModelSettings(path=path)) as served:
        if broken is None:
            path.write_bytes(path.read_bytes()[:-50])
        else:
            path.write_bytes(broken)
        with pytest.raises(ModelError, match=r"a\.onnx"):
            await served.load()
        panel, inbox = served.panel(None), Inbox()
        assert panel.members[0].served.contract.version == "1"
        with panel.members[0].batcher.lane(inbox) as lane:
            await lane.submit(clip(1, 0, 0))
            await until(lambda: len(inbox.scored) == 1)


@pytest.mark.parametrize(
    "wrong", [{"uncertain_low": 0.9}, {"members": ["one", "one"]}, {"members": ["one"]}]
)
def test_an_ensemble_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"uncertain_low|named twice|at least 2"):
        Ensemble(**({"name": "e", "members": ["one", "other"]} | wrong))


async def test_an_ensemble_with_a_member_that_never_decides_does_not_decide(
    tmp_path: Path,
) -> None:
    silent = OperatingPoint(abstain="it is no better than chance")
    settings = ModelSettings(
        path=written(tmp_path / "a.onnx", "one"),
        more=[ExtraModel(path=written(tmp_path / "b.onnx", "other", operating_point=silent))],
        ensembles=[Ensemble(name="both", members=["one", "other"])],
    )
    async with registry(settings) as served:
        assert served.panel("both").point.abstain == silent.abstain
        assert served.panel("one").point.abstain is None
