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


class UnknownModel(ServiceError):
    """No model of the name asked for is served; ``GET /v1/models`` lists them."""

    status, code, title = 400, "unknown_model", "Unknown model"


class Unauthorized(ServiceError):
    """The request carries no API key, or none that is valid."""

    status, code, title = 401, "unauthorized", "Unauthorized"


class CrossOrigin(ServiceError):
    """Pages of this origin may not send such a request: the service names those that may."""

    status, code, title = 403, "cross_origin", "Not allowed across origins"


class NotFound(ServiceError):
    """Nothing is served under this path."""

    status, code, title = 404, "not_found", "Not found"


class UnknownJob(ServiceError):
    """This replica holds no job of this id: it never existed, was cancelled or has expired."""

    status, code, title = 404, "unknown_job", "Unknown job"


class OtherReplica(ServiceError):
    """The job's id names another replica than the one that was asked; only that one holds it."""

    status, code, title = 404, "other_replica", "Held by another replica"


class MethodNotAllowed(ServiceError):
    """The path exists, the method does not; ``Allow`` names those that do."""

    status, code, title = 405, "method_not_allowed", "Method not allowed"


class NotAcceptable(ServiceError):
    """The ``Accept`` header leaves out every form that this path answers in."""

    status, code, title = 406, "not_acceptable", "Not acceptable"


class SlowBody(ServiceError):
    """The body had not arrived within the time a body may take."""

    status, code, title = 408, "slow_body", "Body too slow"


class TooLarge(ServiceError):
    """The upload is over the byte limit."""

    status, code, title = 413, "too_large", "Upload too large"


class HeadersTooLarge(ServiceError):
    """The head of the request is over the limit."""

    status, code, title = 431, "headers_too_large", "Headers too large"


class UnsupportedMediaType(ServiceError):
    """The Content-Type is not one the route takes."""

    status, code, title = 415, "unsupported_media_type", "Unsupported media type"

    accept = ""
    """The Content-Types that it takes, as in a header."""


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
    """Reading, or all the work on a video, went past its deadline."""

    status, code, title = 422, "too_slow", "Took too long"


class UrlBlocked(ServiceError):
    """The URL is none that is fetched: its form, scheme, port or host, or where it leads to."""

    status, code, title = 422, "url_blocked", "URL not fetched"


class PageUrl(ServiceError):
    """The URL leads to a page, and not to one whose video is found here."""

    status, code, title = 422, "page_url", "A page, not a video"


class RateLimited(ServiceError):
    """This key, or this client, sends more than its share; ``Retry-After`` says when to go on."""

    status, code, title = 429, "rate_limited", "Too many requests"


class Busy(ServiceError):
    """The service has as much work or media as it may hold; ``Retry-After`` says when to try."""

    status, code, title = 429, "busy", "Busy"


class WorkerLost(ServiceError):
    """The process that read this video ended unexpectedly; other requests are not touched."""

    status, code, title = 500, "worker_lost", "Worker lost"


class OriginFailed(ServiceError):
    """The origin of the media refuses, breaks off, or sends what it may not."""

    status, code, title = 502, "origin_failed", "Origin failed"


class NotReady(ServiceError):
    """The service cannot score now: starting, stopping, or its model or detector is missing."""

    status, code, title = 503, "not_ready", "Not ready"


class OriginSlow(ServiceError):
    """The origin of the media did not answer or did not send them in time."""

    status, code, title = 504, "origin_slow", "Origin too slow"


class ModelError(Exception):
    """A model file is missing, unreadable or breaks the ONNX contract.

    Raised while loading, not while serving: the service then answers ``NotReady``.
    """
