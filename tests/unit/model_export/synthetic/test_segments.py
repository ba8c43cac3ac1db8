"""Stretches of videos and photographs, with the face where it is said to be."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from model_export.synthetic.people import Person
from model_export.synthetic.segments import LARGEST_FACE, Sighting, Unusable, look, read
from service.faces.geometry import overlaps
from service.faces.mtcnn import MTCNN
from service.video.encode import encode_video
from tests.media import audio_only, group_frames, jpeg, numbered_video

FRAMES = 6


def _person(path: Path, data: bytes) -> Person:
    path.write_bytes(data)
    return Person(path.stem, path, "train")


@pytest.fixture(scope="module")
def film(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """A video of 20 frames of somebody."""
    picture = Person("ann", photographs / "ann.png", "train")
    segment = read(picture, look(picture, 20, 1).found[0], 20)
    video = encode_video(segment.frames, fps=30, options={"preset": "ultrafast"})
    return _person(tmp_path_factory.mktemp("film") / "ann.mp4", video)


def test_stretches_are_apart_and_spread_over_the_file(film: Person) -> None:
    sighting = look(film, FRAMES, 2)
    assert sighting.status == "ok"
    assert [(each.number, each.start, each.rate) for each in sighting.found] == [
        (0, 0, 30),
        (1, 12, 30),
    ]
    assert [each.start for each in look(film, FRAMES, 9).found] == [0, 6, 12]


def test_the_face_is_where_it_is_said_to_be(film: Person) -> None:
    for person in (film, Person("ann", film.path.with_suffix(".mp4"), "test")):
        segment = read(person, look(person, FRAMES, 2).found[1], FRAMES, side=90)
        assert segment.frames.shape[0] == len(segment.faces) == FRAMES
        assert segment.frames.dtype == np.uint8
        assert not any(side % 2 for side in segment.frames.shape[1:3])
        assert segment.face_side == pytest.approx(90, abs=2)
        for frame, face in zip(segment.frames[::5], segment.faces[::5], strict=True):
            seen = MTCNN().detect(frame)[0]
            assert overlaps(np.array([seen.box]), np.array([face.box]))[0, 0] > 0.75
            assert np.abs(seen.landmarks - face.landmarks).max() < 5


def test_photographs_move_gently(photographs: Path) -> None:
    person = Person("ben", photographs / "ben.png", "train")
    one, two = look(person, FRAMES, 2).found
    segment = read(person, one, FRAMES)
    moves = np.diff([face.landmarks for face in segment.faces], axis=0)
    assert 0.05 < np.abs(moves).mean() < 3
    seen = MTCNN().detect(segment.frames[-1])[0]
    assert np.abs(seen.landmarks - segment.faces[-1].landmarks).max() < 5
    assert np.array_equal(segment.frames, read(person, one, FRAMES).frames)
    assert not np.array_equal(segment.frames, read(person, two, FRAMES).frames)
    assert segment.face_side <= LARGEST_FACE * 1.2


def test_what_was_found_survives_as_text(film: Person) -> None:
    sighting = look(film, FRAMES, 2)
    assert Sighting.from_json(json.loads(json.dumps(sighting.to_json()))) == sighting


def test_of_several_faces_the_largest_is_followed(tmp_path: Path) -> None:
    group = _person(tmp_path / "group.mp4", encode_video(group_frames(FRAMES, zoom=0.8)))
    found = look(group, FRAMES, 1).found[0]
    boxes = [face[:4] for face in found.faces]
    first = MTCNN().detect(group_frames(1, zoom=0.8)[0])
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (face.box for face in first)]
    assert (boxes[0][2] - boxes[0][0]) * (boxes[0][3] - boxes[0][1]) > 0.9 * max(areas)
    together = overlaps(np.array(boxes[:1]), np.array(boxes[1:]))
    assert together.min() > 0.7


def _endless_png() -> bytes:
    """A picture of 100,000 by 100,000 pixels, says its header."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return len(data).to_bytes(4, "big") + kind + data + check.to_bytes(4, "big")

    header = (10**5).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize(
    ("name", "data", "status"),
    [
        ("a.mp4", b"no video", "undecodable"),
        ("b.mp4", audio_only(), "no_video"),
        ("c.mp4", numbered_video(FRAMES - 1), "too_short"),
        ("d.mp4", numbered_video(FRAMES + 4), "no_face"),
        ("e.png", b"no picture", "undecodable"),
        ("f.jpg", b"", "undecodable"),
        ("g.jpg", jpeg()[:300], "undecodable"),
        ("h.png", _endless_png(), "undecodable"),
        ("i.mp4", b"", "undecodable"),
    ],
)
def test_what_cannot_be_used_says_why(tmp_path: Path, name: str, data: bytes, status: str) -> None:
    sighting = look(_person(tmp_path / name, data), FRAMES, 2)
    assert (sighting.status, sighting.found) == (status, ())
    assert name in sighting.message


def test_a_file_that_is_gone_is_unreadable(tmp_path: Path) -> None:
    gone = look(Person("gone", tmp_path / "gone.mp4", "train"), FRAMES, 1)
    assert gone.status == "unreadable"
    assert "gone.mp4" in gone.message


def test_a_file_that_changed_after_the_look_is_named(photographs: Path, tmp_path: Path) -> None:
    person = _person(tmp_path / "ben.png", (photographs / "ben.png").read_bytes())
    (found,) = look(person, FRAMES, 1).found
    person.path.write_bytes(b"")
    with pytest.raises(Unusable, match=r"ben\.png: this is not a picture") as raised:
        read(person, found, FRAMES)
    assert raised.value.status == "undecodable"
