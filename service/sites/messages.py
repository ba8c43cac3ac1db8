"""What may be said between the parent and a process that reads a page, as models of JSON heads.

The parent takes what the process says for hostile: strict types, bounded numbers and words, nothing
extra.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from service.sandbox.messages import Broken
from service.sources.url import LONGEST

POSTED_BYTES = 2**20
"""Body of one request."""

SiteName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
_Address = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
_Value = Annotated[str, StringConstraints(pattern=r"^[\t -~]{0,8192}$")]
Headers = Annotated[dict[_Name, _Value], Field(max_length=32)]


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Order(_Head):
    """What to prepare for. ``sites`` are those that may be read, by yt-dlp's names; ``parent`` is
    the process id of who asks."""

    parent: int
    sites: list[str]


class Page(_Head):
    """A page to read, by the URLs it is known by, the one that was asked for first. For a process
    that is confined."""

    urls: list[str]


class Ready(_Head):
    """The process is confined. ``unknown`` are the sites that its yt-dlp does not know."""

    kind: Literal["ready"] = "ready"
    layers: Annotated[list[_Name], Field(max_length=16)]
    unknown: Annotated[list[SiteName], Field(max_length=64)] = []


class Wanted(_Head):
    """A request to be sent, without following redirects. Body: its own."""

    kind: Literal["wanted"] = "wanted"
    method: Literal["GET", "HEAD", "POST"]
    url: _Address
    headers: Headers


class Given(_Head):
    """The answer to it. Body: its own."""

    kind: Literal["given"] = "given"
    status: int
    headers: list[tuple[str, str]]


class Denied(_Head):
    """There is none: the request may not be sent, or the origin does not answer."""

    kind: Literal["denied"] = "denied"


class Found(_Head):
    """The video of a page. ``headers`` are what its site wants to see with requests for it,
    ``height`` is in pixels, ``renditions`` is how many there were to choose from, ``several`` says
    that the page shows further videos."""

    kind: Literal["found"] = "found"
    url: _Address
    headers: Headers
    site: SiteName
    height: Annotated[int, Field(gt=0, lt=2**15)] | None
    renditions: Annotated[int, Field(ge=0, lt=2**15)]
    several: bool


class Lost(_Head):
    """There is none. ``no_site``: none that may be read has this page, or what it leads to;
    ``no_video``: the page shows none; ``failed``: the site gives none out, or has changed."""

    kind: Literal["lost"] = "lost"
    reason: Literal["no_site", "no_video", "failed"]


FromWorker = Ready | Wanted | Found | Lost

_FROM_WORKER: TypeAdapter[FromWorker] = TypeAdapter(
    Annotated[FromWorker, Field(discriminator="kind")]
)


def from_worker(head: bytes) -> FromWorker:
    """Raises ``Broken``."""
    try:
        return _FROM_WORKER.validate_json(head)
    except ValidationError:
        raise Broken("no message of a process that reads a page") from None


def from_parent(head: bytes) -> Given | Denied:
    """The answer to a request; trusted."""
    adapter: TypeAdapter[Given | Denied] = TypeAdapter(
        Annotated[Given | Denied, Field(discriminator="kind")]
    )
    return adapter.validate_json(head)
