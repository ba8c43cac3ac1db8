"""People, pairs and degradation: who is where, what is cut, what both twins share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_export.demo.degradation import Degradation
from model_export.demo.people import split, still_run
from model_export.demo.pool import INPUT_SIZE, MASK_SIZE, POOL_SIZE, Pairs, make_pairs
from model_export.demo.prepare import write_pool
from service.forge import FAMILIES
from tests.train.drawn import drawn_run


def test_the_split_depends_on_names_alone() -> None:
    names = [f"person{number}" for number in range(20)]
    parts = split(names)
    assert parts == split(reversed(names))
    counts = {part: list(parts.values()).count(part) for part in set(parts.values())}
    assert counts == {"test": 6, "validation": 3, "train": 11}


@pytest.mark.parametrize("training", [True, False])
def test_pairs_have_their_shapes(training: bool) -> None:
    runs = [drawn_run("ann"), drawn_run("ben")]
    pairs = make_pairs(runs[0], runs, np.random.default_rng(0), training=training)
    size = POOL_SIZE if training else INPUT_SIZE
    assert pairs.real.shape == pairs.forged.shape == (2, 5, size, size, 3)
    assert pairs.real.dtype == np.uint8
    assert pairs.mask.shape == (2, 5, MASK_SIZE, MASK_SIZE)
    assert pairs.mask.max() > 100
    assert FAMILIES[pairs.family[0]]
    assert pairs.person.tolist() == ["ann", "ann"]


def test_pairs_are_made_again_alike_and_differ_where_the_mask_is() -> None:
    runs = [drawn_run("ann"), drawn_run("ben")]
    one, two = (
        make_pairs(runs[1], runs, np.random.default_rng(3), training=True) for _ in range(2)
    )
    assert np.array_equal(one.forged, two.forged)
    change = np.abs(one.real.astype(int) - one.forged).mean(axis=(0, 1, 4))
    inside = np.kron(one.mask.mean(axis=(0, 1)), np.ones((4, 4))) > 100
    assert change[inside].mean() > 2 * change[~inside].mean()


def test_a_photograph_moves_with_its_face() -> None:
    base = drawn_run("ann", 1)
    rng = np.random.default_rng(0)
    run = still_run("still:ann", base.frames[0], base.faces[0], 10, rng)
    assert run.frames.shape[0] == len(run.faces) == 10
    assert not np.array_equal(run.frames[0], run.frames[9])
    for face in run.faces:
        x, y = face.landmarks.mean(axis=0)
        assert face.box[0] < x < face.box[2]
        assert face.box[1] < y < face.box[3]


@pytest.mark.parametrize("codec", ["h264", "jpeg", "none"])
def test_degradation_keeps_the_number_and_size_of_frames(codec: str) -> None:
    frames = drawn_run("ann", 6).frames
    quality = 20 if codec == "h264" else 85
    drawn = Degradation(0.5, 2.0, 7, codec, quality)  # type: ignore[arg-type]
    result = drawn.apply(frames)
    assert result.shape == frames.shape
    assert np.array_equal(result, drawn.apply(frames))
    assert 0 < np.abs(result.astype(int) - frames).mean() < 20


def test_a_pool_is_written_once(tmp_path: Path) -> None:
    runs = [drawn_run("ann"), drawn_run("ben")]
    paths = write_pool(runs, [], tmp_path, 3, 1, 1, training=False)
    assert [path.name for path in paths] == ["1-00000.npz"]
    stamp = paths[0].stat().st_mtime_ns
    assert write_pool(runs, [], tmp_path, 3, 1, 1, training=False) == paths
    assert paths[0].stat().st_mtime_ns == stamp
    pairs = Pairs.load(paths)
    assert len(pairs) == 6
    assert set(pairs.person.tolist()) == {"ann", "ben"}
