"""The recipe of the model in the box, end to end and tiny: six people of a photograph train,
validate and test; pictures of two of them stand for the photographs that only train."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from sklearn.metrics import roc_auc_score

from model_export.data.prepared import PreparedDataset
from model_export.data.video import REAL
from model_export.demo import publish as publishing
from model_export.demo import recipe
from model_export.demo.card import metric_row, write_card
from model_export.demo.material import KNOWN, UNSEEN, Amount, people
from model_export.demo.recipe import Options, make_demo_model
from model_export.demo.runs import Effort
from model_export.errors import DataError, ExportError, TrainingError
from model_export.evaluation.score_file import load_scores
from model_export.evaluation.scores import score_onnx
from service import scoring
from service.classifier.classifier import Classifier, load_classifier
from service.classifier.contract import Metric, ModelContract
from service.measures.table import ScoreTable
from tests.unit.model_export.evaluation.made import table_of
from tests.unit.model_export.synthetic.people import photograph_people

TINY = Options(
    Amount(segments=1, frames=5, ratios=(1, 1, 1)), Effort(frames=26, clips=26, filters=4)
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces and photographs, the work, the model and its card."""
    folder = tmp_path_factory.mktemp("demo")
    faces = photograph_people(folder / "faces")
    (folder / "stills").mkdir()
    shutil.copy(faces / "ann.png", folder / "stills" / "ann.png")
    shutil.copy(faces / "ben.png", folder / "stills" / "ben.png")
    make(folder)
    return folder


@pytest.fixture(scope="module")
def classifier(folder: Path) -> Classifier:
    return load_classifier(folder / "model.onnx", device="cpu", threads=1)


@pytest.fixture(scope="module")
def contract(classifier: Classifier) -> ModelContract:
    return classifier.contract


@pytest.fixture(scope="module")
def dataset(folder: Path) -> PreparedDataset:
    return PreparedDataset(folder / "work" / "prepared")


def make(folder: Path, options: Options = TINY, output: str = "model.onnx") -> ModelContract:
    return make_demo_model(
        folder / "faces",
        folder / "stills",
        folder / "work",
        folder / output,
        options,
        processes=1,
        console=Console(quiet=True),
    )


def scores_kept(folder: Path) -> ScoreTable:
    return load_scores(folder / "work" / "clips" / "test-scores.csv")


def figure(contract: ModelContract, name: str) -> float:
    return next(metric.value for metric in contract.metrics if metric.name == name)


def test_the_service_takes_the_model(classifier: Classifier, contract: ModelContract) -> None:
    assert (contract.name, contract.architecture) == ("clrnet-demo", "clrnet")
    assert (contract.clip_length, contract.input_height, contract.crop_margin) == (5, 128, 1.25)
    assert contract.alignment == "clip"
    assert "float16" in contract.precision
    clips = np.random.default_rng(0).integers(0, 256, (2, 5, 128, 128, 3), dtype=np.uint8)
    assert np.isfinite(classifier.score(clips).fake).all()


def test_the_figures_are_those_of_the_file_that_is_shipped(
    folder: Path, contract: ModelContract, dataset: PreparedDataset
) -> None:
    table = score_onnx(folder / "model.onnx", dataset, "test", [*KNOWN, REAL], device="cpu")
    assert figure(contract, "clip_auc") == round(roc_auc_score(table.fake, table.score), 3)
    df = table.select(methods=["DF", REAL])
    assert figure(contract, "clip_auc family DF") == round(roc_auc_score(df.fake, df.score), 3)
    unseen = score_onnx(folder / "model.onnx", dataset, "test", [*UNSEEN, REAL], device="cpu")
    kept = scores_kept(folder)
    assert np.array_equal(kept.select(methods=[*KNOWN, REAL]).score, table.score)
    assert np.array_equal(kept.select(methods=UNSEEN).score, unseen.score[unseen.fake])
    wanted = round(roc_auc_score(unseen.fake, unseen.score), 3)
    assert figure(contract, "clip_auc unseen family DFW") == wanted

    point = contract.operating_point.model_copy(update={"abstain": None})
    real = [scoring.calibrate(score, point) for score in table.score[~table.fake].tolist()]
    called = [scoring.verdict(score, point) for score in real]
    for verdict in ("fake", "uncertain", "real"):  # A video has one clip here, and one face.
        share = round(called.count(verdict) / len(called), 3)
        assert figure(contract, f"real faces called {verdict}") == share
    assert contract.operating_point.abstain == publishing.reason_to_abstain(table)


