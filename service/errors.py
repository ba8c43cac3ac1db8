"""Everything that can go wrong with a request, with one stable code each.

The HTTP layer turns these into RFC 9457 problem documents; the command line
prints ``detail``. ``detail`` is written for the caller and never holds the
name of an uploaded file, a folder, a URL, or text that came from the media or from FFmpeg.
"""

from __future__ import annotations

from typing import ClassVar


class ServiceError(Exception):
    """Base of all errors a caller may see.

    ``status`` is the HTTP status, ``code`` the stable machine-readable name and
    ``title`` the short human-readable one.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        """Seconds after which trying again makes sense; None where it does not."""


class MalformedRequest(ServiceError):
    """The request itself (parameters, multipart framing, headers) cannot be read."""

    status, code, title = 400, "malformed_request", "Malformed request"


class EmptyBody(ServiceError):
    """No media byte arrived."""

    status, code, title = 400, "empty_body", "Empty body"


class NotFound(ServiceError):
    """Nothing is served under this path."""

    status, code, title = 404, "not_found", "Not found"


class MethodNotAllowed(ServiceError):
    """The path exists, the method does not; ``Allow`` names those that do."""

    status, code, title = 405, "method_not_allowed", "Method not allowed"


class NotAcceptable(ServiceError):
    """The ``Accept`` header leaves out ``application/json``, the only form served."""

    status, code, title = 406, "not_acceptable", "Not acceptable"


class SlowBody(ServiceError):
    """The body had not arrived within the time a body may take."""

    status, code, title = 408, "slow_body", "Body too slow"


class TooLarge(ServiceError):
    """The upload is over the byte limit."""

    status, code, title = 413, "too_large", "Upload too large"


class UnsupportedMediaType(ServiceError):
    """The Content-Type is not one the route takes."""

    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class Undecodable(ServiceError):
    """The bytes are no video container that is read here, or no frame of it decodes."""

    status, code, title = 422, "undecodable", "Undecodable media"


class NoVideo(ServiceError):
    """A readable container without a moving-picture stream (audio only, cover art only)."""

    status, code, title = 422, "no_video", "No video stream"


class OverLimits(ServiceError):
    """The video is longer, larger or richer than the limits allow."""

    status, code, title = 422, "over_limits", "Over the limits"


class TooSlow(ServiceError):
    """Decoding, or all the work on a video, went past its deadline."""

    status, code, title = 422, "too_slow", "Took too long"


class NotReady(ServiceError):
    """The service cannot score now: starting, stopping, or its model or detector is missing."""

    status, code, title = 503, "not_ready", "Not ready"


class ModelError(Exception):
    """A model file is missing, unreadable or breaks the ONNX contract.

    Raised while loading, not while serving: the service then answers ``NotReady``.
    """
