"""Calls to the URL that a client named for the end of its job.

The body is small JSON without the report, which only who knows the job's id, and has a key where
there are keys, can fetch. It is signed, so that the receiver knows who calls:

    X-Deepfake-Signature: t=<seconds since 1970>,v1=<HMAC-SHA256 of "t.body", hex>

All receivers share the secret, so one could repeat to another what it was told: whoever is called
knows its jobs' ids, ignores others, and fetches the report.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from service.errors import OriginFailed, OriginSlow, ServiceError
from service.settings import WebhookSettings
from service.sources.remote import Fetcher
from service.sources.url import Url

SIGNATURE = "X-Deepfake-Signature"
_log = logging.getLogger("service.webhook")


class Webhooks:
    """Delivers at most ``settings.waiting`` calls at a time, half of them for one caller, each
    again and again with growing pauses while its receiver is out of order. ``told`` hears how each
    ended: ``delivered`` or ``given_up``."""

    def __init__(
        self, settings: WebhookSettings, fetcher: Fetcher, told: Callable[[str], None]
    ) -> None:
        self._settings, self._fetcher, self._told = settings, fetcher, told
        self._calls: dict[asyncio.Task[None], str] = {}
        """With whose they are."""

    @property
    def pending(self) -> int:
        """Calls that are not delivered yet."""
        return len(self._calls)

    def call(self, url: Url, caller: str, body: bytes) -> None:
        """Begin to deliver; where too many wait, of all or of this caller, the call is given up."""
        most = self._settings.waiting
        own = sum(each == caller for each in self._calls.values())
        if self.pending >= most or own >= max(1, most // 2):
            self._give_up("too many wait")
            return
        task = asyncio.create_task(self._deliver(url, body))
        self._calls[task] = caller
        task.add_done_callback(self._calls.pop)

    async def stop(self) -> None:
        """Give up what is not delivered."""
        for task in list(self._calls):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _deliver(self, url: Url, body: bytes) -> None:
        settings = self._settings
        for attempt in range(settings.attempts):
            if attempt:
                await asyncio.sleep(settings.pause_seconds * 4 ** (attempt - 1))
            reason: object
            try:
                reason = status = await self._fetcher.post(url, body, self._headers(body))
                if 200 <= status < 300:
                    self._told("delivered")
                    return
                if not _may_pass(status):
                    break
            except (OriginFailed, OriginSlow) as error:
                reason = error.code
            except ServiceError as error:
                reason = error.code
                break
        self._give_up(reason)

    def _give_up(self, reason: object) -> None:
        _log.warning("webhook given up", extra={"fields": {"reason": reason}})
        self._told("given_up")

    def _headers(self, body: bytes) -> dict[str, str]:
        now = str(int(time.time()))
        return {
            "Content-Type": "application/json",
            SIGNATURE: f"t={now},v1={signature(self._settings.secret, now, body)}",
        }


def _may_pass(status: int) -> bool:
    """Whether a receiver that answers so may take the same call later."""
    return status in (408, 429) or status >= 500


def signature(secret: str, now: str, body: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) of the time and the body, lower-case hex."""
    return hmac.new(secret.encode(), now.encode() + b"." + body, hashlib.sha256).hexdigest()
