"""What a caller asks for in the query of a detection."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from service.engine import Detail, DetectionOptions, Readiness
from service.errors import MalformedRequest, UnknownModel
from service.sources.url import LONGEST
from service.video.sampling import PATTERN

_LONGEST = 1e6
"""Seconds; no video is as long, and every number below prints and computes exactly enough."""


class DetectionQuery(BaseModel):
    """What the caller asks for, in the query."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    sampling: str = Field(
        "auto",
        pattern=PATTERN,
        description="`full`: every clip; `stride=<seconds>`: one clip in so many seconds; "
        "`paper`: 80 frames; `auto`: `full` for short videos, then an even stride",
        examples=["auto", "full", "paper", "stride=0.5"],
    )
    detail: Detail = Field(
        "summary", description="`clips` adds every clip, `full` every frame's box as well"
    )
    explain: bool = Field(False, description="Add a class activation map to each segment")
    start: float | None = Field(
        None, ge=0, le=_LONGEST, description="Seconds from which on the video is looked at"
    )
    end: float | None = Field(
        None, gt=0, le=_LONGEST, description="Seconds before which it is; after `start`"
    )
    faces: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Follow only so many faces of a frame, the largest first; "
        "never more than the limit `faces`",
    )
    receipt: bool = Field(
        False,
        description="Add a signed record of the finding; of a video behind a URL every byte is "
        "fetched for it",
    )
    callback: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST,
        description="URL that is called, by a signed POST, once the job is over; with "
        "`Prefer: respond-async` alone",
    )
    model: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="Name of the model or ensemble that scores, of those at `/v1/models`",
    )

    def options(self, state: Readiness) -> DetectionOptions:
        """The same for an engine in this state.

        Raises ``MalformedRequest`` for an empty stretch of time and ``UnknownModel``.
        """
        if self.end is not None and self.end <= (self.start or 0.0):
            raise MalformedRequest("The query parameter 'end' is wrong: it must be after 'start'.")
        require_served(self.model, state)
        return DetectionOptions(**self.model_dump(exclude={"receipt", "callback"}))


def require_served(model: str | None, state: Readiness) -> None:
    """Raise ``UnknownModel`` for a name that no served model or ensemble has."""
    if model is not None and model not in _names(state):
        raise UnknownModel("No model of this name is served; /v1/models lists them.")


def _names(state: Readiness) -> set[str]:
    return {model.contract.name for model in state.models} | {
        ensemble.name for ensemble in state.ensembles
    }
