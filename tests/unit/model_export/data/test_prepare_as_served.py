"""What is trained on is what is served: the same pixels, and twins at the same place."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_export.data.prepared import VideoClips, clips_path, read_clips
from model_export.data.worker import CutOptions, Job, VideoCutter, main_face, main_track
from service.classifier.classifier import Classifier, ClipScores
from service.classifier.contract import ModelContract
from service.clips import Clip
from service.engine import DetectionOptions
from service.local_engine import LocalEngine
from service.settings import ModelSettings, Settings
from service.sources.source import Memory
from tests import media
from tests.onnx_models import CONTRACT, brightness_model
from tests.unit.model_export.data import film

OPTIONS = CutOptions(length=5, size=32, margin=1.3, alignment="clip", faces="all")


async def scored_by_the_service(
    contract: ModelContract,
    video: Path,
    sampling: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> NDArray[np.uint8]:
    """The clips uint8 (N, T, H, W, 3) that the service hands to a model with this contract."""
    path = folder / "model.onnx"
    await asyncio.to_thread(path.write_bytes, brightness_model(contract))
    handed: list[NDArray[np.uint8]] = []
    score = Classifier.score

    def watched(self: Classifier, clips: NDArray[np.uint8], *, cam: bool = False) -> ClipScores:
        handed.append(clips.copy())
        return score(self, clips, cam=cam)

    monkeypatch.setattr(Classifier, "score", watched)
    data = await asyncio.to_thread(video.read_bytes)
    engine = LocalEngine(Settings(model=ModelSettings(path=path, batch=7)))
    await engine.start()
    handed.clear()  # A model's first clips are blank ones, to warm it up.
    sent = Memory(data)
    async for _ in engine.detect(sent, DetectionOptions(sampling=sampling)):
        pass
    await engine.stop()
    return np.concatenate(handed)


def cut(folder: Path, path: Path, options: CutOptions) -> VideoClips:
    (folder / "clips").mkdir(exist_ok=True)
    row = VideoCutter(options, folder).prepare(Job(film.video("faces", path)))
    assert row.status == "ok", row.message
    return read_clips(clips_path(folder, "faces"))


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        replace(OPTIONS, alignment="per_frame", margin=1.12, sampling="paper"),
        replace(OPTIONS, length=1, size=48, sampling="stride=0.2"),
    ],
    ids=["clip", "per_frame", "single"],
)
async def test_clips_are_those_the_service_scores(
    options: CutOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(film.filmed(tmp_path, "mover", 80, drift=1.0).location)
    contract = CONTRACT.model_copy(
        update={
            "clip_length": options.length,
            "input_height": options.size,
            "input_width": options.size,
            "crop_margin": options.margin,
            "alignment": options.alignment,
        }
    )
    served = await scored_by_the_service(contract, path, options.sampling, tmp_path, monkeypatch)
    assert len(served) == 16
    np.testing.assert_array_equal(cut(tmp_path, path, options).pixels, served)
    for other in (
        replace(options, margin=options.margin + 0.05),
        replace(options, alignment="clip" if options.alignment == "per_frame" else "per_frame"),
    ):
        if options.length > 1 or other.alignment == options.alignment:
            assert not np.array_equal(cut(tmp_path, path, other).pixels, served)


def test_a_row_says_when_and_where_each_clip_was(tmp_path: Path) -> None:
    labelled = film.filmed(tmp_path, "mover", 40, drift=1.0)
    clips = cut(tmp_path, Path(labelled.location), replace(OPTIONS, sampling="full"))
    assert len(clips) == 8
    np.testing.assert_array_equal(clips.first_frame, np.arange(8) * 5)
    np.testing.assert_array_equal(clips.last_frame, np.arange(8) * 5 + 4)
    np.testing.assert_allclose(clips.start, np.arange(8) * 0.2, atol=1e-6)
    np.testing.assert_allclose(clips.end, np.arange(1, 9) * 0.2, atol=1e-6)
    assert clips.boxes.shape == (8, 5, 4)
    moved = clips.boxes[3, 4, 0] - clips.boxes[0, 0, 0]
    assert moved == pytest.approx(19, abs=3), "the face moves a pixel a frame"


def test_a_twin_shows_the_same_frames_at_the_same_place(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    frames = film.one_face(30, drift=1.0)
    for name, pictures in (("real", frames), ("fake", film.forged(frames))):
        data = media.encode_video(pictures, **film.LOSSLESS)  # type: ignore[arg-type]
        (tmp_path / f"{name}.mp4").write_bytes(data)
    real = film.video("real", tmp_path / "real.mp4")
    fake = film.video("fake", tmp_path / "fake.mp4", method="DF", twin="real")
    options = replace(OPTIONS, size=64, alignment="per_frame", faces="main")
    row = VideoCutter(options, tmp_path).prepare(Job(fake, real))
    assert (row.status, row.message, row.clips) == ("ok", "", 6)
    clips = read_clips(clips_path(tmp_path, "fake"))
    assert clips.twin is not None
    assert clips.twin.shape == clips.pixels.shape
    for place in range(6):
        for frame in range(5):
            differs = np.any(clips.pixels[place, frame] != clips.twin[place, frame], axis=-1)
            assert 0.01 < differs.mean() < 0.2
            x0, y0, x1, y1 = clips.boxes[place, frame]
            side = options.margin * max(x1 - x0, y1 - y0)
            corner = np.array([(x0 + x1 - side) / 2, (y0 + y1 - side) / 2])
            rows, columns = np.nonzero(differs)
            first = corner + np.array([columns.min(), rows.min()]) * side / 64
            last = corner + np.array([columns.max() + 1, rows.max() + 1]) * side / 64
            assert np.all(first > np.array(film.FORGED[:2]) - 3)
            assert np.all(last < np.array(film.FORGED[2:]) + 3)


@pytest.mark.parametrize(
    ("twin", "reason"),
    [
        (None, "no twin: the dataset has no video real"),
        ("absent", "no twin: real.mp4: the file is not there"),
        ("short", "no twin: real.mp4: has 12 frames, its forgery 20"),
        (
            "faster",
            "no twin: real.mp4: shows frame 1 after 0.020 s, its forgery after 0.040 s "
            "(50 and 25 frames a second, 20 and 20 frames)",
        ),
        (
            "slipped",
            "no twin: real.mp4: shows frame 10 after 0.480 s, its forgery after 0.400 s (",
        ),
        ("large", "no twin: real.mp4: is 256x256, its forgery 128x128"),
        ("text", "no twin: real.mp4: "),
    ],
)
def test_a_forgery_whose_twin_is_of_no_use_is_kept_and_says_so(
    twin: str | None, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "clips").mkdir()
    frames = film.one_face(20)
    fake = replace(film.filmed(tmp_path, "fake", 20), label="fake", method="DF", twin="real")
    path = tmp_path / "real.mp4"
    if twin == "text":
        path.write_text("no video")
    elif twin == "faster":
        path.write_bytes(media.encode_video(frames, fps=50))
    elif twin == "slipped":
        # Two frames are missing in the middle; there are enough all the same.
        path.write_bytes(media.timed_video([n / 25 for n in range(24) if n not in (10, 11)]))
    elif twin in ("short", "large"):
        pictures = frames[:12] if twin == "short" else [np.tile(each, (2, 2, 1)) for each in frames]
        path.write_bytes(media.encode_video(pictures))
    job = Job(fake, film.video("real", path) if twin else None)
    row = VideoCutter(replace(OPTIONS, faces="main"), tmp_path).prepare(job)
    assert (row.status, row.clips) == ("ok", 4)
    assert row.message.startswith(reason)
    assert read_clips(clips_path(tmp_path, "fake")).twin is None


def test_a_twin_may_go_on_after_its_forgery_and_be_timed_a_little_otherwise(
    tmp_path: Path,
) -> None:
    (tmp_path / "clips").mkdir()
    # Matroska counts milliseconds, MP4 finer.
    for name, count, container in (("fake", 20, "mp4"), ("real", 23, "matroska")):
        data = media.encode_video(film.one_face(count), container=container, fps=30)
        (tmp_path / name).write_bytes(data)
    fake = film.video("fake", tmp_path / "fake", method="DF", twin="real")
    job = Job(fake, film.video("real", tmp_path / "real"))
    row = VideoCutter(replace(OPTIONS, faces="main"), tmp_path).prepare(job)
    assert (row.status, row.message) == ("ok", "")
    assert read_clips(clips_path(tmp_path, "fake")).twin is not None


def clip(track: int, window: int, side: float) -> Clip:
    pixels = np.zeros((1, 4, 4, 3), np.uint8)
    return Clip(track, window * 5, window * 5, 0.0, 0.1, ((0.0, 0.0, side, side),), pixels)


def places(clips: list[Clip]) -> list[tuple[int, int]]:
    return [(each.track, each.first_frame // 5) for each in clips]


def test_the_main_face_is_the_one_seen_most_and_of_equals_the_largest() -> None:
    often, large = [clip(1, n, 50) for n in range(3)], [clip(0, n, 90) for n in range(2)]
    everything = sorted(
        [*often, *large, clip(2, 7, 60), clip(3, 7, 70)], key=lambda c: c.first_frame
    )
    assert places(main_track(everything)) == [(1, 0), (1, 1), (1, 2)]
    assert places(main_face(everything)) == [(1, 0), (1, 1), (1, 2), (3, 7)]
    assert places(main_track([*often[:2], *large])) == [(0, 0), (0, 1)]


def test_all_faces_or_the_main_one(tmp_path: Path) -> None:
    path = tmp_path / "faces.mp4"
    path.write_bytes(media.encode_video(media.group_frames(10)))
    assert len(set(cut(tmp_path, path, OPTIONS).track.tolist())) == 6
    main = cut(tmp_path, path, replace(OPTIONS, faces="main"))
    assert len(main) == 2
    assert len(set(main.track.tolist())) == 1
