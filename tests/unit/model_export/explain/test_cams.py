"""Class activation maps: the network's own, drawn as the service draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import save_file

from model_export.data.prepared import PreparedDataset
from model_export.errors import EvaluationError, TrainingError
from model_export.explain.cams import clip_cams, domain_cams, mean_maps
from model_export.explain.choice import ChosenClip, Selection, drawn_clips
from model_export.explain.model import NetworkScorer, OpenModel, open_model
from model_export.explain.picture import Image, Row, draw
from model_export.import_contract import Provenance, import_contract
from model_export.keras_import import ImportedModel
from model_export.mesonet import Meso4
from model_export.onnx_export import Scaling, ScoredClips, export
from model_export.training.config import DataConfig, ModelConfig, RunConfig, ScheduleConfig
from model_export.training.run_folder import RunRecord
from service.classifier import cam as service_cam
from service.classifier.classifier import ClipScores
from service.clips import ClipSpec
from service.errors import ServiceError
from tests.unit.model_export.parity import ODD, OLD, clrnet, load

from .conftest import LENGTH, PREPARATION, SIZE, labelled, network, opened

Array = NDArray[np.float32]

TWO = ClipSpec(2, 8, 8, 1.3, "per_frame")


class Told:
    """A scorer that answers with maps it was given, by the brightness of the clip."""

    has_cam = True

    def __init__(self, maps: Sequence[Array]) -> None:
        self.maps = maps

    def score(self, clips: NDArray[np.uint8], *, cam: bool = False) -> ClipScores:
        which = int(clips.max())
        return ClipScores(np.array([which / 4], np.float32), self.maps[which][None])


def even(value: int, method: str = "DF") -> ChosenClip:
    """A clip of 2 frames with one value everywhere."""
    video = labelled(f"v{value}", method, "test")
    return ChosenClip(video, 0.0, np.full((2, 8, 8, 3), value, np.uint8))


def images(row: Row) -> list[Image]:
    return [cell for cell in row.cells if cell is not None]


def test_frames_and_under_them_the_same_with_their_maps(dataset: PreparedDataset) -> None:
    model = opened(network())
    clips = drawn_clips(dataset, Selection(count=1))
    picture = clip_cams(clips, model)
    assert picture.title == "Class activation maps of small (maps of 4x4)"
    assert picture.columns == tuple(f"frame {number}" for number in range(1, 6))
    assert len(picture.rows) == 2 * len(clips) == 6
    for clip, frames, drawn in zip(clips, picture.rows[::2], picture.rows[1::2], strict=True):
        score, maps = model.maps(clip.pixels)
        assert maps.shape == (LENGTH, 4, 4)
        assert frames.caption == replace(clip, score=score).caption
        assert np.array_equal(images(frames), clip.pixels)
        wanted = [service_cam.draw(*pair) for pair in zip(clip.pixels, maps, strict=True)]
        assert np.array_equal(images(drawn), wanted)
        assert not np.array_equal(images(drawn), clip.pixels)
    assert draw(picture).shape[2] == 3


def test_the_heat_follows_the_clip() -> None:
    """The same corner in another place: the heat is another."""
    heat = []
    for corner in (slice(0, 24), slice(24, 48)):
        pixels = np.zeros((2, SIZE, SIZE, 3), np.uint8)
        pixels[:, corner, corner] = 255
        clip = ChosenClip(labelled("v", "DF", "test"), 0.0, pixels)
        _, drawn = clip_cams([clip], opened(network(), length=2)).rows
        heat.append(images(drawn)[1].astype(int) - pixels[1] // 2)
    assert np.abs(heat[0] - heat[1]).mean() > 10


def test_maps_equal_keras() -> None:
    golden = load(ODD / "golden_uint8.npz")
    model = opened(clrnet(OLD / "weights_only.h5", 97), size=97)
    clips = [
        ChosenClip(labelled("v", "DF", "test"), 0.0, np.asarray(x, np.uint8)) for x in golden["x"]
    ]
    picture = clip_cams(clips, model)
    assert "(maps of 2x2)" in picture.title
    for clip, cams, drawn in zip(clips, golden["cam_fake"], picture.rows[1::2], strict=True):
        for frame, cam, found in zip(clip.pixels, cams, images(drawn), strict=True):
            wanted = service_cam.draw(frame, np.asarray(cam, np.float32))
            # A map that differs by a millionth may step to the next of the 256 colours.
            assert np.abs(found.astype(int) - wanted).mean() < 0.05


def test_a_map_of_one_place_is_blank(dataset: PreparedDataset) -> None:
    clips = drawn_clips(dataset, Selection(methods=("DF",), count=2))
    model = opened(network((1, 1, 1, 1)))
    picture = clip_cams(clips, model)
    assert picture.title.endswith("(maps of 1x1)")
    for clip, drawn in zip(clips, picture.rows[1::2], strict=True):
        assert np.array_equal(images(drawn), clip.pixels)
    maps = mean_maps([model.maps(clip.pixels)[1] for clip in clips])
    assert np.isfinite(maps).all()


def test_a_mean_counts_where_a_map_peaks_not_how_high() -> None:
    left = np.array([[[1, 0], [1, 0]]], np.float32)
    right = np.array([[[0, 1], [0, 1]]], np.float32)
    both = service_cam.normalise(mean_maps([left, left, 1000 * right + 7]))
    np.testing.assert_allclose(both, service_cam.normalise(2 * left + right), atol=1e-6)


def test_a_row_a_domain_in_the_order_of_the_clips() -> None:
    left, right = np.zeros((2, 2, 2), np.float32), np.zeros((2, 2, 2), np.float32)
    left[0, :, 0], left[1, 0, :] = 1, 1
    right[:, :, 1] = 1
    model = OpenModel("told", "clrnet", TWO, Told([right, left, right, left]))
    clips = [even(0, "real"), even(1, "NT"), even(3, "NT"), even(2, "DF")]
    picture = domain_cams(clips, model)
    assert [row.caption for row in picture.rows] == [
        "real\n1 clips\nmean P(fake) 0.00",
        "NT\n2 clips\nmean P(fake) 0.50",
        "DF\n1 clips\nmean P(fake) 0.50",
    ]
    first, second = images(picture.rows[1])
    assert (first[:, -1] == 2).all(), "the mean frame, where nothing is drawn"
    assert np.array_equal(first, service_cam.draw(even(2).pixels[0], left[0]))
    assert np.array_equal(second, service_cam.draw(even(2).pixels[0], left[1]))
    assert np.array_equal(images(picture.rows[2])[0], service_cam.draw(even(2).pixels[0], right[0]))


def test_a_shorter_model_sees_the_middle_frames(dataset: PreparedDataset) -> None:
    (clip,) = drawn_clips(dataset, Selection(videos=("d1",), count=1))
    picture = clip_cams([clip], opened(network(), length=3))
    assert np.array_equal(images(picture.rows[0]), clip.pixels[1:4])


def test_an_onnx_model_draws_what_its_network_draws(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    model, path = network(), tmp_path / "small.onnx"
    imported = ImportedModel(model, (SIZE, SIZE), 2, "none", "0" * 64)
    export(model, path, import_contract(imported, Provenance("exported", margin=1.3)))
    found = open_model(path)
    assert (found.name, found.architecture) == ("exported", "clrnet")
    found.demand_cam()
    found.demand_fit(dataset.preparation)
    clips = drawn_clips(dataset, Selection(count=1))
    for clip in clips:
        score, maps = found.maps(clip.pixels)
        wanted_score, wanted = opened(model, length=2).maps(clip.pixels)
        assert score == pytest.approx(wanted_score, abs=1e-5)
        np.testing.assert_allclose(maps, wanted, atol=1e-4 * np.abs(wanted).max())
        assert found.score(clip.pixels) == pytest.approx(score, abs=1e-6)
    for change in ({"margin": 1.2}, {"alignment": "clip"}, {"size": 64}, {"length": 1}):
        with pytest.raises(EvaluationError, match="exported takes clips of 2 frames of 48x48"):
            found.demand_fit(replace(dataset.preparation, **change))  # type: ignore[arg-type]


def test_a_run_draws_what_its_network_draws(dataset: PreparedDataset, tmp_path: Path) -> None:
    model = network()
    config = RunConfig(
        name="tried",
        model=ModelConfig(
            architecture="clrnet",
            options={"initial_filters": 4, "repetitions": [1]},
            size=SIZE,
            length=3,
            scaling="centred",
        ),
        data=DataConfig(folder=dataset.folder, videos={"DF": 1}),
        schedule=ScheduleConfig(epochs=1, batch=2),
    )
    record = RunRecord(
        config=config, preparation=PREPARATION, videos={"DF": 1}, clips=1, data_sha256="0"
    )
    (tmp_path / "run.json").write_text(record.model_dump_json())
    with pytest.raises(TrainingError, match="no weights yet"):
        open_model(tmp_path)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    found = open_model(tmp_path)
    wanted = opened(model, length=3, scaling=Scaling(63.75, -2.0))
    assert (found.name, found.architecture) == ("tried", "clrnet")
    assert found.spec == wanted.spec
    found.demand_fit(dataset.preparation)
    with pytest.raises(EvaluationError, match="tried takes clips of 3 frames"):
        found.demand_fit(replace(dataset.preparation, margin=1.2))
    (clip,) = drawn_clips(dataset, Selection(videos=("d1",), count=1))
    score, maps = found.maps(clip.pixels)
    assert score == pytest.approx(wanted.score(clip.pixels), abs=1e-6)
    np.testing.assert_allclose(maps, wanted.maps(clip.pixels)[1], rtol=1e-5)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not the folder of a run"):
        open_model(tmp_path)


def test_a_network_without_maps_says_so(dataset: PreparedDataset) -> None:
    scorer = NetworkScorer(ScoredClips(Meso4((SIZE, SIZE)), Scaling()))
    model = OpenModel("meso", "meso4", ClipSpec(1, SIZE, SIZE, 1.3, "per_frame"), scorer)
    clips = drawn_clips(dataset, Selection(count=1))
    assert 0 <= model.score(clips[0].pixels) <= 1
    for drawing in (clip_cams, domain_cams):
        with pytest.raises(EvaluationError, match="meso is a meso4 without class activation maps"):
            drawing(clips, model)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"no\.onnx is no run's folder, and .*cannot be read"):
        open_model(tmp_path / "no.onnx")
    text = tmp_path / "text.onnx"
    text.write_text("no model")
    with pytest.raises(
        EvaluationError, match=r"text\.onnx is no run's folder, and .*cannot be used"
    ):
        open_model(text)


def test_a_broken_score_is_told_to_people() -> None:
    class Broken(Told):
        def score(self, clips: NDArray[np.uint8], *, cam: bool = False) -> ClipScores:
            raise ServiceError("the model gave a score that is no probability")

    model = OpenModel("broken", "clrnet", TWO, Broken([]))
    with pytest.raises(EvaluationError, match="broken: the model gave a score"):
        clip_cams([even(0)], model)
