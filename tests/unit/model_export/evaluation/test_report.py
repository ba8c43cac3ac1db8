"""What an evaluation measures and writes, from the command line on."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from model_export.data.prepared import PreparedDataset
from model_export.errors import EvaluationError
from model_export.evaluation.adversary import Attack
from model_export.evaluation.calibration import calibrate, load_point
from model_export.evaluation.command import evaluate as command
from model_export.evaluation.plots import reliability
from model_export.evaluation.report import Wanted, evaluate
from model_export.evaluation.score_file import load_scores
from model_export.evaluation.scores import score_onnx, score_videos
from model_export.evaluation.subject import open_subject
from service.measures.pictures import histograms, roc_curves
from service.measures.rendering import with_interval
from service.measures.table import COLUMNS
from tests.onnx_models import CONTRACT, brightness_model
from tests.unit.model_export.evaluation.made import grey, plain_table, prepared, write_run

APP = typer.Typer()
APP.command()(command)


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    """Forged faces are bright, real ones dark; a person each, in two parts."""
    rng = np.random.default_rng(0)
    videos = []
    for part in ("validation", "test"):
        for person in range(3):
            for method, brightness in (("DF", 150), ("NT", 120), ("real", 90)):
                name = f"{part}-{method}-{person}"
                pixels = grey(2, brightness + int(rng.integers(-25, 25)))
                videos.append((name, f"{part}{person}", method, part, pixels))
    return prepared(tmp_path / "data", videos, origin="a synthetic benchmark")  # type: ignore[arg-type]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "bright.onnx"
    path.write_bytes(brightness_model())
    return path


def _run(*arguments: object) -> tuple[int, str]:
    found = CliRunner().invoke(APP, [str(each) for each in arguments])
    return found.exit_code, " ".join(found.output.split())


def test_an_exported_model_from_the_command_line(
    dataset: PreparedDataset, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, text = _run(
        *(model, dataset.folder, "--trained-on", "DF", "--orders", "--calibrate", "platt"),
        *("--level", "face", "--draws", "30", "-o", out),
    )
    assert code == 0, text
    assert "brightness: test part, by face (synthetic stand-ins)" in text
    assert "in-domain" in text
    assert "out-of-domain" in text
    assert {path.name for path in out.iterdir()} == {
        *("scores.csv", "measures.json", "measures.csv", "measures.md", "operating_point.json"),
        *("orders.csv", "orders.md", "orders.tex", "verdicts.csv", "verdicts.md", "verdicts.tex"),
        *("histograms.png", "roc.png", "reliability.png"),
    }
    scores = load_scores(out / "scores.csv")
    expected = score_onnx(model, dataset, "test")
    for name in COLUMNS:
        assert np.array_equal(getattr(scores, name), getattr(expected, name))
    found = calibrate(score_onnx(model, dataset, "validation", ["DF", "real"]), "platt")
    assert load_point(out / "operating_point.json") == found
    assert found != calibrate(expected, "platt")
    told = json.loads((out / "measures.json").read_text())
    assert told["data"] == "a synthetic benchmark"
    assert told["trained"] == "single DF"
    assert {each["measures"]["level"] for each in told["findings"]} == {"clip", "face", "video"}
    page = (out / "measures.md").read_text()
    assert "By video" in page
    assert "Verdicts on faces at the operating point" in page
    assert page.count("(synthetic stand-ins)**") == 3 + 2
    for name in ("verdicts", "orders"):
        for end in _ENDS:
            assert (
                "(synthetic stand-ins)"
                in (out / f"{name}.{end}").read_text().splitlines()[2 if end == "tex" else 0]
            )
    with (out / "measures.csv").open(newline="") as file:
        assert {row["data"] for row in csv.DictReader(file)} == {"a synthetic benchmark"}
    for picture in out.glob("*.png"):
        assert cv2.imread(str(picture)).std() > 5


def test_a_model_is_degraded(dataset: PreparedDataset, model: Path, tmp_path: Path) -> None:
    code, text = _run(
        *(model, dataset.folder, "--robustness", "--methods", "NT,real", "--draws", "20"),
        *("--level", "video", "-o", tmp_path / "out"),
    )
    assert code == 0, text
    assert "AUC by video under degradation (synthetic stand-ins)" in text
    assert (tmp_path / "out" / "robustness.png").exists()
    assert "| h264 | 40 CRF |" in (tmp_path / "out" / "robustness.md").read_text()


def test_runs_are_compared_and_attacked(dataset: PreparedDataset, tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"seed-{seed}", dataset, ["NT"], seed=seed) for seed in (0, 1)]
    out = tmp_path / "out"
    code, text = _run(
        *(*runs, dataset.folder, "--attack", "fgsm,pgd", "--epsilons", "4"),
        *("--methods", "NT,real", "--device", "cpu", "--draws", "20", "-o", out),
    )
    assert code == 0, text
    assert "2 models, by clip (synthetic stand-ins)" in text
    spread = (out / "spread-clip.md").read_text()
    assert "| clrnet, single NT | 2 |" in spread
    assert "± standard deviation" in spread
    for name in ("spread-video", "1-seed-0/attacks"):
        assert "(synthetic stand-ins)" in (out / f"{name}.csv").read_text().splitlines()[0]
    assert {path.name for path in out.iterdir()} == {
        *("1-seed-0", "2-seed-1"),
        *(f"spread-{level}.{end}" for level in ("clip", "face", "video") for end in _ENDS),
    }
    names = {path.name for path in (out / "2-seed-1").iterdir()}
    assert {"attacks.png", "attacks.csv", "attacks.tex", "scores.csv"} <= names
    told = json.loads((out / "2-seed-1" / "measures.json").read_text())
    assert told["seed"] == "1"
    assert {each["group"] for each in told["findings"]} == {"all", "in-domain", "NT"}
    rows = (out / "1-seed-0" / "attacks.md").read_text()
    assert "| FGSM | 4/255 |" in rows
    assert "| PGD | 4/255 |" in rows


_ENDS = ("csv", "md", "tex")


def test_what_is_asked_in_vain_is_said_in_one_line(dataset: PreparedDataset, model: Path) -> None:
    code, text = _run(model, dataset.folder, "--attack", "fgsm")
    assert code == 1
    assert "Error:" in text
    assert "a white-box attack needs the network itself" in text
    code, text = _run(model, dataset.folder, "--attack", "guess")
    assert code == 2
    assert "there is no attack 'guess'" in text
    code, text = _run(model, dataset.folder, "--attack", "fgsm", "--epsilons", "0.5")
    assert code == 2
    assert "a whole number from 1 to 255" in text
    code, text = _run(model, dataset.folder, "--methods", "FS")
    assert code == 1
    assert "holds no clips of FS in the part 'test'" in text
    code, text = _run(model, dataset.folder, "--part", "validation", "--calibrate", "platt")
    assert code == 1
    assert "is not measured on it" in text


def test_a_single_frame_model_has_no_order(dataset: PreparedDataset, tmp_path: Path) -> None:
    contract = CONTRACT.model_copy(update={"clip_length": 1})
    path = tmp_path / "single.onnx"
    path.write_bytes(brightness_model(contract))
    done = evaluate(open_subject(path, dataset), dataset, Wanted(orders=True, draws=20))
    orders = done.tables["orders"]
    assert "The network sees single frames: their order cannot matter." in orders.notes
    assert len({row[1] for row in orders.rows}) == 1


def test_the_models_own_operating_point_is_used(dataset: PreparedDataset, tmp_path: Path) -> None:
    point = CONTRACT.operating_point.model_copy(update={"offset": 20.0})
    path = tmp_path / "lenient.onnx"
    path.write_bytes(brightness_model(CONTRACT.model_copy(update={"operating_point": point})))
    done = evaluate(open_subject(path, dataset), dataset, Wanted(draws=20))
    specificity = {
        each.measures.level: each.measures.specificity.value
        for each in done.findings
        if each.group == "all"
    }
    assert specificity == {"clip": 1, "face": 0, "video": 0}
    assert not done.calibrated
    assert done.tables["verdicts"].rows[1] == ("real", "100.0%", "0.0%", "0.0%")


def test_attacks_need_the_network(dataset: PreparedDataset, model: Path) -> None:
    with pytest.raises(EvaluationError, match=r"bright\.onnx is no run's folder"):
        evaluate(open_subject(model, dataset), dataset, Wanted(attacks=(Attack("fgsm", 1),)))


def test_recall_under_no_attack_is_that_of_the_report(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    subject = open_subject(write_run(tmp_path / "run", dataset, ["NT"], seed=1), dataset, "cpu")
    own = float(np.median(score_videos(subject.scorer, dataset, "test").score))
    for offset in (-math.log(own / (1 - own)), 20.0):
        told = replace(
            subject, point=CONTRACT.operating_point.model_copy(update={"offset": offset})
        )
        wanted = Wanted(level="face", attacks=(Attack("fgsm", 1),), draws=20)
        done = evaluate(told, dataset, wanted)
        recall = next(
            each.measures.recall
            for each in done.findings
            if each.group == "all" and each.measures.level == "face"
        )
        assert recall.value not in (None, 0)
        assert done.tables["attacks"].rows[0][2] == with_interval(recall)


def test_pictures_of_one_class() -> None:
    forged = plain_table([0.9, 0.2], [])
    assert roc_curves(forged, "clip", "") is None
    assert reliability(forged, "clip", "") is None
    assert histograms(forged, "clip", "").axes
    assert histograms(plain_table([], [0.1]), "clip", "").axes
