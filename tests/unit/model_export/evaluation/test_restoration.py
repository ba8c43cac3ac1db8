"""An exported CLRNet gives its network back, and can be attacked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from model_export.clrnet import CLRNet
from model_export.data.prepared import PreparedDataset
from model_export.errors import EvaluationError
from model_export.evaluation.adversary import Attack, perturb
from model_export.evaluation.report import Wanted, evaluate
from model_export.evaluation.restoration import restore
from model_export.evaluation.scores import network_scorer
from model_export.evaluation.subject import open_subject
from model_export.onnx_export import export, random_clips
from model_export.scaling import SCALINGS
from service.measures.rendering import with_interval
from service.registry import BUILT_IN_MODEL
from tests.onnx_models import CONTRACT
from tests.unit.model_export.evaluation.made import prepared


@pytest.fixture(scope="module")
def network() -> CLRNet:
    """One whose statistics are not trivial."""
    torch.manual_seed(0)
    model = CLRNet(8, (1, 2), dropout=0.0)
    with torch.no_grad():
        for _ in range(3):
            model.train()(torch.rand(4, 5, 3, 32, 32))
    return model.eval()


@pytest.fixture(scope="module")
def exported(network: CLRNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "small.onnx"
    told = CONTRACT.model_copy(update={"architecture": "clrnet", "class_order": "fake,real"})
    export(network, path, told, scaling=SCALINGS["centred"], half_weights=True, plain=True)
    return path


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    shape = (4, 5, 32, 32, 3)
    return prepared(
        tmp_path / "data",
        [
            ("f", "anna", "DF", "test", random_clips(shape)),
            ("r", "ben", "real", "test", random_clips(shape, seed=1)),
        ],
    )


def test_the_very_network_comes_back(network: CLRNet, exported: Path) -> None:
    found = restore(exported)
    assert (found.scaling, found.length) == ("centred", 5)
    assert isinstance(found.detector, CLRNet)
    assert (found.detector.initial_filters, found.detector.repetitions) == (8, (1, 2))
    assert not found.detector.training
    rounded = 0
    for name, theirs in found.detector.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            mine = network.state_dict()[name]
            rounded += not torch.equal(theirs, mine)
            assert torch.equal(theirs, mine) or torch.equal(theirs, mine.half().float()), name
    assert rounded


def test_an_exported_network_is_attacked(exported: Path, dataset: PreparedDataset) -> None:
    wanted = Wanted(attacks=(Attack("fgsm", 32),), draws=20)
    done = evaluate(open_subject(exported, dataset), dataset, wanted)
    before, after = done.tables["attacks"].rows
    every = [each for each in done.findings if each.group == "all"]
    (clips,) = [each.measures for each in every if each.measures.level == "clip"]
    assert before[3] == with_interval(clips.auc)
    assert float(after[3].split()[0]) < float(before[3].split()[0])


def test_the_model_in_the_box_is_attacked() -> None:
    found = restore(BUILT_IN_MODEL)
    clips = random_clips((1, 5, 128, 128, 3), seed=3)
    score = network_scorer(found.detector, found.scaling, found.length).score
    attack = Attack("fgsm", 4)
    for toward_real in (True, False):
        changed = perturb(found.detector, found.scaling, clips, attack, toward_real=toward_real)
        assert (score(changed) < score(clips)) == toward_real


def test_what_is_not_known_to_be_the_same_is_refused(exported: Path, tmp_path: Path) -> None:
    model = onnx.load(exported)
    (divided,) = [node for node in model.graph.node if node.op_type == "Div"]
    (constant,) = [node for node in model.graph.node if divided.input[1] in node.output]
    constant.attribute[0].t.CopyFrom(numpy_helper.from_array(np.asarray(100.0, np.float32)))
    path = tmp_path / "other.onnx"
    onnx.save(model, path)
    with pytest.raises(EvaluationError, match="under no single scaling"):
        restore(path)


def test_what_gives_no_network_is_refused(exported: Path, tmp_path: Path) -> None:
    model = onnx.load(exported)
    for tensor in model.graph.initializer:
        if tensor.name == "model.norm.weight":
            tensor.name = "norm"
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == "model.norm.weight":
                node.input[place] = "norm"
    path = tmp_path / "other.onnx"
    onnx.save(model, path)
    with pytest.raises(EvaluationError, match="only a CLRNet that was exported with --plain"):
        restore(path)
