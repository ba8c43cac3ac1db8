"""What may be said between the parent, its nursery and the children, as models of JSON heads.

The parent takes what a child says for hostile: strict types, bounded numbers and words, nothing
extra. Lengths of bodies are checked by whoever knows how long they must be.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

BLOCK = 2**20
"""Bytes of media that a child asks for at once, at most."""

MOST_BOX_BYTES = 64 * 2**20
"""Of all tracks of a video: what 20,000 windows of five frames with sixteen faces take."""

Index = Annotated[int, Field(ge=0, lt=2**31)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Word = Annotated[str, StringConstraints(pattern=r"^[ -~]{0,64}$")]
Reason = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]
Counts = Annotated[dict[Reason, Index], Field(max_length=32)]


class Broken(Exception):
    """What came is nothing that may come."""


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Read(_Head):
    """A child asks for media."""

    kind: Literal["read"] = "read"
    offset: int = Field(ge=0, lt=2**63)
    size: int = Field(gt=0, le=BLOCK)


class Reached(_Head):
    """How far a child is."""

    kind: Literal["reached"] = "reached"
    time: Seconds
    duration: Seconds
    frames: Index


class Cut(_Head):
    """A clip. Body: float64 (T, 4) boxes, then uint8 (T, H, W, 3) pixels."""

    kind: Literal["cut"] = "cut"
    track: Index
    spec: Index
    first_frame: Index
    last_frame: Index
    start: Seconds
    end: Seconds


class Done(_Head):
    """The end, as in ``service.extraction.Extracted``. Body: int32 (tracks, 2) number and frames n
    of each track; then, of all tracks in turn, int32 frames, float64 times, float32 boxes."""

    kind: Literal["done"] = "done"
    container: Word
    codec: Word
    width: Index
    height: Index
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    duration: Seconds
    since: Seconds
    until: Seconds
    seconds_missing: Seconds
    sampling: Word
    frames_in_video: Index
    frames_decoded: Index
    frames_damaged: Index
    frames_with_face: Index
    faces_dropped: Counts
    clips_dropped: Counts
    tracks_seen: Index
    tracks: Index


class Refused(_Head):
    """The video cannot be read, and why in our own words."""

    kind: Literal["refused"] = "refused"
    code: Literal["undecodable", "no_video", "over_limits", "too_slow", "malformed_request"]
    detail: Annotated[str, StringConstraints(pattern=r"^[ -~]{1,300}$")]


class Ready(_Head):
    """A nursery can fork; ``layers`` is what confines its children here."""

    kind: Literal["ready"] = "ready"
    detector: str
    layers: tuple[str, ...]


class Failed(_Head):
    """A nursery cannot load what it needs."""

    kind: Literal["failed"] = "failed"
    reason: str


class Born(_Head):
    """A child lives; ``pid`` is its process id."""

    kind: Literal["born"] = "born"
    number: int
    pid: int


class Ended(_Head):
    """A child has ended; ``code`` is its exit code, or minus the signal that killed it."""

    kind: Literal["ended"] = "ended"
    number: int
    code: int


FromChild = Read | Reached | Cut | Done | Refused
FromNursery = Ready | Failed | Born | Ended
_FROM_CHILD: TypeAdapter[FromChild] = TypeAdapter(Annotated[FromChild, Field(discriminator="kind")])
_FROM_NURSERY: TypeAdapter[FromNursery] = TypeAdapter(
    Annotated[FromNursery, Field(discriminator="kind")]
)


def from_child(head: bytes) -> FromChild:
    """What a child says. Raises ``Broken``."""
    try:
        return _FROM_CHILD.validate_json(head)
    except ValidationError:
        raise Broken("no message of a child") from None


def from_nursery(head: bytes) -> FromNursery:
    """What a nursery says. Raises ``Broken``."""
    try:
        return _FROM_NURSERY.validate_json(head)
    except ValidationError:
        raise Broken("no message of a nursery") from None