def test_figures_by_person_are_of_whom_the_video_shows(
    contract: ModelContract, dataset: PreparedDataset, folder: Path
) -> None:
    table = scores_kept(folder).select(methods=[*KNOWN, REAL])
    for number, person in enumerate(people(dataset, "test"), start=1):
        own = table.take(np.char.startswith(table.video, f"{person}-"))
        assert len(own) == 6  # A swap shows the lender too, and is not the lender's.
        wanted = round(roc_auc_score(own.fake, own.score), 3)
        assert figure(contract, f"clip_auc test person {number}") == wanted


def test_the_unseen_family_and_the_test_people_are_not_learnt_from(
    contract: ModelContract, dataset: PreparedDataset, folder: Path
) -> None:
    assert UNSEEN == ("DFW",)
    assert not dataset.videos("train", UNSEEN)
    for run in ("frames", "clips"):
        record = json.loads((folder / "work" / run / "run.json").read_text())
        assert sorted(record["config"]["data"]["videos"]) == sorted(KNOWN)
    # Five known families of two validation people: neither is the point found on the unseen one.
    assert "10 forged and 2 real faces (2 people)" in contract.operating_point.calibration
    assert not set(people(dataset, "train")) & {*people(dataset, "test")}


def test_photographs_add_weaker_forgeries_of_more_people(
    contract: ModelContract, dataset: PreparedDataset, folder: Path
) -> None:
    assert people(dataset, "train")[-2:] == ["still-ann", "still-ben"]
    assert not any(name.startswith("still") for name in people(dataset, "validation"))
    made = json.loads((folder / "work" / "photographs" / "benchmark.json").read_text())
    assert made["made_with"]["options"]["strength"] == pytest.approx(0.7)
    assert "videos of 2 people and 2 photographs, forged in 5 ways (20 " in contract.trained_on
    still = dataset.load("still-ann-0-DF")
    assert still.twin is not None
    assert not np.array_equal(still.pixels, still.twin)


def test_the_card_says_what_the_metadata_say(contract: ModelContract, folder: Path) -> None:
    card = (folder / "model.md").read_text()
    rows = [line for line in card.splitlines() if line.startswith("| ")][1:]
    assert rows == [metric_row(metric) for metric in contract.metrics]
    assert contract.trained_on in card
    assert contract.strategy in card
    assert "*DFW*, synthetic stand-in" in card
    value = figure(contract, "clip_auc unseen family DFW")
    assert f"its clip AUC is {value:.3f}" in card


def test_a_model_is_measured_on_a_benchmark_it_has_not_trained_on(
    contract: ModelContract, dataset: PreparedDataset, folder: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model.onnx"
    shutil.copy(folder / "model.onnx", model)
    for _ in range(2):  # The second time figures take the place of the first ones.
        publishing.measure_on_the_benchmark(model, dataset, "7.1")
    told = load_classifier(model, device="cpu").contract
    assert told == contract.model_copy(update={"version": "7.1", "metrics": told.metrics})
    assert told.metrics[: len(contract.metrics)] == contract.metrics
    assert len({metric.name for metric in told.metrics}) == len(told.metrics)
    # It is the very benchmark that the model was measured on when it was made.
    for name in ("clip_auc", "clip_auc family NT", "clip_auc test person 1"):
        there = name.replace("clip_auc", "clip_auc on the synthetic benchmark")
        assert figure(told, there) == figure(contract, name)
    unseen = figure(told, "clip_auc on the synthetic benchmark family DFW")
    assert unseen == figure(contract, "clip_auc unseen family DFW")
    called = figure(told, "real faces of the benchmark called fake")
    assert called == figure(contract, "real faces called fake")
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    assert (tmp_path / "model.onnx.sha256").read_text() == f"{digest}  model.onnx\n"
    card = (tmp_path / "model.md").read_text()
    assert f"*DFW* {unseen:.3f}" in card
    assert f"and {called:.0%} of those of the benchmark were called fake" in card


@pytest.mark.parametrize(
    ("shuffled", "still", "lost_low", "words"),
    [
        (0.90, 0.895, 0.001, "five of them help no more than one"),
        (0.90, 0.80, -0.02, "five of them help no more than one"),
        (0.895, 0.80, 0.05, "it does not read motion"),
        (0.80, 0.80, 0.05, "uses the order of frames"),
    ],
)
def test_the_card_claims_of_time_what_was_shown(
    contract: ModelContract,
    tmp_path: Path,
    shuffled: float,
    still: float,
    lost_low: float,
    words: str,
) -> None:
    figures = {
        "clip_auc": (0.9, 0.8),
        "clip_auc frames shuffled": (shuffled, 0.8),
        "clip_auc frames middle frame repeated": (still, 0.8),
        "clip_auc lost with the middle frame repeated": (0.9 - still, lost_low),
        "real faces called fake": (0.25, 0.1),
    }
    metrics = tuple(
        Metric(name=name, value=value, data="made", low=low, high=1.0)
        for name, (value, low) in figures.items()
    )
    write_card(tmp_path / "card.md", contract.model_copy(update={"metrics": metrics}), 1_000_000)
    card = (tmp_path / "card.md").read_text()
    assert words in card
    assert "25% of the real faces below were called fake" in card


def test_a_model_that_is_not_shown_to_be_better_than_chance_abstains() -> None:
    def table(fake: float) -> ScoreTable:
        videos = [(f"{who}{kind}", who, kind) for who in "abcdefg" for kind in ("DF", "real")]
        return table_of(
            *((id, who, kind, [fake if kind == "DF" else 0.5]) for id, who, kind in videos)
        )

    assert publishing.reason_to_abstain(table(0.6)) is None
    assert publishing.reason_to_abstain(table(0.5)) == publishing.NO_BETTER
    assert publishing.reason_to_abstain(table(0.4)) == publishing.NO_BETTER


def test_both_stages_saw_as_many_samples_as_asked(folder: Path, contract: ModelContract) -> None:
    for run in ("frames", "clips"):
        with (folder / "work" / run / "log.csv").open() as file:
            assert list(csv.DictReader(file))[-1]["samples"] == "26"
    assert "(26 images), then five-frame clips (26)" in contract.strategy


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is published, by the hash of its weights: all but the export and its measuring."""
    seen: list[str] = []

    def publish(frames: object, clips: recipe.RunResult, *rest: object) -> None:
        model, _ = publishing.load_run(clips.folder)
        seen.append(publishing.weights_sha256(model))

    monkeypatch.setattr(recipe, "publish", publish)
    return seen


def test_what_is_there_is_used_again(
    folder: Path, contract: ModelContract, published: list[str]
) -> None:
    def times() -> dict[Path, int]:
        files = (folder / "work").rglob("*")
        kept = (path for path in files if path.suffix in (".mp4", ".safetensors"))
        return {path: path.stat().st_mtime_ns for path in kept}

    before = times()
    assert len(before) > 80
    make(folder)
    assert published == [contract.weights_sha256]
    assert times() == before


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda o: replace(o, amount=replace(o.amount, strength=0.5)), DataError, "videos holds a"),
        (lambda o: replace(o, effort=replace(o.effort, filters=5)), TrainingError, "frames holds"),
        (lambda o: replace(o, effort=replace(o.effort, clips=8)), TrainingError, "clips holds"),
    ],
)
def test_other_options_need_another_folder(
    folder: Path,
    published: list[str],
    change: Callable[[Options], Options],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=f"work/{words}") as refusal:
        make(folder, change(TINY))
    assert "\n" not in str(refusal.value)
    assert not published


def test_a_missing_folder_is_said_before_all_the_work(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="there is no folder"):
        make(tmp_path, output="nowhere/model.onnx")
    assert not list(tmp_path.iterdir())
